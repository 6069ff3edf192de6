"""Reading images as RGB arrays."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError

DAMAGED = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError, LookupError,
    TypeError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged bytes."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm")


def read_image(path: Path | str) -> ImageArray:
    """Read an image file as RGB, shape (height, width, 3).

    Raises:
        InputError: the file is missing, truncated, or no image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image; correct the path") from error
    except DAMAGED as error:
        raise InputError(f"{path}: no readable image ({error}); replace or remove the file") from error


def grey_like(image: ImageArray) -> ImageArray:
    """Return the blind control's image: the same size, all mid-grey."""
    return np.full_like(image, 128)
