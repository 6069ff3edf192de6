"""The tables of a nuScenes root: which pictures of which camera make a scene, and where the car was at each."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.cameras import camera_rank
from drivelet.drives.json_rows import Row, read_rows
from drivelet.drives.messages import BROKEN
from drivelet.drives.reading import Floats, by_time

CAMERA = "CAM_FRONT"
UNKNOWN = (float("nan"),) * 4
UNITS = ((1e17, 1, "ns"), (1e14, 10**3, "us"), (1e11, 10**6, "ms"), (1e8, 10**9, "s"))
"""(at least, nanoseconds, name): times since 1970 tell their unit; the format's own is the microsecond."""
OWN_UNIT = "us"


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
def read_tables(version: Path, camera: str, changed_ns: int) -> Tables:
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
    for row in sorted(rows, key=lambda row: nanoseconds(row["time"], 1) or 0):
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


def nanoseconds(value: Any, factor: int) -> int | None:
    try:
        found = round(value * factor) if isinstance(value, float) else int(value) * factor
    except BROKEN:
        return None
    return found if 0 <= found < 2**62 else None


def _scene(rows: list[Row], poses: dict[str, Any], focal: dict[str, float | None]) -> Scene:
    factor, unit = unit_of(row["time"] for row in rows)
    timed = [(time, row) for row in rows if (time := nanoseconds(row["time"], factor)) is not None]
    kept = [timed[place] for place in by_time([time for time, _ in timed])]
    return Scene(
        files=[row["file"] for _, row in kept],
        times_ns=[time for time, _ in kept],
        unit=unit,
        pose_N4=np.array([poses.get(row["pose"], UNKNOWN) for _, row in kept], float).reshape(-1, 4),
        focal_px=next((focal[row["calibrated"]] for _, row in kept), None),
        untimed=len(rows) - len(kept),
    )
