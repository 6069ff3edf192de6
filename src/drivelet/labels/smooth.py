"""Smoothing one field over a drive: a sliding window (the paper's temporal constraint), or the field's Markov chain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drivelet.core.artifacts import UNKNOWN, Field
from drivelet.core.ranges import Amount, ranged
from drivelet.labels import hmm
from drivelet.labels.calibrate import Floats
from drivelet.labels.phases import chain_of


@dataclass(frozen=True, kw_only=True)
@ranged
class SmoothConfig:
    """Settings of `smooth_field`.

    Attributes:
        method: `none` takes each frame by itself, `window` averages around it, `hmm` follows the field's chain.
        window_s: width of the window; also that in which stability is counted.
        independent_s: frames closer than this share their mistakes, and count together as one.
        online: use only the frames up to each one, as a car would.
        motion: let the chain know when the car stands.
    """

    method: Literal["none", "window", "hmm"] = "hmm"
    window_s: Amount = 1.5
    independent_s: Amount = 0.5
    online: bool = False
    motion: bool = True


@dataclass(frozen=True, kw_only=True)
class FieldTrack:
    """One field over a drive.

    Attributes:
        shown_FC: what each frame shows; NaN rows where nothing is known.
        meant_FC: what holds in each frame, in sight or not: the state of a light behind a truck, a limit in force.
        hidden_F: probability that the thing is there and out of sight.
        log_evidence: log-likelihood of the votes; NaN without a chain.
    """

    shown_FC: Floats
    meant_FC: Floats
    hidden_F: Floats
    log_evidence: float = float("nan")


def smooth_field(config: SmoothConfig, spec: Field, probs_FC: Floats, ride: hmm.Ride) -> FieldTrack:
    """Smooth the fused votes of one field.

    Args:
        config: how.
        spec: the field; its name chooses the chain.
        probs_FC: a distribution over its choices for each frame, NaN rows where nothing was voted.
        ride: what is known of the car in each frame.
    """
    if config.method != "hmm":
        shown_FC = smooth(probs_FC, ride.times, window_s=config.window_s) if config.method == "window" else probs_FC
        return FieldTrack(shown_FC=shown_FC, meant_FC=shown_FC, hidden_F=np.zeros(len(probs_FC)))
    chain = chain_of(spec)
    place = spec.choices.index(UNKNOWN)
    loglik_FS = hmm.evidence(probs_FC, chain, ride.times, unknown=place, independent_s=config.independent_s)
    run = hmm.filtered if config.online else hmm.forward_backward
    found = run(loglik_FS, chain, ride if config.motion else replace(ride, standing=[None] * len(ride.times)))
    return FieldTrack(
        shown_FC=hmm.gather(found.states_FS, chain.shows, len(spec.choices)),
        meant_FC=hmm.gather(found.states_FS, chain.means, len(spec.choices)),
        hidden_F=found.states_FS[:, np.array(chain.hidden)].sum(axis=1),
        log_evidence=found.log_evidence,
    )


def bounds(times: Sequence[float] | Floats, window_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for every frame the first and one past the last frame within `window_s / 2` seconds of it."""
    times_F = np.asarray(times, dtype=float)
    # A microsecond of slack: frame times are sums of rounded ticks.
    half = window_s / 2 + 1e-6
    return (
        np.searchsorted(times_F, times_F - half, side="left"),
        np.searchsorted(times_F, times_F + half, side="right"),
    )


def smooth(probs_FC: Floats, times: Sequence[float] | Floats, *, window_s: float = 1.5) -> Floats:
    """Return the mean distribution over a window centred on every frame.

    Args:
        probs_FC: one row a frame, NaN rows where nothing was voted; they are passed over.
        times: seconds, rising. A window spans time, not frames, so it never reaches across a gap in the drive.
        window_s: full width in seconds.

    A row stays NaN where the whole window has none.
    """
    first_F, last_F = bounds(times, window_s)
    known_F = np.asarray(~np.isnan(probs_FC).any(axis=1))
    values_FC = np.where(known_F[:, None], probs_FC, 0.0)
    sums_FC = np.vstack([np.zeros((1, probs_FC.shape[1])), np.cumsum(values_FC, axis=0)])
    counts_F = np.concatenate([[0], np.cumsum(known_F)])
    total_FC = sums_FC[last_F] - sums_FC[first_F]
    count_F = counts_F[last_F] - counts_F[first_F]
    mean_FC = np.full_like(values_FC, np.nan)
    some_F = count_F > 0
    mean_FC[some_F] = np.clip(total_FC[some_F] / count_F[some_F, None], 0.0, 1.0)
    return mean_FC


def stability(answers: Sequence[int], best: Sequence[int], times: Sequence[float], *, window_s: float) -> Floats:
    """Return for every frame the share of voted frames in its window whose own answer is the smoothed one.

    Args:
        answers: each frame's own answer before smoothing, -1 where nothing was voted.
        best: each frame's answer after smoothing.
    """
    first_F, last_F = bounds(times, window_s)
    own_F = np.asarray(answers)
    shares: list[float] = []
    for first, last, answer in zip(first_F, last_F, best, strict=True):
        window = own_F[first:last]
        window = window[window >= 0]
        shares.append(float((window == answer).mean()) if len(window) else 0.0)
    return np.asarray(shares)
