"""Facility location by lazy greedy: frames that stand for all others, and are worth something themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK = 64
LARGEST = 2048
"""Candidates measured in one product: few at first, for lazy evaluation, then more."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """F(S) = sum over clients m of weights[m] * max(0, max over j in S of <client m, vector j>) + sum of values of S.

    Monotone and submodular where weights and values are not negative (Nemhauser, Wolsey & Fisher 1978): greedy
    reaches 1 - 1/e of the best S of its size, and half of it under one limit of groups (a partition matroid).

    Attributes:
        vectors_ND: the candidates.
        clients_MD: what is to be covered: the candidates themselves, or a sample of them.
        weights_M: what covering a client is worth.
        values_N: what a candidate is worth in itself.
    """

    vectors_ND: NDArray[np.float32]
    clients_MD: NDArray[np.float32]
    weights_M: NDArray[np.float32]
    values_N: Floats

    def gains(self, rows: NDArray[np.int64] | Sequence[int], covered_M: NDArray[np.float32]) -> Floats:
        """Return F(S + j) - F(S) for the rows j, where `covered_M` is how well S covers each client."""
        better_BM = self.vectors_ND[rows] @ self.clients_MD.T
        better_BM -= covered_M
        np.maximum(better_BM, 0.0, out=better_BM)
        return (better_BM @ self.weights_M).astype(float) + self.values_N[rows]

    def cover(self, row: int, covered_M: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the coverage once `row` is chosen too."""
        return np.maximum(covered_M, self.clients_MD @ self.vectors_ND[row])


class LazyGreedy:
    """Picks one candidate after the other, each the best of those open (accelerated greedy, Minoux 1978).

    A gain only ever shrinks as more is covered, so an old gain bounds the present one from above: only candidates
    whose bound reaches the best gain found so far are measured again.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.covered_M = np.zeros(len(objective.clients_MD), np.float32)
        self.chosen: list[int] = []
        self.gains: list[float] = []
        self.measured = 0
        self._bounds_N = np.full(len(objective.vectors_ND), np.inf)

    def pick(self, open_N: NDArray[np.bool_]) -> int | None:
        """Choose the open candidate of the largest gain, of equal ones the first; None where none is open."""
        left_N = np.where(open_N, self._bounds_N, -np.inf)
        left_N[self.chosen] = -np.inf
        best, best_gain, size = -1, -np.inf, BLOCK
        while True:
            rows = _largest(left_N, size, at_least=best_gain)
            if not len(rows):
                break
            gains = self.objective.gains(rows, self.covered_M)
            self.measured += len(rows)
            self._bounds_N[rows] = gains
            left_N[rows] = -np.inf
            here = float(gains.max())
            first = int(rows[gains == here].min())
            if here > best_gain or (here == best_gain and first < best):
                best, best_gain = first, here
            size = min(size * 2, LARGEST)
        if best < 0:
            return None
        self.covered_M = self.objective.cover(best, self.covered_M)
        self.chosen.append(best)
        self.gains.append(best_gain)
        return best


def _largest(bounds_N: Floats, size: int, *, at_least: float) -> NDArray[np.int64]:
    """Return at most `size` rows of the largest finite-or-infinite bounds that reach `at_least`."""
    rows = np.flatnonzero(bounds_N >= at_least) if at_least > -np.inf else np.flatnonzero(bounds_N > -np.inf)
    if len(rows) <= size:
        return rows
    return rows[np.argpartition(-bounds_N[rows], size)[:size]]
