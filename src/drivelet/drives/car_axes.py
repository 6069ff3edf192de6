"""The sensor messages of a log in the car's own axes: forward, left, up, whatever frame they were given in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drivelet.drives.mounting import MINE_DEG, NO_GRAVITY, Up, X, Z, axis_words, find_up, fitted_forward, usual_forward
from drivelet.drives.reading import FAR_S, Floats, Stream

IMU = "Imu"
SPEED, YAW_RATE, ACCELERATION = "speed_mps", "yaw_rate_radps", "acceleration_mps2"
OVER_GROUND = "the size of a velocity over ground"
UNMEASURED = "it is 0 throughout: not measured"
EARTH = re.compile(r"gps|gnss|navsat|nmea|ublox|(^|[/_])(fix|enu|ned|utm|map|world|earth)([/_]|$)", re.IGNORECASE)
"""Names of topics and frames whose velocities point east and north, not forward and left."""
MOVING_MPS = 1.0
SIDEWAYS = 0.2
"""A car does not usually drive more sideways than this; a velocity that does is not in the car's frame."""
REVERSING_MPS = 8.0
"""Nor does it reverse faster than this."""

TURNING_M = 3.0
"""Nor does it turn round within such a way."""


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What one topic says: acceleration (an IMU) or velocity, and turning, about three axes; NaN where not measured."""

    kind: str
    topic: str
    frame: str
    time_N: Floats
    linear_N3: Floats
    angular_N3: Floats


def car_streams(topics: Sequence[Vectors]) -> list[Stream]:
    """Return the channels of all topics, in their order, in the car's axes."""
    # Wild numbers overflow to what is no number, and cleaning leaves that out.
    with np.errstate(all="ignore"):
        moving = {topic.topic: velocity_streams(topic) for topic in topics if topic.kind != IMU}
        speeds = [s for two in moving.values() for s in two if s.channel == SPEED and np.isfinite(s.value_N).any()]
        imus = [topic for topic in topics if topic.kind == IMU]
        speed = speeds[0] if speeds else None
        streams = [
            stream for topic in topics for stream in (moving.get(topic.topic) or imu_streams(topic, imus, speed))
        ]
    served = {stream.channel for stream in streams if np.isfinite(stream.value_N).any()}
    return [stream for stream in streams if stream.note != UNMEASURED or stream.channel not in served]


def velocity_streams(topic: Vectors) -> list[Stream]:
    """Return speed and yaw rate of a velocity; one that is not in the car's frame gives a speed by its size."""
    if _optical(topic):
        # Right, down, forward become forward, left, up.
        linear_N3, angular_N3 = (v[:, [2, 0, 1]] * (1, -1, -1) for v in (topic.linear_N3, topic.angular_N3))
        topic = replace(topic, linear_N3=linear_N3, angular_N3=angular_N3)
    speed_N, note = forward_speed(topic.time_N, topic.linear_N3, named=_of_earth(topic))
    speed = Stream(channel=SPEED, source=topic.topic, time_N=topic.time_N, value_N=speed_N, note=note)
    if not topic.angular_N3.any():
        return [speed, _lacking(topic, YAW_RATE)]
    rate_N = topic.angular_N3[:, 2]
    return [speed, Stream(channel=YAW_RATE, source=topic.topic, time_N=topic.time_N, value_N=rate_N)]


def _optical(topic: Vectors) -> bool:
    return "optical" in f"{topic.topic} {topic.frame}".lower()


def _of_earth(topic: Vectors) -> bool:
    return bool(EARTH.search(topic.topic) or EARTH.search(topic.frame))


def measured(vector_N3: Floats) -> bool:
    """Return whether there is one number in a vector's samples that is not 0."""
    return bool((np.isfinite(vector_N3) & (vector_N3 != 0)).any())


