"""Sensor logs: samples of speed, yaw rate and acceleration, checked on reading and aligned to frame times.

The convention, whatever a log's own is (REP 103: x forward, y left, z up): speed and acceleration are positive forward,
**a positive yaw rate turns left** (counter-clockwise seen from above). Units are m/s, rad/s and m/s2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from drivelet.drives.car_axes import OVER_GROUND
from drivelet.drives.mounting import NO_GRAVITY
from drivelet.drives.plausible import other_unit
from drivelet.drives.reading import FAR_S, Dropped, Floats, Stream
from drivelet.drives.units import SI, UnitConfig, in_units

CHANNELS = ("speed_mps", "yaw_rate_radps", "acceleration_mps2")
LARGEST = {"speed_mps": 120.0, "yaw_rate_radps": 10.0, "acceleration_mps2": 100.0}
"""Beyond these no road car moves: the unit is wrong (km/h, degrees, milli-g)."""
ASSUMED = (NO_GRAVITY, OVER_GROUND)
"""Notes that say what the log itself does not tell."""
SLOWEST_S = 2.5
"""A speed is never taken for known across a longer gap: GPS tells it once a second, and may miss once."""
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
    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The sensor log of a drive and the account of every stream."""

    log: SensorLog
    streams: list[StreamReport]
    dropped: list[Dropped]

    @property
    def doubts(self) -> dict[str, str]:
        """Channels that may only be used where the picture bears them out, and why."""
        return {stream.channel: stream.doubt for stream in self.streams if stream.doubt}

    @property
    def assumed(self) -> list[str]:
        """What was taken for granted of the channels in use."""
        telling = [stream for stream in self.streams if any(word in stream.note for word in ASSUMED)]
        return [f"{stream.channel} ({stream.source}): {stream.note}" for stream in telling]

    def without(self, refused: Mapping[str, str]) -> "Chosen":
        """Return what is left when channels are not to be used, each for its reason."""
        source = {stream.channel: stream.source for stream in self.streams}
        return Chosen(
            log=SensorLog(channels={name: s for name, s in self.log.channels.items() if name not in refused}),
            streams=[stream for stream in self.streams if stream.channel not in refused],
            dropped=[*self.dropped, *(Dropped(channel=c, source=source[c], reason=r) for c, r in refused.items())],
        )

    def as_json(self) -> dict[str, Any]:
        """Return the account for `drive.json`."""
        return {"streams": [asdict(s) for s in self.streams], "dropped": [asdict(d) for d in self.dropped]}


def choose(streams: Sequence[Stream], *, end: float, max_gap_s: float, units: UnitConfig = SI) -> Chosen:
    """Take the first good stream of every channel, one without doubt where there is one.

    Args:
        streams: best first.
        end: the time of the last frame, the first being at 0.
        max_gap_s: a stream may begin so much after the last frame, or end so much before the first.
        units: of streams that do not name theirs.
    """
    chosen = Chosen(log=SensorLog(channels={}), streams=[], dropped=[])
    for stream in (in_units(stream, units) for stream in sorted(streams, key=lambda stream: bool(stream.doubt))):
        if stream.channel in chosen.log.channels:
            taken = next(report.source for report in chosen.streams if report.channel == stream.channel)
            reason = f"{taken} serves this channel"
            chosen.dropped.append(Dropped(channel=stream.channel, source=stream.source, reason=reason, spare=True))
            continue
        cleaned = other_unit(stream.time_N, end) or _met(clean(stream), end, max_gap_s)
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
        return f"its times {first:g}..{last:g} s, counted from the first frame, do not meet the frames' 0..{end:g} s"
    return cleaned


def clean(stream: Stream) -> Cleaned | str:
    """Return a stream sorted by time, without doubles, spikes and wild times; or why it is of no use."""
    if not len(stream.time_N):
        return "it is empty"
    finite_N = np.isfinite(stream.time_N) & np.isfinite(stream.value_N)
    time_N, value_N = stream.time_N[finite_N], stream.value_N[finite_N]
    if not len(time_N):
        return "none of its samples is a finite number" + (f": {stream.note}" if stream.note else "")
    with np.errstate(over="ignore"):
        near_N = np.abs(time_N - np.sort(time_N)[len(time_N) // 2]) <= FAR_S
    time_N, value_N = time_N[near_N], value_N[near_N]
    if not (np.diff(time_N) > 0).any():
        return "its times never rise"
    large_N = np.abs(value_N) > LARGEST[stream.channel]
    # A short log may have a spike or two as well.
    if large_N.sum() > max(SPIKES * len(value_N), min(2, len(value_N) / 2)):
        worst, most = float(np.abs(value_N).max()), LARGEST[stream.channel]
        return f"{large_N.sum()} of {len(value_N)} values are beyond {most:g} (up to {worst:g}); check the unit"
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
        doubt=stream.doubt,
    )
    return Samples(time_N, value_N[first_N]), report


def align(
    log: SensorLog, times: Sequence[float], *, method: Literal["linear", "nearest"] = "linear", max_gap_s: float = 0.5
) -> dict[str, Floats]:
    """Return every channel at the frame times, NaN where no sample lies within `max_gap_s`.

    A speed that comes more slowly is known within half of its longest gap.
    """
    frames_F = np.asarray(times, dtype=float)
    reach = dict.fromkeys(log.channels, max_gap_s)
    if speed := log.channels.get("speed_mps"):
        reach["speed_mps"] = max(max_gap_s, longest_gap(speed.time_N, max_gap_s) / 2)
    return {name: _aligned(samples, frames_F, method, reach[name]) for name, samples in log.channels.items()}


def longest_gap(time_N: Floats, max_gap_s: float, slowest_s: float = SLOWEST_S) -> float:
    """Return the longest gap between two samples across which a speed is known: 2.5 of its usual intervals."""
    usual = float(np.median(np.diff(time_N))) if len(time_N) > 1 else 0.0
    return min(max(2.5 * usual, max_gap_s), max(slowest_s, max_gap_s))


def _aligned(samples: Samples, frames_F: Floats, method: str, max_gap_s: float) -> Floats:
    time_N, value_N = samples
    right_F = np.clip(np.searchsorted(time_N, frames_F), 0, len(time_N) - 1)
    left_F = np.maximum(right_F - 1, 0)
    to_left_F, to_right_F = abs(frames_F - time_N[left_F]), abs(frames_F - time_N[right_F])
    nearest_F = np.where(to_left_F <= to_right_F, left_F, right_F)
    values_F = np.interp(frames_F, time_N, value_N) if method == "linear" else value_N[nearest_F]
    return np.where(np.minimum(to_left_F, to_right_F) > max_gap_s, np.nan, values_F)
