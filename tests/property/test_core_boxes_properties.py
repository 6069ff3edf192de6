"""Boxes: both forms name the same pixels, and anything else is refused with its remedy."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.core.boxes import read_boxes

numbers = st.floats(-2, 2, allow_nan=False)


@given(
    boxes=st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=4),
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
)
def test_shares_and_pixels_name_the_same_box(
    boxes: list[tuple[float, float, float, float]], width: int, height: int
) -> None:
    pixels = [(x0 * width, y0 * height, x1 * width, y1 * height) for x0, y0, x1, y1 in boxes]
    shares = [["sign", (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes]
    assert read_boxes(json.dumps(pixels), width=width, height=height) == pixels
    for found, expected in zip(read_boxes(json.dumps(shares), width=width, height=height), pixels, strict=True):
        assert found == pytest.approx(expected, abs=1e-6 * max(width, height))


@given(item=st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=6))
def test_other_forms_are_refused(item: Any) -> None:
    if isinstance(item, list) and len(item) in (4, 5):
        return
    with pytest.raises(ValueError, match="expected a JSON list"):
        read_boxes(json.dumps([item]), width=10, height=10)


@pytest.mark.parametrize(
    "text", ["[[0, 1, 2", "3", "[[0, 1, 2, NaN]]", "[[true, 1, 2, 3]]", '[["sign", 0.5, 0.5, 0.1]]']
)
def test_broken_cells_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a JSON list"):
        read_boxes(text, width=10, height=10)
    assert read_boxes("", width=10, height=10) == []
