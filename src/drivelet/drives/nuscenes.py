"""The nuScenes layout: JSON tables, key frames and sweeps of a camera, ego poses and the CAN bus; a scene is a drive.

Sources: the development kit's schema (ego frame: x forward, y left, z up; times in microseconds) and the README of
the CAN bus expansion: `pose` in the ego frame, `zoe_veh_info` with speed in km/h and longitudinal acceleration in m/s2,
`vehicle_monitor` with speed in km/h. How the IMU's x axis lies and the sign of the monitor's yaw rate are not
published: of these the first serves for the yaw rate about the axis of gravity only, the second not at all;
`zoesensors` holds pedals and steering.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.cameras import chosen_of
from drivelet.drives.images import file_pictures
from drivelet.drives.json_rows import Row, read_rows
from drivelet.drives.messages import BROKEN, upright
from drivelet.drives.nuscenes_tables import (
    OWN_UNIT,
    Scene,
    Tables,
    nanoseconds,
    read_tables,
    scene_names,
    tables_of,
    unit_of,
)
from drivelet.drives.reading import DriveSource, Dropped, Floats, Pictures, Reader, Recording, Stream

KMH = 1 / 3.6
LONGEST = 255
"""Bytes of a file's name."""

CAN: tuple[tuple[str, str, Callable[[Row], float]], ...] = (
    ("pose", "speed_mps", lambda row: row["vel"][0]),
    ("pose", "yaw_rate_radps", lambda row: row["rotation_rate"][2]),
    ("pose", "acceleration_mps2", lambda row: row["accel"][0]),
    ("ms_imu", "yaw_rate_radps", lambda row: row["rotation_rate"][2]),
    ("zoe_veh_info", "speed_mps", lambda row: row["odom_speed"] * KMH),
    ("zoe_veh_info", "acceleration_mps2", lambda row: row["longitudinal_accel"]),
    ("vehicle_monitor", "speed_mps", lambda row: row["vehicle_speed"] * KMH),
)
"""(message, channel, how it is read), best first."""


def _find(root: Path, part: str, camera: str) -> tuple[Scene, Tables, str]:
    """Return a scene, the tables it is in, and its name; `part` is `scene` or `scene@camera`."""
    for version in tables_of(root):
        changed_ns = max((path.stat().st_mtime_ns for path in version.glob("*.json")), default=0)
        known = scene_names(version)
        name, _, at = (part, "", "") if part in known else part.rpartition("@")
        if name in known:
            tables = read_tables(version, camera or at, changed_ns)
            scene = tables.scenes.get(name)
            if scene is None or not scene.files:
                raise InputError(f"{version / 'sample_data.json'}: no picture of {tables.camera} in {name}"
                                 f"{_told(tables.lost)}; copy the tables again")  # fmt: skip
            return scene, tables, name
    raise InputError(f"{root}: no scene {part!r} in its tables; copy the tables again")


def _told(lost: dict[str, int]) -> str:
    return f" (skipped {', '.join(f'{count} {what}' for what, count in lost.items())})" if lost else ""


def _pictures(scene: Scene) -> Pictures:
    times = [(time - scene.times_ns[0]) * 1e-9 for time in scene.times_ns]
    return file_pictures(scene.files, times, fps=12.0, lost=scene.untimed)


def scene_pictures(path: Path, part: str, fps: float) -> Pictures:
    """Return the frames of a scene, key frames and sweeps together."""
    return _pictures(_find(path, part, "")[0])


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    scene, tables, name = _find(drive.file, drive.part, camera)
    streams, lost, dropped = _can(drive.file / "can_bus", name, scene.times_ns[0])
    if unknown := int(np.isnan(scene.pose_N4).any(axis=1).sum()):
        lost["ego poses unknown"] = unknown
    if tables.no_poses:
        dropped.append(Dropped(channel="ego_pose", source="ego_pose.json", reason=tables.no_poses))
    in_unit = f"the tables of {drive.file.name} count time in {scene.unit}, not in us"
    return Recording(
        file=f"{drive.file}#{name}@{tables.camera}",
        pictures=_pictures(scene),
        streams=[*streams, *_ego(scene)],
        focal_px=scene.focal_px,
        camera=tables.camera,
        lost={**tables.lost, **lost},
        dropped=dropped,
        assumed=[
            *([chosen_of(tables.camera, tables.others)] if tables.others and not camera else []),
            *([in_unit] if scene.unit != OWN_UNIT else []),
        ],
    )


