"""Cones of a detector: the count is Poisson-binomial over the scores, and votes are distributions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.core.artifacts import Box
from drivelet.labels.boxes import SPREAD, BoxLabeler

FIELDS = tasks.fields()
COUNT, IN_PATH = FIELDS["cone.count"], FIELDS["cone.in_path"]
IMAGE = np.zeros((100, 200, 3), np.uint8)
score = st.floats(0.0, 1.0)


class Fixed:
    name = "fixed"

    def __init__(self, boxes):
        self.boxes = boxes

    def detect(self, image):
        return self.boxes


def cone(probability, x=100.0):
    return Box(kind="cone", xyxy=(x - 5, 60.0, x + 5, 90.0), score=probability)


def votes(boxes):
    return BoxLabeler(Fixed(boxes), FIELDS).label(IMAGE)


@given(st.lists(score, max_size=8))
def test_the_count_is_that_of_independent_boxes(scores):
    expected = dict.fromkeys(COUNT.choices, SPREAD / len(COUNT.choices))
    for there in itertools.product([False, True], repeat=len(scores)):
        chance = float(np.prod([p if here else 1 - p for p, here in zip(scores, there, strict=True)]))
        (answer,) = COUNT.parse(str(sum(there)))
        expected[answer] += (1 - SPREAD) * chance
    assert votes([cone(p) for p in scores])["cone.count"] == pytest.approx(expected)


@given(st.lists(st.tuples(score, st.floats(10, 190)), max_size=20))
def test_votes_are_distributions(boxes):
    for name, vote in votes([cone(p, x) for p, x in boxes]).items():
        assert tuple(vote) == FIELDS[name].choices and sum(vote.values()) == pytest.approx(1)
        assert min(vote.values()) > 0


@given(st.lists(score, max_size=6), score)
def test_a_further_cone_makes_none_less_likely_and_one_in_the_path_more(scores, more):
    before, after = votes([cone(p) for p in scores]), votes([cone(p) for p in (*scores, more)])
    assert after["cone.count"]["0"] <= before["cone.count"]["0"] + 1e-12
    assert after["cone.in_path"]["yes"] >= before["cone.in_path"]["yes"] - 1e-12


def test_other_kinds_do_not_count_and_other_fields_are_passed_over():
    lamp = Box(kind="lamp", xyxy=(0, 0, 9, 9), score=1.0)
    assert votes([lamp]) == votes([])
    assert votes([])["cone.count"]["0"] > 0.9 and votes([])["cone.in_path"]["no"] > 0.9
    only = BoxLabeler(Fixed([cone(1.0)]), {"cone.count": COUNT}, family="owl")
    assert (only.name, only.family, only.fields) == ("fixed", "owl", ("cone.count",))
    assert max(only.label(IMAGE)["cone.count"].items(), key=lambda item: item[1])[0] == "1-2"
