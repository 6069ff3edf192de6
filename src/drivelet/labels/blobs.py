"""Coloured blobs of an image: what the colour labeler and the sign finder look at."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray

Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Hue in degrees (0..360), chroma and value in 0..1, each (H, W)."""

    hue: Floats
    chroma: Floats
    value: Floats


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A connected region: its box in pixels, its filled area, and its pixels inside the box."""

    left: int
    top: int
    width: int
    height: int
    area: int
    pixels: NDArray[np.bool_]

    def shares(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return (left, top, right, bottom) as shares of an image of this size."""
        right, bottom = self.left + self.width, self.top + self.height
        return self.left / width, self.top / height, right / width, bottom / height


def channels(image: ImageArray) -> Channels:
    """Split an RGB image (H, W, 3) into hue, chroma (max - min) and value (max)."""
    hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hue, saturation, value = (np.asarray(part, np.float32) for part in cv2.split(hsv))
    return Channels(hue=hue, chroma=saturation * value, value=value)


def hue_between(hue: Floats, low: float, high: float) -> NDArray[np.bool_]:
    """Return where the hue lies in [low, high) degrees; `low` above `high` wraps around red."""
    return (hue >= low) & (hue < high) if low <= high else (hue >= low) | (hue < high)


def shrink(image: ImageArray, longest: int) -> ImageArray:
    """Return the image with its longer side at most `longest` pixels."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def blobs(mask: NDArray[np.bool_], *, min_area: int) -> list[Blob]:
    """Return the connected regions of at least `min_area` pixels."""
    count, names, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found: list[Blob] = []
    for name in range(1, count):
        left, top, width, height, area = (int(v) for v in stats[name])
        if area >= min_area:
            pixels = names[top : top + height, left : left + width] == name
            found.append(Blob(left=left, top=top, width=width, height=height, area=area, pixels=pixels))
    return found
