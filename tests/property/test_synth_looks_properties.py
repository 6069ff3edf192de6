"""Invariants of what stands in the scenes of the world domain."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.synth.domain import world
from drivelet.synth.props.roadusers import MODELS
from drivelet.synth.scene import sample_scene
from worker_modules import pool

seeds, frames = st.integers(0, 2**31), st.integers(0, 10**6)
POOL = pool()
STATES = {"red", "yellow", "green", "off"}


@settings(max_examples=60, deadline=None)
@given(seed=seeds, index=frames)
def test_one_group_governs_and_its_lamps_show_its_state(seed: int, index: int) -> None:
    objects = sample_scene(seed, index, world())["objects"]
    heads = {item["id"]: item for item in objects if item["kind"] == "traffic_light"}
    main = [item for item in heads.values() if item["governing"]]
    assert len({item["state"] for item in main}) <= 1
    assert bool(main) == any(item["facing"] for item in heads.values()), "lights for the ego always govern somebody"
    lit = Counter(item["parent"] for item in objects if item["kind"] == "lamp")
    for head in heads.values():
        assert head["state"] in STATES
        assert lit[head["id"]] == (head["state"] != "off")
        assert head["governing"] == (
            head["movement"] in ("all", "straight") and head["facing"] and head["lane"] is not None
        )
        assert not head["flashing"] or head["state"] in ("red", "yellow", "off")
    for item in objects:
        if item["kind"] == "lamp":
            assert (item["state"], item["governing"]) == tuple(heads[item["parent"]][k] for k in ("state", "governing"))


@settings(max_examples=60, deadline=None)
@given(seed=seeds, index=frames)
def test_every_part_is_in_the_pool_and_not_wanted_too_often(seed: int, index: int) -> None:
    parts = Counter(part["asset"] for part in sample_scene(seed, index, world())["parts"])
    assert {name: count for name, count in parts.items() if count > POOL.get(name, 0)} == {}


@settings(max_examples=60, deadline=None)
@given(seed=seeds, index=frames)
def test_vehicles_stand_clear_of_each_other_and_of_cones(seed: int, index: int) -> None:
    objects = sample_scene(seed, index, world())["objects"]
    along = [item for item in objects if "model" in item and item["yaw"] in (0.0, 180.0)]
    for k, one in enumerate(along):
        for other in along[k + 1 :]:
            room = MODELS[one["model"]].half + MODELS[other["model"]].half
            assert abs(one["d"] - other["d"]) > 1.7 or abs(one["s"] - other["s"]) > room
        for cone in (item for item in objects if item["kind"] == "cone"):
            assert abs(one["d"] - cone["d"]) > 0.8 or abs(one["s"] - cone["s"]) > MODELS[one["model"]].half


@settings(max_examples=40, deadline=None)
@given(seed=seeds, index=frames)
def test_the_camera_stays_within_its_ranges(seed: int, index: int) -> None:
    found = sample_scene(seed, index, world())["world"]
    assert 60 <= found["jpeg"] <= 100 and 0 <= found["tone"] <= 1 and 0 <= found["noise"] < 0.06
    assert 0 < found.get("dirt", 1) <= 1 and 0 < found.get("glare", 1) <= 1
