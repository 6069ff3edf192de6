"""Search by example or by text in the vector table, and hits that lie apart in time."""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Frame
from drivelet.mining.embed import COLUMN, Key, Vectors, sources_filter

NPROBES = 20
REFINE = 5
"""Partitions that are searched, and how many times k candidates are measured again on the full vectors."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A found frame: its position in the list of frames, its score (higher is better), and why in words."""

    position: int
    score: float
    why: str


class VectorSearch:
    """Nearest rows of a vector table among the frames of `keys`, opened once for many searches.

    Frames of one content share their row. Rows of other frames in the table are passed over.
    """

    def __init__(self, table: Path, keys: Sequence[Key]) -> None:
        import lance

        self._places: dict[str, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            self._places[key.key].append(place)
        self._dataset = lance.dataset(str(table))
        only = sources_filter(keys)
        # A filter that keeps every row costs more than the search itself.
        alone = self._dataset.count_rows(only) == self._dataset.count_rows()
        self._only = None if alone else only

    def nearest(self, vector_D: Vectors, *, k: int) -> list[tuple[int, float]]:
        """Return (position in `keys`, cosine) of at most `k` frames nearest to a vector, nearest first."""
        wanted = k
        while True:
            found = self._dataset.to_table(
                columns=["key", "_distance"],
                nearest={
                    "column": COLUMN,
                    "q": np.asarray(vector_D, np.float32),
                    "metric": "cosine",
                    "k": wanted,
                    "nprobes": NPROBES,
                    "refine_factor": REFINE,
                },
                filter=self._only,
                prefilter=True,
            )
            rows = zip(found["key"].to_pylist(), found["_distance"].to_pylist(), strict=True)
            hits = [(place, 1.0 - float(distance)) for key, distance in rows for place in self._places.get(key, ())]
            # Rows of the same files at another rate may have taken the places: ask for more.
            if len(hits) >= k or found.num_rows < wanted:
                return hits[:k]
            wanted *= 4


def ranked(scores_N: NDArray[np.float64], *, least: float = 0.0) -> list[int]:
    """Return positions with a score above `least`, best first, equal ones in their order."""
    order = np.argsort(-np.nan_to_num(scores_N, nan=-math.inf), kind="stable")
    return [int(position) for position in order if scores_N[position] > least]


def apart(positions: Iterable[int], frames: Sequence[Frame], *, seconds: float, most: int) -> list[int]:
    """Keep a frame unless a better one of its file lies within `seconds`; at most `most` of them.

    Args:
        positions: best first. Frames without a time (single images) are all kept.
    """
    times: dict[str, list[float]] = defaultdict(list)
    kept: list[int] = []
    for position in positions:
        if len(kept) >= most:
            break
        frame = frames[position]
        taken = times[frame.file]
        if not math.isnan(frame.t):
            place = bisect_left(taken, frame.t)
            if any(abs(time - frame.t) < seconds for time in taken[max(place - 1, 0) : place + 1]):
                continue
            insort(taken, frame.t)
        kept.append(position)
    return kept
