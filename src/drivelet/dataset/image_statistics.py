"""Plain statistics of an image: what a person would name when two sets of pictures look different."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.dataset.looks import entropy_bits

BLOCK = 8
"""Side of a JPEG block in pixels."""
SIDE = 160
"""Longer side in pixels at which sharpness and edges are measured, so that size alone separates nothing."""
NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
STATISTICS = (
    "brightness", "contrast", "saturation", "colourfulness", "colour temperature", "shadows", "highlights",
    "sharpness", "edge density", "noise", "JPEG blockiness", "information",
)  # fmt: skip

Floats = NDArray[np.float64]


def image_statistics(image: ImageArray) -> Floats:
    """Return the `STATISTICS` of an RGB image, shape (12,).

    Brightness and contrast are mean and deviation of grey (0..1), saturation that of HSV, colourfulness that of
    Hasler and Suesstrunk 2003, colour temperature log2 of blue over red (up is colder), shadows and highlights the
    shares below 0.06 and above 0.94, sharpness log10 of the Laplacian's variance, edge density the share of Canny
    edges, noise Immerkaer's estimate (1996) in grey levels, JPEG blockiness how much steeper grey steps are across the
    8-pixel grid than inside it, information the entropy of grey in bits. Noise and blockiness are those of the pixels
    as they are, the other local ones those at 160 px. Size and shape are left out: they always tell two sources apart.
    """
    grey: Any = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    levels = grey.astype(np.float32) / 255
    hsv: Any = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    scale = SIDE / max(grey.shape)
    small: Any = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.array(
        [
            levels.mean(),
            levels.std(),
            hsv[..., 1].mean() / 255,
            _colourfulness(image),
            np.log2((image[..., 2].mean() + 1.0) / (image[..., 0].mean() + 1.0)),
            (levels < 0.06).mean(),
            (levels > 0.94).mean(),
            np.log10(cv2.Laplacian(small, cv2.CV_64F).var() + 1e-3),
            (cv2.Canny(small, 80, 160) > 0).mean(),
            _noise(grey),
            _blockiness(grey),
            entropy_bits(grey),
        ],
        np.float64,
    )


def _colourfulness(image: ImageArray) -> float:
    red, green, blue = np.moveaxis(image.astype(np.float32), -1, 0)
    a, b = red - green, (red + green) / 2 - blue
    return float(np.hypot(a.std(), b.std()) + 0.3 * np.hypot(a.mean(), b.mean()))


def _noise(grey: NDArray[np.uint8]) -> float:
    """Deviation of the noise in grey levels: what a mask that is blind to planes and edges leaves."""
    if min(grey.shape) < 3:
        return 0.0
    left = np.abs(cv2.filter2D(grey.astype(np.float32), -1, NOISE)[1:-1, 1:-1])
    return float(np.sqrt(np.pi / 2) * left.mean() / 6)


def _blockiness(grey: NDArray[np.uint8]) -> float:
    """log2 of the mean step across the lines of the block grid over that between other neighbours."""
    parts = [np.abs(np.diff(grey.astype(np.float32), axis=axis)).mean(axis=1 - axis) for axis in (0, 1)]
    on = np.concatenate([part[BLOCK - 1 :: BLOCK] for part in parts])
    off = np.concatenate([np.delete(part, np.s_[BLOCK - 1 :: BLOCK]) for part in parts])
    if not len(on) or not len(off):
        return 0.0
    return float(np.log2((on.mean() + 0.1) / (off.mean() + 0.1)))
