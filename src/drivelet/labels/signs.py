"""Where speed signs may stand in a frame: bright upright plates and red rings, found by colour and shape alone."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.labels.blobs import Blob, blobs, channels, hue_between

SMALLEST = 8
"""Pixels: digits of a smaller sign cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A sign-like region: (left, top, right, bottom) in pixels, and how much like a sign it looks (0..1)."""

    box: tuple[int, int, int, int]
    likeness: float


def find_signs(image: ImageArray, *, most: int = 6) -> list[Region]:
    """Return up to `most` sign-like regions of an RGB frame (H, W, 3), the likeliest first."""
    split = channels(image)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    # Bright against its own surroundings: a plate in shade counts, a white sky does not.
    around = cv2.blur(grey, (61, 61)).astype(np.int16)
    plate = (split.chroma < 0.22) & (grey.astype(np.int16) > around + 12) & (grey > 60)
    ring = hue_between(split.hue, 335, 20) & (split.chroma > 0.18)
    found = _regions(plate, _plate_likeness, image.shape) + _regions(ring, _ring_likeness, image.shape)
    found.sort(key=lambda region: -region.likeness)
    kept: list[Region] = []
    for region in found:
        if all(_overlap(region.box, other.box) < 0.5 for other in kept):
            kept.append(region)
    return kept[:most]


def _regions(mask: NDArray[np.bool_], likeness: Callable[[Blob], float], shape: tuple[int, ...]) -> list[Region]:
    regions: list[Region] = []
    for blob in blobs(mask, min_area=SMALLEST * SMALLEST // 3):
        if min(blob.width, blob.height) < SMALLEST or blob.height > shape[0] // 2:
            continue
        score = likeness(blob)
        if score > 0:
            box = (blob.left, blob.top, blob.left + blob.width, blob.top + blob.height)
            regions.append(Region(box=box, likeness=score))
    return regions


def _filled(blob: Blob) -> float:
    """Share of the box inside the blob's outer contour: 1 for a rectangle, 0.79 for a disc."""
    outline, _ = cv2.findContours(blob.pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = max((cv2.contourArea(cv2.convexHull(contour)) for contour in outline), default=0.0)
    return hull / (blob.width * blob.height)


def _plate_likeness(blob: Blob) -> float:
    aspect = blob.height / blob.width
    own = blob.area / (blob.width * blob.height)
    if not 0.8 <= aspect <= 2.4 or own < 0.4:
        return 0.0
    # Digits make holes: a plate's own pixels cover 50 to 85% of its box.
    return _filled(blob) * (1.0 if own < 0.9 else 0.5) * min(1.0, blob.width / 16)


def _ring_likeness(blob: Blob) -> float:
    aspect = blob.height / blob.width
    own = blob.area / (blob.width * blob.height)
    if not 0.7 <= aspect <= 1.5 or not 0.12 <= own <= 0.65:
        return 0.0
    centre = blob.pixels[blob.height // 3 : -(blob.height // 3) or None, blob.width // 3 : -(blob.width // 3) or None]
    return _filled(blob) * (1.0 - float(centre.mean())) * min(1.0, blob.width / 12)


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0) * max(height, 0) / max(smaller, 1)


def cut(image: ImageArray, box: tuple[int, int, int, int], *, margin: float, side: int) -> ImageArray:
    """Return the region with a margin (share of its size), scaled so that its longer side has `side` pixels."""
    height, width = image.shape[:2]
    dx, dy = round((box[2] - box[0]) * margin), round((box[3] - box[1]) * margin)
    part = image[max(box[1] - dy, 0) : min(box[3] + dy, height), max(box[0] - dx, 0) : min(box[2] + dx, width)]
    scale = side / max(part.shape[:2])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8)
