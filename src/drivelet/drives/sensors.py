"""Sensor logs: one CSV of speed, yaw rate and acceleration, checked on reading and aligned to frame times."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivelet.core.errors import InputError

TIME = "timestamp_s"
CHANNELS = ("speed_mps", "yaw_rate_radps", "acceleration_mps2")
HEADER = (TIME, *CHANNELS)
LARGEST = {"speed_mps": 120.0, "yaw_rate_radps": 10.0, "acceleration_mps2": 100.0}
"""Beyond these no road car moves: the unit is wrong (km/h, degrees, milli-g)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SensorLog:
    """Samples of one drive: `time_N` in seconds, strictly rising; `channels[name]` of the same length."""

    time_N: Floats
    channels: dict[str, Floats]


def read_sensors(path: Path) -> SensorLog:
    """Read a sensor CSV with the columns of `HEADER`, in any order; further columns are left alone.

    Raises:
        InputError: wrong header, a cell that is no finite number or lies beyond `LARGEST`, times that do not rise,
            or no rows. The message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in HEADER if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: header lacks {', '.join(missing)}; expected {','.join(HEADER)}")
            rows = [_row(path, number, cells) for number, cells in enumerate(reader, start=2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no readable CSV ({error}); expected {','.join(HEADER)}") from error
    if not rows:
        raise InputError(f"{path}: the sensor log has no rows; fill or remove it")
    for number, (early, late) in enumerate(pairwise(rows), start=3):
        if late[0] <= early[0]:
            raise InputError(f"{path} line {number}: {TIME} {late[0]:g} does not rise above {early[0]:g}; sort the log")
    table = np.asarray(rows, dtype=float)
    return SensorLog(time_N=table[:, 0], channels={name: table[:, i] for i, name in enumerate(CHANNELS, start=1)})


def _row(path: Path, number: int, cells: dict[str, str]) -> list[float]:
    return [_number(f"{path} line {number}", name, cells[name]) for name in HEADER]


def _number(where: str, name: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} is {text!r}, no finite number; correct or remove the row")
    if abs(value) > LARGEST.get(name, math.inf):
        raise InputError(f"{where}: {name} {value:g} is beyond {LARGEST[name]:g}; check the unit")
    return value


def align(
    log: SensorLog, times: Sequence[float], *, method: Literal["linear", "nearest"] = "linear", max_gap_s: float = 0.5
) -> dict[str, Floats]:
    """Return every channel at the frame times, NaN where no sample lies within `max_gap_s`."""
    frames_F = np.asarray(times, dtype=float)
    right_F = np.clip(np.searchsorted(log.time_N, frames_F), 0, len(log.time_N) - 1)
    left_F = np.maximum(right_F - 1, 0)
    to_left_F, to_right_F = abs(frames_F - log.time_N[left_F]), abs(frames_F - log.time_N[right_F])
    nearest_F = np.where(to_left_F <= to_right_F, left_F, right_F)
    far_F = np.minimum(to_left_F, to_right_F) > max_gap_s
    result: dict[str, Floats] = {}
    for name, values_N in log.channels.items():
        values_F = np.interp(frames_F, log.time_N, values_N) if method == "linear" else values_N[nearest_F]
        result[name] = np.where(far_F, np.nan, values_F)
    return result
