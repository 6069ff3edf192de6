"""What the camera of the world edition adds to a scene's record."""

from dataclasses import replace
from typing import Any

import pytest

from drivelet.synth.domain import world
from drivelet.synth.lens import lens
from worker_modules import worker_module

CAMERA = {"at": [0.0, 0.0, 1.4], "yaw": 1.5, "pitch": 2.0, "hfov": 48.0}
SKY: dict[str, Any] = {
    "noise": 0.008, "clouds": 0.4, "horizon": [0.6, 0.7, 0.8], "headlights": 300.0, "sun_azimuth": 10.0,
    "sun_elevation": 40.0,
}  # fmt: skip


def drawn(index: int, light: str = "day", weather: str = "clear", **changes: Any) -> dict[str, Any]:
    return lens(3, index, replace(world(), **changes), SKY, light, weather, CAMERA)


def test_it_depends_on_seed_and_index_alone() -> None:
    assert drawn(4) == drawn(4)
    assert drawn(4) != drawn(5)


def test_a_domain_without_glare_and_dirt_has_none() -> None:
    for index in range(40):
        found = drawn(index, glare=0.0, dirty_lens=0.0, jpeg=(100, 100))
        assert not found.keys() & {"glare", "dirt", "sun_azimuth"}
        assert found["jpeg"] == 100


@pytest.mark.parametrize(("light", "weather"), [("night", "clear"), ("day", "rain"), ("dusk", "fog")])
def test_no_sun_where_none_can_shine(light: str, weather: str) -> None:
    for index in range(20):
        assert not drawn(index, light, weather, glare=1.0).keys() & {"glare", "sun_glow"}


def test_glare_puts_the_sun_into_the_picture() -> None:
    spot = worker_module("blender_lens").sun_spot
    for index in range(30):
        found = drawn(index, glare=1.0)
        row, column = spot({**SKY, **found}, CAMERA, (192, 320, 3))
        assert 0 <= row < 96 and 0 <= column < 320, "in the upper half"


def test_dirt_has_a_seed_of_its_own_so_that_it_stays_on_the_glass() -> None:
    found = drawn(1, dirty_lens=1.0)
    assert 0 < found["dirt"] <= 1 and found["dirt_seed"] == drawn(1, dirty_lens=1.0)["dirt_seed"]
