"""What the messages of a log say: time stamps, sensor values, cameras and pictures, whatever their encoding.

Types are told by the last word of their name, so that `sensor_msgs/Imu` (ROS 1), `sensor_msgs/msg/Imu` (ROS 2), and
`foxglove.CompressedImage` as JSON or protobuf are read alike. Sources: ROS common_interfaces, REP 103, REP 145,
Foxglove's schemas, and the format strings of ROS image_transport_plugins.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.drives.pictures import PictureError, decode_raw, decode_still
from drivelet.drives.reading import Floats, Stream

RAW = ("Image", "RawImage")
VIDEO = ("CompressedVideo", "FFMPEGPacket")
PICTURES = (*RAW, "CompressedImage", *VIDEO)
CAMERAS = ("CameraInfo", "CameraCalibration")
SENSORS: dict[str, dict[str, str]] = {
    "Imu": {"acceleration_mps2": "linear_acceleration.x", "yaw_rate_radps": "angular_velocity.z"},
    "Odometry": {"speed_mps": "twist.twist.linear.x", "yaw_rate_radps": "twist.twist.angular.z"},
    "TwistStamped": {"speed_mps": "twist.linear.x", "yaw_rate_radps": "twist.angular.z"},
    "TwistWithCovarianceStamped": {"speed_mps": "twist.twist.linear.x", "yaw_rate_radps": "twist.twist.angular.z"},
}
"""Message type -> channel -> field, in order of preference: an IMU's yaw rate goes before an estimate of it."""
KINDS = frozenset((*PICTURES, *CAMERAS, *SENSORS))
"""All types that are read."""
UP = ("linear_acceleration.y", "linear_acceleration.z")
H264 = re.compile(r"[hx]\.?264|avc")
H265 = re.compile(r"[hx]\.?265|hevc")
BROKEN = (KeyError, AttributeError, TypeError, ValueError, IndexError, OverflowError)
"""What a message raises that lacks a field or holds something else in it."""


def kind_of(name: str) -> str:
    """Return the last word of a message type's name."""
    return name.replace(".", "/").rsplit("/", 1)[-1]


def is_read(name: str) -> bool:
    """Return whether messages of a type are read."""
    return kind_of(name) in KINDS


def field(message: Any, path: str) -> Any:
    """Return a nested field of a decoded message, whether its parts are mappings or objects."""
    for name in path.split("."):
        message = message[name] if isinstance(message, Mapping) else getattr(message, name)
    return message


def text(message: Any, *names: str) -> str:
    """Return the first of these fields that holds text, empty where none does."""
    for name in names:
        try:
            return str(field(message, name))[:200]
        except BROKEN:
            continue
    return ""


def stamp_ns(message: Any) -> int:
    """Return a message's own time in nanoseconds, 0 where it bears none."""
    for path in ("header.stamp", "timestamp"):
        try:
            stamp = field(message, path)
        except BROKEN:
            continue
        for seconds, rest in (("sec", "nanosec"), ("sec", "nsec"), ("seconds", "nanos")):
            try:
                found = int(field(stamp, seconds)) * 10**9 + int(field(stamp, rest))
                return found if 0 <= found < 2**62 else 0
            except BROKEN:
                continue
    return 0


def values(kind: str, message: Any) -> list[float]:
    """Return the values of a sensor message in the order of its channels, an IMU's y and z acceleration after them."""
    paths = [*SENSORS[kind].values(), *(UP if kind == "Imu" else ())]
    found = [float(field(message, path)) for path in paths]
    if kind == "Imu":
        # REP 145: a covariance that starts with -1 marks a quantity that the driver does not measure.
        for place, name in ((0, "linear_acceleration"), (1, "angular_velocity")):
            if _first(message, f"{name}_covariance") == -1:
                found[place] = math.nan
    return found


def _first(message: Any, path: str) -> float:
    try:
        return float(field(message, path)[0])
    except BROKEN:
        return 0.0


