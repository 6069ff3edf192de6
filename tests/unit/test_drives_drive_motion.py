from dataclasses import replace

import numpy as np
import pytest

from drivelet.drives.clock import ClockConfig
from drivelet.drives.drive_motion import find_motion
from drivelet.drives.ego_motion import EgoConfig
from drivelet.drives.image_motion import ImageMotion
from drivelet.drives.sensors import Samples, SensorLog

FOCAL = 300.0


def turning(offset=0.4, seconds=20.0, hz=10.0):
    """Return frame times, what the picture shows of a car that weaves, and its sensors on a clock that is late."""
    rng = np.random.default_rng(0)
    fine_t = np.arange(-2, seconds + 2, 0.01)
    rate = sum(0.1 * np.sin(fine_t * w + p) for w, p in ((0.7, 0.0), (1.9, 1.0), (3.1, 2.0)))
    angle = np.cumsum(rate) * 0.01
    times = np.arange(0, seconds, 1 / hz)
    turned = np.diff(np.interp(times, fine_t, angle), prepend=np.nan)
    moved = [ImageMotion(shift_px=FOCAL * a + rng.normal(0, 0.1), quality=0.9, flow_px=2.0, moving=1.0) for a in turned]
    gyro = Samples(fine_t - offset, rate + rng.normal(0, 0.003, len(fine_t)))
    speed = Samples(fine_t - offset, np.where((fine_t > 8) & (fine_t < 12), 0.0, 9.0))
    return list(times), moved, SensorLog(channels={"yaw_rate_radps": gyro, "speed_mps": speed})


def find(times, log, moved, focal=None):
    return find_motion(times, log, moved, focal_px=focal, clock=ClockConfig(), ego=EgoConfig())


def test_the_clock_is_found_and_the_sensors_are_put_on_it():
    times, moved, log = turning()
    motion = find(times, log, moved)
    assert motion.clock.offset_s == pytest.approx(0.4, abs=0.03)
    assert motion.log.channels["speed_mps"].time_N[0] == pytest.approx(-2.0, abs=0.03)
    standing = [step.standing for step in motion.ego.steps]
    assert standing[90:110] == [True] * 20
    assert standing[60:70] == [False] * 10


def test_a_gyro_of_the_other_sign_is_turned_by_the_picture():
    times, moved, log = turning()
    right, wrong = (find(times, with_gyro(log, lambda rate, s=s: s * rate), moved) for s in (1, -1))
    assert [step.yaw_rad for step in wrong.ego.steps] == pytest.approx(
        [s.yaw_rad for s in right.ego.steps], nan_ok=True
    )
    assert wrong.clock == right.clock
    assert right.assumed == []
    assert "sign is turned" in wrong.assumed[0]
    assert np.array_equal(wrong.log.channels["yaw_rate_radps"].value_N, log.channels["yaw_rate_radps"].value_N)


def test_a_gyro_in_degrees_is_refused_by_the_picture():
    times, moved, log = turning()
    motion = find_motion(
        times, with_gyro(log, np.degrees), moved, focal_px=None, clock=ClockConfig(), ego=EgoConfig(), width=320
    )
    assert list(motion.refused) == ["yaw_rate_radps"]
    assert "yaw_rate_radps" not in motion.log.channels
    assert motion.ego.sources["yaw"].startswith("unknown: there is no gyro")


def test_slow_degrees_are_refused_in_a_steady_turn():
    times, moved, _ = turning()
    steady = [replace(motion, shift_px=FOCAL * 0.002) for motion in moved]
    gyro = Samples(np.arange(-2, 22, 0.01), np.full(2400, np.degrees(0.02)))
    log = SensorLog(channels={"yaw_rate_radps": gyro})
    motion = find_motion(times, log, steady, focal_px=None, clock=ClockConfig(), ego=EgoConfig(), width=320)
    assert "deg/s would fit" in motion.refused["yaw_rate_radps"]


def test_what_is_doubted_serves_only_where_the_picture_bears_it_out():
    times, moved, log = turning()
    why = {"yaw_rate_radps": "how it is mounted is not known"}

    def refused(log, moved):
        settings = {"focal_px": None, "clock": ClockConfig(), "ego": EgoConfig(), "doubts": why}
        return find_motion(times, log, moved, **settings).refused

    assert refused(log, moved) == {}
    assert refused(with_gyro(log, np.negative), moved) == {}
    assert refused(log, []) == why
    assert refused(with_gyro(log, lambda rate: 0.1 * np.sin(np.arange(len(rate)) * 0.05)), moved) == why


def with_gyro(log, change):
    gyro = log.channels["yaw_rate_radps"]
    return SensorLog(channels={**log.channels, "yaw_rate_radps": Samples(gyro.time_N, change(gyro.value_N))})


def test_the_picture_tells_the_focal_length_where_the_source_does_not():
    times, moved, log = turning()
    assert find(times, log, moved).as_json()["focal_px"] == pytest.approx(FOCAL, rel=0.05)
    assert find(times, log, moved, focal=310.0).as_json()["focal_px"] == 310.0


def test_without_a_gyro_nothing_is_compared_and_the_picture_speaks():
    times, moved, _ = turning()
    motion = find(times, SensorLog(channels={}), moved)
    assert motion.clock is None
    assert motion.as_json() == {
        "focal_px": None,
        "clock": {"alarm": ""},
        "motion_sources": dict(motion.ego.sources),
    }
    assert motion.ego.sources["standing"].startswith("visual")


def test_without_pictures_the_speed_speaks():
    times, _, log = turning(offset=0.0)
    motion = find(times, log, [])
    assert motion.clock is None
    assert motion.ego.steps[100].standing is True


def test_an_alarm_leaves_the_sensors_on_their_own_clock():
    times, moved, log = turning()
    straight = SensorLog(
        channels={
            name: s if name == "speed_mps" else Samples(s.time_N, 0 * s.value_N) for name, s in log.channels.items()
        }
    )
    motion = find(times, straight, moved)
    assert motion.clock.alarm
    assert motion.log.channels["speed_mps"].time_N[0] == straight.channels["speed_mps"].time_N[0]
