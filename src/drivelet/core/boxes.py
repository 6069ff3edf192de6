"""Boxes as a manifest writes them: pixels, or shares of the image in YOLO's order."""

import json
import math
from typing import Any, cast

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""
FORMS = "a JSON list of [x0, y0, x1, y1] in pixels or of [name, cx, cy, width, height] in shares of the image"


def read_boxes(text: str, *, width: int, height: int) -> list[Box]:
    """Return the boxes of a manifest's cell in pixels of an image of this size.

    Raises:
        ValueError: the cell has none of the two forms.
    """
    try:
        listed: Any = json.loads(text) if text else []
    except json.JSONDecodeError as error:
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
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
