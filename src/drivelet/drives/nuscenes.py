"""The nuScenes layout: JSON tables, key frames and sweeps of a camera, ego poses and the CAN bus; a scene is a drive.

Sources: the development kit's schema (ego frame: x forward, y left, z up; times in microseconds) and the README of
the CAN bus expansion: `pose` in the ego frame, `zoe_veh_info` with speed in km/h and longitudinal acceleration in m/s2,
`vehicle_monitor` with speed in km/h. How the IMU's x axis lies and the sign of the monitor's yaw rate are not
published: of these the first serves for the yaw rate about the axis of gravity only, the second not at all;
`zoesensors` holds pedals and steering.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.cameras import camera_rank, chosen_of
from drivelet.drives.images import file_pictures
from drivelet.drives.json_rows import Row, read_rows
from drivelet.drives.messages import BROKEN, upright
from drivelet.drives.reading import DriveSource, Dropped, Floats, Pictures, Reader, Recording, Stream, by_time

CAMERA = "CAM_FRONT"
KMH = 1 / 3.6
UNKNOWN = (float("nan"),) * 4
UNITS = ((1e17, 1, "ns"), (1e14, 10**3, "us"), (1e11, 10**6, "ms"), (1e8, 10**9, "s"))
"""(at least, nanoseconds, name): times since 1970 tell their unit; the format's own is the microsecond."""
OWN_UNIT = "us"
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


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene of a camera.

    Attributes:
        files: its pictures by time.
        times_ns: when they were taken.
        unit: of the tables' times.
        pose_N4: where the car was; NaN where unknown.
        focal_px: focal length.
        untimed: pictures without a time, or of a time given before.
    """

    files: list[Path]
    times_ns: list[int]
    unit: str
    pose_N4: Floats
    focal_px: float | None
    untimed: int


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the tables of a version say of one camera: its scenes, rows that are skipped, and why there are no poses."""

    camera: str
    others: list[str]
    scenes: dict[str, Scene]
    lost: dict[str, int]
    no_poses: str


def tables_of(folder: Path) -> list[Path]:
    """Return the version folders (`v1.0-*`) of a data set's root."""
    return sorted(path for path in folder.glob("v1.0-*") if path.is_dir())


def scene_names(version: Path) -> list[str]:
    """Return the names of all scenes of a version; rows without a name are none."""
    return sorted(str(row["name"]) for row in read_rows(version / "scene.json") if "name" in row)


class _Rows:
    """Tables whose rows lack or misstate something: such rows are skipped and counted."""

    def __init__(self, version: Path) -> None:
        self.version = version
        self.lost: Counter[str] = Counter()

    def read(self, table: str, pick: Callable[[Row], Any]) -> Iterator[Any]:
        """Yield what `pick` makes of the rows of a table."""
        for row in read_rows(self.version / table):
            try:
                found = pick(row)
            except BROKEN:
                self.lost[f"rows of {table}"] += 1
            else:
                yield found


@lru_cache(maxsize=2)
def _tables(version: Path, camera: str, changed_ns: int) -> Tables:
    """Read the tables once a process: they are shared by all scenes."""
    rows = _Rows(version)
    channels: dict[str, str] = dict(rows.read("sensor.json", lambda row: (_text(row["token"]), _camera(row))))
    chosen = camera or min(filter(None, channels.values()), key=_rank, default="")
    tokens = {token for token, channel in channels.items() if channel and channel == chosen}
    if not tokens:
        known = ", ".join(sorted(filter(None, channels.values()))) or "none"
        raise InputError(f"{version / 'sensor.json'}: no camera {camera or CAMERA!r}; its cameras are {known}")
    focal = {token: _focal(row) for token, sensor, row in rows.read("calibrated_sensor.json", lambda row: (
        _text(row["token"]), _text(row["sensor_token"]), row)) if sensor in tokens}  # fmt: skip
    names = dict(rows.read("scene.json", lambda row: (_text(row["token"]), str(row["name"]))))
    scene_of = dict(rows.read("sample.json", lambda row: (_text(row["token"]), names[row["scene_token"]])))
    found = [row for row in rows.read("sample_data.json", lambda row: _shot(row, focal, version.parent)) if row]
    shots = _by_scene(found, scene_of, list(names.values()), rows.lost)
    poses, no_poses = _poses(rows, {row["pose"] for found in shots.values() for row in found if row["pose"]})
    return Tables(
        camera=chosen,
        others=sorted(channel for channel in set(channels.values()) if channel and channel != chosen),
        scenes={name: _scene(found, poses, focal) for name, found in shots.items()},
        lost=dict(rows.lost),
        no_poses=no_poses,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str | int):
        raise ValueError(f"{value!r:.40} is no token")
    return str(value)


