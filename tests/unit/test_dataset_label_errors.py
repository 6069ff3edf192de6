"""Confident learning: what it finds of labels flipped on purpose, and cleanlab's verdict on the same answers."""

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint

from drivelet import tasks
from drivelet.core.manifest import Row
from drivelet.dataset.label_errors import (
    LabelErrorConfig,
    confident_answers,
    fold_of,
    out_of_fold,
    without_label_errors,
)

FIELDS = tasks.fields()
STATE = "traffic_light.state"
COLOURS = ("red", "yellow", "green")
Answers = dict[tuple[str, str], dict[str, float]]


def told(rng: np.random.Generator, truth: str, *, skill: float = 0.9, shift: str = "") -> dict[str, float]:
    """A teacher that is right with probability `skill`, less sure where it is wrong; `shift` turns its colours."""
    right = rng.random() < skill
    said = truth if right else str(rng.choice([colour for colour in COLOURS if colour != truth]))
    if shift:
        said = {"red": "yellow", "yellow": "green", "green": "red"}[said]
    sure = float(rng.uniform(0.6, 0.98) if right else rng.uniform(0.4, 0.85))
    rest = (1 - sure) / (len(FIELDS[STATE].choices) - 1)
    return {choice: sure if choice == said else rest for choice in FIELDS[STATE].choices}


def flipped(*, count: int = 1500, share: float = 0.1, shift: str = "") -> tuple[list[Row], Answers, set[str]]:
    """Rows of which `share` bear a wrong label, what the teacher says of them, and the wrong ones."""
    rng = np.random.default_rng(0)
    rows, answers, wrong = [], {}, set()
    for n in range(count):
        truth = str(rng.choice(COLOURS, p=(0.5, 0.1, 0.4)))
        label, path = truth, f"{n:04d}"
        if rng.random() < share:
            label = str(rng.choice([colour for colour in COLOURS if colour != truth]))
            wrong.add(path)
        rows.append(Row(path=path, task=STATE, label=label, split="train", group=f"g{n // 3}"))
        answers[path, STATE] = told(rng, truth, shift=shift)
    return rows, answers, wrong


@pytest.mark.parametrize(("folds", "shift"), [(0, ""), (5, ""), (5, "turned")])
def test_most_of_the_flipped_labels_are_found_and_few_others(folds: int, shift: str) -> None:
    rows, answers, wrong = flipped(shift=shift)
    result = without_label_errors(rows, answers=answers, fields=FIELDS, config=LabelErrorConfig(folds=folds))
    found = {rejection.row.path for rejection in result.rejected}
    assert len(found & wrong) / len(wrong) >= (0.85 if folds else 0.7)
    assert len(found & wrong) / len(found) >= 0.55
    assert len(result.rows) + len(result.rejected) == len(rows)
    assert {rejection.stage for rejection in result.rejected} == {"label error"}
    assert all(" for " in rejection.detail for rejection in result.rejected)


def test_a_teacher_that_knows_nothing_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    rows, answers, _ = flipped(shift="turned")
    result = without_label_errors(rows, answers=answers, fields=FIELDS, config=LabelErrorConfig(folds=0))
    assert result.rejected == []
    assert "is not heard" in capsys.readouterr().err


def test_val_and_test_rows_few_rows_and_rows_without_an_answer_stay() -> None:
    rows, answers, _ = flipped(count=300)
    held_out = [Row(**{**vars(row), "split": "val", "group": f"v{row.group}"}) for row in rows]
    config = LabelErrorConfig(folds=0)
    assert without_label_errors(held_out, answers=answers, fields=FIELDS, config=config).rejected == []
    assert without_label_errors(rows[:40], answers=answers, fields=FIELDS, config=config).rejected == []
    assert without_label_errors(rows, answers={}, fields=FIELDS, config=config).rows == rows


def test_a_coarse_label_is_wrong_only_outside_all_that_it_allows() -> None:
    choices = FIELDS["cone.count"].choices
    rows, answers = [], {}
    for n in range(90):
        said = choices[n % 5]
        label = ("some" if said != "0" else "0") if n != 7 else "0"  # item 7 shows 3-5 cones
        rows.append(Row(path=f"{n:02d}", task="cone.count", label=label, split="train", group=f"{n}"))
        answers[f"{n:02d}", "cone.count"] = {c: 0.9 if c == said else 0.02 for c in choices}
        rows.append(Row(path=f"f{n:02d}", task="cone.count", label=said, split="train", group=f"f{n}"))
        answers[f"f{n:02d}", "cone.count"] = {c: 0.9 if c == said else 0.02 for c in choices}
    result = without_label_errors(rows, answers=answers, fields=FIELDS, config=LabelErrorConfig(folds=0))
    assert [rejection.row.path for rejection in result.rejected] == ["07"]


@pytest.mark.parametrize("seed", range(5))
def test_cleanlab_finds_the_same(seed: int) -> None:
    """Where several classes are reached, cleanlab takes the likeliest of all; the paper that of those reached."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 396)])
    probs_NC = rng.dirichlet(np.full(4, 0.5), 400)
    probs_NC[np.arange(400), labels] += 0.4
    probs_NC /= probs_NC.sum(axis=1, keepdims=True)
    allowed_NC = np.eye(4, dtype=bool)[labels]
    believed = confident_answers(probs_NC, allowed_NC)
    wrong = (believed >= 0) & (believed != labels)
    assert 0 < wrong.sum() < 250
    _, found = compute_confident_joint(labels, probs_NC, return_indices_of_off_diagonals=True)
    theirs = np.isin(np.arange(400), found)
    thresholds = np.array([probs_NC[labels == c, c].mean() for c in range(4)])
    reached_NC = probs_NC >= thresholds - 1e-6
    alike = (reached_NC.sum(axis=1) < 2) | reached_NC[np.arange(400), probs_NC.argmax(axis=1)]
    assert alike.mean() > 0.9
    assert np.array_equal(wrong[alike], theirs[alike])


def test_a_group_is_never_split_and_unseen_labels_are_not_judged() -> None:
    groups = [f"g{n // 4}" for n in range(200)]
    fold_N = fold_of(groups, 5, seed=3)
    assert all(len({fold for fold, group in zip(fold_N, groups, strict=True) if group == g}) == 1 for g in set(groups))
    assert set(fold_N) == set(range(5))
    allowed_NC = np.eye(3, dtype=bool)[[0, 1] * 99 + [2, 2]]
    fold_N = np.array([n // 2 % 2 for n in range(198)] + [0, 0])
    probs_NC = np.where(allowed_NC, 0.8, 0.1)
    corrected_NC, judged_N = out_of_fold(probs_NC, allowed_NC, fold_N)
    assert judged_N.sum() == 198 and not judged_N[198:].any()
    assert corrected_NC.sum(axis=1) == pytest.approx(1.0)
