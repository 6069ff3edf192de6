"""However an IMU is mounted, whichever way the car heads, in whatever unit: the car's motion is the same."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivelet.drives.car_axes import Vectors, car_streams, forward_speed
from drivelet.drives.ego_motion import ego_motion
from drivelet.drives.sensors import choose

TIMES = np.arange(0, 60, 0.02)
knots = st.lists(st.floats(-1, 1), min_size=13, max_size=13)
quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
SPEED, YAW_RATE, ACCELERATION = "speed_mps", "yaw_rate_radps", "acceleration_mps2"


def curve(drawn, size):
    """A smooth curve through drawn values, of a mean of zero."""
    values = size * np.interp(TIMES, np.linspace(0, 60, 13), drawn)
    return values - values.mean()


def rotation(quaternion):
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def feel(speed, rate):
    """What a level IMU in the car's axes reads."""
    force = np.stack([np.gradient(speed, TIMES), speed * rate, np.full_like(TIMES, 9.81)], axis=1)
    return force, np.stack([0 * rate, 0 * rate, rate], axis=1)


def streams_of(force, turning, speed=None, *, frame="imu_link"):
    topics = [Vectors(kind="Imu", topic="/imu", frame=frame, time_N=TIMES, linear_N3=force, angular_N3=turning)]
    if speed is not None:
        linear = np.stack([speed, 0 * speed, 0 * speed], axis=1)
        zeros = np.zeros_like(linear)
        topics.append(Vectors(kind="TwistStamped", topic="/can", frame="base_link", time_N=TIMES, linear_N3=linear,
                              angular_N3=zeros))  # fmt: skip
    return {stream.channel: stream for stream in car_streams(topics) if stream.source == "/imu" or speed is None}


@given(speeds=knots, rates=knots, mounted=quaternions, unit=st.sampled_from([1.0, 1 / 9.80665, 1000 / 9.80665]))
def test_any_mounting_and_unit_of_an_imu_gives_the_same_motion(speeds, rates, mounted, unit):
    speed, rate = 12 + curve(speeds, 8.0), curve(rates, 0.3)
    force, turning = feel(speed, rate)
    # The drive must have enough in it to tell which way is forward.
    assume(np.std(np.gradient(speed, TIMES)) > 0.4 and np.std(speed * rate) > 0.5)
    turned = rotation(mounted)
    found = streams_of(force @ turned.T * unit, turning @ turned.T, speed)
    scale = np.abs(rate).max()
    assert found[YAW_RATE].value_N == pytest.approx(rate, abs=0.05 * scale + 1e-6)
    rest = found[ACCELERATION].value_N - force[:, 0]
    # A constant is left where the IMU is not quite level: see the tilt that counts as level.
    assert np.std(rest) < 0.35 * np.std(force[:, :2])


@given(rates=knots, mounted=quaternions, unit=st.sampled_from([1.0, 1 / 9.80665, 1000 / 9.80665]))
def test_the_yaw_rate_needs_gravity_only(rates, mounted, unit):
    rate = curve(rates, 0.3)
    assume(np.abs(rate).max() > 0.05)
    force, turning = feel(np.full_like(TIMES, 10.0), rate)
    turned = rotation(mounted)
    found = streams_of(force @ turned.T * unit, turning @ turned.T)
    assert found[YAW_RATE].value_N == pytest.approx(rate, abs=0.04 * np.abs(rate).max())


@given(
    speeds=st.lists(st.tuples(st.sampled_from([-1, 0, 1, 1]), st.floats(3, 14)), min_size=6, max_size=6),
    courses=st.lists(st.floats(-0.5, 0.5), min_size=13, max_size=13),
    heading=st.floats(-np.pi, np.pi),
)
def test_any_heading_gives_the_same_signed_speed(speeds, courses, heading):
    """Six stretches of 10 s, forwards or backwards, with a stop after each."""
    stretches = [gear * size for gear, size in speeds]
    assume(sum(stretches) > 5)
    phase = TIMES % 10
    speed = np.array(stretches)[(TIMES // 10).astype(int)] * np.clip(np.minimum(phase, 9 - phase), 0, 2) / 2
    course = np.interp(TIMES, np.linspace(0, 60, 13), courses)
    # It does not turn where it stands.
    course = np.interp(np.cumsum(np.abs(speed)), np.cumsum(np.abs(speed)), course)
    velocity = speed * np.exp(1j * (course + heading))
    found, note = forward_speed(TIMES, np.stack([velocity.real, velocity.imag, 0 * speed], axis=1), named=True)
    assert "over ground" in note
    assert found == pytest.approx(speed, abs=1e-6)


@given(speeds=st.lists(st.floats(-5, 14), min_size=6, max_size=6), slip=st.floats(-0.1, 0.1))
def test_a_velocity_in_the_car_s_frame_keeps_its_sign(speeds, slip):
    speed = np.array(speeds)[(TIMES // 10).astype(int)]
    found, note = forward_speed(TIMES, np.stack([speed, slip * speed, 0 * speed], axis=1), named=False)
    assert note == ""
    assert np.array_equal(found, speed)


def motion_of(channels):
    frames = np.arange(1, 59, 0.5)
    steps = ego_motion(frames, channels=channels).steps[1:]
    return np.array([[step.forward_m, step.left_m, step.yaw_rad] for step in steps]), [step.standing for step in steps]


@given(
    speeds=knots, rates=knots, mounted=quaternions, heading=st.floats(-np.pi, np.pi), backwards=st.booleans(),
    unit=st.sampled_from([1.0, 1 / 9.80665]),
)  # fmt: skip
def test_any_mounting_heading_and_gear_gives_the_same_motion(speeds, rates, mounted, heading, backwards, unit):
    """The speed is a velocity over ground where the car drives forward, and its own where it reverses."""
    speed, rate = np.clip(6 + curve(speeds, 8.0), 0, None), curve(rates, 0.3)
    rate = np.where(speed > 0.5, rate, 0.0)
    assume(np.abs(rate).max() > 0.05)
    speed = -np.clip(speed, 0, 5) if backwards else speed
    force, turning = feel(speed, rate)
    # The car's own acceleration over a minute must not look like a hill.
    assume(np.linalg.norm(force[:, :2].mean(axis=0)) < 0.1)
    turned = rotation(mounted)
    course = heading + np.cumsum(rate) * 0.02
    linear = np.stack([speed * np.cos(course), speed * np.sin(course), 0 * speed], axis=1)
    own = np.stack([speed, 0 * speed, 0 * speed], axis=1)
    zeros = np.zeros_like(own)
    topics = [
        Vectors(kind="Imu", topic="/imu", frame="", time_N=TIMES, linear_N3=force @ turned.T * unit,
                angular_N3=turning @ turned.T),
        Vectors(kind="TwistStamped", topic="/speed" if backwards else "/gps/vel", frame="", time_N=TIMES,
                linear_N3=own if backwards else linear, angular_N3=zeros),
    ]  # fmt: skip
    found, stood = motion_of(choose(car_streams(topics), end=58.0, max_gap_s=0.5).log.channels)
    wanted, stands = motion_of({SPEED: (TIMES, speed), YAW_RATE: (TIMES, rate)})
    assert stood == stands
    scale = np.abs(wanted).max(axis=0)
    assert (np.abs(found - wanted) <= 0.04 * scale + 1e-6).all()
