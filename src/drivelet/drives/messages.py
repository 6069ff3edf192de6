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
from drivelet.drives.mounting import NO_GRAVITY, axis_words, by_gravity
from drivelet.drives.pictures import PictureError, decode_raw, decode_still
from drivelet.drives.reading import Floats

RAW = ("Image", "RawImage")
VIDEO = ("CompressedVideo", "FFMPEGPacket")
PICTURES = (*RAW, "CompressedImage", *VIDEO)
CAMERAS = ("CameraInfo", "CameraCalibration")
SENSORS: dict[str, tuple[str, str]] = {
    "Imu": ("linear_acceleration", "angular_velocity"),
    "Odometry": ("twist.twist.linear", "twist.twist.angular"),
    "TwistStamped": ("twist.linear", "twist.angular"),
    "TwistWithCovarianceStamped": ("twist.twist.linear", "twist.twist.angular"),
}
"""Message type -> its two vectors, in order of preference: an IMU's yaw rate goes before an estimate of it."""
KINDS = frozenset((*PICTURES, *CAMERAS, *SENSORS))
"""All types that are read."""
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
    """Return the x, y, z of both vectors of a sensor message."""
    found = [float(field(message, f"{path}.{axis}")) for path in SENSORS[kind] for axis in "xyz"]
    if kind == "Imu":
        # REP 145: a covariance that starts with -1 marks a quantity that the driver does not measure.
        for place, name in ((0, "linear_acceleration"), (3, "angular_velocity")):
            if _first(message, f"{name}_covariance") == -1:
                found[place : place + 3] = [math.nan] * 3
    return found


def frame_of(message: Any) -> str:
    """Return the name of the frame in which a message's vectors are given, empty where it bears none.

    The velocity of an odometry is in its child's frame, its pose in the other.
    """
    for path in ("child_frame_id", "header.frame_id"):
        try:
            return str(field(message, path))
        except BROKEN:
            continue
    return ""


def _first(message: Any, path: str) -> float:
    try:
        return float(field(message, path)[0])
    except BROKEN:
        return 0.0


def upright(yaw_rate_N: Floats, acceleration_N3: Floats) -> tuple[Floats, str]:
    """Return the rate about the upward axis from that about z, NaN where z is not upright, and a note where it is not
    turned upwards.
    """
    up = by_gravity(acceleration_N3)
    if up is None:
        return np.full(len(yaw_rate_N), np.nan), f"{NO_GRAVITY}: how it is mounted is not known"
    if abs(up.axis_3[2]) < 0.9:
        return np.full(len(yaw_rate_N), np.nan), f"upward is {axis_words(up.axis_3)} of its axes, which is not read"
    return yaw_rate_N * np.sign(up.axis_3[2]), "" if up.axis_3[2] > 0 else "z points down: yaw rate turned"


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
