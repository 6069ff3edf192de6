"""Scores over seeds, and long-tail slices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.manifest import Row
from drivelet.evaluate.long_tail import SLICES, long_tail
from drivelet.evaluate.scores import Sampled
from drivelet.evaluate.seeds import accuracy_gain, gain, mean_score


def runs(values: list[float], *, noise: float = 0.02, resamples: int = 400) -> list[Sampled]:
    """Scores whose resamples share the same clusters, as those of `sample_scores` do."""
    shared_R = np.random.default_rng(7).normal(0, noise, resamples)
    return [Sampled(value=value, samples_R=value + shared_R) for value in values]


@given(st.lists(st.floats(0.2, 0.8), min_size=1, max_size=4), st.lists(st.floats(0.2, 0.8), min_size=1, max_size=4))
@settings(max_examples=60)
def test_the_gain_is_the_difference_of_the_means_and_turns_with_its_sides(a: list[float], b: list[float]) -> None:
    there, back = gain(runs(a), runs(b)), gain(runs(b), runs(a))
    assert there.value == pytest.approx(np.mean(a) - np.mean(b))
    assert there.value == pytest.approx(-back.value)
    score = mean_score(runs(a))
    assert score["value"] == pytest.approx(np.mean(a))
    assert min(a) - 0.1 <= score["low"] <= score["high"] <= max(a) + 0.1


def test_what_both_sides_share_cancels_and_seeds_that_differ_widen_the_interval() -> None:
    steady, base = runs([0.6, 0.6, 0.6], noise=0.1), runs([0.5, 0.5, 0.5], noise=0.1)
    found = gain(steady, base)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1)
    unsteady = gain(runs([0.4, 0.6, 0.8], noise=0.1), base)
    assert unsteady.value == pytest.approx(0.1)
    assert unsteady.low < 0 < 0.2 < unsteady.high


def test_an_accuracy_gain_is_paired_by_item() -> None:
    base = [[n % 2 == 0 for n in range(200)]] * 3
    here = [[n % 2 == 0 or n % 10 == 1 for n in range(200)]] * 3
    groups = [f"g{n // 10}" for n in range(200)]
    found = accuracy_gain(here, base, groups, resamples=200)
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1)
    assert accuracy_gain(base, base, groups, resamples=200).value == 0


def item(kind: str, **facts: object) -> dict[str, object]:
    return {"kind": kind, "visible": True, "visible_fraction": 1.0, "distance_m": 10.0, **facts}


def test_slices_follow_the_scene_and_the_labels() -> None:
    tail = {
        "night": {"facts": {"light": "night"}, "objects": []},
        "behind": {"facts": {"light": "day"}, "objects": [item("lamp", governing=True, visible_fraction=0.5)]},
        "other": {"facts": {"light": "day"}, "objects": [item("lamp", governing=False, visible_fraction=0.5)]},
        "hidden": {"facts": {"light": "day"}, "objects": [item("lamp", visible=False, visible_fraction=0.1)]},
        "far": {"facts": {"light": "dusk"}, "objects": [item("lamp", distance_m=33.0)]},
        "near": {"facts": {"light": "dusk"}, "objects": [item("lamp", distance_m=33.0), item("traffic_light")]},
        "cone": {"facts": {"light": "day"}, "objects": [item("cone", visible_fraction=0.2, distance_m=30.0)]},
    }
    rows = [
        Row(path=name, task="traffic_light.state", label="red", split="test", group=name)
        for name in (*tail, *(f"real {n}" for n in range(40)))
    ]
    rows.append(Row(path="real 0", task="traffic_light.state", label="off", split="test", group="x"))
    found = dict(zip([row.path for row in rows[:-1]], long_tail(rows, tail)[:-1], strict=True))
    assert found["night"] == {"night"}
    assert found["behind"] == {"occluded"}
    assert found["far"] == {"far"}
    assert all(found[name] == set() for name in ("other", "hidden", "near", "cone", "real 3"))
    assert long_tail(rows, tail)[-1] == {"rare value"}
    assert set().union(*long_tail(rows, tail)) == set(SLICES)
