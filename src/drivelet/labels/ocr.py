"""Speed-sign digits by text recognition."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import cv2
import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.labels.signs import cut, find_signs

FIELD = "speed_limit.posted"
VALUES = frozenset(str(value) for value in range(5, 145, 5))
CROP_SIDE = 300
"""An image whose longer side is below this is taken for the sign's crop, a larger one for a whole frame."""
TILE = 192
LOOK_ALIKES = str.maketrans({"O": "0", "o": "0", "Q": "0", "D": "0", "I": "1", "l": "1", "|": "1", "S": "5", "B": "8"})
SURE_NONE = 0.6
"""Reading nothing says little: far or blurred signs go unread. Calibration raises it where gold allows."""


class Line(Protocol):
    """A line of text as a reader returns it."""

    @property
    def text(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def box(self) -> tuple[float, float, float, float]: ...


class Reader(Protocol):
    """What the labeler needs of a text reader."""

    def read(self, image: ImageArray) -> Sequence[Line]:
        """Find and read the lines of text of an RGB image."""
        ...

    def read_line(self, image: ImageArray) -> Line | None:
        """Read an RGB image that is one line of text."""
        ...


def speed_value(text: str) -> str | None:
    """Return the speed that a line of text shows, None where it shows none.

    A line that is digits alone may contain letters that look like digits; in other lines the number stands by itself.
    A hundred-odd number that ends in 5 is posted nowhere: its 1 is the sign's rim or pole.
    """
    text = text.strip()
    bare = re.sub(r"[^0-9A-Za-z|]", "", text)
    if 2 <= len(bare) <= 3 and any(c.isdigit() for c in bare):
        bare = bare.translate(LOOK_ALIKES)
        if bare.isdecimal():
            bare = bare[1:] if re.fullmatch(r"1\d5", bare) else bare
            return bare if bare in VALUES else None
    numbers = [number for number in re.findall(r"(?<!\d)\d{2,3}(?!\d)", text) if number in VALUES]
    return numbers[0] if len(numbers) == 1 and re.search(r"LIMIT|SPEED|MPH|KM", text.upper()) else None


class OcrLabeler:
    """Reads the speed off signs: in a crop directly, in a frame on sign-like regions first, then on the whole frame.

    Args:
        reader: the text reader.
        choices: the field's choices.
        whole_frame: also read the whole frame where no sign-like region bears a speed.
    """

    name = "ocr"
    family = "ocr"
    fields = (FIELD,)

    def __init__(self, reader: Reader, choices: Sequence[str], *, whole_frame: bool = True) -> None:
        self._reader = reader
        self._choices = tuple(choices)
        self._whole_frame = whole_frame

    def label(self, image: ImageArray) -> Mapping[str, Mapping[str, float]]:
        """Return probabilities of the posted speed; it abstains on a crop in which it reads nothing."""
        crop = max(image.shape[:2]) < CROP_SIDE and image.shape[1] < 1.3 * image.shape[0]
        weights = self._read_crop(image) if crop else self._read_frame(image)
        if not weights and crop:
            return {}
        return {FIELD: self._distribution(weights)}

    def _read_crop(self, image: ImageArray) -> dict[str, float]:
        whole = cut(image, (0, 0, image.shape[1], image.shape[0]), margin=0, side=256)
        # The detector misses text that touches the border.
        framed = cv2.copyMakeBorder(whole, 48, 48, 48, 48, cv2.BORDER_REPLICATE)
        weights = _weights(self._reader.read(np.asarray(framed, np.uint8)))
        if max(weights.values(), default=0.0) >= 0.95:
            return weights
        # Digits fill the inner part of a round sign; without its ring they are one line.
        height, width = image.shape[:2]
        for left, top in ((0.14, 0.28), (0.2, 0.32)):
            box = (round(left * width), round(top * height), round((1 - left) * width), round((1 - top) * height))
            line = self._reader.read_line(cut(image, box, margin=0, side=160))
            value = speed_value(line.text) if line else None
            if line and value in self._choices:
                weights[value] = weights.get(value, 0.0) + 0.7 * line.score
        return weights

    def _read_frame(self, image: ImageArray) -> dict[str, float]:
        regions = find_signs(image)
        if regions:
            tiles = [cut(image, region.box, margin=0.2, side=TILE) for region in regions]
            weights = _weights(self._reader.read(mosaic(tiles)))
            if max(weights.values(), default=0.0) >= 0.9 or (weights and not self._whole_frame):
                return weights
        return _weights(self._reader.read(enlarged(image))) if self._whole_frame else {}

    def _distribution(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Spread 1 - p evenly over what was not read, p = the read share; nothing read speaks for no sign."""
        known = {value: weight for value, weight in weights.items() if value in self._choices}
        if not known:
            known = {"none": SURE_NONE}
        total = sum(known.values())
        sure = min(0.97, max(known.values()))
        rest = (1 - sure) / len(self._choices)
        return {choice: sure * known.get(choice, 0.0) / total + rest for choice in self._choices}


def _weights(lines: Sequence[Line]) -> dict[str, float]:
    """Return speed -> weight: the line's score, lowered for small print beside larger digits."""
    tallest = max((line.box[3] - line.box[1] for line in lines), default=1.0)
    weights: dict[str, float] = {}
    for line in lines:
        value = speed_value(line.text)
        if value:
            size = min(1.0, 1.5 * (line.box[3] - line.box[1]) / max(tallest, 1.0))
            weights[value] = max(weights.get(value, 0.0), line.score * size)
    return weights


def enlarged(image: ImageArray) -> ImageArray:
    """Return a frame scaled so that small print can be found: shorter side 736 px where the longer stays below 1000."""
    height, width = image.shape[:2]
    scale = min(736 / min(height, width), 1000 / max(height, width))
    if scale <= 1:
        return image
    size = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def mosaic(tiles: Sequence[ImageArray]) -> ImageArray:
    """Return the tiles side by side on grey, three a row, so that one pass reads them all."""
    columns = min(3, len(tiles))
    rows = -(-len(tiles) // columns)
    gap = 16
    canvas = np.full((rows * (TILE + gap) + gap, columns * (TILE + gap) + gap, 3), 128, np.uint8)
    for number, tile in enumerate(tiles):
        top = gap + number // columns * (TILE + gap)
        left = gap + number % columns * (TILE + gap)
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas
