"""Smoothing: a sliding window over a drive's fused probabilities (the paper's temporal constraint)."""

from collections.abc import Sequence

import numpy as np

from drivelet.labels.calibrate import Floats


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
