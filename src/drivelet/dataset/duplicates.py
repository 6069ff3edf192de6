"""Which images are the same picture: by perceptual hash and colour thumbnail, and by embedding."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from drivelet.dataset.looks import HASH_BITS, THUMBNAIL, Look, LookConfig

BLOCK = 1024


def near_duplicates(looks: Mapping[str, Look], config: LookConfig) -> Iterator[tuple[str, str]]:
    """Yield each pair of names whose images are the same picture, once, the smaller name first, in a fixed order.

    Two hashes are near, or two embeddings are where the images have them (`near_cosine`). A perceptual hash is blind
    to colour, and sees a shifted crop as another picture; how much of that an embedding sees is up to its model.
    """
    names = sorted(name for name, look in looks.items() if look.pixels)
    pairs = {*_by_hash(names, looks, config), *_by_embedding(names, looks, config)}
    yield from ((names[first], names[second]) for first, second in sorted(pairs))


def _by_hash(names: Sequence[str], looks: Mapping[str, Look], config: LookConfig) -> Iterator[tuple[int, int]]:
    """Yield pairs of near hashes whose colour thumbnails agree.

    Two hashes within `near_distance` share at least one of `near_distance + 1` bands of bits, so only images that
    share a band are compared.
    """
    hashes = np.array([looks[name].perceptual for name in names], np.uint64)
    cells = THUMBNAIL * THUMBNAIL * 3
    thumbnails = np.array([looks[name].thumbnail for name in names], np.uint8).reshape(len(names), cells)
    for first, others in _candidates(hashes, config.near_distance):
        difference = np.abs(thumbnails[others].astype(np.int16) - thumbnails[first])
        same = (difference.mean(axis=1) <= config.near_mean) & (difference.max(axis=1) <= config.near_peak)
        yield from ((first, int(second)) for second in others[same])


def _candidates(hashes: NDArray[np.uint64], distance: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield (index, later indices within Hamming `distance`), each pair once."""
    buckets = list(_buckets(hashes, distance + 1))
    for index in range(len(hashes)):
        near = [bucket[index] for bucket in buckets if index in bucket]
        if not near:
            continue
        others = np.unique(np.concatenate(near))
        others = others[others > index]
        close = np.bitwise_count(hashes[others] ^ hashes[index]) <= distance
        if close.any():
            yield index, others[close]


def _buckets(hashes: NDArray[np.uint64], bands: int) -> Iterator[dict[int, NDArray[np.int64]]]:
    """For each band of bits: index -> all indices with the same bits there (buckets of one are left out)."""
    edges = np.linspace(0, HASH_BITS, bands + 1).astype(int)
    for low, high in pairwise(edges):
        part = (hashes >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(part, kind="stable")
        for_index: dict[int, NDArray[np.int64]] = {}
        for bucket in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
            if len(bucket) > 1:
                for_index.update((int(index), bucket) for index in bucket)
        yield for_index


def _by_embedding(names: Sequence[str], looks: Mapping[str, Look], config: LookConfig) -> Iterator[tuple[int, int]]:
    """Yield pairs whose unit vectors have a cosine of `near_cosine` or more; block by block, all pairs compared."""
    rows = [(place, vector) for place, name in enumerate(names) if (vector := looks[name].vector) is not None]
    if len(rows) < 2:
        return
    places = np.array([place for place, _ in rows])
    vectors_ND = np.stack([vector for _, vector in rows])
    for start in range(0, len(rows), BLOCK):
        cosines = vectors_ND[start : start + BLOCK] @ vectors_ND[start:].T
        for first, second in np.argwhere(cosines >= config.near_cosine):
            if second > first:
                yield int(places[start + first]), int(places[start + second])


class Unions:
    """Sets of names that grow together (disjoint-set forest); each set is named by its smallest member."""

    def __init__(self, pairs: Iterable[Sequence[str]] = ()) -> None:
        self._parent: dict[str, str] = {}
        for first, second in pairs:
            self.join(first, second)

    def find(self, name: str) -> str:
        """Return the smallest name of the set that holds `name`."""
        root = name
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while name != root:
            name, self._parent[name] = self._parent.get(name, name), root
        return root

    def join(self, first: str, second: str) -> None:
        """Merge the sets of two names."""
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low
