"""The simulated sensors of a drive: speed, yaw rate and acceleration with the errors of cheap ones."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivelet.core.ranges import Amount, Span, ranged
from drivelet.synth.driving.ego import STEP_S, Motion

IMU_HZ = 50
SENSOR_HEADER = ("timestamp_s", "speed_mps", "yaw_rate_radps", "acceleration_mps2")
TEMPERATURE = "temperature_c"
WARMING_S = 20.0
"""Time constant with which a sensor warms up after the start."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The errors of one channel in its own unit.

    Attributes:
        noise: of each reading (white).
        bias: of the constant bias.
        walk: of the bias's random walk after one second.
        per_kelvin: of the bias's change a kelvin of warming.
    """

    noise: float
    bias: float
    walk: float = 0.0
    per_kelvin: float = 0.0


SPREADS = (
    Spread(noise=0.05, bias=0.05),
    Spread(noise=0.004, bias=0.002, walk=3e-4, per_kelvin=3.5e-4),
    Spread(noise=0.12, bias=0.03, walk=4e-3, per_kelvin=3e-3),
)
"""Of speed, yaw rate and acceleration. A car's micromachined gyroscope drifts by some hundredths of a degree a second
and kelvin, its accelerometer by some tenths of a milli-g."""


@dataclass(frozen=True, kw_only=True)
@ranged
class ImuConfig:
    """How the sensors err beyond white noise and a constant bias; off by default.

    Attributes:
        bias_walk: factor on the biases' random walk.
        warming_k: range of a drive's rise of temperature in kelvin, reached with the time constant `WARMING_S`; each
            bias moves with it in proportion, and the log gets the column `temperature_c`.
        speed_step_mps: step to which the wheels' speed is rounded.
    """

    bias_walk: Amount = 0.0
    warming_k: Span = (0.0, 0.0)
    speed_step_mps: Amount = 0.0


def cheap_imu() -> ImuConfig:
    """The sensors of an ordinary car, started cold."""
    return ImuConfig(bias_walk=1.0, warming_k=(4.0, 14.0), speed_step_mps=0.05)


def write_imu(
    path: Path, motion: Motion, rng: np.random.Generator, *, offset_s: float = 0.0, noise: float = 1.0,
    imu: ImuConfig = ImuConfig(), drift: np.random.Generator | None = None,
) -> None:  # fmt: skip
    """Write 50 Hz sensor readings of a motion, with white noise and a bias on each.

    Args:
        offset_s: camera time minus sensor time; the log's times are those of the sensors' own clock.
        noise: factor on noise and bias.
        imu: further errors.
        drift: draws them; by default from `rng`.
    """
    drift = drift or rng
    every = round(1 / IMU_HZ / STEP_S)
    times = motion.t[::every]
    rise = float(drift.uniform(*imu.warming_k)) if imu.warming_k[1] > 0 else 0.0
    warmth = rise * (1 - np.exp(-times / WARMING_S))
    columns = [times - offset_s]
    truths = (motion.speed, np.gradient(motion.yaw, STEP_S), motion.acceleration)
    for truth, spread in zip(truths, SPREADS, strict=True):
        values = truth[::every]
        bias = float(rng.normal(0, noise * spread.bias))
        readings = values + bias + rng.normal(0, noise * spread.noise, len(values))
        columns.append(readings + _moving_bias(spread, imu, warmth, drift))
    columns[1] = np.maximum(columns[1], 0.0)
    if imu.speed_step_mps > 0:
        columns[1] = np.rint(columns[1] / imu.speed_step_mps) * imu.speed_step_mps
    header = SENSOR_HEADER
    if imu.warming_k[1] > 0:
        header = (*SENSOR_HEADER, TEMPERATURE)
        columns.append(float(drift.uniform(5, 25)) + warmth)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for row in zip(*columns, strict=True):
            writer.writerow([f"{value:.4f}" for value in row])


def _moving_bias(
    spread: Spread, imu: ImuConfig, warmth: NDArray[np.float64], drift: np.random.Generator
) -> NDArray[np.float64] | float:
    """What a bias gains by its random walk and by warming; 0 where both are off, so that old logs stay as they were."""
    if imu.bias_walk <= 0 and imu.warming_k[1] <= 0:
        return 0.0
    steps = drift.normal(0, imu.bias_walk * spread.walk / math.sqrt(IMU_HZ), len(warmth))
    return np.cumsum(steps) + float(drift.normal(0, spread.per_kelvin)) * warmth
