"""What a training view says of the whole frame."""

import numpy as np
import pytest

import driving_scenes as drawn
from drivelet.core.rng import generator
from drivelet.distil.views import FULL_GRID, make_view


@pytest.mark.parametrize(("visibility_m", "step"), [(1000.0, 0), (150.0, 1), (80.0, 2), (30.0, 3)])
def test_the_frame_targets_are_what_a_recommended_speed_follows_from(visibility_m: float, step: int) -> None:
    scene = drawn.scene([])
    scene["setting"]["region"] = "us"
    scene["facts"] |= {"light": "dusk", "rain": True, "region_default": 55, "visibility_m": visibility_m}
    image = np.full((192, 320, 3), 90, np.uint8)
    view = make_view(generator(0, "view"), image, scene, drawn.gold([]), grid=FULL_GRID)
    assert view.frame == {"light": 1, "weather": 1, "region": 1, "default": 11, "visibility": step}
