"""The nuScenes layout: JSON tables, key frames and sweeps of a camera, ego poses and the CAN bus; a scene is a drive.

Sources: the development kit's schema (ego frame: x forward, y left, z up; times in microseconds) and the README of
the CAN bus expansion: `pose` in the ego frame, `zoe_veh_info` with speed in km/h and longitudinal acceleration in m/s2,
`vehicle_monitor` with speed in km/h. How the IMU's x axis lies and the sign of the monitor's yaw rate are not
published: of these the first serves for the yaw rate about the axis of gravity only, the second not at all;
`zoesensors` holds pedals and steering.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.images import file_pictures
from drivelet.drives.messages import BROKEN, upright
from drivelet.drives.reading import DriveSource, Dropped, Floats, Pictures, Reader, Recording, Stream, by_time

CAMERA = "CAM_FRONT"
BLOCK = 1 << 20
KMH = 1 / 3.6
UNKNOWN = (float("nan"),) * 4

Row = dict[str, Any]
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


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene of a camera: its pictures by time, their poses (NaN where unknown), its focal length and its losses."""

    files: list[Path]
    times_us: list[int]
    pose_N4: Floats
    focal_px: float | None
    lost: int


def tables_of(folder: Path) -> list[Path]:
    """Return the version folders (`v1.0-*`) of a data set's root."""
    return sorted(path for path in folder.glob("v1.0-*") if path.is_dir())


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON table in constant memory; tables of the whole set are larger than a machine's.

    Raises:
        InputError: the table is missing, or no list of objects.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            yield from _objects(stream)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; copy the tables again") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{path}: no readable table ({reason}); copy the tables again") from error


def _objects(stream: Any) -> Iterator[Row]:
    decoder = json.JSONDecoder()
    text = stream.read(BLOCK).lstrip()
    if not text.startswith("["):
        raise ValueError("it is no list")
    text = text[1:]
    while True:
        text = text.lstrip().removeprefix(",").lstrip()
        if text.startswith("]"):
            return
        try:
            row, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            more = stream.read(BLOCK)
            if not more:
                raise
            text += more
            continue
        if not isinstance(row, dict):
            raise ValueError(f"it holds {row!r:.40} where an object should be")
        yield row
        text = text[end:]


def scene_names(version: Path) -> list[str]:
    """Return the names of all scenes of a version."""
    try:
        return sorted(str(row["name"]) for row in read_rows(version / "scene.json"))
    except KeyError as error:
        raise InputError(f"{version / 'scene.json'}: a row lacks {error}; copy the tables again") from error


@lru_cache(maxsize=2)
def _scenes(version: Path, camera: str, changed_ns: int) -> dict[str, Scene]:
    """Read the tables once a process: they are shared by all scenes."""
    try:
        return _read_scenes(version, camera)
    except BROKEN as error:
        raise InputError(f"{version}: a row of a table lacks or misstates {error}; copy the tables again") from error


def _read_scenes(version: Path, camera: str) -> dict[str, Scene]:
    tokens = {row["token"] for row in read_rows(version / "sensor.json") if row["channel"] == camera}
    if not tokens:
        raise InputError(f"{version / 'sensor.json'}: no camera {camera!r}; name one of its channels")
    focal = {row["token"]: _focal(row) for row in read_rows(version / "calibrated_sensor.json")
             if row["sensor_token"] in tokens}  # fmt: skip
    names = {row["token"]: str(row["name"]) for row in read_rows(version / "scene.json")}
    scene_of = {row["token"]: names.get(row["scene_token"], "") for row in read_rows(version / "sample.json")}
    shots: dict[str, list[Row]] = {name: [] for name in names.values()}
    for row in read_rows(version / "sample_data.json"):
        if row["calibrated_sensor_token"] in focal and (name := scene_of.get(row["sample_token"])):
            kept = ("timestamp", "filename", "ego_pose_token", "calibrated_sensor_token")
            shots[name].append({key: row[key] for key in kept})
    wanted = {row["ego_pose_token"] for rows in shots.values() for row in rows}
    poses = {row["token"]: _pose(row) for row in read_rows(version / "ego_pose.json") if row["token"] in wanted}
    return {name: _scene(version.parent, rows, poses, focal) for name, rows in shots.items()}


def _focal(row: Row) -> float | None:
    try:
        focal = float(row["camera_intrinsic"][0][0])
    except BROKEN:
        return None
    return focal if np.isfinite(focal) and focal > 0 else None


