"""What cleaning knows about an image: its pixels' hash, its perceptual hash, a thumbnail, a vector and its flaw.

The checks are those of cleanvision 0.3 (dark, light, blurry, low information, odd size and ratio), in our own lines:
that library wants all images in a folder or a data frame (and brings pandas), while ours come from videos one by one;
it calls a night frame with one lit lamp dark; and its odd sizes are relative to the other images, so that cleaning
twice would remove more than cleaning once.
"""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.images import read_image

HASH_BITS = 64
THUMBNAIL = 16


@dataclass(frozen=True, kw_only=True)
class LookConfig:
    """Thresholds under which an image is unfit, and within which two images are the same picture.

    Attributes:
        min_side: shorter side in pixels; `max_aspect` the longer side over it.
        min_bright: grey level (0..255) that the brightest hundredth of the pixels must reach: a night frame with one
            lit lamp passes, a lens cap does not.
        max_dark: grey level that the darkest hundredth must not exceed: a burnt-out picture has no shadow.
        min_contrast: standard deviation of grey levels.
        min_sharpness: variance of the Laplacian over the variance of the grey levels, at 160 px; fog passes.
        min_information: Shannon entropy of the grey levels in bits: a drawing of two flat tones has less than one.
        near_distance: Hamming distance of the 64-bit perceptual hashes.
        near_mean: mean difference of the 16x16 colour thumbnails (0..255).
        near_peak: largest difference of one thumbnail cell: a lamp that changed colour exceeds it.
        near_cosine: cosine of the embeddings, where images have them, from which on two are the same picture.
    """

    min_side: int = 8
    max_aspect: float = 8.0
    min_bright: float = 24.0
    max_dark: float = 225.0
    min_contrast: float = 3.0
    min_sharpness: float = 0.002
    min_information: float = 1.0
    near_distance: int = 6
    near_mean: float = 6.0
    near_peak: float = 32.0
    near_cosine: float = 0.999


@dataclass(frozen=True, kw_only=True)
class Look:
    """An image's fingerprints; `flaw` is empty or says why the image is unfit, `vector` is an embedding of length 1."""

    pixels: str = ""
    perceptual: int = 0
    thumbnail: NDArray[np.uint8]
    flaw: str = ""
    vector: NDArray[np.float32] | None = None


UNREADABLE = Look(thumbnail=np.zeros((THUMBNAIL, THUMBNAIL, 3), np.uint8), flaw="unreadable image")


def look_at(image: ImageArray, config: LookConfig) -> Look:
    """Return the fingerprints of one RGB image, shape (height, width, 3)."""
    digest = blake2b(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes(), digest_size=16).hexdigest()
    bits = imagehash.phash(Image.fromarray(image)).hash.ravel()
    perceptual = int.from_bytes(np.packbits(bits).tobytes(), "big")
    thumbnail = np.asarray(cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8)
    return Look(pixels=digest, perceptual=perceptual, thumbnail=thumbnail, flaw=_flaw(image, config))


def open_image(path: Path) -> ImageArray | None:
    """Return an image file as RGB, None where it does not decode."""
    try:
        return read_image(path)
    except InputError:
        return None


def look_at_file(path: Path, config: LookConfig) -> Look:
    """Return the fingerprints of an image file; a file that does not decode bears the flaw `unreadable image`."""
    image = open_image(path)
    return UNREADABLE if image is None else look_at(image, config)


def _flaw(image: ImageArray, config: LookConfig) -> str:
    short, long = sorted(image.shape[:2])
    if short < config.min_side:
        return "too small"
    if long > config.max_aspect * short:
        return "odd shape"
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    darkest, brightest = np.percentile(grey, [1, 99])
    if brightest < config.min_bright:
        return "too dark"
    if darkest > config.max_dark:
        return "too bright"
    return _featureless(grey, config)


def _featureless(grey: NDArray[np.uint8], config: LookConfig) -> str:
    scale = 160 / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    variance = float(np.var(small))
    if variance < config.min_contrast**2:
        return "no contrast"
    if entropy_bits(grey) < config.min_information:
        return "low information"
    return "blurred" if float(cv2.Laplacian(small, cv2.CV_64F).var()) / variance < config.min_sharpness else ""


def entropy_bits(grey: NDArray[np.uint8]) -> float:
    """Return the Shannon entropy of the histogram of grey levels, 0..8 bits."""
    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(-(shares * np.log2(shares)).sum())
