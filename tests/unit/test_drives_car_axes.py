"""Sensor messages of drivers as they are: optical frames, halves of an IMU, g, zeros for what is not measured."""

import math
from dataclasses import replace

import numpy as np
import pytest

from drivelet.drives.car_axes import UNMEASURED, Vectors, car_streams, forward_speed
from drivelet.drives.messages import upright
from drivelet.drives.mounting import find_up, snapped, usual_forward

TIMES = np.arange(0, 20, 0.1)
NOTHING = (0.0, 0.0, 0.0)


def vectors(topic, linear, angular, *, kind="Imu", frame="", times=TIMES):
    return Vectors(kind=kind, topic=topic, frame=frame, time_N=times, linear_N3=np.tile(linear, (len(times), 1)),
                   angular_N3=np.tile(angular, (len(times), 1)))  # fmt: skip


def found(*topics):
    return {(s.source, s.channel): s for s in car_streams(topics)}


def test_the_halves_of_a_realsense_are_one_imu_in_an_optical_frame():
    gyro = vectors("/camera/gyro/sample", NOTHING, (0.001, -0.2, 0.003), frame="camera_gyro_optical_frame")
    force = vectors("/camera/accel/sample", (0.1, -9.8, 1.0), NOTHING, frame="camera_accel_optical_frame")
    streams = found(gyro, force)
    assert set(streams) == {("/camera/gyro/sample", "yaw_rate_radps"), ("/camera/accel/sample", "acceleration_mps2")}
    assert streams["/camera/gyro/sample", "yaw_rate_radps"].value_N == pytest.approx(0.2)
    assert streams["/camera/accel/sample", "acceleration_mps2"].value_N == pytest.approx(1.0)
    assert streams["/camera/gyro/sample", "yaw_rate_radps"].note == "upward is -y of its axes"


def test_an_optical_gyro_alone_is_turned_by_its_frame_and_says_so():
    streams = found(vectors("/camera/gyro/sample", NOTHING, (0.0, -0.2, 0.01), frame="camera_gyro_optical_frame"))
    yaw = streams["/camera/gyro/sample", "yaw_rate_radps"]
    assert yaw.value_N == pytest.approx(0.2)
    assert "no gravity in its acceleration: its -y axis" in yaw.note
    assert yaw.doubt == ""
    assert streams["/camera/gyro/sample", "acceleration_mps2"].note == UNMEASURED
    assert np.isnan(streams["/camera/gyro/sample", "acceleration_mps2"].value_N).all()


def test_without_gravity_turning_about_another_axis_is_doubted():
    yaw = found(vectors("/imu", NOTHING, (0.0, 0.2, 0.01)))["/imu", "yaw_rate_radps"]
    assert "it turns mostly about -y: how it is mounted is not known" in yaw.doubt
    assert found(vectors("/imu", NOTHING, (0.0, 0.01, 0.2)))["/imu", "yaw_rate_radps"].doubt == ""


@pytest.mark.parametrize(
    ("force", "acceleration", "note"),
    [
        ((0.2, 0.0, 1.0), 0.2 * 9.80665, "given in g"),
        ((200.0, 0.0, 1000.0), 0.2 * 9.80665, "given in milli-g"),
        ((2.0, 0.0, 9.8), 2.0, ""),
        ((1.0, 0.0, 4.9), math.nan, "gravity measures 5, neither 1 g nor 9.8 m/s2: check the unit"),
        ((1.0, 0.2, 0.0), 1.0, "no gravity in its acceleration: its z axis is taken for the upward one"),
        ((0.3, 9.8, 0.0), math.nan, "upward is y of its axes, and nothing tells which way is forward"),
    ],
)
def test_gravity_tells_the_unit(force, acceleration, note):
    stream = found(vectors("/livox/imu", force, (0.0, 0.0, 0.2)))["/livox/imu", "acceleration_mps2"]
    assert stream.value_N == pytest.approx(np.full(len(TIMES), acceleration), nan_ok=True)
    assert stream.note == note


def test_what_hangs_upside_down_turns_the_other_way():
    yaw = found(vectors("/imu", (0.5, 0.1, -9.8), (0.0, 0.0, 0.2)))["/imu", "yaw_rate_radps"]
    assert yaw.value_N == pytest.approx(-0.2)
    assert yaw.note == "upward is -z of its axes"


def test_an_imu_turned_about_the_upward_axis_is_turned_back_by_the_speed():
    speed = 10 + 3 * np.sin(TIMES)
    rate = 0.2 * np.sin(0.7 * TIMES)
    force = np.stack([-speed * rate, 3 * np.cos(TIMES), np.full_like(TIMES, 9.8)], axis=1)
    imu = Vectors(kind="Imu", topic="/imu", frame="imu_link", time_N=TIMES, linear_N3=force,
                  angular_N3=np.stack([0 * rate, 0 * rate, rate], axis=1))  # fmt: skip
    twist = vectors("/can", NOTHING, NOTHING, kind="TwistStamped")
    twist = replace(twist, linear_N3=np.stack([speed, 0 * speed, 0 * speed], axis=1))
    stream = found(imu, twist)["/imu", "acceleration_mps2"]
    assert stream.value_N == pytest.approx(3 * np.cos(TIMES), abs=0.3)
    assert "forward is" in stream.note
    shuffled = np.random.default_rng(0).permutation(200)
    names = ("time_N", "linear_N3", "angular_N3")
    mixed = [replace(v, **{name: getattr(v, name)[shuffled] for name in names}) for v in (imu, twist)]
    assert found(*mixed)["/imu", "acceleration_mps2"].value_N == pytest.approx(stream.value_N[shuffled])


