"""Sensor logs: samples of speed, yaw rate and acceleration, checked on reading and aligned to frame times.

The convention, whatever a log's own is (REP 103: x forward, y left, z up): speed and acceleration are positive forward,
**a positive yaw rate turns left** (counter-clockwise seen from above). Units are m/s, rad/s and m/s2.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.reading import FAR_S, Dropped, Floats, Stream

TIME = "timestamp_s"
CHANNELS = ("speed_mps", "yaw_rate_radps", "acceleration_mps2")
HEADER = (TIME, *CHANNELS)
LARGEST = {"speed_mps": 120.0, "yaw_rate_radps": 10.0, "acceleration_mps2": 100.0}
"""Beyond these no road car moves: the unit is wrong (km/h, degrees, milli-g)."""
SPIKES = 0.01
"""A larger share of samples beyond `LARGEST` is no spike but a wrong unit."""


class Samples(NamedTuple):
    """One channel at its own rate: `time_N` in seconds from the first frame, strictly rising, and `value_N`."""

    time_N: Floats
    value_N: Floats


@dataclass(frozen=True, kw_only=True)
class SensorLog:
    """The sensors of one drive, each channel with its own samples; a channel may be missing."""

    channels: dict[str, Samples]


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """What became of a stream that is in use: samples kept, left out, and put back in order of time."""

    channel: str
    source: str
    samples: int
    rate_hz: float
    skipped: int
    unsorted: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The sensor log of a drive and the account of every stream."""

    log: SensorLog
    streams: list[StreamReport]
    dropped: list[Dropped]

    def as_json(self) -> dict[str, Any]:
        """Return the account for `drive.json`."""
        return {"streams": [asdict(s) for s in self.streams], "dropped": [asdict(d) for d in self.dropped]}


def choose(streams: Sequence[Stream], *, end: float, max_gap_s: float) -> Chosen:
    """Take the first good stream of every channel; `end` is the time of the last frame, the first being at 0."""
    chosen = Chosen(log=SensorLog(channels={}), streams=[], dropped=[])
    for stream in streams:
        if stream.channel in chosen.log.channels:
            taken = next(report.source for report in chosen.streams if report.channel == stream.channel)
            reason = f"{taken} serves this channel"
            chosen.dropped.append(Dropped(channel=stream.channel, source=stream.source, reason=reason, spare=True))
            continue
        cleaned = _met(clean(stream), end, max_gap_s)
        if isinstance(cleaned, str):
            chosen.dropped.append(Dropped(channel=stream.channel, source=stream.source, reason=cleaned))
        else:
            chosen.log.channels[stream.channel], report = cleaned
            chosen.streams.append(report)
    return chosen


Cleaned = tuple[Samples, StreamReport]


def _met(cleaned: Cleaned | str, end: float, max_gap_s: float) -> Cleaned | str:
    if isinstance(cleaned, str):
        return cleaned
    first, last = float(cleaned[0].time_N[0]), float(cleaned[0].time_N[-1])
    if first > end + max_gap_s or last < -max_gap_s:
        return f"its times {first:g}..{last:g} s do not meet the frames' 0..{end:g} s"
    return cleaned


def clean(stream: Stream) -> Cleaned | str:
    """Return a stream sorted by time, without doubles, spikes and wild times; or why it is of no use."""
    if not len(stream.time_N):
        return "it is empty"
    finite_N = np.isfinite(stream.time_N) & np.isfinite(stream.value_N)
    time_N, value_N = stream.time_N[finite_N], stream.value_N[finite_N]
    if not len(time_N):
        return "none of its samples is a finite number"
    with np.errstate(over="ignore"):
        near_N = np.abs(time_N - np.sort(time_N)[len(time_N) // 2]) <= FAR_S
    time_N, value_N = time_N[near_N], value_N[near_N]
    if not (np.diff(time_N) > 0).any():
        return "its times never rise"
    large_N = np.abs(value_N) > LARGEST[stream.channel]
    if large_N.mean() > SPIKES:
        worst = float(np.abs(value_N).max())
        return f"{large_N.sum()} of {len(value_N)} values are beyond {LARGEST[stream.channel]:g} (up to {worst:g})"
    time_N, value_N = time_N[~large_N], value_N[~large_N]
    backward = int((np.diff(time_N) < 0).sum())
    time_N, first_N = np.unique(time_N, return_index=True)
    if len(time_N) < 2:
        return "its times never rise"
    report = StreamReport(
        channel=stream.channel,
        source=stream.source,
        samples=len(time_N),
        rate_hz=round(float((len(time_N) - 1) / (time_N[-1] - time_N[0])), 3),
        skipped=len(stream.time_N) - len(time_N),
        unsorted=backward,
        note=stream.note,
    )
    return Samples(time_N, value_N[first_N]), report


def streams_of(log: SensorLog, *, source: str) -> list[Stream]:
    """Return a log that was read whole as streams."""
    return [
        Stream(channel=name, source=source, time_N=samples.time_N, value_N=samples.value_N)
        for name, samples in log.channels.items()
    ]


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
    return SensorLog(channels={name: Samples(table[:, 0], table[:, i]) for i, name in enumerate(CHANNELS, start=1)})


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
    return {name: _aligned(samples, frames_F, method, max_gap_s) for name, samples in log.channels.items()}


def _aligned(samples: Samples, frames_F: Floats, method: str, max_gap_s: float) -> Floats:
    time_N, value_N = samples
    right_F = np.clip(np.searchsorted(time_N, frames_F), 0, len(time_N) - 1)
    left_F = np.maximum(right_F - 1, 0)
    to_left_F, to_right_F = abs(frames_F - time_N[left_F]), abs(frames_F - time_N[right_F])
    nearest_F = np.where(to_left_F <= to_right_F, left_F, right_F)
    values_F = np.interp(frames_F, time_N, value_N) if method == "linear" else value_N[nearest_F]
    return np.where(np.minimum(to_left_F, to_right_F) > max_gap_s, np.nan, values_F)
