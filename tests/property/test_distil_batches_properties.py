"""Batches of alike length: a partition in which every image is equally frequent and padding at most doubles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.distil.train import by_length


@given(lengths=st.lists(st.integers(1, 4000), min_size=1, max_size=60), images=st.integers(1, 16))
def test_parts_are_a_partition_with_little_padding(lengths: list[int], images: int) -> None:
    parts = by_length(lengths, images=images)
    assert sorted(index for part in parts for index in part.members) == list(range(len(lengths)))
    longest = max(lengths)
    for part in parts:
        shares = [longest / lengths[index] for index in part.members]
        power = part.images // images
        assert power in (1, 2, 4) and part.images == images * power
        assert min(shares) >= power and (power == 4 or max(shares) < 2 * power)


def test_every_image_is_drawn_equally_often() -> None:
    parts = by_length([300] * 24 + [100] * 48 + [40] * 96, images=12)
    steps = [len(part.members) / part.images for part in parts]
    assert [part.images for part in parts] == [12, 24, 48] and steps == pytest.approx([2, 2, 2])
