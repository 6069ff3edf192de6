"""Which heads stand where, and which of them govern the ego lane."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivelet.synth.build import Builder
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.facts import facts
from drivelet.synth.props.heads import governs
from drivelet.synth.props.traffic import signals
from drivelet.synth.roads.road import Road

MOUNTS = ("pole", "mast", "wire", "overhead")
SETTING = {
    "light": "day", "weather": "clear", "unit": "km/h", "region_default": 50, "visibility_m": 2000.0, "junction": None,
    "lane_width": 3.5, "speed_mps": 10.0,
}  # fmt: skip


def plain(**changes: Any) -> DomainConfig:
    return replace(
        world(), **{"signal_kinds": {"ball": 1.0}, "flashing": 0.0, "signal_layout": {"vertical": 1.0}, **changes}
    )


def heads(
    config: DomainConfig, state: str, mount: str, *, seed: int = 0, lanes: int = 2, others: bool = True
) -> list[dict[str, Any]]:
    return [
        item for item in placed(config, state, mount, seed, lanes, others).objects if item["kind"] == "traffic_light"
    ]


def placed(config: DomainConfig, state: str, mount: str, seed: int, lanes: int = 2, others: bool = True) -> Builder:
    road = Road(
        lanes=lanes, lane=0, lane_width=3.4, region="us", area="urban", camera_z=1.4, focal_px=340, kind="cross"
    )
    b = Builder(rng=np.random.default_rng(seed), road=road)
    signals(b, config, road, state, mount, 20.0, others=others)
    return b


def lamp_of(b: Builder) -> str:
    """The governing lamp of a picture in which everything is seen."""
    return facts(SETTING, [{**item, "visible": True, "distance_m": 20.0} for item in b.objects])["governing_lamp"]


@pytest.mark.parametrize(
    ("movement", "ego", "expected"),
    [("all", "straight", True), ("straight", "straight", True), ("left", "straight", False),
     ("right", "straight", False), ("left", "left", True), ("all", "left", True), ("straight", "left", False)],
)  # fmt: skip
def test_an_arrow_governs_its_movement_only(movement: str, ego: str, expected: bool) -> None:
    assert governs(movement, ego) is expected


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_turn_arrow_stands_beside_the_governing_lights_and_has_its_own_state(mount: str, side: str) -> None:
    config, states = plain(signal_kinds={f"arrow_{side}": 1.0}), set()
    for seed in range(25):
        b = placed(config, "red", mount, seed)
        arrows = [item for item in b.objects if item.get("movement") == side]
        assert len(arrows) == 1 and not arrows[0]["governing"]
        main = [item for item in b.objects if item["kind"] == "traffic_light" and item["governing"]]
        near = [item for item in main if item["at"][2] == arrows[0]["at"][2] and item["at"][0] > 0]
        assert all((arrows[0]["at"][0] < item["at"][0]) == (side == "left") for item in near)
        assert lamp_of(b) == "red"
        states.add(arrows[0]["state"])
    assert states == {"red", "yellow", "green"}


def test_straight_arrows_govern_and_their_lamps_are_arrows() -> None:
    b = placed(plain(signal_kinds={"arrow_straight": 1.0}), "green", "mast", 3)
    main = [item for item in b.objects if item["kind"] == "traffic_light" and item["governing"]]
    assert main and {item["movement"] for item in main} == {"straight"}
    lit = next(item["id"] for item in b.objects if item["kind"] == "lamp" and item["governing"])
    shown = [part for part in b.parts if part["index"] == lit]
    assert [(part["asset"], part["roll"]) for part in shown] == [("arrow", 90.0)] and shown[0]["glow"] > 1


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("layout", ["vertical", "horizontal"])
@pytest.mark.parametrize("state", ["red", "yellow", "green", "off"])
def test_all_that_govern_agree_and_light_one_lamp_each(mount: str, layout: str, state: str) -> None:
    for seed in range(6):
        b = placed(plain(signal_layout={layout: 1.0}), state, mount, seed, lanes=3)
        main = {item["id"] for item in b.objects if item["kind"] == "traffic_light" and item["governing"]}
        lit = [item for item in b.objects if item["kind"] == "lamp" and item["parent"] in main]
        assert len(lit) == (0 if state == "off" else len(main)) and {item["state"] for item in lit} <= {state}
        assert lamp_of(b) == state
        bodies = {part["asset"] for part in b.parts if part["index"] in main and part["asset"].startswith("head")}
        assert bodies == {"head_level" if layout == "horizontal" else "head"}


def test_a_flashing_light_is_lit_or_dark_as_the_frame_shows_it() -> None:
    shown = set()
    for seed in range(30):
        b = placed(plain(flashing=1.0), "yellow", "pole", seed)
        main = [item for item in b.objects if item["kind"] == "traffic_light" and item["governing"]]
        assert all(item["flashing"] for item in main)
        assert {item["state"] for item in main} == {lamp_of(b)}, "gold is what the frame shows"
        shown.add(lamp_of(b))
    assert shown == {"yellow", "off"}
    assert not any(item["flashing"] for item in heads(plain(flashing=1.0), "green", "pole"))


@pytest.mark.parametrize("mount", MOUNTS)
def test_in_a_drive_only_the_governing_head_stands_there_at_one_place_for_every_state(mount: str) -> None:
    config, places = world(), []
    for state in ("red", "yellow", "green", "off"):
        found = heads(config, state, mount, seed=5, others=False)
        assert len(found) == 1 and found[0]["governing"] and found[0]["state"] == state and not found[0]["flashing"]
        places.append(found[0]["at"])
    assert all(place == places[0] for place in places)


def test_signals_for_pedestrians_are_no_traffic_lights() -> None:
    b = placed(plain(extra_heads=1.0), "green", "pole", 0)
    walkers = [item for item in b.objects if item["kind"] == "pedestrian_signal"]
    assert len(walkers) == 2 and all(item["state"] == "walk" for item in walkers)
    assert not any(part["asset"] == "lamp" for part in b.parts if part["index"] in {item["id"] for item in walkers})


def test_back_plates_belong_to_no_object() -> None:
    plates: list[Mapping[str, Any]] = []
    for seed in range(20):
        b = placed(plain(extra_heads=0.0), "red", "pole", seed, 1)
        plates += [part for part in b.parts if part["asset"] == "box"]
    assert plates and all(part["index"] == 0 for part in plates)
