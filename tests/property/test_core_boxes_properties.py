"""Boxes: both forms name the same pixels, anything else is refused with its remedy; overlap is a share."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.core.boxes import inside, iou, iou_matrix, read_boxes

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


boxes = st.tuples(numbers, numbers, st.floats(0, 3), st.floats(0, 3)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(a=boxes, b=boxes)
def test_overlap_is_a_share_and_does_not_ask_who_is_first(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> None:
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, b) == pytest.approx(iou(b, a))


@given(a=boxes, dx=numbers, dy=numbers)
def test_a_box_overlaps_itself_wholly(a: tuple[float, float, float, float], dx: float, dy: float) -> None:
    if min(a[2] - a[0], a[3] - a[1]) < 1e-3:
        return
    assert iou(a, a) == pytest.approx(1)
    moved = (a[0] + dx, a[1] + dy, a[2] + dx, a[3] + dy)
    assert iou(a, moved) == pytest.approx(iou(moved, a))


@given(some=st.lists(boxes, max_size=4), others=st.lists(boxes, max_size=4))
def test_the_matrix_holds_every_pair(
    some: list[tuple[float, float, float, float]], others: list[tuple[float, float, float, float]]
) -> None:
    matrix = iou_matrix(some, others)
    assert matrix.shape == (len(some), len(others))
    for i, a in enumerate(some):
        for j, b in enumerate(others):
            assert matrix[i, j] == pytest.approx(iou(a, b))


def test_a_box_that_is_no_number_overlaps_nothing() -> None:
    assert iou((float("nan"),) * 4, (0, 0, 1, 1)) == 0
    assert iou((0, 0, 1, 1), (0.5, 0, 1.5, 1)) == pytest.approx(1 / 3)


@given(box=st.tuples(*[st.floats(-500, 500)] * 4), width=st.integers(1, 200), height=st.integers(1, 200))
def test_what_is_inside_lies_in_the_picture_and_in_the_box(
    box: tuple[float, float, float, float], width: int, height: int
) -> None:
    part = inside(box, width=width, height=height)
    there = box[0] < min(box[2], width) and box[2] > 0 and box[1] < min(box[3], height) and box[3] > 0
    assert (part is not None) == there
    if part:
        assert 0 <= part[0] < part[2] <= width and 0 <= part[1] < part[3] <= height
        assert box[0] <= part[0] and box[1] <= part[1] and part[2] <= box[2] and part[3] <= box[3]
        assert inside(part, width=width, height=height) == part
