"""Fusion: the calibrated votes on one frame and field become one distribution."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drivelet.core.artifacts import Field, Vote
from drivelet.core.ranges import Share, ranged
from drivelet.labels.calibrate import ENOUGH, Calibration, CalibrationMap, Floats, as_distribution, vector
from drivelet.labels.dawid_skene import NO_VOTE, fit, patterns

Key = tuple[str, int, str]
"""(drive, frame, field)."""
PRIOR_ROWS = 6.0
"""Rows of gold that a labeler's habit weighs as much as, for each true answer."""


@dataclass(frozen=True, kw_only=True)
@ranged
class FuseConfig:
    """Settings of `fuse`.

    Attributes:
        method: `confusion` weighs each vote by how its labeler confuses answers on gold, and pools where gold is too
            little to tell; `pool` multiplies calibrated distributions; `dawid_skene` learns the confusions from all
            votes on the field together, those on gold among them.
        family_discount: how far m labelers of one family count as one: each has weight m ** -discount (0: all are
            independent, 1: the family is one voter).
        prior_floor: share of the uniform distribution mixed into every fused one.
    """

    method: Literal["confusion", "pool", "dawid_skene"] = "confusion"
    family_discount: Share = 1.0
    prior_floor: Share = 0.01


@dataclass(frozen=True, kw_only=True)
class Fused:
    """The outcome for one frame and field.

    Attributes:
        probs: over the field's choices, in their order.
        dissent: the largest calibrated probability that a labeler gives to its own answer where that is not the
            fused one; 0 where all agree.
        votes: labelers that voted.
    """

    probs: Floats
    dissent: float
    votes: int


def fuse(
    votes: Sequence[Vote],
    calibration: Calibration,
    fields: Mapping[str, Field],
    config: FuseConfig = FuseConfig(),
) -> dict[Key, Fused]:
    """Return (drive, frame, field) -> fused distribution for every cell with a vote.

    `pool` is logarithmic pooling of calibrated votes (Genest & Zidek 1986) under a uniform prior, members of a family
    sharing its weight. A labeler that abstains has no vote, and a uniform vote of its own family changes nothing.
    """
    cells: dict[Key, list[Vote]] = defaultdict(list)
    for vote in votes:
        cells[vote.drive, vote.frame, vote.field].append(vote)
    pooled = {key: _pool(cell, calibration, fields[key[2]], config) for key, cell in cells.items()}
    for spec in fields.values() if config.method != "pool" else ():
        own = {key: cell for key, cell in cells.items() if key[2] == spec.name}
        for key, probs_C in zip(own, _by_confusion(list(own.values()), calibration, spec, config), strict=False):
            floored_C = (1 - config.prior_floor) * probs_C + config.prior_floor / len(probs_C)
            pooled[key] = replace(pooled[key], probs=floored_C)
    return pooled


def _by_confusion(
    cells: Sequence[Sequence[Vote]], calibration: Calibration, spec: Field, config: FuseConfig
) -> Iterable[Floats]:
    """Return each cell's distribution by what its labelers' votes mean; nothing where gold is too little to tell."""
    speakers = sorted({(vote.labeler, vote.family) for cell in cells for vote in cell})
    known = [calibration.of(labeler, spec.name) for labeler, _ in speakers]
    if config.method == "dawid_skene" and cells:
        return _expectation_maximisation(cells, speakers, known, spec, config.family_discount)
    if any(found.count < ENOUGH for found in known):
        return ()
    confusions = {
        labeler: confusion(np.asarray(found.confusion, float))
        for (labeler, _), found in zip(speakers, known, strict=True)
    }
    return (_naive_bayes(cell, confusions, spec, config.family_discount) for cell in cells)


def confusion(counts_CC: Floats) -> Floats:
    """Return P(answer | truth) from counts on gold by (truth, answer), each row drawn towards the labeler's habit.

    The habit is PRIOR_ROWS rows worth of what all truths together show: how often it is right, and what it says where
    it is wrong. So a truth that gold hardly holds is not taken for the cause of every odd answer.
    """
    right = (np.trace(counts_CC) + 1) / (counts_CC.sum() + 2)
    wrong_C = counts_CC.sum(axis=0) - np.diag(counts_CC) + 0.5
    usual_CC = np.tile(wrong_C, (len(counts_CC), 1))
    np.fill_diagonal(usual_CC, 0.0)
    usual_CC *= (1 - right) / usual_CC.sum(axis=1, keepdims=True)
    np.fill_diagonal(usual_CC, right)
    rows_CC = counts_CC + PRIOR_ROWS * usual_CC
    return rows_CC / rows_CC.sum(axis=1, keepdims=True)


def _naive_bayes(cell: Sequence[Vote], confusions: Mapping[str, Floats], spec: Field, discount: float) -> Floats:
    """The posterior of one cell under a uniform prior: a step of Dawid and Skene with the confusions held.

    A vote is a distribution over what the labeler would answer: its likelihood is the mean over those answers.
    """
    members = Counter(vote.family for vote in cell)
    logits_C = np.zeros(len(spec.choices))
    for vote in cell:
        likelihood_C = confusions[vote.labeler] @ vector(vote.probs, spec.choices)
        logits_C += members[vote.family] ** -discount * np.log(likelihood_C)
    return as_distribution(np.exp(logits_C - logits_C.max()))


def _expectation_maximisation(
    cells: Sequence[Sequence[Vote]],
    speakers: Sequence[tuple[str, str]],
    known: Sequence[CalibrationMap],
    spec: Field,
    discount: float,
) -> Iterable[Floats]:
    place = {labeler: number for number, (labeler, _) in enumerate(speakers)}
    size = len(spec.choices)
    votes_NL = np.full((len(cells), len(speakers)), NO_VOTE)
    for row, cell in enumerate(cells):
        for vote in cell:
            votes_NL[row, place[vote.labeler]] = int(vector(vote.probs, spec.choices).argmax())
    found = patterns(votes_NL, size)
    anchor_LKK = np.asarray([gold.confusion or np.zeros((size, size)) for gold in known], float)
    families = [family for _, family in speakers]
    model = fit(found, size, families=families, discount=discount, known_LKK=anchor_LKK, smoothing=0.1)
    posterior_PK = model.posterior(found.votes_PL)
    return (posterior_PK[row] for row in found.of_item_N)


def _pool(cell: Sequence[Vote], calibration: Calibration, spec: Field, config: FuseConfig) -> Fused:
    calibrated = [calibration.of(v.labeler, v.field).apply(vector(v.probs, spec.choices)) for v in cell]
    members = Counter(vote.family for vote in cell)
    weights = [members[vote.family] ** -config.family_discount for vote in cell]
    logits_C = sum(w * np.log(p) for w, p in zip(weights, calibrated, strict=True))
    pooled_C = as_distribution(np.exp(logits_C - np.max(logits_C)))
    pooled_C = (1 - config.prior_floor) * pooled_C + config.prior_floor / len(pooled_C)
    best = int(pooled_C.argmax())
    dissent = max((float(p.max()) for p in calibrated if int(p.argmax()) != best), default=0.0)
    return Fused(probs=pooled_C, dissent=dissent, votes=len(cell))
