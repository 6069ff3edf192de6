"""Boxes: how far they overlap, and how a manifest writes them (pixels, or shares of the image in YOLO's order)."""

import json
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""
LARGEST = 1e9
"""No picture has as many pixels on a side; JSON knows numbers that no float holds."""
FORMS = "a JSON list of [x0, y0, x1, y1] in pixels or of [name, cx, cy, width, height] in shares of the image"


def read_boxes(text: str, *, width: int, height: int) -> list[Box]:
    """Return the boxes of a manifest's cell in pixels of an image of this size.

    Raises:
        ValueError: the cell has none of the two forms.
    """
    try:
        listed: Any = json.loads(text) if text else []
    except (ValueError, RecursionError) as error:
        raise ValueError(f"boxes are no JSON ({error}); expected {FORMS}") from error
    if not isinstance(listed, list):
        raise ValueError(f"boxes {text!r} are no list; expected {FORMS}")
    return [_box(item, width, height) for item in cast("list[Any]", listed)]


def _box(item: Any, width: int, height: int) -> Box:
    parts = list(cast("list[Any]", item)) if isinstance(item, list) else []
    named = len(parts) == 5 and isinstance(parts[0], str)
    numbers = parts[1:] if named else parts
    if len(numbers) != 4 or not all(_is_finite(value) for value in numbers):
        raise ValueError(f"box {json.dumps(item)} is none; expected {FORMS}")
    a, b, c, d = (float(value) for value in numbers)
    if not named:
        return a, b, c, d
    return (a - c / 2) * width, (b - d / 2) * height, (a + c / 2) * width, (b + d / 2) * height


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def inside(box: Box, *, width: int, height: int) -> Box | None:
    """Return the part of a box that lies in an image of this size, None where that is nothing."""
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def iou_matrix(boxes_N4: ArrayLike, boxes_M4: ArrayLike) -> NDArray[np.float64]:
    """Return intersection over union of every pair of boxes (N, M); 0 where one is empty or not a number."""
    a_N4, b_M4 = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (boxes_N4, boxes_M4))
    low_NM2 = np.maximum(a_N4[:, None, :2], b_M4[None, :, :2])
    high_NM2 = np.minimum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    common_NM = _area(high_NM2 - low_NM2)
    union_NM = _area(a_N4[:, 2:] - a_N4[:, :2])[:, None] + _area(b_M4[:, 2:] - b_M4[:, :2])[None] - common_NM
    return np.divide(common_NM, union_NM, out=np.zeros_like(common_NM), where=union_NM > 0)


def iou(a: Box, b: Box) -> float:
    """Return intersection over union of two boxes (0..1)."""
    return float(iou_matrix([a], [b])[0, 0])


def _area(sides_X2: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.prod(np.fmax(sides_X2, 0.0), axis=-1)