def _can(folder: Path, scene: str, origin_ns: int) -> tuple[list[Stream], dict[str, int], list[Dropped]]:
    streams: list[Stream] = []
    lost: dict[str, int] = {}
    dropped: list[Dropped] = []
    for message in dict.fromkeys(message for message, _, _ in CAN):
        file = folder / f"{scene}_{message}.json"
        # A scene's name is what its table says: it must not lead out of the folder, and may be longer than any file's.
        if file.parent != folder or len(file.name.encode("utf-8", "replace")) > LONGEST or not file.is_file():
            continue
        try:
            rows = list(read_rows(file))
        except InputError as error:
            dropped.append(Dropped(channel=message, source=file.name, reason=str(error)))
            continue
        factor, _ = unit_of(row.get("utime") for row in rows)
        for channel, read in [(channel, read) for name, channel, read in CAN if name == message]:
            samples = [sample for row in rows if (sample := _sample(row, read, factor)) is not None]
            if len(samples) < len(rows):
                lost[f"{file.name} {channel}"] = len(rows) - len(samples)
            time_N = np.array([(time - origin_ns) * 1e-9 for time, _ in samples])
            value_N, note = np.array([value for _, value in samples], float), ""
            if message == "ms_imu":
                value_N, note = _levelled(rows, read, value_N)
            streams.append(Stream(channel=channel, source=file.name, time_N=time_N, value_N=value_N, note=note))
    return streams, lost, dropped


def _sample(row: Row, read: Callable[[Row], float], factor: int) -> tuple[int, float] | None:
    time = nanoseconds(row.get("utime"), factor)
    try:
        return (time, float(read(row))) if time is not None else None
    except BROKEN:
        return None


def _levelled(rows: list[Row], read: Callable[[Row], float], value_N: Floats) -> tuple[Floats, str]:
    forces = [row["linear_accel"] for row in rows if isinstance(row.get("linear_accel"), list)]
    try:
        return upright(value_N, np.array(forces, float).reshape(-1, 3))
    except BROKEN:
        return np.full(len(value_N), np.nan), "its accelerations are no numbers"


def _ego(scene: Scene) -> list[Stream]:
    """Return speed and yaw rate as differences of the poses at the pictures."""
    known = np.isfinite(scene.pose_N4).all(axis=1)
    if known.sum() < 3:
        return []
    time_N = np.array([(time - scene.times_ns[0]) * 1e-9 for time in scene.times_ns])[known]
    x_N, y_N, z_N, heading_N = scene.pose_N4[known].T
    # Wild poses overflow to what is no number, and cleaning leaves that out.
    velocity_N3 = np.gradient(np.stack([x_N, y_N, z_N], axis=1), time_N, axis=0)
    forward_N = np.cos(heading_N) * velocity_N3[:, 0] + np.sin(heading_N) * velocity_N3[:, 1]
    speed_N = np.copysign(np.linalg.norm(velocity_N3, axis=1), forward_N)
    yaw_rate_N = np.gradient(np.unwrap(heading_N), time_N)
    return [
        Stream(channel="speed_mps", source="ego_pose", time_N=time_N, value_N=speed_N),
        Stream(channel="yaw_rate_radps", source="ego_pose", time_N=time_N, value_N=yaw_rate_N),
    ]


READER = Reader(
    kind="nuscenes", owns=lambda path, part: bool(part and tables_of(path)), open=_open, pictures=scene_pictures
)
