"""Invariants of every scene of the world edition."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.synth.domain import town, world
from drivelet.synth.facts import finish
from drivelet.synth.longtail import RECIPES, sample_recipe
from drivelet.synth.narrate import describe_scene
from drivelet.synth.scene import CONE_RANGE, sample_scene

seeds, frames = st.integers(0, 2**31), st.integers(0, 10**6)
KINDS = tuple(world().roads)
BLANKS = 64
"""How many meshes of each kind the worker has to make for one scene."""
SOLID = ("cone", "drum", "channeliser", "car", "truck", "bus", "person", "cyclist")


@settings(max_examples=60, deadline=None)
@given(seed=seeds, index=frames)
def test_world_scenes_are_valid_data(seed: int, index: int) -> None:
    scene = sample_scene(seed, index, world())
    assert json.loads(json.dumps(scene)) == scene
    assert sample_scene(seed, index, world()) == scene
    ids = [item["id"] for item in scene["objects"]]
    assert ids == list(range(1, len(ids) + 1))
    assert {part["index"] for part in scene["parts"]} <= {0, *ids}
    assert all(0.0 <= channel <= 1.0 for part in scene["parts"] for channel in part["color"])
    assets = Counter(part["asset"] for part in scene["parts"])
    assert max(assets["sweep"], assets["patch"]) <= BLANKS
    assert all({"s", "d"} <= item.keys() for item in scene["objects"])


@settings(max_examples=40, deadline=None)
@given(seed=seeds, index=frames, kind=st.sampled_from(KINDS))
def test_nothing_stands_where_the_ego_is(seed: int, index: int, kind: str) -> None:
    scene = sample_scene(seed, index, replace(world(), roads={kind: 1.0}))
    ego = scene["setting"]["ego_x"]
    for item in scene["objects"]:
        if item["kind"] in SOLID:
            assert not (abs(item["d"] - ego) < 1.2 and -2.0 < item["s"] < 3.5), item


@settings(max_examples=40, deadline=None)
@given(seed=seeds, index=frames, name=st.sampled_from(list(CONE_RANGE)), closures=st.booleans())
def test_as_many_cones_stand_as_were_drawn(seed: int, index: int, name: str, closures: bool) -> None:
    scene = sample_scene(seed, index, replace(world(), cones={name: 1.0}, closures=float(closures)))
    low, high = CONE_RANGE[name]
    assert low <= sum(item["kind"] == "cone" for item in scene["objects"]) <= high


@settings(max_examples=60, deadline=None)
@given(seed=seeds, index=frames, kind=st.sampled_from(["straight", "cross", "highway", "ramp", "crest", "curve"]))
def test_a_closed_lane_is_closed(seed: int, index: int, kind: str) -> None:
    domain = replace(
        world(), roads={kind: 1.0}, lanes={"2": 1.0, "3": 1.0}, cones={"6-10": 1.0, ">10": 1.0}, closures=1.0
    )
    scene = sample_scene(seed, index, domain)
    setting = scene["setting"]
    for closure in setting["closures"]:
        lane, width = closure["lane"], setting["lane_width"]
        middle = setting["road"]["median"] / 2 + (lane + 0.5) * width
        assert 0 <= lane < setting["lanes"]
        assert 0 < closure["start_m"] < closure["end_m"]
        cones = [item for item in scene["objects"] if item["kind"] == "cone"]
        assert all(abs(item["d"] - middle) < width / 2 + 0.1 for item in cones), "cones stand in the closed lane"
        assert all(closure["start_m"] - 0.1 <= item["s"] <= closure["end_m"] + 0.1 for item in cones)
        last = [item for item in cones if item["s"] > closure["end_m"] - 0.1]
        side = 1 if closure["side"] == "right" else -1
        assert all(side * (middle - item["d"]) > 0.5 * width - 0.6 for item in last), "the line is at the open side"
        for item in scene["objects"]:
            if item["kind"] in ("car", "bus") and item.get("yaw") == 0.0:
                inside = abs(item["d"] - middle) < width / 2 - 0.9
                assert not (inside and closure["start_m"] < item["s"] < closure["end_m"]), "no car in a closed lane"
    if not setting["closures"]:
        assert not any(item["kind"] in ("drum", "channeliser", "barrier", "arrow_board") for item in scene["objects"])


@settings(max_examples=30, deadline=None)
@given(seed=seeds, index=frames, kind=st.sampled_from(KINDS))
def test_no_vehicle_stands_in_another_or_past_the_end_of_the_road(seed: int, index: int, kind: str) -> None:
    scene = sample_scene(seed, index, replace(world(), roads={kind: 1.0}, occluders=1.0))
    solid = [item for item in scene["objects"] if item["kind"] in ("car", "truck", "bus")]
    lengthwise = [item for item in solid if item["yaw"] in (0.0, 180.0)]
    for k, one in enumerate(lengthwise):
        for other in lengthwise[k + 1 :]:
            assert abs(one["d"] - other["d"]) > 1.5 or abs(one["s"] - other["s"]) > 3.6, (one, other)


def seen(scene: dict[str, Any]) -> dict[str, Any]:
    whole = {"pixels": 400, "box": [10, 10, 30, 30], "amodal": [10.0, 10.0, 30.0, 30.0], "area": 400.0}
    return finish(scene, {str(item["id"]): whole for item in scene["objects"]})


@settings(max_examples=40, deadline=None)
@given(seed=seeds, index=frames)
def test_a_description_is_two_plain_sentences(seed: int, index: int) -> None:
    scene = sample_scene(seed, index, world())
    text = describe_scene(seen(scene))
    assert text == describe_scene(seen(scene))
    assert text[0].isupper()
    assert text.endswith(".")
    assert 1 <= text.count(". ") <= 2
    assert "{" not in text
    assert "  " not in text


@pytest.mark.parametrize("name", RECIPES)
@settings(max_examples=3, deadline=None)
@given(seed=seeds, index=frames)
def test_a_recipe_draws_what_it_accepts(name: str, seed: int, index: int) -> None:
    scene = sample_recipe(seed, index, name)
    assert scene == sample_recipe(seed, index, name)
    assert RECIPES[name].accept(scene)
    assert scene["recipe"] == name
    assert scene["id"] == f"{name}-{seed}-{index}"


@settings(max_examples=40, deadline=None)
@given(seed=seeds, index=frames)
def test_a_town_is_a_clear_part_of_the_world(seed: int, index: int) -> None:
    scene = sample_scene(seed, index, town())
    setting = scene["setting"]
    assert (setting["light"], setting["weather"], setting["region"]) == ("day", "clear", "eu")
    assert setting["road"]["kind"] in set(town().roads) < set(KINDS)
    assert setting["occluded"] is None
    assert not {"drum", "channeliser"} & {item["kind"] for item in scene["objects"]}
    assert {item["style"] for item in scene["objects"] if item["kind"] == "speed_sign"} <= {"eu"}
