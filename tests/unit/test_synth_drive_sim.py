"""Lamp programs, the ego's motion, the IMU file."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivelet.synth.domain import full
from drivelet.synth.driving.course import RulesConfig, TrialConfig, everyday_rules, plan_drive
from drivelet.synth.driving.drive_sim import DriveConfig, drive_scenes
from drivelet.synth.driving.ego import BUMPERS_M, CONE_SPEED_MPS, Ahead, drive_motion, lamp_at, swung
from drivelet.synth.driving.imu import SENSOR_HEADER, SPREADS, ImuConfig, cheap_imu, write_imu

RED = (("red", 99.0),)
HARD = TrialConfig(
    far_side=1.0, crossing=1.0, blinks=1.0, swings=1.0, slow_phases=2.0, clock_offset_s=(0.3, 0.9), imu_noise=2.0
)


def course(config, index):
    size = (config.width, config.height)
    return plan_drive(
        config.seed, index, config.domain, config.trials, size=size, seconds=config.seconds, rules=config.rules
    )


def test_lamp_phases_follow_each_other_and_the_last_lasts() -> None:
    program = (("red", 2.0), ("green", 3.0), ("yellow", 1.0))
    assert [lamp_at(program, t) for t in (0.0, 1.99, 2.0, 4.9, 5.5, 60.0)] == [
        "red", "red", "green", "green", "yellow", "yellow",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_the_ego_stops_before_the_line_at_red(seed: int) -> None:
    rng = np.random.default_rng(seed)
    motion = drive_motion(rng, Ahead(program=RED, stop_y=45.0), seconds=15.0)
    assert motion.speed[-1] == 0.0
    assert 40.0 < motion.y[-1] < 45.0
    assert motion.acceleration.min() > -40.0


def test_the_ego_passes_at_green_and_slows_at_cones() -> None:
    green = drive_motion(np.random.default_rng(1), Ahead(program=(("green", 99.0),), stop_y=40.0), seconds=10.0)
    assert green.y[-1] > 60.0
    coned = drive_motion(np.random.default_rng(1), Ahead(slow=(25.0, 40.0)), seconds=10.0)
    inside = coned.speed[(coned.y > 28.0) & (coned.y < 38.0)]
    assert inside.max() < CONE_SPEED_MPS + 1.5


def test_position_is_the_integral_of_speed() -> None:
    motion = drive_motion(np.random.default_rng(2), Ahead(program=RED, stop_y=45.0), seconds=8.0)
    assert np.allclose(np.cumsum(motion.speed)[:-1] * 0.01, motion.y[1:])


def test_imu_file_has_the_header_and_readings_near_the_truth(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(program=RED, stop_y=45.0), seconds=8.0)
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
    motion = drive_motion(rng, Ahead(), seconds=12.0)
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
    motion = drive_motion(np.random.default_rng(3), Ahead(program=RED, stop_y=45.0), seconds=8.0)
    write_imu(tmp_path / "a.csv", motion, np.random.default_rng(4))
    write_imu(tmp_path / "b.csv", motion, np.random.default_rng(4), offset_s=0.5)
    a, b = (np.loadtxt(tmp_path / name, delimiter=",", skiprows=1) for name in ("a.csv", "b.csv"))
    assert np.allclose(a[:, 0] - b[:, 0], 0.5)
    assert np.array_equal(a[:, 1:], b[:, 1:])


def test_at_a_stop_sign_the_ego_halts_before_the_line_and_goes_on() -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(stop_y=40.0, halt=True), seconds=20.0)
    standing = motion.y[motion.speed < 0.05]
    assert 35.0 < standing[0] < 40.0
    assert len(standing) * 0.01 > 1.4
    assert motion.y[-1] > 60.0


@pytest.mark.parametrize("place", [25.0, 60.0])
def test_a_limit_is_kept_from_its_sign_on(place: float) -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(limit=(place, 4.0)), seconds=20.0)
    assert motion.y[-1] > place
    assert motion.speed[motion.y < place].max() > 4.5, "before the sign it goes faster"
    assert motion.speed[motion.y > place].max() < 4.2
    assert motion.acceleration.min() > -4.01


def with_rules(rules: RulesConfig) -> DriveConfig:
    return DriveConfig(num_drives=1, seed=11, seconds=8.0, hz=2, rules=rules)


def test_a_leader_is_followed_and_never_hit() -> None:
    config, seen = with_rules(RulesConfig(leader=1.0)), 0
    for index in range(12):
        plan = course(config, index)
        leader = next(mover for mover in plan.movers.values() if mover.along is not None)
        gap = leader.along - BUMPERS_M - plan.motion.y
        assert gap.min() > 0.5
        alone = course(replace(config, rules=RulesConfig()), index)
        seen += plan.motion.y[-1] < alone.motion.y[-1] - 5.0
    assert seen, "in no drive did the leader hold the ego up"


def test_a_leader_stands_in_every_frame_where_its_motion_puts_it() -> None:
    config = with_rules(RulesConfig(leader=1.0))
    scenes, _ = drive_scenes(config, 0)
    number, mover = next((n, m) for n, m in course(config, 0).movers.items() if m.along is not None)
    for scene in scenes:
        leader = next(item for item in scene["objects"] if item["id"] == number)
        assert leader["at"][1] == pytest.approx(mover.along[round(scene["t"] / 0.01)], abs=1e-3)
        assert leader["at"][1] > scene["camera"]["at"][1]


def test_rules_leave_drives_without_their_things_as_they_are() -> None:
    changed = 0
    for index in range(8):
        plain, ruled = (drive_scenes(with_rules(rules), index)[0] for rules in (RulesConfig(), everyday_rules()))
        same = [(o["id"], o["kind"], o["at"]) for o in ruled[0]["objects"]][: len(plain[0]["objects"])]
        if len(plain[0]["objects"]) == len(ruled[0]["objects"]):
            assert [(o["id"], o["kind"], o["at"]) for o in plain[0]["objects"]] == same
        changed += plain != ruled
    assert changed


def test_a_stop_sign_stands_where_a_ruled_drive_has_no_light() -> None:
    config = with_rules(RulesConfig(stop_signs=1.0))
    plans = [course(config, index) for index in range(20)]
    junctions = [plan for plan in plans if plan.base["setting"]["junction"]]
    for plan in junctions:
        stands = any(item["kind"] == "stop_sign" for _, objects in plan.states.values() for item in objects)
        assert stands == plan.base["setting"]["junction"]["stop_sign"] == (plan.program is None)
    assert {plan.program is None for plan in junctions} == {True, False}


def readings(path: Path, motion, **options) -> np.ndarray:
    write_imu(path, motion, np.random.default_rng(4), **options)
    return np.loadtxt(path, delimiter=",", skiprows=1)


def test_errors_that_are_off_leave_the_log_as_it_was(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(), seconds=4.0)
    plain = readings(tmp_path / "a.csv", motion)
    off = readings(tmp_path / "b.csv", motion, imu=ImuConfig(), drift=np.random.default_rng(9))
    assert np.array_equal(plain, off)


def test_warming_moves_the_bias_in_proportion_and_is_logged(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(), seconds=60.0)
    warm = ImuConfig(warming_k=(10.0, 10.0))
    cold = readings(tmp_path / "a.csv", motion)
    hot = readings(tmp_path / "b.csv", motion, imu=warm, drift=np.random.default_rng(9))
    header = (tmp_path / "b.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.split(",") == [*SENSOR_HEADER, "temperature_c"]
    rise = hot[:, 4] - hot[0, 4]
    assert rise[-1] == pytest.approx(10 * (1 - np.exp(-3)), abs=0.01)
    drift = hot[:, 2] - cold[:, 2]
    assert abs(drift[-1]) > 1e-4
    assert np.allclose(drift, drift[-1] * rise / rise[-1], atol=2e-4)


def test_a_bias_walks_as_far_as_its_spread_says(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(), seconds=16.0)
    still = readings(tmp_path / "a.csv", motion)
    ends = [
        readings(tmp_path / "b.csv", motion, imu=ImuConfig(bias_walk=1.0), drift=np.random.default_rng(k))[-1, 3]
        for k in range(40)
    ]
    spread = np.std(np.array(ends) - still[-1, 3])
    assert spread == pytest.approx(SPREADS[2].walk * 4, rel=0.35)  # the square root of 16 s


def test_the_wheels_speed_comes_in_steps(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(3), Ahead(), seconds=4.0)
    speed = readings(tmp_path / "a.csv", motion, imu=cheap_imu(), drift=np.random.default_rng(1))[:, 1]
    steps = speed / cheap_imu().speed_step_mps
    assert np.allclose(steps, np.rint(steps), atol=1e-6)
    assert len(np.unique(speed)) > 3
