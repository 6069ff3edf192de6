"""Traffic cones by colour and shape: orange stripes stacked to a form that widens downwards."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Field, ImageArray
from drivelet.labels.blobs import Blob, blobs, channels, hue_between, shrink

LONGEST = 480
ASPECT = 0.62
"""Width over height of a standing cone."""
MOST = 12


@dataclass(frozen=True, kw_only=True)
class Cone:
    """A cone-like blob: foot point and box as shares of width and height, how surely a cone, how many stand in it."""

    foot: tuple[float, float]
    box: tuple[float, float, float, float]
    likeness: float
    count: int


def find_cones(image: ImageArray) -> list[Cone]:
    """Return the cone-like blobs of an RGB image (H, W, 3)."""
    small = shrink(image, LONGEST)
    split = channels(small)
    height, width = small.shape[:2]
    orange = hue_between(split.hue, 353, 36) & (split.chroma > 0.32) & (split.value > 0.4)
    pale = (split.chroma < 0.25) & (split.value > 0.5)
    found: list[Cone] = []
    for blob in blobs(_joined(orange, pale, height), min_area=12):
        likeness, count = _judge(blob, orange[_box(blob)], height)
        if likeness > 0.05:
            foot = ((blob.left + blob.width / 2) / width, (blob.top + blob.height) / height)
            found.append(Cone(foot=foot, box=blob.shares(width, height), likeness=likeness, count=count))
    return found


def _box(blob: Blob) -> tuple[slice, slice]:
    return slice(blob.top, blob.top + blob.height), slice(blob.left, blob.left + blob.width)


def _joined(orange: NDArray[np.bool_], pale: NDArray[np.bool_], height: int) -> NDArray[np.bool_]:
    """Join stripes across the pale band between them; a band is at most as tall as the stripe above or below."""
    reach = max(3, height // 24) | 1
    upright = np.ones((reach, 1), np.uint8)
    closed = cv2.morphologyEx(orange.astype(np.uint8), cv2.MORPH_CLOSE, upright).astype(bool)
    return orange | (closed & pale)


def _judge(blob: Blob, orange: NDArray[np.bool_], height: int) -> tuple[float, int]:
    """Return (likeness, cones in the blob) from aspect, taper, fill and place."""
    aspect = blob.width / blob.height
    if blob.height < 5 or aspect > 6:
        return 0.0, 0
    count = 1 if aspect < 1.25 else max(2, round(aspect / ASPECT))
    rows = blob.pixels.sum(axis=1)
    third = max(1, blob.height // 3)
    top, bottom = float(rows[:third].mean()), float(rows[-third:].mean())
    taper = np.clip((bottom / max(top, 1.0) - 0.9) / 0.8, 0.0, 1.0) if count == 1 else min(0.6, 1.2 / count)
    filled = blob.area / (blob.width * blob.height)
    fill = np.clip((filled - 0.25) / 0.2, 0.0, 1.0)
    share = np.clip(float((orange & blob.pixels).sum()) / blob.area / 0.5, 0.0, 1.0)
    slim = np.clip((aspect - 0.15) / 0.2, 0.0, 1.0)
    low = np.clip(((blob.top + blob.height) / height - 0.35) / 0.15, 0.0, 1.0)
    size = np.clip(blob.height / 10, 0.3, 1.0)
    return float(0.95 * taper * fill * share * slim * low * size), count


def count_distribution(cones: list[Cone]) -> NDArray[np.float64]:
    """Return the probability of 0, 1, ... MOST or more cones: each blob is there or not, independently."""
    probs = np.zeros(MOST + 1)
    probs[0] = 1.0
    for cone in cones:
        shifted = np.zeros_like(probs)
        for number, mass in enumerate(probs):
            shifted[min(number + cone.count, MOST)] += mass
        probs = (1 - cone.likeness) * probs + cone.likeness * shifted
    return probs


def count_vote(spec: Field, cones: list[Cone]) -> dict[str, float]:
    """Return the probability of each answer of a count field."""
    vote: dict[str, float] = {}
    for number, mass in enumerate(count_distribution(cones)):
        for answer in spec.parse(str(number)):
            vote[answer] = vote.get(answer, 0.0) + float(mass)
    return vote


def in_path_vote(cones: list[Cone]) -> dict[str, float]:
    """Return the probabilities of `yes` and `no`: whether a cone stands in the path."""
    there = in_path_probability(cones)
    return {"yes": there, "no": 1 - there}


def spread(vote: Mapping[str, float], spec: Field, share: float) -> dict[str, float]:
    """Return a vote of which a share is spread over all choices."""
    rest = share / len(spec.choices)
    return {choice: (1 - share) * vote.get(choice, 0.0) + rest for choice in spec.choices}


def in_path_probability(cones: list[Cone]) -> float:
    """Return how surely a cone stands in the wedge in front of the car, from the bottom edge to the horizon."""
    doubt = 1.0
    for cone in cones:
        x, y = cone.foot
        half = 0.04 + 0.55 * max(0.0, y - 0.5)
        inside = np.clip(1.5 - abs(x - 0.5) / half, 0.0, 1.0) if y > 0.52 else 0.0
        doubt *= 1.0 - cone.likeness * float(inside)
    return 1.0 - doubt