def sensor_streams(kind: str, topic: str, time_N: Floats, values_NV: Floats) -> list[Stream]:
    """Return the channels of one topic.

    An IMU that hangs upside down (gravity on -z: z points down) has its yaw rate turned; where gravity lies on another
    axis it is not known how the IMU is mounted, and its values become NaN with a note.
    """
    columns = {name: values_NV[:, place] for place, name in enumerate(SENSORS[kind])}
    note = ""
    if kind == "Imu":
        columns["yaw_rate_radps"], note = upright(columns["yaw_rate_radps"], values_NV[:, [0, 2, 3]])
        if note and "down" not in note:
            columns["acceleration_mps2"] = np.full(len(time_N), np.nan)
    return [
        Stream(channel=name, source=topic, time_N=time_N, value_N=column, note=note) for name, column in columns.items()
    ]


def upright(yaw_rate_N: Floats, acceleration_N3: Floats) -> tuple[Floats, str]:
    """Return the rate about the upward axis from that about z, and a note where z does not point up.

    An accelerometer at rest reads +9.8 m/s2 on the axis that points up (REP 145); without gravity in it z is trusted.
    """
    finite = np.isfinite(acceleration_N3).all(axis=1)
    mean_3 = acceleration_N3[finite].mean(axis=0) if finite.any() else np.zeros(3)
    if np.abs(mean_3).max() < 5.0 or mean_3[2] > np.abs(mean_3).max() - 1e-9:
        return yaw_rate_N, ""
    if -mean_3[2] >= np.abs(mean_3).max():
        return -yaw_rate_N, "z points down: yaw rate turned"
    return np.full(len(yaw_rate_N), np.nan), "gravity is not on z: how the IMU is mounted is not known"


def focal_of(message: Any) -> tuple[float, int] | None:
    """Return (focal length in pixels, picture width) of a camera's calibration; None where it is not calibrated."""
    for name in ("k", "K"):
        try:
            focal = float(field(message, name)[0])
            return (focal, int(field(message, "width"))) if math.isfinite(focal) and focal > 0 else None
        except BROKEN:
            continue
    return None


def format_of(kind: str, message: Any) -> str:
    """Return how a picture message says that its bytes are to be read."""
    return text(message, *(("encoding",) if kind in RAW else ("format", "encoding")))


def video_codec(kind: str, form: str) -> str:
    """Return the codec of a message that holds a packet of a video, empty where it holds a still.

    Raises:
        PictureError: it is a video of another codec.
    """
    if kind in RAW:
        return ""
    if H264.search(form.lower()):
        return "h264"
    if H265.search(form.lower()):
        return "h265"
    if kind in VIDEO:
        raise PictureError(f"video format {form!r} is not supported; known are h264, h265")
    return ""


def payload(message: Any) -> bytes:
    """Return a picture's bytes, which JSON holds as base64."""
    data = field(message, "data")
    if isinstance(data, str):
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise PictureError(f"no base64 ({error})") from error
    return bytes(data)


def still(kind: str, message: Any) -> ImageArray:
    """Return the picture of a message that is no video packet."""
    data, form = payload(message), format_of(kind, message)
    if kind == "CompressedImage":
        return decode_still(data, form=form)
    width, height, step = (int(field(message, name)) for name in ("width", "height", "step"))
    # Foxglove's raw images are little-endian and do not say so.
    big = text(message, "is_bigendian") in ("1", "True")
    return decode_raw(data, encoding=form, width=width, height=height, step=step, big_endian=big)


def is_deep(kind: str, message: Any) -> bool:
    """Return whether a still has more than 8 bits a channel, as its message or its PNG head says."""
    if "16" in format_of(kind, message):
        return True
    try:
        data = payload(message) if kind == "CompressedImage" else b""
    except BROKEN:
        return False
    return data[:4] == b"\x89PNG" and data[24:25] == b"\x10"
