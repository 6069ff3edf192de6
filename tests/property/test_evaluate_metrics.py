"""Invariants of the primary metrics, and their agreement with scikit-learn on fine labels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from drivelet.core.artifacts import UNKNOWN, Field
from drivelet.core.errors import InputError
from drivelet.evaluate.metrics import majority_answer, right, score_field, tally

COUNTS = ("0", "1-2", "3-5", ">5")
COARSE = {"some": frozenset(COUNTS[1:]), "few": frozenset(COUNTS[1:3])}


def field(metric: str) -> Field:
    table = {answer: frozenset({answer}) for answer in (*COUNTS, UNKNOWN)} | COARSE
    return Field(
        name="thing.count",
        question="How many?",
        wordings=(),
        held_out_wordings=(),
        answers=COUNTS,
        absent="0",
        metric=metric,
        positive="0",
        parse=lambda label: table.get(label, frozenset()),
        gold=lambda scene: scene["facts"]["count"],
    )


METRICS = st.sampled_from(["accuracy", "f1", "macro_f1"]).map(field)
LABEL = st.sampled_from([*COUNTS, UNKNOWN, *COARSE])
ANSWER = st.sampled_from([*COUNTS, UNKNOWN, "nonsense"])
ITEMS = st.lists(st.tuples(LABEL, ANSWER), min_size=1, max_size=30)
FINE = st.lists(st.tuples(st.sampled_from(COUNTS), st.sampled_from(COUNTS)), min_size=1, max_size=30)


@given(METRICS, ITEMS, st.randoms())
def test_bounded_and_order_does_not_matter(f, items, random):
    labels, answers = zip(*items, strict=True)
    score = score_field(f, labels, answers)
    assert 0 <= score <= 1
    shuffled = random.sample(items, len(items))
    assert score_field(f, *zip(*shuffled, strict=True)) == pytest.approx(score)
    doubled = items * 2
    assert score_field(f, *zip(*doubled, strict=True)) == pytest.approx(score)


@given(METRICS, st.lists(LABEL, min_size=1, max_size=30), st.data())
def test_allowed_answers_score_1(f, labels, data):
    answers = [data.draw(st.sampled_from(sorted(f.parse(label)))) for label in labels]
    assert score_field(f, labels, answers) == pytest.approx(1)
    assert all(right(f, labels, answers))


@given(METRICS, ITEMS, st.data())
def test_correcting_an_answer_never_hurts(f, items, data):
    labels, answers = map(list, zip(*items, strict=True))
    before = score_field(f, labels, answers)
    index = data.draw(st.integers(0, len(items) - 1))
    answers[index] = data.draw(st.sampled_from(sorted(f.parse(labels[index]))))
    assert score_field(f, labels, answers) >= before - 1e-12


@given(ITEMS)
def test_invalid_answers_score_0(items):
    labels = [label for label, _ in items]
    for metric in ("accuracy", "macro_f1"):
        assert score_field(field(metric), labels, ["nonsense"] * len(labels)) == 0


@given(FINE)
@settings(max_examples=40)
def test_fine_labels_agree_with_sklearn(items):
    labels, answers = zip(*items, strict=True)
    macro = f1_score(labels, answers, labels=sorted(set(labels)), average="macro", zero_division=0)
    assert score_field(field("macro_f1"), labels, answers) == pytest.approx(macro)
    assert score_field(field("accuracy"), labels, answers) == pytest.approx(accuracy_score(labels, answers))
    binary = f1_score([x == "0" for x in labels], [x == "0" for x in answers], zero_division=1)
    assert score_field(field("f1"), labels, answers) == pytest.approx(binary)


@given(st.lists(st.tuples(st.sampled_from(["0", "some"]), st.sampled_from(COUNTS)), min_size=1, max_size=30))
@settings(max_examples=40)
def test_presence_labels_are_presence_f1(items):
    labels, answers = zip(*items, strict=True)
    merged = ["0" if answer == "0" else "some" for answer in answers]
    macro = f1_score(labels, merged, labels=sorted(set(labels)), average="macro", zero_division=0)
    assert score_field(field("macro_f1"), labels, answers) == pytest.approx(macro)


def test_mixed_labels_by_hand():
    labels, answers = ["some", "1-2", "0"], ["3-5", "3-5", "1-2"]
    f1_some, f1_fine, f1_none = 2 / 3, 0.0, 0.0
    expected = np.mean([f1_some, f1_fine, f1_none])
    assert score_field(field("macro_f1"), labels, answers) == pytest.approx(expected)


@given(METRICS, ITEMS)
def test_sums_give_the_score(f, items):
    labels, answers = zip(*items, strict=True)
    counts = tally(f, labels, answers)
    halves = counts.items_ND[::2].sum(axis=0) + counts.items_ND[1::2].sum(axis=0)
    assert counts.metric(np.stack([halves, halves]))[1] == pytest.approx(counts.score)


def test_majority_answer():
    assert majority_answer(field("accuracy"), ["some", "3-5", "0", "0"]) == "0"
    assert majority_answer(field("accuracy"), ["some", "3-5"]) == "3-5"


def test_nothing_and_wrong_input():
    for metric in ("accuracy", "f1", "macro_f1"):
        assert math.isnan(score_field(field(metric), [], []))
    with pytest.raises(InputError, match="outside the set"):
        score_field(field("accuracy"), ["many"], ["0"])
    with pytest.raises(ValueError, match="metric"):
        score_field(field("rmse"), ["0"], ["0"])
    with pytest.raises(ValueError):
        score_field(field("accuracy"), ["0", "0"], ["0"])
