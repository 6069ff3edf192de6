"""Lamp programs, the ego's motion, the IMU file."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivelet.synth.course import TrialConfig, plan_drive
from drivelet.synth.domain import full
from drivelet.synth.drive_sim import DriveConfig, drive_scenes
from drivelet.synth.ego import CONE_SPEED_MPS, SENSOR_HEADER, drive_motion, lamp_at, swung, write_imu

RED = (("red", 99.0),)
HARD = TrialConfig(
    far_side=1.0, crossing=1.0, blinks=1.0, swings=1.0, slow_phases=2.0, clock_offset_s=(0.3, 0.9), imu_noise=2.0
)


def course(config, index):
    size = (config.width, config.height)
    return plan_drive(config.seed, index, config.domain, config.trials, size=size, seconds=config.seconds)


def test_lamp_phases_follow_each_other_and_the_last_lasts() -> None:
    program = (("red", 2.0), ("green", 3.0), ("yellow", 1.0))
    assert [lamp_at(program, t) for t in (0.0, 1.99, 2.0, 4.9, 5.5, 60.0)] == [
        "red", "red", "green", "green", "yellow", "yellow",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_the_ego_stops_before_the_line_at_red(seed: int) -> None:
    rng = np.random.default_rng(seed)
    motion = drive_motion(rng, program=RED, stop_y=45.0, slow=None, seconds=15.0)
    assert motion.speed[-1] == 0.0
    assert 40.0 < motion.y[-1] < 45.0
    assert motion.acceleration.min() > -40.0


def test_the_ego_passes_at_green_and_slows_at_cones() -> None:
    green = drive_motion(np.random.default_rng(1), program=(("green", 99.0),), stop_y=40.0, slow=None, seconds=10.0)
    assert green.y[-1] > 60.0
    coned = drive_motion(np.random.default_rng(1), program=None, stop_y=None, slow=(25.0, 40.0), seconds=10.0)
    inside = coned.speed[(coned.y > 28.0) & (coned.y < 38.0)]
    assert inside.max() < CONE_SPEED_MPS + 1.5


def test_position_is_the_integral_of_speed() -> None:
    motion = drive_motion(np.random.default_rng(2), program=RED, stop_y=45.0, slow=None, seconds=8.0)
    assert np.allclose(np.cumsum(motion.speed)[:-1] * 0.01, motion.y[1:])


def test_imu_file_has_the_header_and_readings_near_the_truth(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), program=RED, stop_y=45.0, slow=None, seconds=8.0)
    write_imu(tmp_path / "sensors.csv", motion, np.random.default_rng(4))
    with (tmp_path / "sensors.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert tuple(rows[0]) == SENSOR_HEADER
    values = np.array(rows[1:], dtype=float)
    assert len(values) == 401
    assert np.abs(values[:, 1] - motion.speed[::2]).max() < 0.6
    assert (values[:, 1] >= 0).all()


def test_instances_keep_their_ids_while_the_lamp_changes() -> None:
    config = DriveConfig(num_drives=1, seed=2, seconds=12.0, hz=2, domain=full())
    index = next(i for i in range(20) if course(config, i).program)
    scenes, _ = drive_scenes(config, index)
    kinds = {tuple((o["id"], o["kind"]) for o in scene["objects"]) for scene in scenes}
    states = {o["state"] for scene in scenes for o in scene["objects"] if o["kind"] == "lamp"}
    assert len(kinds) == 1
    assert len(states) > 1
    stops = [scene["setting"]["junction"]["stop_y"] for scene in scenes]
    assert stops == sorted(stops, reverse=True)


def test_trials_leave_the_rest_of_a_drive_as_it_is() -> None:
    plain = course(DriveConfig(num_drives=1, seed=2), 1)
    hard = course(DriveConfig(num_drives=1, seed=2, trials=replace(HARD, slow_phases=1.0)), 1)
    assert plain.base["world"] == hard.base["world"]
    assert np.array_equal(plain.motion.speed, hard.motion.speed)


def test_crossing_trucks_pass_the_line_of_sight_while_the_car_stands() -> None:
    config = DriveConfig(num_drives=1, seed=5, seconds=16.0, trials=HARD)
    seen = 0
    for index in range(12):
        plan = course(config, index)
        trucks = [mover for mover in plan.movers.values() if mover.velocity[0] < 0]
        if not trucks:
            continue
        seen += 1
        at_sight = trucks[0].start[0] / -trucks[0].velocity[0]
        standing = plan.motion.t[plan.motion.speed < 0.3]
        assert standing[0] <= at_sight <= standing[-1]
    assert seen


def test_a_swing_turns_both_ways_and_comes_back() -> None:
    rng = np.random.default_rng(0)
    motion = drive_motion(rng, program=None, stop_y=None, slow=None, seconds=12.0)
    turned = swung(motion, np.random.default_rng(1))
    yaw_rate = np.gradient(turned.yaw, 0.01)
    assert yaw_rate.max() > 0.04
    assert yaw_rate.min() < -0.04
    heading = np.diff(turned.x) / np.maximum(np.diff(turned.y), 1e-9)
    assert np.allclose(np.tan(-turned.yaw)[1:-1], heading[1:], atol=0.02)


def test_a_blink_darkens_single_frames_and_leaves_the_true_state() -> None:
    config = DriveConfig(num_drives=1, seed=2, seconds=12.0, hz=5, trials=replace(HARD, crossing=0.0))
    index = next(i for i in range(20) if course(config, i).program)
    scenes, _ = drive_scenes(config, index)
    lit = [any(o["kind"] == "lamp" for o in scene["objects"]) for scene in scenes]
    assert 0 < lit.count(False) < len(lit) / 2
    assert all(scene["setting"]["lamp_state"] in ("red", "yellow", "green", "none") for scene in scenes)


def test_the_sensors_clock_is_off_by_the_offset(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), program=RED, stop_y=45.0, slow=None, seconds=8.0)
    write_imu(tmp_path / "a.csv", motion, np.random.default_rng(4))
    write_imu(tmp_path / "b.csv", motion, np.random.default_rng(4), offset_s=0.5)
    a, b = (np.loadtxt(tmp_path / name, delimiter=",", skiprows=1) for name in ("a.csv", "b.csv"))
    assert np.allclose(a[:, 0] - b[:, 0], 0.5)
    assert np.array_equal(a[:, 1:], b[:, 1:])
