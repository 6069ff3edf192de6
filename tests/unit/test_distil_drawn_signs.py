"""Drawn speed signs: their ink, their place, and that they repeat."""

import numpy as np
import pytest

from drivelet.distil.drawn_signs import SIDE_PX, VALUES, bank, draw_sign, paste


@pytest.mark.parametrize("style", sorted(VALUES))
def test_a_sign_repeats_and_has_white_ground_and_dark_digits(style: str) -> None:
    for seed in range(20):
        sign, value = draw_sign(np.random.default_rng(seed), style)
        again, same = draw_sign(np.random.default_rng(seed), style)
        assert value == same and value in VALUES[style] and np.array_equal(sign, again)
        inside = sign[SIDE_PX // 4 : 3 * SIDE_PX // 4, SIDE_PX // 4 : 3 * SIDE_PX // 4]
        assert inside[..., 3].min() == 1 and inside[..., 0].min() < 0.3 and inside[..., 0].max() > 0.7


def test_only_a_ring_is_red() -> None:
    for style, red in (("ring", True), ("plate", False)):
        sign, _ = draw_sign(np.random.default_rng(1), style)
        assert bool(((sign[..., 0] - sign[..., 1]) > 0.4).any()) == red


def test_every_value_has_its_own_digits() -> None:
    rng = np.random.default_rng(0)
    seen: dict[int, np.ndarray] = {}
    while len(seen) < len(VALUES["ring"]):
        sign, value = draw_sign(rng, "ring")
        seen.setdefault(value, sign[..., 1] < 0.3)
    masks = list(seen.values())
    assert all((a != b).any() for i, a in enumerate(masks) for b in masks[:i])


@pytest.mark.parametrize("side", [14, 40])
def test_a_pasted_sign_changes_its_square_alone(side: int) -> None:
    image = np.full((112, 168, 3), 90, np.uint8)
    before = image.copy()
    value, box = paste(np.random.default_rng(5), image, "plate", corner=(70, 30), side=side)
    changed_y, changed_x = np.nonzero((image != before).any(-1))
    assert value in VALUES["plate"] and box == (70, 30, 70 + side, 30 + side)
    assert changed_x.min() >= 70 and changed_x.max() < 70 + side and changed_y.min() >= 30
    assert changed_y.max() < 30 + side and changed_y.max() - changed_y.min() > 0.7 * side


def test_the_bank_holds_every_value_and_premultiplied_colours() -> None:
    for style, values in VALUES.items():
        pictures, known = bank(style)
        assert set(known.tolist()) == set(values) and pictures.shape == (len(known), SIDE_PX // 2, SIDE_PX // 2, 4)
        assert (pictures[..., :3] <= pictures[..., 3:] + 1e-4).all()
