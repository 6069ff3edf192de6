"""The ego vehicle of a simulated drive: lamp programs, how it follows the road, what its sensors read."""

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.01
IMU_HZ = 50
CONE_SPEED_MPS = 5.5
SENSOR_HEADER = ("timestamp_s", "speed_mps", "yaw_rate_radps", "acceleration_mps2")


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The ego's true motion at `STEP_S`: time, distance along the road, sideways offset, speed, acceleration, yaw."""

    t: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    speed: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    yaw: NDArray[np.float64]


Program = tuple[tuple[str, float], ...]
"""Lamp phases in order: (state, seconds)."""


def lamp_at(program: Program, t: float) -> str:
    """The lamp's state at time `t`; the last phase lasts."""
    for state, seconds in program:
        if t < seconds:
            return state
        t -= seconds
    return program[-1][0]


def draw_program(rng: np.random.Generator, *, slow: float = 1.0) -> Program:
    """A stretch of red -> green -> yellow -> red that begins anywhere in it; `slow` lengthens every phase."""
    start = str(rng.choice(["red", "green", "yellow"], p=[0.5, 0.35, 0.15]))
    order = {"red": ("red", "green", "yellow", "red"), "green": ("green", "yellow", "red"), "yellow": ("yellow", "red")}
    seconds = {"red": (3.0, 5.5), "green": (2.0, 4.0), "yellow": (1.6, 2.4)}
    return tuple((state, round(slow * float(rng.uniform(*seconds[state])), 2)) for state in order[start])


def drive_motion(
    rng: np.random.Generator, *, program: Program | None, stop_y: float | None, slow: tuple[float, float] | None,
    seconds: float,
) -> Motion:  # fmt: skip
    """Follow the road: keep speed, brake for a red (or a yellow that leaves room), slow where cones narrow the lane.

    Args:
        rng: draws the cruising speed and the slow sideways wander.
        program: the lamp's phases, or None.
        stop_y: where the stop line lies, or None.
        slow: the stretch that is driven at `CONE_SPEED_MPS`, or None.
        seconds: length of the drive.
    """
    t = np.arange(0, seconds + STEP_S / 2, STEP_S)
    cruise, y = float(rng.uniform(8.0, 13.0)), 0.0
    v, places, speeds, pushes = cruise, [], [], []
    for now in t:
        state = lamp_at(program, float(now)) if program else "none"
        a = _acceleration(v, y, cruise, state, stop_y, slow)
        places.append(y)
        speeds.append(v)
        pushes.append(a)
        y, v = y + v * STEP_S, max(v + a * STEP_S, 0.0)
    width, period = float(rng.uniform(0.02, 0.15)), float(rng.uniform(5, 9))
    along = np.array(places)
    x = width * np.sin(2 * math.pi * along / (period * cruise) + float(rng.uniform(0, 6)))
    slope = np.gradient(x, STEP_S) / np.maximum(np.array(speeds), 1.0)
    return Motion(t=t, y=along, x=x, speed=np.array(speeds), acceleration=np.array(pushes), yaw=-np.arctan(slope))


def _acceleration(
    v: float, y: float, cruise: float, state: str, stop_y: float | None, slow: tuple[float, float] | None
) -> float:
    wanted = cruise
    if slow is not None and y < slow[1]:
        gap = max(slow[0] - y, 0.0)
        wanted = min(cruise, math.sqrt(CONE_SPEED_MPS**2 + 2 * 2.0 * gap))
    push = float(np.clip(1.2 * (wanted - v), -4.0, 1.8))
    if stop_y is None or state not in ("red", "yellow") or y > stop_y - 1.0:
        return push
    room = stop_y - 2.5 - y
    need = v * v / (2 * max(room, 0.05))
    if state == "yellow" and need > 3.5:
        return push
    if v < 0.3 and room < 1.0:
        return -v / STEP_S
    return min(push, -min(need, 8.0)) if need > 1.6 or room < 4.0 else push


def swung(motion: Motion, rng: np.random.Generator) -> Motion:
    """Return the motion with a swing to one side and back every 60 m: around a parked van, a cyclist, a pothole."""
    x, slope = motion.x.copy(), -np.tan(motion.yaw)
    for start in np.arange(float(rng.uniform(2, 8)), float(motion.y[-1]), 60.0):
        length, reach = float(rng.uniform(24, 40)), float(rng.uniform(0.7, 1.2)) * float(rng.choice([-1, 1]))
        part = np.clip((motion.y - start) / length, 0, 1)
        x += reach * np.sin(math.pi * part) ** 2
        slope += reach * math.pi / length * np.sin(2 * math.pi * part)
    return replace(motion, x=x, yaw=-np.arctan(slope))


def write_imu(
    path: Path, motion: Motion, rng: np.random.Generator, *, offset_s: float = 0.0, noise: float = 1.0
) -> None:
    """Write 50 Hz sensor readings of a motion, with white noise and a constant bias on each.

    Args:
        offset_s: camera time minus sensor time; the log's times are those of the sensors' own clock.
        noise: factor on noise and bias.
    """
    every = round(1 / IMU_HZ / STEP_S)
    yaw_rate = np.gradient(motion.yaw, STEP_S)
    spreads = ((0.05, 0.05), (0.004, 0.002), (0.12, 0.03))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(SENSOR_HEADER)
        columns = [motion.t[::every] - offset_s]
        for truth, (sigma, bias) in zip((motion.speed, yaw_rate, motion.acceleration), spreads, strict=True):
            values = truth[::every]
            columns.append(values + float(rng.normal(0, noise * bias)) + rng.normal(0, noise * sigma, len(values)))
        columns[1] = np.maximum(columns[1], 0.0)
        for row in zip(*columns, strict=True):
            writer.writerow([f"{value:.4f}" for value in row])
