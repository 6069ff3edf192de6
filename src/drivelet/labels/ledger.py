"""The ledger: every frame and field ends as accepted or rejected with a reason; nothing disappears."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivelet.core.artifacts import UNKNOWN, PseudoLabel

NO_VOTES = "no_votes"
DISAGREE = "labelers_disagree"
UNSTABLE = "unstable_in_window"
LOW = "low_confidence"
REASONS = (NO_VOTES, DISAGREE, UNSTABLE, LOW)


@dataclass(frozen=True, kw_only=True)
class LedgerConfig:
    """What a pseudo-label must pass.

    Attributes:
        min_prob: least smoothed probability of the answer.
        max_dissent: a labeler surer than this of another answer rejects the frame.
        min_stability: least share of the window's frames that give the same answer by themselves.
    """

    min_prob: float = 0.7
    max_dissent: float = 0.8
    min_stability: float = 0.6


def judge(config: LedgerConfig, *, answer: str, prob: float, votes: int, dissent: float, stability: float) -> str:
    """Return why an answer is rejected, or an empty text."""
    if votes == 0:
        return NO_VOTES
    if dissent > config.max_dissent:
        return DISAGREE
    if stability < config.min_stability:
        return UNSTABLE
    if prob < config.min_prob or answer == UNKNOWN:
        return LOW
    return ""


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
    rejected = {reason: count.get(reason, 0) for reason in REASONS}
    return {
        "total": sum(count.values()),
        "accepted": count.get("accepted", 0),
        "rejected": rejected,
        "answers": dict(sorted(answers.items())),
    }
