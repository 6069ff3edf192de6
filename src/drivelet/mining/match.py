"""How well frames match a query: products of the labels' probabilities."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from drivelet.core.errors import InputError
from drivelet.mining.evidence import Evidence
from drivelet.mining.query import OPERATORS, AllOf, Answers, Measured, Query, leaves

Floats = NDArray[np.float64]


def match(query: Query, *, evidence: Mapping[str, Evidence], channels: Mapping[str, Floats]) -> Floats:
    """Return the probability that each of N frames fits, taking different conditions as independent.

    A frame that was never labelled for a field, or lacks a channel, does not fit a condition on it.

    Raises:
        InputError: no frame at all has a field's labels or a channel.
    """
    for leaf in leaves(query):
        _known(leaf, evidence, channels)
    return _fit(query, evidence, channels)


def _known(leaf: Answers | Measured, evidence: Mapping[str, Evidence], channels: Mapping[str, Floats]) -> None:
    if isinstance(leaf, Answers):
        if leaf.field not in evidence or np.isnan(evidence[leaf.field].probs_FC).all():
            raise InputError(f"query {leaf}: no frame here is labelled for {leaf.field}; run `drivelet label` first")
    elif leaf.channel not in channels or np.isnan(channels[leaf.channel]).all():
        raise InputError(f"query {leaf}: no frame here has {leaf.channel}; add an ingested drive with a sensor log")


def _fit(query: Query, evidence: Mapping[str, Evidence], channels: Mapping[str, Floats]) -> Floats:
    if isinstance(query, Answers):
        seen = evidence[query.field]
        columns = [seen.choices.index(answer) for answer in query.answers]
        return np.nan_to_num(seen.probs_FC[:, columns].sum(axis=1))
    if isinstance(query, Measured):
        values_N = channels[query.channel]
        return np.array(
            [OPERATORS[query.op](value, query.value) and value == value for value in values_N.tolist()], float
        )
    fits_PN = np.stack([_fit(part, evidence, channels) for part in query.parts])
    return fits_PN.prod(axis=0) if isinstance(query, AllOf) else 1.0 - (1.0 - fits_PN).prod(axis=0)


def explain(query: Query, position: int, evidence: Mapping[str, Evidence], channels: Mapping[str, Floats]) -> str:
    """Return what speaks for one frame: every condition with its probability or the value measured."""
    words: list[str] = []
    for leaf in leaves(query):
        if isinstance(leaf, Answers):
            said = "|".join(leaf.answers)
            words.append(f"{leaf.field}={said} {float(_fit(leaf, evidence, channels)[position]):.2f}")
        else:
            words.append(f"{leaf.channel} {channels[leaf.channel][position]:.3g}")
    return ", ".join(dict.fromkeys(words))
