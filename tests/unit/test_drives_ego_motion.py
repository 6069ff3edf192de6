"""Ego-motion: exact on a circle, honest about what is missing."""

import math

import numpy as np
import pytest

from drivelet.core.artifacts import EgoMotion
from drivelet.core.ego import thin
from drivelet.drives.clock import ClockOffset
from drivelet.drives.ego_motion import EgoConfig, ego_motion
from drivelet.drives.image_motion import ImageMotion

FINE = np.arange(-1, 21, 0.01)
TIMES = np.arange(0, 20, 0.1)


def position(motion: EgoMotion) -> tuple[float, float, float]:
    x = y = yaw = 0.0
    for step in motion.steps[1:]:
        x += step.forward_m * math.cos(yaw) - step.left_m * math.sin(yaw)
        y += step.forward_m * math.sin(yaw) + step.left_m * math.cos(yaw)
        yaw += step.yaw_rad
    return x, y, yaw


def steady(speed: float, rate: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"speed_mps": (FINE, np.full_like(FINE, speed)), "yaw_rate_radps": (FINE, np.full_like(FINE, rate))}


def test_a_circle_is_driven_exactly() -> None:
    motion = ego_motion(TIMES, channels=steady(5.0, 0.2))
    turned = 0.2 * TIMES[-1]
    assert position(motion) == pytest.approx((25 * math.sin(turned), 25 * (1 - math.cos(turned)), turned), abs=1e-6)
    assert motion.steps[3].left_m > 0
    assert "speed" in motion.sources["standing"]
    assert math.isnan(motion.steps[0].forward_m)


def test_a_camera_ahead_of_the_axle_swings_out() -> None:
    plain, ahead = (
        ego_motion(TIMES, channels=steady(5.0, 0.2), config=EgoConfig(camera_ahead_m=c)).steps[5] for c in (0.0, 1.5)
    )
    assert ahead.left_m - plain.left_m == pytest.approx(1.5 * math.sin(0.02))


def test_thinning_joins_steps() -> None:
    motion = ego_motion(TIMES, channels=steady(5.0, 0.2))
    kept = [0, 3, 4, 60, 199]
    thinned = thin(motion, kept)
    assert [step.t for step in thinned.steps] == [TIMES[k] for k in kept]
    assert position(thinned) == pytest.approx(position(motion))


def test_the_clock_offset_moves_the_sensors() -> None:
    channels = {"speed_mps": (FINE, np.where(FINE < 5.0, 0.0, 8.0))}
    clock = ClockOffset(offset_s=0.5, confidence=0.9)
    moved = ego_motion(TIMES, channels=channels, clock=clock)
    assert sum(step.standing is True for step in moved.steps) == pytest.approx(55, abs=1)
    assert "+0.500 s" in moved.sources["clock"]
    doubted = ego_motion(TIMES, channels=channels, clock=ClockOffset(offset_s=0.5, alarm="too little turning"))
    assert sum(step.standing is True for step in doubted.steps) == pytest.approx(50, abs=1)
    assert "too little turning" in doubted.sources["clock"]


def test_the_bias_is_measured_while_standing() -> None:
    moving = (FINE > 8).astype(float)
    channels = {"speed_mps": (FINE, 6 * moving), "yaw_rate_radps": (FINE, 0.1 * moving + 0.03)}
    motion = ego_motion(TIMES, channels=channels)
    assert motion.steps[150].yaw_rad == pytest.approx(0.01, abs=1e-4)
    assert motion.steps[20].yaw_rad == 0
    assert motion.steps[20].forward_m == 0
    assert "+0.0300" in motion.sources["yaw"]


def pictures(flow: np.ndarray, shift: float = 3.5) -> list[ImageMotion]:
    return [ImageMotion(shift_px=shift, quality=0.9, flow_px=float(f), moving=0.5) for f in flow]


def test_without_sensors_the_picture_speaks_and_says_so() -> None:
    flow = np.where(TIMES < 6, 0.05, 1.2)
    motion = ego_motion(TIMES, visual=pictures(flow), focal_px=350.0)
    assert motion.steps[20].standing is True
    assert motion.steps[20].standing_source == "visual"
    assert (motion.steps[20].forward_m, motion.steps[20].yaw_rad) == (0, 0)
    assert motion.steps[100].standing is False
    assert motion.steps[100].yaw_rad == pytest.approx(math.atan(0.01))
    assert math.isnan(motion.steps[100].forward_m)
    assert "no speed channel" in motion.sources["translation"]
    assert "no gyro" in motion.sources["yaw"]
    blind = ego_motion(TIMES, visual=pictures(flow))
    assert math.isnan(blind.steps[100].yaw_rad)
    assert "no focal length" in blind.sources["yaw"]


