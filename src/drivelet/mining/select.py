"""Selection under a budget: valuable frames that differ from each other, rare answers first, few from one scene."""

import heapq
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Frame
from drivelet.core.ranges import Positive, Seed, Several, Share, ranged
from drivelet.core.rng import generator
from drivelet.mining.cover import LazyGreedy, Objective

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
@ranged
class SelectConfig:
    """Settings of `select`.

    Attributes:
        value_share: how much a frame's own value counts beside what it covers, in 0..1.
        rare_share: share of the budget that is reserved for answers by the inverse of their frequency.
        per_scene: most frames of one file within `scene_s` seconds (all of a file without times).
        scene_s: length of a scene in seconds.
        per_drive: most frames of one file; None for no limit.
        clients: frames whose coverage is measured, drawn by their weight where there are more.
        seed: of that draw.
    """

    value_share: Share = 0.5
    rare_share: Share = 0.5
    per_scene: Several = 2
    scene_s: Positive = 10.0
    per_drive: Several | None = None
    clients: Several = 1024
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A selected frame: its position, the gain when it was picked, and the rare answer it was picked for, or empty."""

    position: int
    gain: float
    rare: str


def select(
    config: SelectConfig,
    *,
    vectors_ND: NDArray[np.float32],
    weights_N: Floats,
    frames: Sequence[Frame],
    answers: Mapping[str, Mask],
    budget: int,
) -> list[Pick]:
    """Choose at most `budget` frames, in the order in which they were picked.

    First every answer gets its quota, the rarest first; what is left goes to the largest gains. A scene or drive
    that is full gives no more, whoever asks.

    Args:
        vectors_ND: unit vectors; NaN rows are never chosen.
        weights_N: what a frame is worth, not negative: its value, and the weight of covering it. 0 is never chosen.
        answers: for every answer the frames that show it.
    """
    budget = min(budget, len(frames))
    ready_N = np.asarray(~np.isnan(vectors_ND).any(axis=1) & (weights_N > 0))
    limits = _Limits(config, frames)
    centred_ND = np.zeros_like(vectors_ND)
    centred_ND[ready_N] = centred(vectors_ND[ready_N])
    greedy = LazyGreedy(_objective(config, centred_ND, np.where(ready_N, weights_N, 0.0), budget))
    shown = {answer: mask & ready_N for answer, mask in answers.items()}
    counts = {answer: int(mask.sum()) for answer, mask in shown.items()}
    reserved = quotas(counts, units=round(config.rare_share * budget))
    picks: list[Pick] = []

    def take(open_N: Mask, rare: str) -> bool:
        place = greedy.pick(open_N & limits.open_N) if len(picks) < budget else None
        if place is not None:
            limits.add(place)
            picks.append(Pick(position=place, gain=greedy.gains[-1], rare=rare))
        return place is not None

    for answer in sorted(reserved, key=lambda name: (counts[name], name)):
        while shown[answer][greedy.chosen].sum() < reserved[answer] and take(shown[answer], answer):
            pass
    while take(ready_N, ""):
        pass
    return picks


def quotas(counts: Mapping[str, int], *, units: int) -> dict[str, int]:
    """Share `units` among answers in proportion to 1 / count, none above its count (D'Hondt's highest averages)."""
    given = {answer: 0 for answer, count in counts.items() if count > 0}
    heap = [(counts[answer], answer) for answer in given]
    heapq.heapify(heap)
    while units > 0 and heap:
        _, answer = heapq.heappop(heap)
        given[answer] += 1
        units -= 1
        if given[answer] < counts[answer]:
            heapq.heappush(heap, (counts[answer] * (given[answer] + 1), answer))
    return given


def scenes(frames: Sequence[Frame], seconds: float) -> list[Hashable]:
    """Return each frame's scene: its file and the stretch of `seconds` it lies in; a single image's is its drive."""
    return [(f.drive,) if math.isnan(f.t) else (f.file, int(f.t // seconds)) for f in frames]


class _Limits:
    """Which frames are still open, as scenes and drives fill up."""

    def __init__(self, config: SelectConfig, frames: Sequence[Frame]) -> None:
        self.open_N = np.ones(len(frames), bool)
        drives = [(f.drive,) if math.isnan(f.t) else (f.file,) for f in frames]
        every = [(scenes(frames, config.scene_s), config.per_scene), (drives, config.per_drive)]
        self._groups = [(_numbered(groups), limit, Counter[int]()) for groups, limit in every if limit is not None]

    def add(self, place: int) -> None:
        """Count a chosen frame, and close the groups that it fills."""
        for ids_N, limit, taken in self._groups:
            group = int(ids_N[place])
            taken[group] += 1
            if taken[group] >= limit:
                self.open_N &= ids_N != group


def _numbered(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)


def _objective(config: SelectConfig, vectors_ND: NDArray[np.float32], weights_N: Floats, budget: int) -> Objective:
    """Coverage and value each lie in 0..1 as a whole, so that `value_share` means what it says."""
    values_N = weights_N * (config.value_share / max(float(weights_N.max(initial=0.0)) * budget, 1e-12))
    shares_N = weights_N / max(float(weights_N.sum()), 1e-12)
    clients = np.flatnonzero(shares_N)
    weights_M = shares_N[clients]
    if len(clients) > config.clients:
        # Drawn by weight, so that the plain mean over the sample estimates the weighted mean over all.
        clients = generator(config.seed, "select").choice(len(weights_N), size=config.clients, p=shares_N)
        weights_M = np.full(config.clients, 1.0 / config.clients)
    return Objective(
        vectors_ND=vectors_ND,
        clients_MD=vectors_ND[clients],
        weights_M=np.asarray((1.0 - config.value_share) * weights_M, np.float32),
        values_N=values_N,
    )


def centred(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit vectors about their mean: pictures of one road share so much that all their cosines are near 1."""
    moved_ND = vectors_ND - vectors_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    length_N1 = np.linalg.norm(moved_ND, axis=1, keepdims=True)
    return np.divide(moved_ND, length_N1, out=np.zeros_like(moved_ND), where=length_N1 > 1e-6)
