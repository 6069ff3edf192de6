"""Lit lamps by colour and shape: in the crop of a lamp head, and in a whole frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.labels.blobs import Blob, Channels, blobs, channels, hue_between, shrink

HUES = {"red": (330.0, 22.0), "yellow": (28.0, 68.0), "green": (85.0, 205.0)}
"""Lamp colour -> range of hue in degrees; cameras show green lamps as far as cyan."""
CROP_SIDE = 300
LONGEST = 640


def is_head(image: ImageArray) -> bool:
    """Return whether an image looks like the crop of one lamp head: small and upright."""
    height, width = image.shape[:2]
    return height < CROP_SIDE and height >= 1.3 * width


def head_evidence(image: ImageArray) -> dict[str, float]:
    """Return how much of each lamp colour a lamp head shows, most of it where that lamp sits.

    Chroma above the crop's usual level counts; the red lamp is looked for at the top, yellow in the middle, green
    at the bottom (with soft edges), which tells amber from a washed-out red.
    """
    split = channels(shrink(image, 96))
    level = float(np.median(split.chroma))
    excess = np.maximum(split.chroma - max(level, 0.04), 0.0) * split.value
    rows = np.linspace(0.0, 1.0, excess.shape[0])[:, None]
    columns = np.linspace(-1.0, 1.0, excess.shape[1])[None, :]
    centred = np.exp(-(columns**2))
    evidence: dict[str, float] = {}
    for (name, (low, high)), place in zip(HUES.items(), (0.22, 0.5, 0.78), strict=True):
        prior = 0.25 + np.exp(-(((rows - place) / 0.2) ** 2))
        weight = excess * prior * centred * hue_between(split.hue, low, high)
        # The lamp is a spot: its strongest tenth of pixels speaks, not a tint over the whole crop.
        strongest = np.sort(weight, axis=None)[-max(4, weight.size // 10) :]
        evidence[name] = float(strongest.mean())
    return evidence


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A lamp-like blob: its colour, its box as shares of width and height, and how surely a lit lamp."""

    colour: str
    box: tuple[float, float, float, float]
    likeness: float


def find_lamps(image: ImageArray) -> list[Lamp]:
    """Return the blobs of a whole RGB frame (H, W, 3) that look like lit lamps."""
    small = shrink(image, LONGEST)
    split = channels(small)
    height, width = small.shape[:2]
    found: list[Lamp] = []
    for name, (low, high) in HUES.items():
        mask = hue_between(split.hue, low, high) & (split.chroma > 0.35) & (split.value > 0.5)
        mask[int(0.66 * height) :] = False
        for blob in blobs(mask, min_area=5):
            likeness = _lamp_likeness(blob, split)
            if likeness > 0:
                found.append(Lamp(colour=name, box=blob.shares(width, height), likeness=likeness))
    return found


def frame_evidence(lamps: Sequence[Lamp]) -> dict[str, float]:
    """Return for each colour how surely a frame with these lamp-like blobs shows a lit lamp of it (0..1)."""
    doubt = dict.fromkeys(HUES, 1.0)
    for lamp in lamps:
        doubt[lamp.colour] *= 1.0 - lamp.likeness
    return {name: 1.0 - value for name, value in doubt.items()}


def _lamp_likeness(blob: Blob, split: Channels) -> float:
    """Return how much a coloured blob looks like a lit lamp in its dark housing (0..1)."""
    longer, shorter = max(blob.width, blob.height), min(blob.width, blob.height)
    if longer > 0.2 * split.hue.shape[0] or shorter < 0.55 * longer:
        return 0.0
    filled = blob.area / (blob.width * blob.height)
    if filled < 0.55:
        return 0.0
    box = (slice(blob.top, blob.top + blob.height), slice(blob.left, blob.left + blob.width))
    own_value = float(split.value[box][blob.pixels].mean())
    own_chroma = float(split.chroma[box][blob.pixels].mean())
    housing = _housing(blob, split, own_value)
    return housing * min(1.0, own_chroma / 0.6) * min(1.0, (blob.area / 12) ** 0.5) * min(1.0, filled / 0.65)


def _housing(blob: Blob, split: Channels, own_value: float) -> float:
    """Return how dark the neighbouring lamp places are: one lamp's size away, upright or lying."""
    height, width = split.value.shape
    places = ((-1, 0), (1, 0), (0, -1), (0, 1))
    scores: list[float] = []
    for down, right in places:
        top, left = blob.top + round(1.15 * down * blob.height), blob.left + round(1.15 * right * blob.width)
        if top < 0 or left < 0 or top + blob.height > height or left + blob.width > width:
            continue
        patch = split.value[top : top + blob.height, left : left + blob.width]
        # Dark, and evenly so.
        dark = np.clip((0.45 - float(np.percentile(patch, 75))) / 0.2, 0.0, 1.0)
        scores.append(float(dark) * float(np.clip((own_value - float(patch.mean())) / 0.35, 0.0, 1.0)))
    return max(scores, default=0.0)