def forward_speed(time_N: Floats, velocity_N3: Floats, *, named: bool) -> tuple[Floats, str]:
    """Return the speed, negative where the car reverses, of a velocity in the car's frame or in one of the earth's.

    Args:
        time_N: seconds.
        velocity_N3: m/s.
        named: whether a name says that it points east and north.
    """
    velocity_N3 = np.where(np.isfinite(velocity_N3[:, :1]), np.nan_to_num(velocity_N3), np.nan)
    size_N = np.hypot(velocity_N3[:, 0], velocity_N3[:, 1])
    climbing_N = np.abs(velocity_N3[:, 2]) > np.maximum(size_N, MOVING_MPS)
    if climbing_N.sum() > np.sum(size_N > MOVING_MPS):
        return np.full(len(size_N), np.nan), "it points along z: in which frame it is given is not known"
    fast_N = size_N > MOVING_MPS
    if not fast_N.any():
        return (size_N, OVER_GROUND) if named else (velocity_N3[:, 0], "")
    if not named and _in_car_frame(velocity_N3[fast_N], size_N[fast_N]):
        return velocity_N3[:, 0], ""
    return _signed(time_N, velocity_N3[:, 0] + 1j * velocity_N3[:, 1]), OVER_GROUND


def _in_car_frame(velocity_N3: Floats, size_N: Floats) -> bool:
    """A car slides sideways little, even in front of its rear axle in a bend, and does not reverse fast."""
    sideways_N = np.abs(velocity_N3[:, 1]) / size_N
    bends_N = sideways_N[size_N > 3 * MOVING_MPS]
    bend = float(np.quantile(bends_N, 0.95)) if len(bends_N) else 0.0
    backward = float(np.quantile(velocity_N3[:, 0], 0.05))
    return float(np.median(sideways_N)) <= SIDEWAYS and bend <= 2 * SIDEWAYS and backward >= -REVERSING_MPS


def _signed(time_N: Floats, velocity_N: np.ndarray) -> Floats:
    """Return the size, negative after a stop from which the car goes back the way it came.

    Where the course turns round within less way than a car can, it has changed gear. It mostly drives forward.
    """
    order = np.argsort(time_N, kind="stable")
    time_N, velocity_N = time_N[order], velocity_N[order]
    size_N, sign_N = np.abs(velocity_N), np.ones(len(velocity_N))
    way_N = np.concatenate([[0.0], np.cumsum(np.nan_to_num((size_N[1:] + size_N[:-1]) / 2) * np.diff(time_N))])
    fast = np.flatnonzero(size_N > MOVING_MPS)
    course = velocity_N[fast] / size_N[fast]
    back = np.real(course[1:] * np.conj(course[:-1])) < -0.7
    for place in np.flatnonzero(back & (np.diff(way_N[fast]) < TURNING_M)):
        # The gear is changed where it is slowest.
        slow = fast[place] + 1 + int(np.nan_to_num(size_N[fast[place] + 1 : fast[place + 1] + 1]).argmin())
        sign_N[slow:] *= -1
    signed_N = np.empty(len(order))
    signed_N[order] = size_N * sign_N
    return -signed_N if np.nansum(signed_N) < 0 else signed_N


def imu_streams(topic: Vectors, imus: Sequence[Vectors], speed: Stream | None) -> list[Stream]:
    """Return acceleration and yaw rate of an IMU, whose other half may lie in a topic beside it."""
    gyro = _half(topic, imus, "angular_N3")
    force = _half(topic, imus, "linear_N3")
    optical = _optical(topic)
    nothing_N3 = np.full((1, 3), np.nan)
    up = find_up(force.linear_N3 if force else nothing_N3, gyro.angular_N3 if gyro else nothing_N3, optical=optical)
    ahead = usual_forward(up.axis_3, optical=optical)
    if gyro and speed and measured(topic.linear_N3):
        ahead = _by_speed(topic, up, gyro, speed, ahead)
    return [
        _acceleration(topic, up, ahead) if topic.linear_N3.any() else _lacking(topic, ACCELERATION),
        _yaw_rate(topic, up) if topic.angular_N3.any() else _lacking(topic, YAW_RATE),
    ]


