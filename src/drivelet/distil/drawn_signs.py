"""Speed signs drawn flat and pasted into training views: digits in far more looks than renders alone can show."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from drivelet.core.artifacts import ImageArray
from drivelet.core.rng import generator

VALUES = {"ring": tuple(range(10, 131, 10)), "plate": tuple(range(10, 81, 5))}
FACES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono-Bold.ttf", "cmss10.ttf")
GLYPH_PX = 96
SIDE_PX = 128
BANK = 2000


def draw_sign(rng: np.random.Generator, style: str) -> tuple[NDArray[np.float32], int]:
    """Return a sign that fills a square picture, RGBA in 0-1 of shape (128, 128, 4), and its value.

    `style` is `ring` (red ring: Vienna convention, sign C14) or `plate` (white with SPEED LIMIT: MUTCD R2-1).
    """
    value = int(rng.choice(VALUES[style]))
    face = str(rng.choice(FACES))
    return (_ring if style == "ring" else _plate)(rng, str(value), face), value


def _ring(rng: np.random.Generator, text: str, face: str) -> NDArray[np.float32]:
    canvas = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    centre, radius = (SIDE_PX // 2, SIDE_PX // 2), SIDE_PX // 2 - 1
    rim = rng.uniform(0.1, 0.19) * SIDE_PX
    red = (rng.uniform(0.6, 0.95), rng.uniform(0.0, 0.16), rng.uniform(0.0, 0.16))
    white = rng.uniform(0.75, 1.0)
    cv2.circle(canvas, centre, radius, (white, white, white, 1.0), -1, cv2.LINE_AA)
    edge = int(rng.integers(0, 4))
    cv2.circle(canvas, centre, int(radius - edge - rim / 2), (*red, 1.0), int(rim), cv2.LINE_AA)
    wide = {1: 0.26, 2: 0.54, 3: 0.66}[len(text)] * rng.uniform(0.85, 1.08)
    high = (0.40 if len(text) == 3 else 0.46) * rng.uniform(0.88, 1.08)
    _write(canvas, text, face, (0.5, 0.5), (wide, high), ink=rng.uniform(0.0, 0.2))
    return canvas


def _plate(rng: np.random.Generator, text: str, face: str) -> NDArray[np.float32]:
    canvas = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    half = int(rng.uniform(0.37, 0.43) * SIDE_PX)
    left, right, middle = SIDE_PX // 2 - half, SIDE_PX // 2 + half, 0.5
    white, ink = rng.uniform(0.75, 1.0), rng.uniform(0.0, 0.2)
    cv2.rectangle(canvas, (left, 1), (right, SIDE_PX - 2), (white, white, white, 1.0), -1)
    if rng.random() < 0.8:
        inset = int(rng.integers(3, 7))
        corners = (left + inset, 1 + inset), (right - inset, SIDE_PX - 2 - inset)
        cv2.rectangle(canvas, *corners, (ink, ink, ink, 1.0), int(rng.integers(2, 4)))
    wide = 2 * half / SIDE_PX
    for word, at in (("SPEED", 0.18), ("LIMIT", 0.34)):
        _write(canvas, word, face, (middle, at), (0.68 * wide, 0.115), ink=ink)
    size = (wide * 0.7 * rng.uniform(0.88, 1.08), 0.43 * rng.uniform(0.88, 1.08))
    _write(canvas, text, face, (middle, 0.67), size, ink=ink)
    return canvas


def _write(
    canvas: NDArray[np.float32], text: str, face: str, at: tuple[float, float], size: tuple[float, float], *, ink: float
) -> None:
    """Put black text of a given size (shares of the side) around a centre, in place."""
    wide, high = max(int(size[0] * SIDE_PX), 2), max(int(size[1] * SIDE_PX), 2)
    mask = cv2.resize(_glyphs(text, face), (wide, high), interpolation=cv2.INTER_AREA)[..., None]
    x, y = int(at[0] * SIDE_PX - wide / 2), int(at[1] * SIDE_PX - high / 2)
    spot = canvas[y : y + high, x : x + wide, :3]
    spot[:] = spot * (1 - mask) + ink * mask


@cache
def _glyphs(text: str, face: str) -> NDArray[np.float32]:
    """Return the text's ink as a mask that touches all four sides."""
    import matplotlib

    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / face), GLYPH_PX)
    sheet = Image.new("L", (GLYPH_PX * (len(text) + 1), GLYPH_PX * 2))
    ImageDraw.Draw(sheet).text((GLYPH_PX // 2, GLYPH_PX // 3), text, fill=255, font=font)
    box = sheet.getbbox()
    assert box is not None
    return np.asarray(sheet.crop(box)).astype(np.float32) / np.float32(255)


@cache
def bank(style: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return BANK drawn and slightly turned signs, RGBA with premultiplied alpha of shape (BANK, 64, 64, 4), and their
    values; the same in every process."""
    rng = generator(0, "drawn signs", style)
    pictures, values = [], []
    for _ in range(BANK):
        sign, value = draw_sign(rng, style)
        middle = (SIDE_PX / 2, SIDE_PX / 2)
        turn = cv2.getRotationMatrix2D(middle, rng.uniform(-4, 4), 1.0)
        turn[0] = turn[0] * (squeeze := rng.uniform(0.88, 1.0))
        turn[0, 2] += (1 - squeeze) * SIDE_PX / 2
        sign[..., :3] *= sign[..., 3:]
        turned = cv2.warpAffine(sign, turn, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR)
        pictures.append(cv2.resize(turned, (SIDE_PX // 2, SIDE_PX // 2), interpolation=cv2.INTER_AREA))
        values.append(value)
    return np.stack(pictures).astype(np.float32), np.array(values)


def paste(
    rng: np.random.Generator, image: ImageArray, style: str, *, corner: tuple[int, int], side: int
) -> tuple[int, tuple[int, int, int, int]]:
    """Put a sign of `style` into the image, in place, and return its value and its square's box.

    It is `side` pixels high, its square's left upper corner lies at `corner` (x, y), and it is as bright as the
    picture makes plausible. The square must lie inside the image.
    """
    pictures, values = bank(style)
    number = int(rng.integers(len(values)))
    small = cv2.resize(pictures[number], (side, side), interpolation=cv2.INTER_AREA)
    light = float(np.clip(image.max() / 255 * rng.uniform(0.7, 1.1), 0.3, 1.0))
    x, y = corner
    spot = image[y : y + side, x : x + side]
    spot[:] = np.clip(spot * (1 - small[..., 3:]) + 255 * light * small[..., :3], 0, 255)
    return int(values[number]), (x, y, x + side, y + side)
