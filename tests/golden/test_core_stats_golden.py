"""Intervals and tests against SciPy and numbers worked by hand."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from drivelet.core import stats


def test_single_item_clusters_agree_with_the_plain_bootstrap():
    values = np.random.default_rng(0).normal(0.4, 1.0, size=300)
    ours = stats.mean_interval(values.tolist(), [""] * 300, resamples=4000)
    theirs = scipy_stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_repeating_items_inside_their_clusters_does_not_narrow_the_interval():
    values = np.random.default_rng(1).normal(size=80).tolist()
    groups = [f"drive{i}" for i in range(80)]
    once = stats.mean_interval(values, groups)
    tenfold = stats.mean_interval(values * 10, groups * 10)
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize(("only_a", "only_b", "p"), [(10, 2, 0.03857421875), (0, 5, 0.0625), (4, 4, 1.0), (1, 0, 1.0)])
def test_mcnemar(only_a, only_b, p):
    right_a = [True] * only_a + [False] * only_b + [True] * 7
    right_b = [False] * only_a + [True] * only_b + [True] * 7
    assert stats.mcnemar(right_a, right_b) == pytest.approx(p)


def test_coverage_of_the_clustered_interval():
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        effect = rng.normal(size=40)
        values = (np.repeat(effect, 10) + 0.1 * rng.normal(size=400)).tolist()
        groups = np.repeat(np.arange(40).astype(str), 10).tolist()
        interval = stats.mean_interval(values, groups, resamples=300, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_calibration_error_by_hand():
    probs, right = [0.95, 0.95, 0.55, 0.55], [True, False, True, True]
    assert stats.expected_calibration_error(probs, right, bins=10) == pytest.approx((0.45 + 0.45) / 2)


def test_difference_p_shrinks_with_the_effect():
    rng = np.random.default_rng(2)
    base = rng.normal(size=200)
    groups = [str(i // 2) for i in range(200)]
    far = stats.paired_difference((base + rng.normal(0.5, 1, 200)).tolist(), base.tolist(), groups)
    near = stats.paired_difference((base + rng.normal(0.0, 1, 200)).tolist(), base.tolist(), groups)
    assert far.p < 0.01 < near.p
    assert far.low > 0


@pytest.mark.parametrize("trials", [1, 2, 9, 100, 3000])
def test_binomial_p_agrees_with_scipy(trials):
    for rarer in {0, trials // 3, trials // 2}:
        expected = scipy_stats.binomtest(rarer, trials, 0.5).pvalue
        assert stats.binomial_p(rarer, trials) == pytest.approx(expected, rel=1e-8)
