"""Models that were trained several times: their mean score, and the gain of one recipe over another."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from drivelet.core.stats import Difference, Floats, difference_interval, paired_difference, percentile_interval
from drivelet.evaluate.scores import Sampled


def mean_score(runs: Sequence[Sampled], *, seed: int = 0) -> dict[str, float]:
    """Return the mean over seeds as {value, low, high}; clusters of the test and seeds are resampled together."""
    value = float(np.mean([run.value for run in runs]))
    return asdict(percentile_interval(value, _resampled(runs, seed)))


def gain(runs: Sequence[Sampled], base: Sequence[Sampled], *, seed: int = 0) -> Difference:
    """Return mean(runs) - mean(base) on one test.

    Paired in the clusters, which every run's resamples share, and apart in the seeds (the bootstrap of clusters by
    that of seeds: Davison and Hinkley 1997, section 3.8). Few seeds make it a little too narrow.
    """
    value = float(np.mean([run.value for run in runs]) - np.mean([run.value for run in base]))
    return difference_interval(value, _resampled(runs, seed) - _resampled(base, seed + 1))


def _resampled(runs: Sequence[Sampled], seed: int) -> Floats:
    """The mean of as many runs as there are, drawn with replacement anew for every resample of the test."""
    samples_SR = np.stack([run.samples_R for run in runs])
    seeds, resamples = samples_SR.shape
    drawn_SR = np.random.default_rng(seed).integers(seeds, size=(seeds, resamples))
    return samples_SR[drawn_SR, np.arange(resamples)].mean(axis=0)


def accuracy_gain(
    hits_SN: Sequence[Sequence[bool]],
    base_SN: Sequence[Sequence[bool]],
    groups: Sequence[str],
    *,
    resamples: int = 1000,
) -> Difference:
    """Return the difference in accuracy on the same items, every item's hits averaged over the seeds first."""
    here_N, base_N = (np.mean(np.asarray(hits, float), axis=0).tolist() for hits in (hits_SN, base_SN))
    return paired_difference(here_N, base_N, groups, resamples=resamples)
