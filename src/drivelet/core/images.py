"""Reading images as RGB arrays: upright, 8 bits a channel, of listed formats, bounded before they are unpacked.

Everything that opens a picture comes through here, so that its size, its boxes and its pixels agree everywhere.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError

T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "PPM", "TIFF", "AVIF")
"""What Pillow may open, whatever a file is called: decoders that run other programs or old code are not among them."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".avif")
DAMAGED = (
    UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, SyntaxError,
    ValueError, EOFError, LookupError, TypeError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged bytes, and on more pixels than `Image.MAX_IMAGE_PIXELS` (89 million)."""
COMMON = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
"""Formats that every trainer opens."""
ORIENTATION = 0x0112
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: np.rot90(image),
}
"""EXIF orientation -> how the stored rows and columns are turned to what a viewer shows; 1 is upright."""
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
TONE_CURVE = (
    "pictures of 16 bits are shown by value / 257 where they use the whole range, "
    "else by the range of each (its 0.1 to 99.9 percentile)"
)
FULL_RANGE = 1 << 15
"""A picture whose bright end needs the uppermost bit uses the whole range of 16."""

# A small file may promise more pixels than memory holds: Pillow warns between one and two times its limit only.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# It speaks of damaged EXIF without a file's name; the picture is whole.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")


def read_image(path: Path | str) -> ImageArray:
    """Read an image file as RGB as a viewer shows it, shape (height, width, 3).

    Its EXIF orientation is applied; more than 8 bits a channel are brought to 8 by `to_8_bit`.

    Raises:
        InputError: the file is missing, truncated, of another format, or has too many pixels.
    """
    return _read(path, _rgb)


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (width, height) of what `read_image` gives, mostly without decoding.

    Raises:
        InputError: as `read_image`, but for damage behind the file's head.
    """
    return _read(path, _size)


def decode_image(data: bytes) -> ImageArray:
    """Decode an image's bytes as `read_image` does.

    Raises:
        DAMAGED: the bytes are no such image.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return _rgb(image)


def is_deep(path: Path | str) -> bool:
    """Return whether an image file holds more than 8 bits a channel; one that cannot be opened does not."""
    try:
        return _read(path, lambda image: image.mode in DEEP or _is_deep_colour(image))
    except InputError:
        return False


def is_plain(path: Path | str) -> bool:
    """Return whether any other reader of this file sees what `read_image` gives: upright, 8 bits, a common format.

    Raises:
        InputError: as `image_size`.
    """
    return _read(
        path,
        lambda image: (
            image.format in COMMON
            and image.mode not in DEEP
            and not _is_deep_colour(image)
            and _orientation(image) == 1
        ),
    )


def grey_like(image: ImageArray) -> ImageArray:
    """Return the blind control's image: the same size, all mid-grey."""
    return np.full_like(image, 128)


def to_8_bit(values: NDArray[Any]) -> ImageArray:
    """Return values of a wider range as 8 bits by one rising line, the same for the same picture.

    Value / 257 where the 16 bits are in use whole, or hold an 8-bit picture (every value a multiple of 257); else from
    the 0.1 to the 99.9 percentile of this picture, as thermal and 10 to 14-bit cameras need. What is no number is 0.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(values.shape, np.uint8)
    low, high = (float(value) for value in np.percentile(values[known], (0.1, 99.9)))
    in_16 = np.issubdtype(values.dtype, np.integer) and values.min() >= 0 and values.max() < 1 << 16
    if in_16 and (high >= FULL_RANGE or not (values % 257).any()):
        low, high = 0.0, 65535.0
    shares = (np.where(known, values, low).astype(np.float64) - low) / (high - low or 1.0)
    return np.rint(np.clip(shares, 0.0, 1.0) * 255.0).astype(np.uint8)


def _read(path: Path | str, what: Callable[[Image.Image], T]) -> T:
    try:
        if not Path(path).exists():
            raise InputError(f"{path}: no such image; correct the path")
        if not Path(path).is_file():
            raise InputError(f"{path}: no image file (a folder, pipe or device); correct the path")
        with Image.open(path, formats=FORMATS) as image:
            return what(image)
    except DAMAGED as error:
        reason = "not of " + ", ".join(FORMATS) if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"{path}: no readable image ({reason}); replace or remove the file") from error


def _rgb(image: Image.Image) -> ImageArray:
    if image.mode in DEEP:
        stored = np.repeat(to_8_bit(np.asarray(image))[..., None], 3, axis=-1)
    elif _is_deep_colour(image):
        stored = _deep_colour(image)
    else:
        stored = np.asarray(image.convert("RGB"))
    orientation = _orientation(image)
    return np.ascontiguousarray(UPRIGHT[orientation](stored)) if orientation in UPRIGHT else stored


def _size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _orientation(image: Image.Image) -> int:
    """Pillow turns TIFFs by itself; damaged EXIF says nothing, and takes no picture away."""
    if image.format == "TIFF" or (image.format == "PNG" and not _may_be_turned(image)):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except (*DAMAGED, UserWarning):
        return 1
    return found if found in UPRIGHT else 1


def _may_be_turned(image: Image.Image) -> bool:
    """A PNG's EXIF may stand behind its pixels, where Pillow would unpack these to find it."""
    data = _bytes(image)
    return not data or any(mark in data for mark in (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type"))


def _bytes(image: Image.Image) -> bytes:
    """Return the file of an image that is not unpacked yet, else nothing."""
    stream: Any = getattr(image, "fp", None)
    if stream is None:
        return b""
    place = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(place)
    return data


def _is_deep_colour(image: Image.Image) -> bool:
    """Pillow has no colour of 16 bits: it keeps the upper 8, which are all black in a picture of 10 or 12."""
    return image.mode in ("RGB", "RGBA", "LA") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _deep_colour(image: Image.Image) -> ImageArray:
    data = np.frombuffer(_bytes(image), np.uint8)
    turned = image.format == "TIFF" and image.getexif().get(ORIENTATION, 1) != 1
    # Pillow checks the bytes to the end, which OpenCV does not.
    upper = np.asarray(image.convert("RGB"))
    values = None if turned else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.shape[:2] != upper.shape[:2] or values.dtype != np.uint16 or values.ndim != 3:
        return upper
    return to_8_bit(values[..., 2::-1])
