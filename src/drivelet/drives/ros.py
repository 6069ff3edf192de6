"""Decoding ROS messages with the standard definitions that ship with rosbags; none is taken from a log."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from drivelet.drives.unpacking import unzstd

VIDEOS = {
    "foxglove_msgs/msg/CompressedVideo": (
        "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
    ),
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": (
        "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
        "bool is_bigendian\nuint8[] data\n"
    ),
}
"""Videos' messages of Foxglove's package and of ffmpeg_image_transport, which standard distributions lack."""

Decode = Callable[[bytes], Any]


@lru_cache(maxsize=2)
def _store(generation: int) -> Any:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    if generation == 1:
        return get_typestore(Stores.ROS1_NOETIC)
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in VIDEOS.items():
        store.register(get_types_from_msg(text, name))
    return store


def decode_cdr(name: str) -> Decode | None:
    """Return the decoder of a ROS 2 message type, None where it is no standard one.

    A message may be packed by `ros2 bag record --compression-mode message`: CDR never begins like zstd does.
    """
    store = _store(2)
    name = _full(name)
    if name not in store.types:
        return None
    return lambda data: _tell(store.deserialize_cdr, unzstd(data, what="messages"), name)


def decode_ros1(name: str) -> Decode | None:
    """Return the decoder of a ROS 1 message type, None where it is no standard one."""
    store = _store(1)
    name = _full(name)
    return (lambda data: _tell(store.deserialize_ros1, data, name)) if name in store.types else None


def _full(name: str) -> str:
    """ROS 1 writes `sensor_msgs/Imu`, ROS 2 `sensor_msgs/msg/Imu`."""
    return name if "/msg/" in name else name.replace("/", "/msg/", 1)


def _tell(decode: Callable[[bytes, str], Any], data: bytes, name: str) -> Any:
    from rosbags.serde import SerdeError

    try:
        return decode(data, name)
    except (SerdeError, AssertionError) as error:
        raise ValueError(str(error)) from error