def test_with_nothing_nothing_is_known() -> None:
    motion = ego_motion(TIMES)
    assert {step.standing for step in motion.steps} == {None}
    assert all(math.isnan(step.yaw_rad) for step in motion.steps)
    assert all("unknown" in motion.sources[name] for name in ("standing", "yaw", "translation"))
    assert motion.sources["clock"] == "no sensors"


def test_a_gap_in_the_log_is_no_straight_line() -> None:
    kept = (FINE < 5) | (FINE > 7)
    channels = {name: (t[kept], v[kept]) for name, (t, v) in steady(5.0, 0.2).items()}
    motion = ego_motion(TIMES, channels=channels)
    unknown = [step.t for step in motion.steps[1:] if math.isnan(step.forward_m)]
    assert min(unknown) == pytest.approx(5.0, abs=0.11)
    assert max(unknown) == pytest.approx(7.0, abs=0.11)
    assert motion.steps[60].standing is None


def test_speed_is_believed_before_the_picture_and_their_quarrel_is_told() -> None:
    motion = ego_motion(TIMES, channels=steady(5.0, 0.0), visual=pictures(np.full(len(TIMES), 0.02)), focal_px=300.0)
    assert {step.standing for step in motion.steps} == {False}
    assert "agrees in 0%" in motion.sources["standing"]


def test_a_car_that_reverses_moves_backwards_and_turns() -> None:
    motion = ego_motion(TIMES, channels=steady(-3.0, 0.1))
    assert {step.standing for step in motion.steps} == {False}
    assert motion.steps[5].forward_m == pytest.approx(-0.3, abs=1e-4)
    assert motion.steps[5].yaw_rad == pytest.approx(0.01)
    assert motion.steps[5].left_m < 0


def test_a_car_that_goes_from_reverse_to_forward_stands_between() -> None:
    speed = np.interp(FINE, [-1, 6, 8, 12, 14, 21], [-2, -2, 0, 0, 3, 3])
    motion = ego_motion(TIMES, channels={"speed_mps": (FINE, speed), "yaw_rate_radps": (FINE, 0 * FINE)})
    states = [step.standing for step in motion.steps]
    assert (states[30], states[100], states[170]) == (False, True, False)
    assert motion.steps[30].forward_m == pytest.approx(-0.2)
    assert motion.steps[170].forward_m == pytest.approx(0.3)


def once_a_second(kept: np.ndarray | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    seconds = np.arange(0.3, 19.5)
    seconds = seconds if kept is None else seconds[kept]
    return {"speed_mps": (seconds, 8 + seconds / 10), "yaw_rate_radps": (FINE, np.full_like(FINE, 0.1))}


def test_a_speed_that_comes_once_a_second_gives_every_frame_its_way() -> None:
    motion = ego_motion(TIMES, channels=once_a_second())
    ways = [step.forward_m for step in motion.steps[1:]]
    assert min(ways) > 0.8
    assert motion.steps[100].forward_m == pytest.approx(0.1 * (8 + 9.95 / 10), abs=1e-3)
    assert "up to 2.5 s apart" in motion.sources["translation"]
    assert {step.standing for step in motion.steps} == {False}


def test_one_lost_fix_is_bridged_and_several_are_not() -> None:
    kept = np.ones(20, bool)
    kept[[4, 10, 11, 12]] = False
    motion = ego_motion(TIMES, channels=once_a_second(kept))
    unknown = [step.t for step in motion.steps[1:] if math.isnan(step.forward_m)]
    assert min(unknown) == pytest.approx(9.3, abs=0.11)
    assert max(unknown) == pytest.approx(13.3, abs=0.11)


def test_a_speed_that_comes_too_seldom_is_said_to_tell_nothing() -> None:
    seldom = np.arange(-2, 30, 24.0)
    channels = {"speed_mps": (seldom, 0 * seldom + 9), "yaw_rate_radps": (FINE, 0 * FINE)}
    motion = ego_motion(TIMES, channels=channels)
    assert all(math.isnan(step.forward_m) for step in motion.steps)
    assert motion.sources["translation"].startswith("unknown")
    slow = {"speed_mps": (FINE, 0 * FINE + 9), "yaw_rate_radps": (seldom, 0 * seldom)}
    assert ego_motion(TIMES, channels=slow).sources["yaw"].startswith("unknown")


def test_without_a_turn_the_way_ahead_is_known_and_the_way_aside_is_not() -> None:
    motion = ego_motion(TIMES, channels={"speed_mps": (FINE, 0 * FINE - 4.0)})
    assert [step.forward_m for step in motion.steps[1:]] == pytest.approx([-0.4] * 199)
    assert all(math.isnan(step.left_m) and math.isnan(step.yaw_rad) for step in motion.steps)
    assert motion.sources["translation"] == "speed along the turn; forward only: there is no yaw"


def test_motions_must_be_as_many_as_frames() -> None:
    with pytest.raises(ValueError, match="every frame or none"):
        ego_motion(TIMES, visual=[ImageMotion()])
