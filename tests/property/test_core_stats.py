"""Invariants of intervals and tests."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core import stats

bools = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)
items = st.lists(st.tuples(st.floats(-5, 5), st.sampled_from("abcde")), min_size=1, max_size=30)


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=20))
def test_cluster_ids(groups):
    ids, count = stats.cluster_ids(groups)
    assert count == len({g for g in groups if g}) + groups.count("")
    assert sorted(set(ids.tolist())) == list(range(count))
    same = [(i, j) for i in range(len(groups)) for j in range(i) if groups[i] and groups[i] == groups[j]]
    assert all(ids[i] == ids[j] for i, j in same)


@given(st.integers(1, 30), st.integers(1, 50), st.integers(0, 5))
def test_weights_draw_as_many_clusters_as_there_are(count, resamples, seed):
    weights = np.concatenate(list(stats.cluster_weights(count, resamples=resamples, seed=seed)))
    assert weights.shape == (resamples, count)
    assert (weights.sum(axis=1) == count).all()


def test_block_size_does_not_change_the_weights(monkeypatch: pytest.MonkeyPatch):
    whole = np.concatenate(list(stats.cluster_weights(7, resamples=50, seed=3)))
    monkeypatch.setattr(stats, "_BLOCK", 20)
    assert np.array_equal(np.concatenate(list(stats.cluster_weights(7, resamples=50, seed=3))), whole)


@given(items, st.integers(0, 3))
@settings(max_examples=50)
def test_mean_interval(pairs, seed):
    values, groups = [p[0] for p in pairs], [p[1] for p in pairs]
    interval = stats.mean_interval(values, groups, resamples=200, seed=seed)
    assert interval == stats.mean_interval(values, groups, resamples=200, seed=seed)
    assert interval.value == pytest.approx(np.mean(values))
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9
    if len(set(groups)) == 1:
        assert interval.low == pytest.approx(interval.value) == interval.high


@given(items)
@settings(max_examples=50)
def test_paired_difference_is_antisymmetric(pairs):
    a, groups = [p[0] for p in pairs], [p[1] for p in pairs]
    b = a[::-1]
    forth, back = (stats.paired_difference(x, y, groups, resamples=200) for x, y in ((a, b), (b, a)))
    assert forth.value == pytest.approx(-back.value)
    assert forth.low == pytest.approx(-back.high)
    assert forth.p == pytest.approx(back.p)
    assert 0 < forth.p <= 1


@given(bools)
def test_mcnemar_is_symmetric(pairs):
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    assert stats.mcnemar(a, b) == stats.mcnemar(b, a)
    assert 0 < stats.mcnemar(a, b) <= 1
    assert stats.mcnemar(a, a) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(1, 20))
def test_calibration_error(pairs, bins):
    probs, right = [p[0] for p in pairs], [p[1] for p in pairs]
    error = stats.expected_calibration_error(probs, right, bins=bins)
    assert abs(np.mean(probs) - np.mean(right)) - 1e-9 <= error <= 1 + 1e-9
    assert stats.expected_calibration_error([float(r) for r in right], right, bins=bins) == 0


def test_nothing_to_measure():
    assert math.isnan(stats.mean_interval([], []).value)
    assert math.isnan(stats.mean_interval([], []).low)
    assert math.isnan(stats.expected_calibration_error([], []))
    assert stats.paired_difference([], [], []).p == 1