def _pose(row: Row) -> tuple[float, ...]:
    """Return x, y, z in metres and the heading in radians, counter-clockwise seen from above; NaN where damaged."""
    try:
        x, y, z = (float(value) for value in row["translation"])
        w, i, j, k = (float(value) for value in row["rotation"])
    except BROKEN:
        return UNKNOWN
    return x, y, z, float(np.arctan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k)))


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except BROKEN:
        return None


def _scene(root: Path, rows: list[Row], poses: dict[str, Any], focal: dict[str, float | None]) -> Scene:
    timed = [(time, row) for row in rows if (time := _whole(row["timestamp"])) is not None]
    kept = [timed[place][1] for place in by_time([time * 1000 for time, _ in timed])]
    return Scene(
        files=[root / str(row["filename"]) for row in kept],
        times_us=[int(row["timestamp"]) for row in kept],
        pose_N4=np.array([poses.get(row["ego_pose_token"], UNKNOWN) for row in kept], float).reshape(-1, 4),
        focal_px=next((focal[row["calibrated_sensor_token"]] for row in kept), None),
        lost=len(rows) - len(kept),
    )


def _find(root: Path, part: str, camera: str) -> tuple[Scene, str]:
    """Return a scene, and the name of its camera; `part` is `scene` or `scene@camera`."""
    name, _, at = part.partition("@")
    camera = camera or at or CAMERA
    for version in tables_of(root):
        changed_ns = max((path.stat().st_mtime_ns for path in version.glob("*.json")), default=0)
        if name in scene_names(version):
            scene = _scenes(version, camera, changed_ns)[name]
            if not scene.files:
                raise InputError(
                    f"{version / 'sample_data.json'}: no picture of {camera} in {name}; copy the tables again"
                )
            return scene, camera
    raise InputError(f"{root}: no scene {name!r} in its tables; copy the tables again")


def _pictures(scene: Scene) -> Pictures:
    times = [(time - scene.times_us[0]) * 1e-6 for time in scene.times_us]
    return file_pictures(scene.files, times, fps=12.0, lost=scene.lost)


def scene_pictures(path: Path, part: str, fps: float) -> Pictures:
    """Return the frames of a scene, key frames and sweeps together."""
    return _pictures(_find(path, part, "")[0])


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    scene, chosen = _find(drive.file, drive.part, camera)
    streams, lost, dropped = _can(drive.file / "can_bus", drive.part, scene.times_us[0])
    if unknown := int(np.isnan(scene.pose_N4).any(axis=1).sum()):
        lost["ego poses"] = unknown
    return Recording(
        file=f"{drive.file}#{drive.part}" + (f"@{camera}" if camera else ""), pictures=_pictures(scene),
        streams=[*streams, *_ego(scene)], focal_px=scene.focal_px, camera=chosen, lost=lost, dropped=dropped,
    )  # fmt: skip


def _can(folder: Path, scene: str, origin_us: int) -> tuple[list[Stream], dict[str, int], list[Dropped]]:
    streams: list[Stream] = []
    lost: dict[str, int] = {}
    dropped: list[Dropped] = []
    for message in dict.fromkeys(message for message, _, _ in CAN):
        file = folder / f"{scene}_{message}.json"
        if not file.is_file():
            continue
        try:
            rows = list(read_rows(file))
        except InputError as error:
            dropped.append(Dropped(channel=message, source=file.name, reason=str(error)))
            continue
        for channel, read in [(channel, read) for name, channel, read in CAN if name == message]:
            samples = [sample for row in rows if (sample := _sample(row, read)) is not None]
            if len(samples) < len(rows):
                lost[f"{file.name} {channel}"] = len(rows) - len(samples)
            time_N = np.array([(time - origin_us) * 1e-6 for time, _ in samples])
            value_N, note = np.array([value for _, value in samples], float), ""
            if message == "ms_imu":
                value_N, note = _levelled(rows, read, value_N)
            streams.append(Stream(channel=channel, source=file.name, time_N=time_N, value_N=value_N, note=note))
    return streams, lost, dropped


def _sample(row: Row, read: Callable[[Row], float]) -> tuple[int, float] | None:
    try:
        return int(row["utime"]), float(read(row))
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
    time_N = np.array([(time - scene.times_us[0]) * 1e-6 for time in scene.times_us])[known]
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
    kind="nuscenes", owns=lambda path, part: path.is_dir() and bool(part), open=_open, pictures=scene_pictures
)
