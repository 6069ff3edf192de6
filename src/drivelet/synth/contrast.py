"""How well an object stands out in the picture: what fog, night and glare leave of it."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from drivelet.core.artifacts import ImageArray

AROUND_PX = 3


def with_contrast(measured: Mapping[str, Mapping[str, Any]], image: ImageArray) -> dict[str, dict[str, Any]]:
    """Return the renderer's measures with the `contrast` of every object that has a box, in levels of 255.

    It is the larger of two, over the colour channels of the picture smoothed by 3x3 pixels: the difference of the means
    within the box and up to 3 pixels around it, and the standard deviation within the box (a sign's digits).
    """
    smooth = cv2.blur(image, (3, 3)).astype(np.float32)
    return {
        key: {**found, "contrast": round(contrast(smooth, found["box"]), 1)} if found.get("box") else dict(found)
        for key, found in measured.items()
    }


def contrast(image: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """Return the contrast of a box (x0, y0, x1, y1) in a picture (H, W, 3) that is smoothed already."""
    x0, y0, x1, y1 = box
    inside = image[y0:y1, x0:x1].reshape(-1, 3)
    wide = image[max(y0 - AROUND_PX, 0) : y1 + AROUND_PX, max(x0 - AROUND_PX, 0) : x1 + AROUND_PX].reshape(-1, 3)
    spread = float(inside.std(axis=0).max())
    if len(wide) == len(inside):  # it fills the picture
        return spread
    around = (wide.sum(axis=0) - inside.sum(axis=0)) / (len(wide) - len(inside))
    return max(spread, float(np.abs(inside.mean(axis=0) - around).max()))
