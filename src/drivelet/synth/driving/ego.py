"""The ego vehicle of a simulated drive: lamp programs, and how it follows road, rules and traffic."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.01
CONE_SPEED_MPS = 5.5
HALT_S = 1.5
"""How long a driver stands at a stop sign."""
BUMPERS_M = 4.2
"""From the camera to the ego's front bumper, and from a leader's middle to its rear one."""


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


@dataclass(frozen=True, kw_only=True)
class Leader:
    """A vehicle ahead in the ego's lane: the place of its middle along the road and its speed at every step."""

    y: NDArray[np.float64]
    speed: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What a driver heeds.

    Attributes:
        program: the lamp's phases, or None.
        stop_y: where the stop line lies, or None.
        slow: the stretch that is driven at `CONE_SPEED_MPS`, or None.
        halt: a stop sign stands at the stop line: halt for `HALT_S`, then go.
        limit: where a speed limit begins and what it is in m/s, or None.
        leader: the vehicle ahead, or None.
        most: the highest speed that the bends allow, in m/s.
    """

    program: Program | None = None
    stop_y: float | None = None
    slow: tuple[float, float] | None = None
    halt: bool = False
    limit: tuple[float, float] | None = None
    leader: Leader | None = None
    most: float = math.inf


def drive_motion(rng: np.random.Generator, ahead: Ahead, *, seconds: float) -> Motion:
    """Follow the road: keep speed, brake for a red (or a yellow that leaves room), slow where cones narrow the lane.

    With the rules of `Ahead`, also halt at a stop sign, keep to a posted limit and follow a slower vehicle.

    Args:
        rng: draws the cruising speed and the slow sideways wander.
        ahead: what lies on the road.
        seconds: length of the drive.
    """
    cruise = min(float(rng.uniform(8.0, 13.0)), ahead.most)
    t, along, speeds, pushes = follow(ahead, cruise, 0.0, seconds=seconds)
    width, period = float(rng.uniform(0.02, 0.15)), float(rng.uniform(5, 9))
    x = width * np.sin(2 * math.pi * along / (period * cruise) + float(rng.uniform(0, 6)))
    slope = np.gradient(x, STEP_S) / np.maximum(speeds, 1.0)
    return Motion(t=t, y=along, x=x, speed=speeds, acceleration=pushes, yaw=-np.arctan(slope))


def follow(
    ahead: Ahead, cruise: float, start_y: float, *, seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Drive along the road from `start_y` at up to `cruise`; return time, place, speed, acceleration at every step."""
    t = np.arange(0, seconds + STEP_S / 2, STEP_S)
    y, v, halted = start_y, _first_speed(ahead, cruise, start_y), 0.0
    places, speeds, pushes = [], [], []
    for k, now in enumerate(t):
        state = lamp_at(ahead.program, float(now)) if ahead.program else "none"
        if ahead.halt and halted < HALT_S:
            state = "red"
        a = _acceleration(v, y, cruise, state, ahead.stop_y, ahead.slow)
        if ahead.halt or ahead.limit or ahead.leader:  # at rest the brakes give no acceleration
            a = max(min(a, _under_limit(v, y, ahead.limit), _behind(v, y, ahead.leader, k)), -v / STEP_S)
        if ahead.stop_y is not None and v < 0.05 and 0 < ahead.stop_y - y < 5.0:
            halted += STEP_S
        places.append(y)
        speeds.append(v)
        pushes.append(a)
        y, v = y + v * STEP_S, max(v + a * STEP_S, 0.0)
    return t, np.array(places), np.array(speeds), np.array(pushes)


def _first_speed(ahead: Ahead, cruise: float, y: float) -> float:
    """A speed from which limit and leader can still be met without an emergency."""
    speeds = [cruise]
    if ahead.limit:
        speeds.append(math.sqrt(ahead.limit[1] ** 2 + 2 * 2.0 * max(ahead.limit[0] - y, 0.0)))
    if ahead.leader:
        speeds.append(float(ahead.leader.speed[0]) + 0.15 * (float(ahead.leader.y[0]) - y))
    return min(speeds)


def _under_limit(v: float, y: float, limit: tuple[float, float] | None) -> float:
    """The highest acceleration that keeps to a limit, which is reached where it begins."""
    if limit is None:
        return math.inf
    gap, wanted = limit[0] - y, 0.97 * limit[1]
    if gap <= 0:
        return float(np.clip(1.2 * (wanted - v), -4.0, 1.8))
    need = (v * v - wanted * wanted) / (2 * max(gap, 0.05))
    return -min(need, 4.0) if need > 1.5 else math.inf


def _behind(v: float, y: float, leader: Leader | None, k: int) -> float:
    """The acceleration of the Intelligent Driver Model behind a leader (Treiber et al. 2000, equations 3 and 4)."""
    if leader is None:
        return math.inf
    strongest, comfortable, headway, least = 1.8, 2.5, 1.2, 2.0
    gap = max(float(leader.y[k]) - BUMPERS_M - y, 0.1)
    closing = v * (v - float(leader.speed[k])) / (2 * math.sqrt(strongest * comfortable))
    return max(strongest * (1 - (max(least + headway * v + closing, least) / gap) ** 2), -8.0)


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