def _half(topic: Vectors, imus: Sequence[Vectors], part: str) -> Vectors | None:
    """Return the topic that holds a half of this IMU: itself, or a sister: `/accel/sample` beside `/gyro/sample`."""
    sisters = [imu for imu in imus if _device(imu.topic) == _device(topic.topic)]
    return next((imu for imu in (topic, *sisters) if measured(getattr(imu, part))), None)


def _device(name: str) -> str:
    return re.sub(r"gyro(scope)?|accel(erometer)?", "", name.lower())


def _lacking(topic: Vectors, channel: str) -> Stream:
    """A channel without values: drivers fill with zeros what they do not know."""
    value_N = np.full(len(topic.time_N), np.nan)
    return Stream(channel=channel, source=topic.topic, time_N=topic.time_N, value_N=value_N, note=UNMEASURED)


def _by_speed(topic: Vectors, up: Up, gyro: Vectors, speed: Stream, usual_3: Floats | None) -> Floats | None:
    """Return the forward direction that the speed tells; the usual one where it tells none, or nearly this one."""
    time_N, force_N3 = _rising(topic.time_N, topic.linear_N3)
    if not np.isfinite(up.factor) or len(time_N) < 2:
        return usual_3
    rate, pace = _rising(gyro.time_N, gyro.angular_N3 @ up.axis_3), _rising(speed.time_N, speed.value_N)
    if min(len(rate[0]), len(pace[0])) < 2:
        return usual_3
    fitted_3 = fitted_forward(time_N, force_N3 * up.factor, up.axis_3, rate=rate, speed=pace)
    if fitted_3 is None or (usual_3 is not None and fitted_3 @ usual_3 > np.cos(np.radians(MINE_DEG))):
        return usual_3
    return fitted_3


def _rising(time_N: Floats, value_N: Floats) -> tuple[Floats, Floats]:
    """The finite samples of a channel or vector in order of time, one a time, none of a time a day off."""
    good_N = np.isfinite(time_N) & np.isfinite(value_N.reshape(len(value_N), -1)).all(axis=1)
    if good_N.any():
        good_N &= np.abs(time_N - np.median(time_N[good_N])) <= FAR_S
    times_N, first_N = np.unique(time_N[good_N], return_index=True)
    return times_N, value_N[good_N][first_N]


def _acceleration(topic: Vectors, up: Up, ahead_3: Floats | None) -> Stream:
    value_N = np.full(len(topic.time_N), np.nan)
    if up.doubt:
        note = up.note
    elif ahead_3 is None:
        note = f"upward is {axis_words(up.axis_3)} of its axes, and nothing tells which way is forward"
    elif not np.isfinite(up.factor):
        note = up.note
    else:
        value_N = topic.linear_N3 @ ahead_3 * up.factor
        turned = "" if ahead_3 @ X > np.cos(np.radians(MINE_DEG)) else f"forward is {axis_words(ahead_3)} of its axes"
        note = "; ".join(filter(None, (up.note, turned)))
    return Stream(channel=ACCELERATION, source=topic.topic, time_N=topic.time_N, value_N=value_N, note=note)


def _yaw_rate(topic: Vectors, up: Up) -> Stream:
    usual = up.axis_3 @ Z > np.cos(np.radians(MINE_DEG))
    turned = "" if usual else f"upward is {axis_words(up.axis_3)} of its axes"
    note = "; ".join(filter(None, (up.note if up.note.startswith(NO_GRAVITY) else "", turned)))
    value_N = topic.angular_N3 @ up.axis_3
    return Stream(channel=YAW_RATE, source=topic.topic, time_N=topic.time_N, value_N=value_N, note=note, doubt=up.doubt)
