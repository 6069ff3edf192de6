"""The scene sampler and the facts that follow from what is visible."""

import ast
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import drivelet
from drivelet.synth.domain import DomainConfig, full, narrow
from drivelet.synth.facts import facts, finish
from drivelet.synth.scene import sample_scene

MESHES = Path(drivelet.__file__).parent / "workers" / "blender_meshes.py"


def pool_sizes() -> dict[str, int]:
    """Asset -> how many the worker's pool holds, read from its source (the worker is never imported)."""
    tree = ast.parse(MESHES.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ASSETS":
            assert isinstance(node.value, ast.Dict)
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {
                ast.literal_eval(k): ast.literal_eval(v.elts[0]) for k, v in pairs if k and isinstance(v, ast.Tuple)
            }
    raise AssertionError("the worker has no ASSETS table")


def everything_seen(scene: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Measurements of a picture in which every object is large and unobstructed."""
    return {str(o["id"]): {"pixels": 400, "box": [10, 10, 30, 30], "area": 400.0} for o in scene["objects"]}


def test_a_frame_depends_on_seed_and_index_alone() -> None:
    alone = sample_scene(7, 12, full())
    in_order = [sample_scene(7, i, full()) for i in range(13)]
    assert in_order[12] == alone
    assert in_order[11] != alone
    assert sample_scene(8, 12, full()) != alone


def test_no_scene_wants_more_than_the_pool_holds() -> None:
    sizes = pool_sizes()
    for i in range(250):
        parts = Counter(part["asset"] for part in sample_scene(3, i, full())["parts"])
        for asset, count in parts.items():
            assert asset.startswith("text_") or asset in sizes, f"the worker has no asset {asset}"
            assert count <= sizes.get(asset, 2), f"{count} of {asset}"


def test_full_domain_draws_lamps_and_cones_near_its_weights() -> None:
    lamps, cones = Counter(), Counter()
    for i in range(500):
        scene = sample_scene(5, i, full())
        states = {o["state"] for o in scene["objects"] if o["kind"] == "traffic_light" and o["governing"]}
        lamps[next(iter(states), "none")] += 1
        cones[sum(o["kind"] == "cone" for o in scene["objects"]) == 0] += 1
    for state, share in full().lamp.items():
        assert lamps[state] / 500 == pytest.approx(share, abs=0.06)
    assert cones[True] / 500 == pytest.approx(0.3, abs=0.07)


def test_narrow_domain_is_a_clear_day_with_ring_signs() -> None:
    for i in range(100):
        scene = sample_scene(5, i, narrow())
        assert (scene["setting"]["light"], scene["setting"]["weather"]) == ("day", "clear")
        assert all(o["unit"] == "km/h" for o in scene["objects"] if o["kind"] == "speed_sign")
        assert all(o["governing"] for o in scene["objects"] if o["kind"] == "traffic_light")


def test_domain_config_survives_json() -> None:
    data = json.loads(json.dumps(asdict(narrow())))
    ranges = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    assert DomainConfig(**ranges) == narrow()


def test_a_finished_record_is_json_without_parts() -> None:
    scene = sample_scene(2, 4, full())
    record = finish(scene, everything_seen(scene))
    assert "parts" not in record
    assert json.loads(json.dumps(record)) == record
    assert record["sensor"].startswith("Sensors: ambient light ")


SETTING = {
    "light": "day", "weather": "clear", "unit": "km/h", "region_default": 50, "visibility_m": 2000.0,
    "junction": None, "lane_width": 3.5, "speed_mps": 10.0,
}  # fmt: skip
JUNCTION = {"stop_y": 20.0, "end_y": 34.0}


def thing(kind: str, **extra: Any) -> dict[str, Any]:
    return {"kind": kind, "visible": True, "distance_m": 15.0, "governing": False, "facing": True, **extra}


def test_only_the_governing_lamp_counts() -> None:
    red, green = thing("lamp", state="red"), thing("lamp", state="green", governing=True)
    assert facts(SETTING, [red, green])["governing_lamp"] == "green"
    assert facts(SETTING, [red])["governing_lamp"] == "none"
    assert facts(SETTING, [red, {**green, "visible": False}])["governing_lamp"] == "none"


def test_a_dark_head_is_off_only_if_it_governs() -> None:
    dark = thing("traffic_light", state="off", governing=True)
    assert facts(SETTING, [dark])["governing_lamp"] == "off"
    assert facts(SETTING, [{**dark, "governing": False}])["governing_lamp"] == "none"


def test_hidden_cones_do_not_count_and_edge_cones_are_not_in_the_path() -> None:
    edge, inside = thing("cone", lane_offset=2.0), thing("cone", lane_offset=1.0)
    assert facts(SETTING, [edge, edge])["cone_count_visible"] == 2
    assert not facts(SETTING, [edge, edge])["cones_in_path"]
    assert facts(SETTING, [edge, inside])["cones_in_path"]
    assert not facts(SETTING, [edge, {**inside, "visible": False}])["cones_in_path"]
    assert not facts(SETTING, [{**inside, "distance_m": 50.0}])["cones_in_path"]


@pytest.mark.parametrize(
    ("lamp", "sign", "expected"),
    [
        ("red", False, "stop_required"),
        ("yellow", False, "stop_required"),
        ("green", False, "ahead"),
        (None, False, "ahead"),
        (None, True, "stop_required"),
    ],
)
def test_intersection_alert(lamp: str | None, sign: bool, expected: str) -> None:
    seen = [thing("cross_street")]
    seen += [thing("lamp", state=lamp, governing=True)] if lamp else []
    seen += [thing("stop_sign")] if sign else []
    assert facts({**SETTING, "junction": JUNCTION}, seen)["intersection"] == expected
    assert facts(SETTING, seen)["intersection"] == "none"


def test_a_junction_that_cannot_be_seen_or_lies_behind_is_none() -> None:
    ahead = {**SETTING, "junction": JUNCTION}
    assert facts(ahead, [])["intersection"] == "none"
    behind = {**SETTING, "junction": {"stop_y": -1.0, "end_y": 9.0}}
    assert facts(behind, [thing("cross_street")])["intersection"] == "none"


def test_thresholds_of_what_counts_as_seen() -> None:
    sign = {"kind": "speed_sign", "id": 1, "at": [4.0, 15.0, 2.0], "value": 50, "unit": "km/h"}
    scene = {"objects": [sign], "camera": {"at": [0.0, 0.0, 1.4]}, "setting": SETTING, "parts": []}
    large = {"pixels": 200, "box": [5, 5, 21, 21], "area": 210.0}

    def posted(measured: dict[str, Any], **setting: Any) -> int | None:
        changed = {**scene, "setting": {**SETTING, **setting}}
        return finish(changed, {"1": measured})["facts"]["posted"]

    assert posted(large) == 50
    assert posted({**large, "pixels": 100}) is None, "half hidden"
    assert posted({"pixels": 64, "box": [5, 5, 13, 13], "area": 64.0}) is None, "too small to read"
    assert posted(large, visibility_m=20.0) is None, "lost in the fog"
    assert finish(scene, {})["facts"]["posted"] is None, "not in the picture"


def test_lamps_that_govern_and_disagree_leave_it_unknown() -> None:
    lamps = [thing("lamp", state=state, governing=True) for state in ("red", "green", "red")]
    assert facts(SETTING, lamps)["governing_lamp"] == "unknown"
    assert facts(SETTING, lamps[::2])["governing_lamp"] == "red"


@pytest.mark.parametrize(
    ("closure", "closed"),
    [
        ({"lane": 1, "start_m": 20.0, "end_m": 40.0}, [1]),
        ({"lane": 1, "start_m": -5.0, "end_m": 3.0}, [1]),
        ({"lane": 1, "start_m": -9.0, "end_m": 0.0}, []),
        ({"lane": 1, "start_m": 60.1, "end_m": 90.0}, []),
    ],
)
def test_a_closure_within_range_ahead_closes_its_lane(closure: dict[str, Any], closed: list[int]) -> None:
    found = facts({**SETTING, "closures": [closure], "ego_lane": 1}, [])
    assert found["closed_lanes"] == closed
    assert found["lane_closed"] == bool(closed)
    other = facts({**SETTING, "closures": [closure], "ego_lane": 0}, [])
    assert not other["lane_closed"]


def test_without_closures_no_lane_is_closed() -> None:
    found = facts(SETTING, [])
    assert (found["closed_lanes"], found["lane_closed"]) == ([], False)


def test_the_amodal_box_is_kept_beside_the_visible_one() -> None:
    scene = sample_scene(2, 4, full())
    number = str(scene["objects"][0]["id"])
    measures = {"pixels": 50, "box": [1, 2, 9, 8], "amodal": [0.5, 2.0, 12.0, 8.0], "area": 80.0}
    record = finish(scene, {number: measures})
    assert record["objects"][0]["amodal"] == [0.5, 2.0, 12.0, 8.0]
    assert record["objects"][1]["amodal"] is None, "not in the picture"
