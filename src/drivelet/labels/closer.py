"""A labeler that takes a closer look: at the part of a frame where far things of its fields are."""

from collections.abc import Mapping

import cv2
import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.core.ports import Labeler

AHEAD = (0.22, 0.1, 0.78, 0.66)
"""Left, top, right, bottom as shares of the frame: the road ahead from the horizon up, where far lights hang."""


class CloserLabeler:
    """Shows a labeler one part of each frame, enlarged to the frame's size; its votes count as those of its family.

    Only for fields whose objects lie in that part: what is cut off counts as absent.

    Args:
        labeler: who looks.
        part: left, top, right, bottom as shares of width and height.
        name: what its votes are filed under; `<labeler>, closer` otherwise.
    """

    def __init__(self, labeler: Labeler, *, part: tuple[float, float, float, float] = AHEAD, name: str = "") -> None:
        self._labeler, self._part = labeler, part
        self.name = name or f"{labeler.name}, closer"
        self.family = labeler.family
        self.fields = labeler.fields

    def label(self, image: ImageArray) -> Mapping[str, Mapping[str, float]]:
        """Return the labeler's probabilities on the enlarged part of an RGB image (H, W, 3)."""
        return self._labeler.label(enlarged_part(image, self._part))


def enlarged_part(image: ImageArray, part: tuple[float, float, float, float]) -> ImageArray:
    """Return a part of an image, given in shares of its size, scaled to the size of the whole."""
    height, width = image.shape[:2]
    left, right = (round(share * width) for share in (part[0], part[2]))
    top, bottom = (round(share * height) for share in (part[1], part[3]))
    cut = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
