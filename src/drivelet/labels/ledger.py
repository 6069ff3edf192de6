"""The ledger: every frame and field ends as accepted or rejected with a reason; nothing disappears."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivelet.core.artifacts import UNKNOWN, PseudoLabel
from drivelet.core.ranges import Share, ranged

NO_VOTES = "no_votes"
DISAGREE = "labelers_disagree"
UNSTABLE = "unstable_in_window"
LOW = "low_confidence"
REASONS = (NO_VOTES, DISAGREE, UNSTABLE, LOW, "moves_while_standing", "does_not_triangulate", "wrong_size_for_distance")
"""In the order in which they are looked for; the last three are those of `labels/spatial.py`."""


@dataclass(frozen=True, kw_only=True)
@ranged
class LedgerConfig:
    """What a pseudo-label must pass.

    Attributes:
        min_prob: least smoothed probability of the answer.
        max_dissent: a labeler surer than this of another answer rejects the frame.
        min_stability: least share of the window's frames that give the same answer by themselves.
    """

    min_prob: Share = 0.7
    max_dissent: Share = 0.8
    min_stability: Share = 0.6


def judge(
    config: LedgerConfig,
    *,
    answer: str,
    prob: float,
    votes: int,
    dissent: float,
    stability: float,
    misplaced: str = "",
) -> str:
    """Return why an answer is rejected, or an empty text; `misplaced` is what speaks against it in space."""
    if votes == 0:
        return NO_VOTES
    if dissent > config.max_dissent:
        return DISAGREE
    if stability < config.min_stability:
        return UNSTABLE
    if prob < config.min_prob or answer == UNKNOWN:
        return LOW
    return misplaced


def summarise(labels: Iterable[PseudoLabel]) -> dict[str, Any]:
    """Return for every field the number of labels, accepted, and rejected by reason, and the accepted answers."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        counts[label.task]["accepted" if label.accepted else label.reason] += 1
        if label.accepted:
            answers[label.task][label.answer] += 1
    return {name: _field(counts[name], answers[name]) for name in sorted(counts)}


def _field(count: Mapping[str, int], answers: Mapping[str, int]) -> dict[str, Any]:
    others = sorted(count.keys() - {"accepted", *REASONS})  # such as a reviewer's
    rejected = {reason: count.get(reason, 0) for reason in (*REASONS, *others)}
    return {
        "total": sum(count.values()),
        "accepted": count.get("accepted", 0),
        "rejected": rejected,
        "answers": dict(sorted(answers.items())),
    }


@dataclass(frozen=True, kw_only=True)
class YieldPoint:
    """Of labels with at least `min_prob`: the share that is kept, and the share of these that is right."""

    min_prob: float
    kept: float
    precision: float


def yield_curve(probs: Sequence[float], right: Sequence[bool], *, points: int = 20) -> list[YieldPoint]:
    """Return what each least probability keeps and how much of that is right, from everything to almost nothing.

    Args:
        probs: probability of each label's answer.
        right: whether gold allows it.
        points: at most; thresholds are quantiles of `probs`.
    """
    if not len(probs):
        return []
    probs_N, right_N = np.asarray(probs, float), np.asarray(right, float)
    thresholds = np.unique(np.quantile(probs_N, np.linspace(0, 1, points), method="lower"))
    curve: list[YieldPoint] = []
    for threshold in thresholds:
        kept_N = probs_N >= threshold
        precision = float(right_N[kept_N].mean())
        curve.append(YieldPoint(min_prob=float(threshold), kept=float(kept_N.mean()), precision=precision))
    return curve
