"""Intervals and tests: clustered bootstrap, exact McNemar, calibration error. NumPy only.

Items of one cluster (a drive, a physical sign, a scene) resemble each other, so whole clusters are resampled (Cameron,
Gelbach, Miller 2008). A score that depends on its items through sums alone (accuracy, F1) is resampled as
`weights_RC @ sums_CD`: no loop over items.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BLOCK = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the ends of its interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """A paired difference with its interval and its two-sided p-value."""

    p: float


def cluster_ids(groups: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """Number the groups in order of first appearance; an empty group makes its item a cluster of its own.

    Returns:
        ids of shape (N,) in 0..C-1, and C.
    """
    numbers: dict[tuple[str, int], int] = {}
    keys = [(group, -1 if group else index) for index, group in enumerate(groups)]
    ids = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
    return ids, len(numbers)


def cluster_sums(values_ND: NDArray[np.generic], ids_N: NDArray[np.int64], num_clusters: int) -> Floats:
    """Sum the rows of every cluster: (N, D) -> (C, D)."""
    sums_CD = np.zeros((num_clusters, values_ND.shape[1]))
    np.add.at(sums_CD, ids_N, values_ND.astype(np.float64))
    return sums_CD


def cluster_weights(num_clusters: int, *, resamples: int = 1000, seed: int = 0) -> Iterator[Floats]:
    """Yield blocks (r, C) of how often each resample draws each cluster; every row sums to C.

    The rows depend on (num_clusters, seed) alone, so two scores on the same clusters are resampled together.
    """
    rng = np.random.default_rng(seed)
    share_C = np.full(num_clusters, 1 / num_clusters)
    block = max(1, _BLOCK // num_clusters)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield rng.multinomial(num_clusters, share_C, size=size).astype(np.float64)


def bootstrap(
    statistic: Callable[[Floats], Floats], sums_CD: Floats, *, resamples: int = 1000, seed: int = 0
) -> Floats:
    """Return the statistic of every cluster resample, shape (R,).

    Args:
        statistic: maps sums of shape (..., D) to values of shape (...).
        sums_CD: sums of every cluster.
    """
    if not len(sums_CD):
        return np.full(resamples, np.nan)
    blocks = cluster_weights(len(sums_CD), resamples=resamples, seed=seed)
    return np.concatenate([statistic(weights_RC @ sums_CD) for weights_RC in blocks])


def percentile_interval(value: float, samples_R: Floats, *, level: float = 0.95) -> Interval:
    """Return `value` with the percentile interval of its resamples; undefined resamples (NaN) are left out."""
    defined = samples_R[~np.isnan(samples_R)]
    if not len(defined):
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high))


def ratio(sums_XD: Floats) -> Floats:
    """Divide the first column by the second, NaN where that is 0: the statistic of a mean."""
    total = sums_XD[..., 1]
    return np.divide(sums_XD[..., 0], total, out=np.full(total.shape, np.nan), where=total > 0)


def mean_interval(
    values: Sequence[float], groups: Sequence[str], *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Return the mean with its cluster bootstrap interval."""
    ids_N, count = cluster_ids(groups)
    values_N = np.asarray(values, dtype=np.float64)
    sums_CD = cluster_sums(np.stack([values_N, np.ones_like(values_N)], axis=1), ids_N, count)
    samples_R = bootstrap(ratio, sums_CD, resamples=resamples, seed=seed)
    return percentile_interval(float(ratio(sums_CD.sum(axis=0))), samples_R, level=level)


def bootstrap_p(samples_R: Floats) -> float:
    """Return the two-sided p-value of a difference: twice the rarer side of 0 among its resamples, at most 1.

    One is added to both counts, so that no p-value is 0 (Davison and Hinkley 1997, section 4.2).
    """
    defined = samples_R[~np.isnan(samples_R)]
    rarer = min(np.sum(defined <= 0), np.sum(defined >= 0))
    return float(min(1.0, 2 * (rarer + 1) / (len(defined) + 1)))


def difference_interval(value: float, samples_R: Floats, *, level: float = 0.95) -> Difference:
    """Return a difference with the percentile interval and p-value of its resamples."""
    interval = percentile_interval(value, samples_R, level=level)
    return Difference(value=value, low=interval.low, high=interval.high, p=bootstrap_p(samples_R))


def paired_difference(
    values_a: Sequence[float],
    values_b: Sequence[float],
    groups: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Return mean(a) - mean(b) on the same items, resampling clusters of pairs."""
    ids_N, count = cluster_ids(groups)
    gaps_N = np.asarray(values_a, dtype=np.float64) - np.asarray(values_b, dtype=np.float64)
    sums_CD = cluster_sums(np.stack([gaps_N, np.ones_like(gaps_N)], axis=1), ids_N, count)
    samples_R = bootstrap(ratio, sums_CD, resamples=resamples, seed=seed)
    return difference_interval(float(ratio(sums_CD.sum(axis=0))), samples_R, level=level)


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> float:
    """Return the two-sided p-value of McNemar's exact test on paired right/wrong answers; 1 without disagreement."""
    a_N, b_N = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    only_a, only_b = int(np.sum(a_N & ~b_N)), int(np.sum(b_N & ~a_N))
    return binomial_p(min(only_a, only_b), only_a + only_b)


def binomial_p(rarer: int, trials: int) -> float:
    """Return the two-sided p-value of the rarer side's count among fair coin throws."""
    step_K = np.arange(1, rarer + 1)
    log_ways_K = np.concatenate([[0.0], np.cumsum(np.log((trials - step_K + 1) / step_K))])
    return float(min(1.0, 2 * np.exp(log_ways_K - trials * np.log(2)).sum()))


def expected_calibration_error(probs: Sequence[float], right: Sequence[bool], *, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins, weighted by items; NaN without items.

    Guo et al. 2017, equation 3; a bin is (low, high], and 0 belongs to the first.
    """
    probs_N, right_N = np.asarray(probs, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(probs_N):
        return float("nan")
    bin_N = np.clip(np.ceil(probs_N * bins).astype(int) - 1, 0, bins - 1)
    gaps_B = np.bincount(bin_N, weights=right_N - probs_N, minlength=bins)
    return float(np.abs(gaps_B).sum() / len(probs_N))