def test_a_wild_time_costs_no_memory():
    times = np.concatenate([TIMES, [2e18, -1e300, math.inf]])
    imu = vectors("/imu", (0.1, 0.1, 9.8), (0.0, 0.0, 0.2), times=times)
    streams = found(imu, vectors("/can", (9.0, 0.0, 0.0), NOTHING, kind="TwistStamped", times=times))
    assert streams["/imu", "acceleration_mps2"].value_N == pytest.approx(0.1)


@pytest.mark.parametrize("velocity", [(0.0, 15.0, 0.0), (-15.0, 0.0, 0.1), (-10.0, -11.18034, 0.0)])
def test_a_velocity_over_ground_is_no_forward_one(velocity):
    streams = found(vectors("/vel", velocity, NOTHING, kind="TwistStamped"))
    assert streams["/vel", "speed_mps"].value_N == pytest.approx(15.0)
    assert streams["/vel", "yaw_rate_radps"].note == UNMEASURED
    assert np.isnan(streams["/vel", "yaw_rate_radps"].value_N).all()


@pytest.mark.parametrize("name", ["/gps/vel", "/ublox/velocity", "/navsat/twist", "/enu/odom"])
def test_a_name_says_that_a_velocity_is_over_ground(name):
    assert found(vectors(name, (-3.0, 0.0, 0.0), NOTHING, kind="TwistStamped"))[name, "speed_mps"].value_N[0] == 3.0
    assert found(vectors("/odom", (-3.0, 0.1, 0.0), NOTHING, kind="Odometry"))["/odom", "speed_mps"].value_N[0] == -3.0
    in_frame = vectors("/vel", (-3.0, 0.0, 0.0), NOTHING, kind="TwistStamped", frame="gps")
    assert found(in_frame)["/vel", "speed_mps"].value_N[0] == 3.0


def test_a_velocity_in_an_optical_frame_is_turned_and_one_along_z_is_not_known():
    optical = vectors("/camera/odom", (0.1, 0.2, -6.0), (0.0, -0.2, 0.0), kind="Odometry", frame="left_optical_frame")
    streams = found(optical)
    assert streams["/camera/odom", "speed_mps"].value_N == pytest.approx(-6.0)
    assert streams["/camera/odom", "yaw_rate_radps"].value_N == pytest.approx(0.2)
    lost = found(replace(optical, frame=""))["/camera/odom", "speed_mps"]
    assert np.isnan(lost.value_N).all()
    assert "it points along z" in lost.note


def test_a_car_that_goes_back_the_way_it_came_reverses():
    way = np.interp(TIMES, [0, 8, 9, 11, 12, 15, 16, 20], [5, 5, 0, 0, -2, -2, 0, 0])
    velocity = np.stack([0.6 * way, 0.8 * way, 0 * way], axis=1)
    assert forward_speed(TIMES, velocity, named=False)[0] == pytest.approx(way, abs=1e-6)
    assert forward_speed(TIMES, velocity, named=False)[0][130] == pytest.approx(-2)
    # A wide turn at speed is none.
    turn = 5 * np.exp(1j * np.interp(TIMES, [0, 5, 10, 20], [0, 0, np.pi, np.pi]))
    wide = np.stack([turn.real, turn.imag, 0 * way], axis=1)
    assert forward_speed(TIMES, wide, named=False)[0] == pytest.approx(5.0)


def test_nothing_and_no_numbers_are_no_error():
    empty = vectors("/imu", NOTHING, NOTHING, times=np.empty(0))
    broken = vectors("/other", (math.nan, math.inf, 0.0), (math.nan,) * 3)
    lost = vectors("/vel", (math.nan,) * 3, (math.nan,) * 3, kind="TwistStamped")
    streams = car_streams([empty, broken, lost])
    assert not any(np.isfinite(stream.value_N).any() for stream in streams)


@pytest.mark.parametrize(
    ("force", "rate", "note"),
    [
        ((0.1, 0.2, 9.8), 0.3, ""),
        ((0.01, 0.02, -1.0), -0.3, "z points down: yaw rate turned"),
        ((0.1, 9.8, 0.2), math.nan, "upward is y of its axes, which is not read"),
        (NOTHING, math.nan, "no gravity in its acceleration: how it is mounted is not known"),
    ],
)
def test_a_rate_about_z_is_the_yaw_rate_only_where_gravity_says_so(force, rate, note):
    found_N, said = upright(np.full(9, 0.3), np.tile(force, (9, 1)))
    assert found_N == pytest.approx(np.full(9, rate), nan_ok=True)
    assert said == note


def test_axes_are_snapped_and_forward_is_level():
    assert snapped(np.array([0.1, -0.1, 0.99])).tolist() == [0, 0, 1]
    tilted = np.array([0.5, 0.0, np.sqrt(0.75)])
    assert snapped(tilted).tolist() == tilted.tolist()
    assert usual_forward(tilted, optical=False) == pytest.approx([np.sqrt(0.75), 0, -0.5])
    assert usual_forward(np.array([1.0, 0, 0]), optical=False) is None
    assert usual_forward(np.array([1.0, 0, 0]), optical=True) == pytest.approx([0, 0, 1])
    assert find_up(np.full((1, 3), np.nan), np.full((1, 3), np.nan), optical=True).axis_3.tolist() == [0, -1, 0]