def _camera(row: Row) -> str:
    """Return the channel of a row of `sensor.json` where it is a camera, else an empty string."""
    channel = _text(row["channel"])
    return channel if row.get("modality", "camera" if "cam" in channel.lower() else "") == "camera" else ""


def _rank(channel: str) -> tuple[bool, object]:
    return channel != CAMERA, camera_rank(channel)


def _by_scene(rows: list[Row], scene_of: dict[str, str], names: list[str], lost: Counter[str]) -> dict[str, list[Row]]:
    """Return the pictures of every scene; one whose sample is in no table follows the picture before it."""
    of_row = {row["token"]: scene_of.get(row["sample"], "") for row in rows}
    only = names[0] if len(names) == 1 else ""
    for row in sorted(rows, key=lambda row: _nanoseconds(row["time"], 1) or 0):
        of_row[row["token"]] = of_row[row["token"]] or of_row.get(row["prev"], "") or only
    shots: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        if scene := of_row[row["token"]]:
            shots[scene].append(row)
        else:
            lost["pictures of no scene"] += 1
    return shots


def _shot(row: Row, focal: dict[str, Any], root: Path) -> Row:
    """Return what is needed of a picture of the camera, nothing of other sensors' files."""
    calibrated = _text(row["calibrated_sensor_token"])
    if calibrated not in focal:
        return {}
    name = Path(_text(row["filename"]))
    if name.is_absolute() or ".." in name.parts:
        raise ValueError("its file lies outside of the data set")
    keys = {"token": "token", "sample": "sample_token", "prev": "prev", "pose": "ego_pose_token"}
    named = {key: str(row.get(name) or "") for key, name in keys.items()}
    return {**named, "time": row.get("timestamp"), "file": root / name, "calibrated": calibrated}


def _poses(rows: _Rows, wanted: set[str]) -> tuple[dict[str, tuple[float, ...]], str]:
    """Return the wanted poses by token, or why there are none; the drive does not hang on them."""
    try:
        pairs = rows.read("ego_pose.json", lambda row: (_text(row["token"]), row))
        return {token: _pose(row) for token, row in pairs if token in wanted}, ""
    except InputError as error:
        return {}, str(error)


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


def unit_of(values: Iterable[Any]) -> tuple[int, str]:
    """Return (nanoseconds, name) of the unit in which most of these times since 1970 are counted."""
    known = [float(value) for value in values if isinstance(value, int | float) and np.isfinite(float(value))]
    middle = float(np.median(known)) if known else 0.0
    return next(((factor, name) for least, factor, name in UNITS if middle >= least), (10**3, OWN_UNIT))


def _nanoseconds(value: Any, factor: int) -> int | None:
    try:
        found = round(value * factor) if isinstance(value, float) else int(value) * factor
    except BROKEN:
        return None
    return found if 0 <= found < 2**62 else None


def _scene(rows: list[Row], poses: dict[str, Any], focal: dict[str, float | None]) -> Scene:
    factor, unit = unit_of(row["time"] for row in rows)
    timed = [(time, row) for row in rows if (time := _nanoseconds(row["time"], factor)) is not None]
    kept = [timed[place] for place in by_time([time for time, _ in timed])]
    return Scene(
        files=[row["file"] for _, row in kept],
        times_ns=[time for time, _ in kept],
        unit=unit,
        pose_N4=np.array([poses.get(row["pose"], UNKNOWN) for _, row in kept], float).reshape(-1, 4),
        focal_px=next((focal[row["calibrated"]] for _, row in kept), None),
        untimed=len(rows) - len(kept),
    )


def _find(root: Path, part: str, camera: str) -> tuple[Scene, Tables, str]:
    """Return a scene, the tables it is in, and its name; `part` is `scene` or `scene@camera`."""
    for version in tables_of(root):
        changed_ns = max((path.stat().st_mtime_ns for path in version.glob("*.json")), default=0)
        known = scene_names(version)
        name, _, at = (part, "", "") if part in known else part.rpartition("@")
        if name in known:
            tables = _tables(version, camera or at, changed_ns)
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
    time = _nanoseconds(row.get("utime"), factor)
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
    kind="nuscenes", owns=lambda path, part: path.is_dir() and bool(part), open=_open, pictures=scene_pictures
)
