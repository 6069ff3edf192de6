"""Drives on the world edition's roads: where the ego is, what its sensors feel, and what moves with it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from drivelet.core.errors import InputError
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.driving.course import TRUCK_HEIGHT, Course, TrialConfig, everyday_rules
from drivelet.synth.driving.drive_sim import DriveConfig, drive_scenes
from drivelet.synth.driving.world_course import KINDS, SIDEWAYS_MPS2, plan_world_drive

PLAIN = TrialConfig()


def only(kind: str) -> DomainConfig:
    return replace(world(), roads={kind: 1.0})


def course(domain: DomainConfig, index: int, trials: TrialConfig = PLAIN) -> Course:
    return plan_world_drive(8, index, domain, trials, size=(320, 192), seconds=8.0, rules=everyday_rules())


def scenes(domain: DomainConfig, index: int, hz: int = 2):
    return drive_scenes(DriveConfig(num_drives=1, seed=8, hz=hz, domain=domain, rules=everyday_rules()), index)[0]


def test_roads_that_nobody_can_follow_are_refused() -> None:
    with pytest.raises(InputError, match=r"no road of domain\.roads is one of cross, straight, curve, crest"):
        course(only("roundabout"), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_drive_depends_on_seed_and_number_alone(kind: str) -> None:
    assert scenes(only(kind), 3) == scenes(only(kind), 3)
    assert scenes(only(kind), 3) != scenes(only(kind), 4)


@pytest.mark.parametrize("index", range(6))
def test_in_a_bend_the_car_is_slow_enough_and_its_gyroscope_feels_the_bend(index: int) -> None:
    planned = course(only("curve"), index)
    assert planned.road is not None
    sharpest = max(abs(value) for _, value in planned.road.bends)
    motion = planned.motion
    assert (motion.speed**2 * sharpest).max() < 1.05 * SIDEWAYS_MPS2
    turned = motion.yaw[-1] - motion.yaw[0]
    road = planned.road.pose(float(motion.y[-1])).heading
    assert abs(turned - road) < 0.06, "the yaw is the road's heading and a little wander"
    assert abs(road) > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_the_camera_stays_over_the_ego_lane(kind: str) -> None:
    for index in range(4):
        planned = course(only(kind), index)
        assert planned.road is not None
        for k, scene in enumerate(scenes(only(kind), index)):
            s = float(planned.motion.y[k * 50])
            middle = np.array(planned.road.place(planned.road.ego_x, s, planned.road.camera_z))
            away = np.linalg.norm(np.array(scene["camera"]["at"]) - middle)
            assert away < planned.road.lane_width / 2 - 0.5


def test_the_stop_line_comes_nearer_as_the_car_drives() -> None:
    for index in range(6):
        planned, shown = course(only("cross"), index), scenes(only("cross"), index)
        lines = [scene["setting"]["junction"]["stop_y"] for scene in shown]
        passed = planned.motion.y[[50 * k for k in range(len(shown))]]
        assert np.allclose(np.diff(lines), -np.diff(passed), atol=2e-3)
        assert lines == [scene["setting"]["stop_line_y"] for scene in shown]


def test_only_a_lane_beside_the_ego_is_closed() -> None:
    domain = replace(only("straight"), lanes={"3": 1.0}, closures=1.0)
    found = [planned.base["setting"] for planned in (course(domain, index) for index in range(24))]
    closed = [setting for setting in found if setting["closures"]]
    assert len(closed) > 2
    assert all(setting["closures"][0]["lane"] > setting["ego_lane"] for setting in closed)


def test_a_leader_follows_the_bend() -> None:
    domain = only("curve")
    for index in range(12):
        planned = course(domain, index)
        leaders = [key for key, mover in planned.movers.items() if mover.along is not None]
        if not leaders or planned.road is None:
            continue
        for k, scene in enumerate(scenes(domain, index)):
            item = next(each for each in scene["objects"] if each["id"] == leaders[0])
            part = next(each for each in scene["parts"] if each["index"] == leaders[0])
            along = float(planned.movers[leaders[0]].along[50 * k])
            assert item["s"] == pytest.approx(along, abs=1e-3)
            assert item["at"] == pytest.approx(planned.road.place(item["d"], item["s"]), abs=5e-3)
            heading = math.degrees(planned.road.pose(along).heading)
            assert part["yaw"] == pytest.approx(heading, abs=0.05)
        return
    pytest.fail("no drive had a leader")


def test_lights_that_were_passed_govern_no_more() -> None:
    green = 0
    for index in range(12):
        planned, shown = course(only("straight"), index), scenes(only("straight"), index)
        signal_y = planned.base["setting"]["signal_y"]
        for k, scene in enumerate(shown):
            beyond = signal_y is None or float(planned.motion.y[50 * k]) >= signal_y
            assert (scene["setting"]["lamp_state"] == "none") == beyond
            green += beyond and signal_y is not None
    assert green, "no drive passed its lights"


def test_trucks_cross_before_lights_behind_the_junction() -> None:
    """They are as high as lorries are, and their lamps, lit at night, stay lamps."""
    trials = TrialConfig(crossing=1.0, slow_phases=3.0)
    domain = replace(only("cross"), region={"us": 1.0}, mount={"mast": 1.0}, light={"night": 1.0})
    found = 0
    for planned in (course(domain, index, trials) for index in range(16)):
        trucks = {key for key, mover in planned.movers.items() if mover.velocity[0] < 0}
        parts = next(iter(planned.states.values()))[0]
        for part in (part for part in parts if part["index"] in trucks):
            found += part["asset"] == "truck"
            assert part["scale"][2] == TRUCK_HEIGHT if part["asset"] == "truck" else part["scale"][2] < 0.5
    assert found, "no truck crossed"
