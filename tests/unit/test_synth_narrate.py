"""Descriptions: what is in sight is told, what is not is left out."""

from typing import Any

from drivelet.synth.narrate import describe_scene, road_phrase, things_in_sight

SETTING: dict[str, Any] = {
    "light": "night", "weather": "rain", "area": "urban", "lanes": 2, "junction": None, "closures": [],
    "road": {"kind": "straight", "bends": [], "crests": []},
}  # fmt: skip


def record(*objects: dict[str, Any], **facts: Any) -> dict[str, Any]:
    told = {"governing_lamp": "none", "cone_count_visible": 0, "cones_in_path": False, **facts}
    return {"seed": 1, "setting": SETTING, "objects": [{"visible": True, **item} for item in objects], "facts": told}


def test_an_empty_road_has_nothing_in_sight() -> None:
    assert things_in_sight(record()) == []
    text = describe_scene(record())
    assert "at night" in text.lower()
    assert "two lanes each way" in text


def test_what_is_hidden_is_not_told() -> None:
    hidden = {"kind": "speed_sign", "value": 50, "unit": "km/h", "plate": "limit", "visible": False}
    assert things_in_sight(record(hidden)) == []
    assert things_in_sight(record({**hidden, "visible": True})) == ["a speed limit of 50 km/h"]


def test_lights_cones_signs_and_vehicles_in_that_order() -> None:
    lamp = {"kind": "lamp", "facing": True, "governing": True, "state": "red", "flashing": False}
    arrow = {"kind": "lamp", "facing": True, "governing": False, "state": "green", "movement": "left"}
    stop, bus = {"kind": "stop_sign"}, {"kind": "bus"}
    shown = record(bus, stop, lamp, arrow, bus, governing_lamp="red", cone_count_visible=1, cones_in_path=True)
    assert things_in_sight(shown) == [
        "a red traffic light", "an arrow to the left that is green", "one traffic cone in the lane", "a stop sign",
        "two buses",
    ]  # fmt: skip


def test_a_closure_names_its_lane() -> None:
    shown = record({"kind": "drum"}, cone_count_visible=14)
    shown["setting"] = {**SETTING, "closures": [{"side": "right"}]}
    assert things_in_sight(shown) == ["14 traffic cones that close the right lane", "one orange drum"]


def test_every_kind_of_road_has_its_words() -> None:
    def phrase(kind: str, junction: dict[str, Any] | None = None, **shape: Any) -> str:
        return road_phrase({**SETTING, "lanes": 1, "junction": junction, "road": {"kind": kind, **shape}})

    assert phrase("curve", bends=[[0.0, -0.01], [50.0, 0.0]]).endswith("bends to the right")
    assert phrase("tee", {"arms": ["left", "right"]}).endswith("ends at a T junction")
    assert phrase("tee", {"arms": ["ahead", "right"]}).endswith("a side street to the right")
    assert phrase("cross", {"arms": ["left", "ahead", "right"]}).endswith("before a crossing")
    assert phrase("ramp") == "a divided highway with one lane each way and an exit to the right"
    assert "top of a hill" in phrase("crest")
    assert "roundabout" in phrase("roundabout")
