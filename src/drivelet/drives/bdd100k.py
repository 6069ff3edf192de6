"""BDD100K drives: a phone's video with an info file of GPS, accelerometer and gyroscope.

Source: the data set's info files: times in milliseconds since 1970, `startTime` that of the first frame, GPS speed in
m/s, course in degrees clockwise from north, gyroscope in rad/s, accelerometer in g or m/s2. How the phone stood is
recorded nowhere, so its axes are found from the drive itself: the upward axis by gravity, forward along the camera's
axis (a back camera looks along -z of its phone), and both signs by GPS, where the drive turns and changes speed enough
to tell them.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.messages import BROKEN
from drivelet.drives.reading import DriveSource, Dropped, Floats, Reader, Recording, Stream, read_bytes
from drivelet.drives.video import open_video, video_pictures

KEYS = ("startTime", "accelerometer", "gyro", "locations", "gps")
GRAVITY = 9.80665
TELLING = 0.5
"""Correlation with GPS below which it does not tell a sign."""
SMOOTH_S = 1.0


def find_info(video: Path) -> Path | None:
    """Return the info file of a video: beside it, or in the `info` tree that mirrors the `videos` tree."""
    beside = video.with_suffix(".json")
    if beside.is_file() and _is_info(beside):
        return beside
    parts = video.with_suffix(".json").parts
    for place in [n for n, part in enumerate(parts) if part == "videos"]:
        for middle in (("info",), ("info", "100k")):
            found = Path(*parts[:place], *middle, *parts[place + 1 :])
            if found.is_file():
                return found
    return None


def _is_info(file: Path) -> bool:
    """Other programs write JSON beside videos too; damaged JSON is taken for an info file, so that it is named."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(content, dict) and any(key in content for key in KEYS)


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    recording = open_video(drive.file, fps=fps, camera=camera)
    assert drive.sensors is not None
    try:
        streams, lost, dropped = read_info(drive.sensors)
    except InputError as error:
        streams, lost, dropped = [], {}, [Dropped(channel="sensors", source=drive.sensors.name, reason=str(error))]
    return replace(recording, streams=streams, lost={**recording.lost, **lost}, dropped=[*recording.dropped, *dropped])


def read_info(file: Path) -> tuple[list[Stream], dict[str, int], list[Dropped]]:
    """Return the streams of an info file, how many samples are damaged, and what was left out and why.

    Raises:
        InputError: no JSON object, or no `startTime`.
    """
    try:
        info = json.loads(read_bytes(file))
        start = float(info["startTime"])
    except (*BROKEN, RecursionError) as error:
        reason = str(error).splitlines()[0][:100] or "damaged"
        raise InputError(f"{file}: no readable info file ({reason}); copy it again") from error
    lost: dict[str, int] = {}
    gps = _table(info, "locations", ("speed", "course"), start, lost)
    if not len(gps):
        gps = _table(info, "gps", ("speed", "course"), start, lost)
    gyro = _table(info, "gyro", ("x", "y", "z"), start, lost)
    force = _table(info, "accelerometer", ("x", "y", "z"), start, lost)
    streams = [Stream(channel="speed_mps", source="gps", time_N=gps[:, 0], value_N=gps[:, 1])] if len(gps) else []
    dropped: list[Dropped] = []
    for channel, source, found in (
        ("yaw_rate_radps", "gyro", _yaw_rate(gyro, force, gps)),
        ("acceleration_mps2", "accelerometer", _acceleration(force, gps)),
    ):
        if isinstance(found, str):
            dropped.append(Dropped(channel=channel, source=source, reason=found))
        else:
            streams.append(Stream(channel=channel, source=source, time_N=found[:, 0], value_N=found[:, 1]))
    return streams, lost, dropped


def _table(info: Any, key: str, names: tuple[str, ...], start: float, lost: dict[str, int]) -> Floats:
    """Return rows of (seconds, values) sorted by time; what is no number is counted."""
    listed = info.get(key) or []
    rows: list[list[float]] = []
    if not isinstance(listed, list):
        lost[key] = 1
        return np.empty((0, len(names) + 1))
    for item in listed:
        try:
            row = [(float(item["timestamp"]) - start) / 1000.0, *(float(item[name]) for name in names)]
        except BROKEN:
            continue
        if np.isfinite(row).all():
            rows.append(row)
    if len(rows) < len(listed):
        lost[key] = len(listed) - len(rows)
    table = np.array(rows).reshape(-1, len(names) + 1)
    return table[np.unique(table[:, 0], return_index=True)[1]]


def _yaw_rate(gyro: Floats, force: Floats, gps: Floats) -> Floats | str:
    if not len(gyro) or not len(force):
        return f"{'gyro' if not len(gyro) else 'accelerometer'} is empty"
    gravity_3 = np.median(force[:, 1:], axis=0)
    size = float(np.linalg.norm(gravity_3))
    if size == 0:
        return "the accelerometer shows no gravity"
    rate_N = gyro[:, 1:] @ (gravity_3 / size)
    driven = gps[gps[:, 1] > 2.0]
    if len(driven) < 4:
        return "GPS does not tell which way it turns"
    heading_N = -np.unwrap(np.radians(driven[:, 2]))
    turned = _sign(gyro[:, 0], rate_N, driven[:, 0], np.gradient(heading_N, driven[:, 0]))
    return np.stack([gyro[:, 0], turned * rate_N], axis=1) if turned else "GPS does not tell which way it turns"


def _acceleration(force: Floats, gps: Floats) -> Floats | str:
    if not len(force):
        return "accelerometer is empty"
    size = float(np.linalg.norm(np.median(force[:, 1:], axis=0)))
    unit = GRAVITY if 0.8 < size < 1.2 else 1.0 if 8.0 < size < 12.0 else 0.0
    if not unit:
        return f"gravity measures {size:.3g}, neither 1 g nor 9.8 m/s2; check the unit"
    forward_N = -force[:, 3] * unit
    if len(gps) < 4:
        return "GPS does not tell which way is forward"
    turned = _sign(force[:, 0], forward_N, gps[:, 0], np.gradient(gps[:, 1], gps[:, 0]))
    return np.stack([force[:, 0], turned * forward_N], axis=1) if turned else "GPS does not tell which way is forward"


def _sign(time_N: Floats, value_N: Floats, at_M: Floats, reference_M: Floats) -> int:
    """Return 1 or -1 by the correlation of a signal's means around GPS fixes with what GPS says there, 0 if weak."""
    near_MN = np.abs(at_M[:, None] - time_N[None, :]) <= SMOOTH_S if len(at_M) * len(time_N) < 5e7 else None
    if near_MN is None or len(time_N) < 2:
        return 0
    seen_M = near_MN.any(axis=1)
    means = (near_MN[seen_M] @ value_N) / np.maximum(near_MN[seen_M].sum(axis=1), 1)
    reference = reference_M[seen_M]
    if len(means) < 4 or means.std() < 1e-6 or reference.std() < 1e-6:
        return 0
    correlation = float(np.corrcoef(means, reference)[0, 1])
    return int(np.sign(correlation)) if abs(correlation) >= TELLING else 0


READER = Reader(
    kind="bdd100k",
    owns=lambda path, part: False,
    open=_open,
    pictures=lambda path, part, fps: video_pictures(path, part),
    bare=True,
)
