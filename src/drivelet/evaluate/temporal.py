"""Measures of labels over time: never flips alone, for a long enough window has none and misses every yellow."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from drivelet.core.stats import Floats, Interval, bootstrap, percentile_interval, ratio

NEAR_S = 1.0
"""A change of answer within this of a true change to the same answer is that change."""
SHORT_S = 4.0
"""A segment of gold at most this long is a short one."""
LAMP_LEGAL = frozenset({("red", "green"), ("green", "yellow"), ("yellow", "red")})
"""Changes of a lit lamp that a signal makes (Vienna Convention art. 23, without the red and yellow that some show)."""
ECE_BINS = 15
LIT = frozenset({"red", "yellow", "green"})


@dataclass(frozen=True, kw_only=True)
class Track:
    """One field of one drive: times in seconds, true and given answers, and the probability of each given one.

    `counted` leaves frames out that no one is judged on; they break no segment.
    """

    times: Sequence[float]
    gold: Sequence[str]
    answers: Sequence[str]
    probs: Sequence[float]
    counted: Sequence[bool]

    @property
    def minutes(self) -> float:
        """Time that counts."""
        step = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0
        return step * sum(self.counted) / 60


@dataclass(frozen=True, kw_only=True)
class Change:
    """At `time` the answer turned from `before` to `after`."""

    time: float
    before: str
    after: str


def changes(times: Sequence[float], answers: Sequence[str], counted: Sequence[bool]) -> list[Change]:
    """Return where a counted frame's answer differs from the counted one before."""
    kept = [(time, answer) for time, answer, keep in zip(times, answers, counted, strict=True) if keep]
    return [Change(time=t, before=a, after=b) for (_, a), (t, b) in pairwise(kept) if a != b]


def excess_flips(track: Track) -> int:
    """Count changes that no true change to the same answer within NEAR_S explains, each true one once."""
    said, _ = _matched(track)
    return sum(match is None for match in said)


def edge_delays(track: Track) -> list[float]:
    """Return seconds from each true change to the change that follows it; missed ones are left out."""
    said, found = _matched(track)
    return [change.time - match.time for change, match in zip(found, said, strict=True) if match is not None]


def _matched(track: Track) -> tuple[list[Change | None], list[Change]]:
    """Return for each given change the true one that it is, or None; and the given changes."""
    true = changes(track.times, track.gold, track.counted)
    given = changes(track.times, track.answers, track.counted)
    said: list[Change | None] = []
    for change in given:
        near = [t for t in true if t.after == change.after and abs(t.time - change.time) <= NEAR_S]
        best = min(near, key=lambda t: abs(t.time - change.time), default=None)
        said.append(best)
        if best is not None:
            true.remove(best)
    return said, given


def illegal_changes(track: Track, legal: Collection[tuple[str, str]] = LAMP_LEGAL) -> int:
    """Count changes between lit states that no signal makes."""
    given = changes(track.times, track.answers, track.counted)
    return sum(c.before in LIT and c.after in LIT and (c.before, c.after) not in legal for c in given)


def recall(track: Track, answer: str) -> tuple[int, int]:
    """Return (frames of this gold answer that are right, all of them)."""
    pairs = zip(track.answers, track.gold, track.counted, strict=True)
    right = [a == g for a, g, keep in pairs if keep and g == answer]
    return sum(right), len(right)


def short_segments(track: Track) -> tuple[int, int]:
    """Return (short gold segments half of whose frames are right, all short ones); the first and last may be longer."""
    kept = [int(i) for i in np.flatnonzero(track.counted)]
    gold = [track.gold[i] for i in kept]
    ends = [i for i in range(1, len(gold)) if gold[i] != gold[i - 1]]
    found = total = 0
    for start, end in pairwise(ends):
        members = kept[start:end]
        if track.times[members[-1]] - track.times[members[0]] > SHORT_S:
            continue
        total += 1
        found += np.mean([track.answers[i] == track.gold[i] for i in members]) >= 0.5
    return int(found), total


def counts(track: Track) -> dict[str, tuple[float, float]]:
    """Return each measure's numerator and denominator on one drive, so that drives add up."""
    kept = [i for i, keep in enumerate(track.counted) if keep]
    delays = edge_delays(track)
    return {
        "error": (sum(track.answers[i] != track.gold[i] for i in kept), len(kept)),
        "excess_flips_pm": (excess_flips(track), track.minutes),
        "illegal_pm": (illegal_changes(track), track.minutes),
        "edge_delay_ms": (1000 * sum(abs(delay) for delay in delays), len(delays)),
        "yellow_recall": recall(track, "yellow"),
        "short_recall": short_segments(track),
    }


def measures(tracks: Sequence[Track], *, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Return all measures over drives with their intervals, drives resampled.

    `error`, `yellow_recall`, `short_recall` and `ece` are shares, `excess_flips_pm` and `illegal_pm` counts a minute,
    `edge_delay_ms` is the mean absolute delay of those true changes that were found.
    """
    found = [counts(track) for track in tracks]
    result: dict[str, Interval] = {}
    for name in found[0]:
        result[name] = _resampled(np.array([row[name] for row in found], float), ratio, resamples, seed)
    gaps_DB = np.array([_calibration_gaps(track) for track in tracks])
    result["ece"] = _resampled(gaps_DB, _mean_gap, resamples, seed)
    return result


def _resampled(sums_DX: Floats, statistic: Callable[[Floats], Floats], resamples: int, seed: int) -> Interval:
    value = float(statistic(sums_DX.sum(axis=0)))
    return percentile_interval(value, bootstrap(statistic, sums_DX, resamples=resamples, seed=seed))


def _calibration_gaps(track: Track) -> Floats:
    """Return sums over frames of (right - probability) in each bin of probability, and the frames."""
    kept = [int(i) for i in np.flatnonzero(track.counted)]
    probs_N = np.asarray(track.probs, float)[kept]
    right_N = np.array([track.answers[i] == track.gold[i] for i in kept], float)
    bin_N = np.clip(np.ceil(probs_N * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)
    return np.append(np.bincount(bin_N, weights=right_N - probs_N, minlength=ECE_BINS), len(kept))


def _mean_gap(sums_XB: Floats) -> Floats:
    """Expected calibration error (Guo et al. 2017, equation 3)."""
    return ratio(np.stack([np.abs(sums_XB[..., :-1]).sum(axis=-1), sums_XB[..., -1]], axis=-1))
