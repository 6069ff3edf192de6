"""The sensor topics of a message log: which goes first, their channels, and steps in time where there is no camera."""

import numpy as np

from drivelet.drives import messages
from drivelet.drives.car_axes import Vectors, car_streams
from drivelet.drives.log_clock import Clock
from drivelet.drives.message_log import Index
from drivelet.drives.reading import FAR_S, Floats, Pictures, Stream

ON_A_CAMERA = ("camera", "cam", "realsense", "oak", "zed", "lidar", "livox", "ouster", "velodyne", "hesai")
"""An IMU in one of these is not mounted like the car's own."""


def sensor_topics(index: Index) -> list[str]:
    """Return the sensor topics, best first: by type, then the car's own before those in a camera or lidar."""
    rank = {kind: place for place, kind in enumerate(messages.SENSORS)}

    def key(topic: str) -> tuple[int, bool, str]:
        return rank[index.readings[topic].kind], any(word in topic.lower() for word in ON_A_CAMERA), topic

    return sorted(index.readings, key=key)


def topic_streams(index: Index, clocks: dict[str, Clock], origin_ns: int) -> list[Stream]:
    """Return the channels of all sensor topics in the car's axes, seconds from an origin in nanoseconds."""
    topics: list[Vectors] = []
    for topic in sensor_topics(index):
        found = index.readings[topic]
        time_N = _near(np.asarray((clocks[topic].time_N - origin_ns) * 1e-9, np.float64))
        linear_N3, angular_N3 = np.hsplit(np.array(found.values).reshape(len(time_N), 6), 2)
        topics.append(Vectors(
            kind=found.kind, topic=topic, frame=found.frame, time_N=time_N, linear_N3=linear_N3, angular_N3=angular_N3
        ))  # fmt: skip
    return car_streams(topics)


def _near(time_N: Floats) -> Floats:
    """Return times without those a day off the middle one: NaN, which is skipped and counted with the sample."""
    return np.where(np.abs(time_N - np.median(time_N)) <= FAR_S, time_N, np.nan)


def steps(clocks: dict[str, Clock], fps: float) -> tuple[Pictures, int]:
    """Return steps over all sensors' times, and the first of these in nanoseconds; times a day off are damage."""
    time_N = np.concatenate([clock.time_N for clock in clocks.values()])
    near_N = time_N[np.abs(time_N - np.median(time_N)) <= FAR_S * 1e9]
    first, last = int(near_N.min()), int(near_N.max())
    count = 1 + int((last - first) * 1e-9 * fps)
    return Pictures(
        frames=range(count), times=[n / fps for n in range(count)], read=lambda indices: iter(()), fps=fps
    ), first
