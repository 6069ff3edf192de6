"""Hard cases: where labelers disagree, hesitate or waver, or the label was rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from drivelet.core.ranges import Amount, ranged
from drivelet.mining.evidence import Evidence

Floats = NDArray[np.float64]
LOG2 = float(np.log(2.0))


@dataclass(frozen=True, kw_only=True)
@ranged
class HardConfig:
    """Weights of the four signs of a hard case; their sum is the largest score.

    Attributes:
        disagreement: the largest Jensen-Shannon divergence of two labelers, over log 2.
        doubt: 1 - (first - second probability) of the label.
        wavering: 1 - the label's stability in its window.
        rejection: 1 where the ledger rejected the label.
    """

    disagreement: Amount = 0.4
    doubt: Amount = 0.3
    wavering: Amount = 0.2
    rejection: Amount = 0.1


@dataclass(frozen=True, kw_only=True)
class Hardness:
    """The signs on F frames for one field, each in 0..1; `score_F` weighs them, 0 where the frame was not labelled.

    `pair_F` is the index of the two labelers that disagree most, in the order of `combinations`; -1 where fewer than
    two spoke.
    """

    disagreement_F: Floats
    doubt_F: Floats
    wavering_F: Floats
    rejected_F: NDArray[np.bool_]
    pair_F: NDArray[np.int64]
    score_F: Floats


def jensen_shannon(p_XC: Floats, q_XC: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of distributions along the last axis, in nats, 0..log 2 (Lin 1991)."""
    both_XC = p_XC + q_XC
    # Rounding may leave the bounds by an ulp; NaN passes through.
    return np.clip((rel_entr(2 * p_XC, both_XC) + rel_entr(2 * q_XC, both_XC)).sum(axis=-1) / 4, 0.0, LOG2)


def hardness(config: HardConfig, evidence: Evidence) -> Hardness:
    """Return how hard every frame is for one field."""
    count = len(evidence.probs_FC)
    labelled_F = evidence.labelled()
    disagreement_F, pair_F = _disagreement(evidence, count)
    top_FC = -np.sort(-np.nan_to_num(evidence.probs_FC), axis=1)
    doubt_F = 1.0 - (top_FC[:, 0] - top_FC[:, 1])
    wavering_F = 1.0 - np.nan_to_num(evidence.stability_F, nan=1.0)
    rejected_F = np.array([bool(reason) for reason in evidence.reasons], bool)
    score_F = (
        config.disagreement * disagreement_F
        + config.doubt * doubt_F
        + config.wavering * wavering_F
        + config.rejection * rejected_F
    )
    return Hardness(
        disagreement_F=disagreement_F, doubt_F=doubt_F, wavering_F=wavering_F, rejected_F=rejected_F, pair_F=pair_F,
        score_F=np.where(labelled_F, score_F, 0.0),
    )  # fmt: skip


def _disagreement(evidence: Evidence, count: int) -> tuple[Floats, NDArray[np.int64]]:
    pairs = list(combinations(range(len(evidence.labelers)), 2))
    if not pairs:
        return np.zeros(count), np.full(count, -1)
    votes_FLC = evidence.votes_FLC
    divergence_PF = np.stack([jensen_shannon(votes_FLC[:, a], votes_FLC[:, b]) for a, b in pairs]) / LOG2
    spoken_PF = ~np.isnan(divergence_PF)
    divergence_PF = np.where(spoken_PF, divergence_PF, -1.0)
    pair_F = np.where(spoken_PF.any(axis=0), divergence_PF.argmax(axis=0), -1)
    return np.maximum(divergence_PF.max(axis=0), 0.0), pair_F


def frame_scores(hard: Mapping[str, Hardness]) -> tuple[Floats, list[str]]:
    """Return every frame's score and the field that it comes from.

    A frame is as hard as its hardest field, measured against that field's median: a field that is doubtful on every
    frame (a speed among thirty) must not outshine all others. Not below 0.
    """
    names = list(hard)
    excess_KF = np.stack([_excess(hard[name].score_F) for name in names])
    return np.maximum(excess_KF.max(axis=0), 0.0), [names[k] for k in excess_KF.argmax(axis=0)]


def _excess(score_F: Floats) -> Floats:
    there = score_F[score_F > 0]
    return score_F - (np.median(there) if len(there) else 0.0)


def why(name: str, evidence: Evidence, hard: Hardness, frame: int) -> str:
    """Return in words what makes a frame hard for a field."""
    words: list[str] = []
    if hard.disagreement_F[frame] > 0.05:
        pairs = list(combinations(range(len(evidence.labelers)), 2))
        sides = " but ".join(_says(evidence, labeler, frame) for labeler in pairs[hard.pair_F[frame]])
        words.append(f"{sides} (divergence {hard.disagreement_F[frame]:.2f} of 1)")
    if hard.doubt_F[frame] > 0.3:
        words.append(f"close call between {_two(evidence.choices, evidence.probs_FC[frame])}")
    if hard.wavering_F[frame] > 0.2:
        words.append(f"only {evidence.stability_F[frame]:.0%} of the frames around agree")
    if hard.rejected_F[frame]:
        words.append(f"rejected: {evidence.reasons[frame]}")
    return f"{name}: " + ("; ".join(words) or "harder than is usual for this field")


def _says(evidence: Evidence, labeler: int, frame: int) -> str:
    vote_C = evidence.votes_FLC[frame, labeler]
    best = int(vote_C.argmax())
    return f"{evidence.labelers[labeler]} says {evidence.choices[best]} {vote_C[best]:.2f}"


def _two(choices: Sequence[str], probs_C: Floats) -> str:
    first, second = np.argsort(-probs_C, kind="stable")[:2]
    return f"{choices[first]} {probs_C[first]:.2f} and {choices[second]} {probs_C[second]:.2f}"
