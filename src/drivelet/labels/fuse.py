"""Fusion: the calibrated votes on one frame and field become one distribution."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drivelet.core.artifacts import Field, Vote
from drivelet.labels.calibrate import Calibration, Floats, as_distribution, vector


@dataclass(frozen=True, kw_only=True)
class FuseConfig:
    """Settings of `fuse`.

    Attributes:
        family_discount: how far m labelers of one family count as one: each has weight m ** -discount (0: all are
            independent, 1: the family is one voter).
        prior_floor: share of the uniform distribution mixed into every fused one.
    """

    family_discount: float = 1.0
    prior_floor: float = 0.01


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
) -> dict[tuple[str, int, str], Fused]:
    """Return (drive, frame, field) -> fused distribution for every cell with a vote.

    Logarithmic pooling of calibrated votes (Genest & Zidek 1986) under a uniform prior, members of a family sharing
    its weight. A labeler that abstains has no vote, and a uniform vote of its own family changes nothing.
    """
    cells: dict[tuple[str, int, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        cells[vote.drive, vote.frame, vote.field].append(vote)
    return {key: _pool(cell, calibration, fields[key[2]], config) for key, cell in cells.items()}


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
