"""Signs of three styles: what they say, whether it can be read, and what is no limit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivelet.synth.build import Builder
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.facts import facts
from drivelet.synth.props.plates import DISTRACTORS, SCHOOL, distractor, posted_sign
from drivelet.synth.roads.road import POSTED, Road
from drivelet.tasks import gold

LEAST_DIGIT_PX = 4
"""Height of a digit that can be read; a sign of 18 px must give more."""
SETTING = {
    "light": "day", "weather": "clear", "unit": "km/h", "region_default": 50, "visibility_m": 2000.0, "junction": None,
    "lane_width": 3.5, "speed_mps": 10.0,
}  # fmt: skip


def sign(
    region: str, plate: str, value: int, *, seed: int = 0, **changes: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The one object of a sign of height 1 m, and its parts."""
    config: DomainConfig = replace(world(), plates={plate: 1.0}, **changes)
    road = on(region)
    b = Builder(rng=np.random.default_rng(seed), road=road)
    posted_sign(b, config, road, value, (5.0, 20.0, 1.0), 0.0)
    assert len(b.objects) == 1
    return b.objects[0], [part for part in b.parts if part["index"] == 1]


def on(region: str) -> Road:
    return Road(
        lanes=1, lane=0, lane_width=3.4, region=region, area="urban", camera_z=1.4, focal_px=340, kind="straight"
    )


@pytest.mark.parametrize("region", ["eu", "us", "cn"])
def test_every_value_of_a_region_is_on_its_sign_and_large_enough(region: str) -> None:
    for value in POSTED[region]:
        item, parts = sign(region, "limit", value)
        assert (item["kind"], item["value"]) == ("speed_sign", value)
        assert item["unit"] == ("mph" if region == "us" else "km/h")
        digits = [part for part in parts if part["asset"] == f"text_{value}"]
        assert len(digits) == 1
        assert digits[0]["scale"][2] * 18 > LEAST_DIGIT_PX


def test_chinese_digits_are_larger_than_european_ones() -> None:
    heights = {}
    for region in ("eu", "cn"):
        _, parts = sign(region, "limit", 60)
        heights[region] = next(part["scale"][2] for part in parts if part["asset"] == "text_60")
    assert heights["cn"] > 1.1 * heights["eu"]


@pytest.mark.parametrize("region", ["eu", "us", "cn"])
def test_the_end_of_a_limit_is_no_limit(region: str) -> None:
    item, parts = sign(region, "end", 50)
    assert (item["kind"], item["value"]) == ("end_sign", 50)
    assert any(part["asset"] == "stripes" for part in parts)
    assert not any(part["asset"] == "ring" for part in parts), "nothing red"
    found = facts(SETTING, [{**item, "visible": True, "distance_m": 20.0}])
    assert found["posted"] is None
    assert gold({"facts": found})["speed_limit.posted"] == "none"


@pytest.mark.parametrize("region", ["eu", "us", "cn"])
def test_a_school_has_a_low_limit_and_a_work_zone_the_one_that_was_drawn(region: str) -> None:
    values = set()
    for seed in range(30):
        item, parts = sign(region, "school", 70, seed=seed)
        assert item["kind"] == "speed_sign" and item["value"] in SCHOOL[region]
        assert any(part["asset"] == f"text_{item['value']}" for part in parts)
        values.add(item["value"])
    assert values == set(SCHOOL[region])
    item, parts = sign(region, "work_zone", 40)
    assert (item["kind"], item["value"], item["plate"]) == ("speed_sign", 40, "work_zone")
    assert facts(SETTING, [{**item, "visible": True, "distance_m": 20.0}])["posted"] == 40
    orange = [part for part in parts if part["asset"] == "panel" and part["color"][0] > 0.7 and part["color"][2] < 0.05]
    assert orange, "the plate of a work zone is orange or amber"


def test_a_domain_may_mix_styles_while_the_unit_stays_the_regions() -> None:
    item, parts = sign("us", "limit", 30, sign_styles={"eu": 1.0})
    assert (item["style"], item["unit"]) == ("eu", "mph")
    assert any(part["asset"] == "ring" for part in parts)


def test_no_distractor_is_a_speed_sign_and_all_kinds_occur() -> None:
    names = set()
    for seed in range(120):
        b = Builder(rng=np.random.default_rng(seed), road=on("eu"))
        distractor(b, on("eu"), 20.0)
        assert [item["kind"] for item in b.objects] == ["other_sign"]
        names.add(b.objects[0]["name"])
    assert names == DISTRACTORS.keys()
