"""Cheap image statistics that tell the router what a frame may hold: a few milliseconds at 320 px."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray

WIDTH = 320
SIGNALS = ("brightness", "contrast", "lamp", "orange", "ring", "plate", "bars")

Mask = NDArray[np.uint8]


def image_signals(image: ImageArray) -> dict[str, float]:
    """Return statistics of an RGB image, shape (height, width, 3).

    `brightness`: mean grey level (0..255). `contrast`: standard deviation of grey levels in the middle band of rows,
    which fog flattens. `lamp`: the largest bright saturated red, amber or green blob. `orange`: all orange. `ring`: the
    best round red outline. `plate`: the largest bright upright box. `bars`: wide white bars on the lower half. These
    five are areas in 1/1000 of the image, so a larger value means likelier presence.
    """
    scale = min(1.0, WIDTH / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    hue, saturation, value = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2HSV))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    height = small.shape[0]
    red = _mask(((hue <= 8) | (hue >= 170)) & (saturation > 110) & (value > 70))
    amber = _mask((hue >= 12) & (hue <= 32) & (saturation > 110) & (value > 150))
    green = _mask((hue >= 42) & (hue <= 95) & (saturation > 90) & (value > 110))
    orange = _mask((hue >= 3) & (hue <= 20) & (saturation > 120) & (value > 70))
    white = _mask((saturation < 60) & (grey > max(120.0, float(grey.mean()) + 20)))
    bars = white.copy()
    bars[: height // 2] = 0
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey[height // 4 : 3 * height // 4].std()),
        "lamp": max(_largest(mask) for mask in (red, amber, green)),
        "orange": 1000.0 * float(np.count_nonzero(orange)) / orange.size,
        "ring": _best_ring(red),
        "plate": _best_plate(white),
        "bars": _widest_bars(bars),
    }


def _mask(pixels: NDArray[np.bool_]) -> Mask:
    return pixels.astype(np.uint8)


def _largest(mask: Mask) -> float:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    return 1000.0 * float(stats[1:, cv2.CC_STAT_AREA].max()) / mask.size if count > 1 else 0.0


def _contours(mask: Mask) -> list[NDArray[np.int32]]:
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(contour, np.int32) for contour in found]


def _best_ring(red: Mask) -> float:
    """Area (1/1000) times roundness of the roundest large red outline (4 pi area / perimeter squared)."""
    best = 0.0
    for contour in _contours(red):
        area, perimeter = cv2.contourArea(contour), cv2.arcLength(contour, True)
        if area >= 12 and perimeter > 0:
            best = max(best, 1000.0 * area / red.size * min(1.0, 4 * math.pi * area / perimeter**2))
    return best


def _best_plate(white: Mask) -> float:
    """Area (1/1000) of the largest bright region that fills its upright box as a sign does."""
    best = 0.0
    for contour in _contours(white):
        _, _, width, height = cv2.boundingRect(contour)
        if width >= 4 and 0.8 <= height / width <= 2.2 and cv2.contourArea(contour) >= 0.6 * width * height:
            best = max(best, 1000.0 * width * height / white.size)
    return best


def _widest_bars(bars: Mask) -> float:
    """Area (1/1000) of white pixels in wide, low regions: stop lines and crosswalk bars seen from the car."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(bars)
    wide = [s[cv2.CC_STAT_AREA] for s in stats[1:count] if s[cv2.CC_STAT_WIDTH] >= 3 * s[cv2.CC_STAT_HEIGHT]]
    return 1000.0 * float(sum(wide)) / bars.size
