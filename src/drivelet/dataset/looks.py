"""What cleaning knows about an image: its pixels' hash, its perceptual hash, a thumbnail and its flaw."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drivelet.core.artifacts import ImageArray

HASH_BITS = 64
THUMBNAIL = 16


@dataclass(frozen=True, kw_only=True)
class LookConfig:
    """Thresholds under which an image is unfit, and within which two images are the same picture.

    Attributes:
        min_side: shorter side in pixels.
        min_bright: grey level (0..255) that the brightest hundredth of the pixels must reach: a night frame with one
            lit lamp passes, a lens cap does not.
        min_contrast: standard deviation of grey levels.
        min_sharpness: variance of the Laplacian over the variance of the grey levels, at 160 px; fog passes.
        near_distance: Hamming distance of the 64-bit perceptual hashes.
        near_mean: mean difference of the 16x16 colour thumbnails (0..255).
        near_peak: largest difference of one thumbnail cell: a lamp that changed colour exceeds it.
    """

    min_side: int = 8
    min_bright: float = 24.0
    min_contrast: float = 3.0
    min_sharpness: float = 0.002
    near_distance: int = 6
    near_mean: float = 6.0
    near_peak: float = 32.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """An image's fingerprints; `flaw` is empty or says why the image is unfit."""

    pixels: str = ""
    perceptual: int = 0
    thumbnail: NDArray[np.uint8]
    flaw: str = ""


UNREADABLE = Look(thumbnail=np.zeros((THUMBNAIL, THUMBNAIL, 3), np.uint8), flaw="unreadable image")


def look_at(image: ImageArray, config: LookConfig) -> Look:
    """Return the fingerprints of one RGB image, shape (height, width, 3)."""
    digest = blake2b(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes(), digest_size=16).hexdigest()
    bits = imagehash.phash(Image.fromarray(image)).hash.ravel()
    perceptual = int.from_bytes(np.packbits(bits).tobytes(), "big")
    thumbnail = np.asarray(cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8)
    return Look(pixels=digest, perceptual=perceptual, thumbnail=thumbnail, flaw=_flaw(image, config))


def look_at_file(path: Path, config: LookConfig) -> Look:
    """Return the fingerprints of an image file; a file that does not decode bears the flaw `unreadable image`."""
    try:
        with Image.open(path) as image:
            return look_at(np.asarray(image.convert("RGB")), config)
    except (OSError, SyntaxError, ValueError):
        return UNREADABLE


def _flaw(image: ImageArray, config: LookConfig) -> str:
    if min(image.shape[:2]) < config.min_side:
        return "too small"
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if float(np.percentile(grey, 99)) < config.min_bright:
        return "too dark"
    scale = 160 / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    variance = float(np.var(small))
    if variance < config.min_contrast**2:
        return "no contrast"
    return "blurred" if float(cv2.Laplacian(small, cv2.CV_64F).var()) / variance < config.min_sharpness else ""


def near_duplicates(looks: Mapping[str, Look], config: LookConfig) -> Iterator[tuple[str, str]]:
    """Yield each pair of names whose images are the same picture, in a fixed order.

    Two hashes within `near_distance` share at least one of `near_distance + 1` bands of bits, so only images that
    share a band are compared. Perceptual hashes are blind to colour, so the colour thumbnails must agree too.
    """
    names = sorted(name for name, look in looks.items() if look.pixels)
    hashes = np.array([looks[name].perceptual for name in names], np.uint64)
    cells = THUMBNAIL * THUMBNAIL * 3
    thumbnails = np.array([looks[name].thumbnail for name in names], np.uint8).reshape(len(names), cells)
    for first, others in _candidates(hashes, config.near_distance):
        difference = np.abs(thumbnails[others].astype(np.int16) - thumbnails[first])
        same = (difference.mean(axis=1) <= config.near_mean) & (difference.max(axis=1) <= config.near_peak)
        for second in others[same]:
            yield names[first], names[int(second)]


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
