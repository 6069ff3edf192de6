"""Primary metrics of closed answers against labels that may be coarse.

An answer is right if the label allows it (`field.parse`). The three metrics depend on the items through sums alone, so
that one function gives the score and every bootstrap resample of it.

Macro-F1 with coarse labels. The classes are the sets of answers that the labels allow (`7` and `6-10` are one class).
For a class A: an item labelled A is a hit if its answer lies in A, else a miss; an item whose label excludes A
(disjoint sets) is a false alarm if its answer lies in A; an item whose label overlaps A without being A says nothing
about A. F1 is 2 hits / (2 hits + misses + false alarms), and the score is its mean over the classes with a label. For
labels that are all fine, or that split the answers into parts (`0` and `some`), this is the usual macro-F1 over the
classes in the gold, where an answer outside all of them is a miss and no false alarm.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Field
from drivelet.core.errors import InputError
from drivelet.core.stats import Floats, ratio


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What each item adds to a metric, shape (N, D), and the metric of any sums of it, (..., D) -> (...)."""

    items_ND: NDArray[np.float64]
    metric: Callable[[Floats], Floats]

    @property
    def score(self) -> float:
        """The metric over all items; NaN without any."""
        return float(self.metric(self.items_ND.sum(axis=0)))


def tally(field: Field, labels: Sequence[str], answers: Sequence[str]) -> Tally:
    """Count what each item adds to the field's primary metric.

    Raises:
        InputError: a label is outside the field's set.
        ValueError: the field's metric is not known, or there are not as many answers as labels.
    """
    allowed = [_allowed(field, label) for label in labels]
    if field.metric == "accuracy":
        return _accuracy(allowed, answers)
    if field.metric == "f1":
        return _f1(allowed, answers, field.positive or "")
    if field.metric == "macro_f1":
        return _macro_f1(allowed, answers)
    raise ValueError(f"{field.name}: metric {field.metric!r} is none of accuracy, f1, macro_f1")


def score_field(field: Field, labels: Sequence[str], answers: Sequence[str]) -> float:
    """Return the field's primary metric, in [0, 1]; NaN without items."""
    return tally(field, labels, answers).score


def right(field: Field, labels: Sequence[str], answers: Sequence[str]) -> list[bool]:
    """Return for each item whether its label allows the answer."""
    return [answer in _allowed(field, label) for label, answer in zip(labels, answers, strict=True)]


def majority_answer(field: Field, labels: Sequence[str]) -> str:
    """Return the answer that most labels allow; the earlier choice of the field where several do."""
    counts = Counter(answer for label in labels for answer in _allowed(field, label))
    return max(field.choices, key=lambda answer: counts[answer])


def _allowed(field: Field, label: str) -> frozenset[str]:
    answers = field.parse(label)
    if not answers:
        raise InputError(f"{field.name}: label {label!r} is outside the set; answers are {', '.join(field.choices)}")
    return answers


def _accuracy(allowed: Sequence[frozenset[str]], answers: Sequence[str]) -> Tally:
    rows = [(answer in label, 1.0) for label, answer in zip(allowed, answers, strict=True)]
    return Tally(items_ND=np.array(rows, dtype=np.float64).reshape(-1, 2), metric=ratio)


def _f1(allowed: Sequence[frozenset[str]], answers: Sequence[str], positive: str) -> Tally:
    """F1 of `positive`; 1 where no label and no answer is positive; a label that also allows others is left out."""
    rows = [
        (label == {positive} and answer == positive, label == {positive}, answer == positive, 1.0)
        if label == {positive} or positive not in label
        else (0.0, 0.0, 0.0, 0.0)
        for label, answer in zip(allowed, answers, strict=True)
    ]
    return Tally(items_ND=np.array(rows, dtype=np.float64).reshape(-1, 4), metric=_f1_of_sums)


def _f1_of_sums(sums_X4: Floats) -> Floats:
    hits_X, positives_X, answered_X, items_X = np.moveaxis(sums_X4, -1, 0)
    total_X = positives_X + answered_X
    empty_X = np.where(items_X > 0, 1.0, np.nan)
    return np.where(total_X > 0, 2 * hits_X / np.maximum(total_X, 1), empty_X)


def _macro_f1(allowed: Sequence[frozenset[str]], answers: Sequence[str]) -> Tally:
    """For each class: hits, labels, false alarms, side by side."""
    classes = sorted(set(allowed), key=sorted)
    pairs = list(zip(allowed, answers, strict=True))
    items_NK3 = np.array(
        [
            [(label == c and answer in c, label == c, label.isdisjoint(c) and answer in c) for c in classes]
            for label, answer in pairs
        ],
        dtype=np.float64,
    )
    return Tally(items_ND=items_NK3.reshape(len(pairs), 3 * len(classes)), metric=_macro_f1_of_sums)


def _macro_f1_of_sums(sums_XD: Floats) -> Floats:
    """Mean F1 over the classes that have a label among the items summed; NaN without any."""
    sums_XK3 = sums_XD.reshape(*sums_XD.shape[:-1], sums_XD.shape[-1] // 3, 3)
    hits_XK, labels_XK, alarms_XK = np.moveaxis(sums_XK3, -1, 0)
    f1_XK = 2 * hits_XK / np.maximum(hits_XK + labels_XK + alarms_XK, 1)
    present_XK = labels_XK > 0
    totals_X2 = np.stack([np.sum(f1_XK * present_XK, axis=-1), present_XK.sum(axis=-1)], axis=-1)
    return ratio(totals_X2)
