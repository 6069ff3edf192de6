"""Label errors: confident learning on a teacher's out-of-fold answers (Northcutt, Jiang and Chuang 2021).

The method in our own lines: cleanlab, whose result is the oracle of the tests, knows no label that allows several
answers (`some`, `7`) and brings pandas.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from drivelet.core.artifacts import Field
from drivelet.core.manifest import Row
from drivelet.core.progress import say
from drivelet.core.ranges import Count, Seed, Share, ranged
from drivelet.core.rng import derive_seed
from drivelet.dataset.clean import Cleaned, Rejection

Answers = Mapping[tuple[str, str], Mapping[str, float]]
"""(image, field) -> a teacher's probability of every choice."""
Floats = NDArray[np.float64]
STAGE = "label error"


@dataclass(frozen=True, kw_only=True)
@ranged
class LabelErrorConfig:
    """Settings of `without_label_errors`.

    Attributes:
        folds: parts by group over which the teacher's answers are corrected by logistic regression, each part with
            what the others say, so that a teacher from another domain can judge too; 0 takes its answers as they are.
        min_rows: fields with fewer labels are not judged.
        max_share: a teacher that disputes a larger share of a field's labels knows less than they do: none is rejected.
        seed: decides which group is in which fold.
    """

    folds: Count = 5
    min_rows: Count = 50
    max_share: Share = 0.25
    seed: Seed = 0


def without_label_errors(
    rows: Sequence[Row], *, answers: Answers, fields: Mapping[str, Field], config: LabelErrorConfig
) -> Cleaned:
    """Take out train rows whose label a teacher disputes with confidence; rows that it was not asked stay.

    The teacher must not have been trained on these rows: then its plain answers are out of fold as they are, and
    `folds` keeps its correction so. It is no fixed point: what is left has other thresholds, so ask once.

    Args:
        rows: cleaned rows.
        answers: what the teacher says of them.
        fields: every field by name.
        config: folds and limits.
    """
    asked: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.split == "train" and (row.path, row.task) in answers:
            asked[row.task].append(row)
    rejected = [r for task, there in sorted(asked.items()) for r in _of_field(there, answers, fields[task], config)]
    gone = {(r.row.path, r.row.task) for r in rejected}
    return Cleaned(rows=[row for row in rows if (row.path, row.task) not in gone], rejected=rejected)


def _of_field(rows: Sequence[Row], answers: Answers, field: Field, config: LabelErrorConfig) -> list[Rejection]:
    if len(rows) < config.min_rows:
        return []
    probs_NC = np.array([[answers[row.path, row.task].get(c, 0.0) for c in field.choices] for row in rows])
    allowed_NC = np.array([[choice in field.parse(row.label) for choice in field.choices] for row in rows])
    judged_N = np.ones(len(rows), bool)
    if config.folds:
        fold_N = fold_of([row.group or row.path for row in rows], config.folds, seed=config.seed)
        probs_NC, judged_N = out_of_fold(probs_NC, allowed_NC, fold_N)
    believed_N = confident_answers(probs_NC, allowed_NC)
    # With no class reached the index is -1, and what stands there is not looked at.
    likelier_N = probs_NC[np.arange(len(rows)), believed_N] > (probs_NC * allowed_NC).sum(axis=1)
    wrong_N = (believed_N >= 0) & judged_N & likelier_N & ~allowed_NC[np.arange(len(rows)), believed_N]
    if wrong_N.mean() > config.max_share:
        say(f"{field.name}: the teacher disputes {wrong_N.mean():.0%} of the labels and is not heard")
        return []
    return [
        Rejection(
            row=row, stage=STAGE, reason="label disputed with confidence", detail=_detail(row, probs_C, field, said)
        )
        for row, probs_C, said, wrong in zip(rows, probs_NC, believed_N.tolist(), wrong_N, strict=True)
        if wrong
    ]


def _detail(row: Row, probs_C: Floats, field: Field, said: int) -> str:
    own = sum(float(probs_C[field.choices.index(choice)]) for choice in field.parse(row.label))
    return f"{field.choices[said]} {probs_C[said]:.2f} for {row.label} {own:.2f}"


def confident_answers(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the class that every item is confidently counted in, -1 where it is in none.

    An item counts in the likeliest class whose probability reaches that class's threshold: the mean probability of the
    class over the items labelled with it alone (equations 1 and 2). Off the diagonal of that count (a class that the
    label does not allow) lie the label errors.
    """
    alone_NC = allowed_NC & (allowed_NC.sum(axis=1, keepdims=True) == 1)
    counts_C = alone_NC.sum(axis=0)
    sums_C = (probs_NC * alone_NC).sum(axis=0)
    thresholds_C = np.divide(sums_C, counts_C, out=np.full(len(counts_C), np.inf), where=counts_C > 0)
    reached_NC = np.where(probs_NC >= thresholds_C - 1e-6, probs_NC, -np.inf)
    return np.where(np.isfinite(reached_NC).any(axis=1), reached_NC.argmax(axis=1), -1)


def fold_of(groups: Sequence[str], folds: int, *, seed: int) -> NDArray[np.int64]:
    """Return the fold of every item from its group's name alone: a group is never split, and added data moves none."""
    return np.array([derive_seed(seed, "fold", group) % folds for group in groups], np.int64)


def out_of_fold(
    probs_NC: Floats, allowed_NC: NDArray[np.bool_], fold_N: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Correct answers by multinomial logistic regression of the labels on their logarithms, fitted on other folds.

    Returns:
        The corrected probabilities (N, C), and which items can be judged: those whose label allows a class that the
        other folds know. Items with a coarse label teach nothing.
    """
    logs_NC = np.log(np.clip(probs_NC, 1e-4, 1.0))
    fine_N = allowed_NC.sum(axis=1) == 1
    class_N = allowed_NC.argmax(axis=1)
    corrected_NC, judged_N = np.zeros_like(probs_NC), np.zeros(len(probs_NC), bool)
    for fold in np.unique(fold_N):
        here_N, train_N = fold_N == fold, (fold_N != fold) & fine_N
        known = np.unique(class_N[train_N])
        if len(known) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
            logs_NC[train_N], class_N[train_N]
        )
        corrected_NC[np.ix_(here_N, known)] = model.predict_proba(logs_NC[here_N])
        judged_N[here_N] = allowed_NC[here_N][:, known].any(axis=1)
    return corrected_NC, judged_N
