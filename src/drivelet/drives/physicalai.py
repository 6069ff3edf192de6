"""NVIDIA PhysicalAI-Autonomous-Vehicles: seven cameras and the ego motion of clips of 20 s; a clip is a drive.

Read as it is downloaded (`camera/CAMERA/CAMERA.chunk_0000.zip`, `labels/egomotion/egomotion.chunk_0000.zip`) or
unpacked anywhere beneath `camera` and `labels/egomotion`: `CLIP.CAMERA.mp4` and `CLIP.CAMERA.timestamps.parquet` (a
`timestamp` of every frame), `CLIP.egomotion.parquet` (`timestamp`, `qx qy qz qw`, `x y z`, `vx vy vz`, `ax ay az`).

Sources: the wiki of the development kit NVlabs/physical_ai_av ("Dataset Overview", "Sensor Details", "Egomotion and
Motion Compensation": microseconds from the start of the clip; poses, velocities and accelerations in a frame that is
fixed at the clip's start; x forward, y left, z up), and how its `dataset.py` and `egomotion.py` read these files. The
lenses are f-theta ones: no focal length in pixels describes them.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drivelet.core.errors import InputError
from drivelet.drives.cameras import camera_rank, chosen_of
from drivelet.drives.reading import (
    Checked,
    DriveSource,
    Dropped,
    Floats,
    Pictures,
    Reader,
    Recording,
    Stream,
    first_rising,
)
from drivelet.drives.unpacking import unpacked_member
from drivelet.drives.video import video_pictures

VIDEO = re.compile(r"(?P<clip>[^./\\]+)\.(?P<what>camera_\w+)\.mp4")
TIMES = re.compile(r"(?P<clip>[^./\\]+)\.(?P<what>camera_\w+)\.timestamps\.parquet")
EGO = re.compile(r"(?P<clip>[^./\\]+)\.(?P<what>egomotion)(\.offline)?\.parquet")
MOST_ROWS = 1_000_000
"""Rows of a clip's table: 20 s have two thousand."""
POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
VELOCITY = ("vx", "vy", "vz")
ACCELERATION = ("ax", "ay", "az")


@dataclass(frozen=True, kw_only=True)
class Located:
    """A file of a clip: on disk, or within a chunk's archive."""

    file: Path
    member: str = ""

    def path(self) -> Path:
        """Return where it can be opened."""
        return unpacked_member(self.file, self.member) if self.member else self.file

    def __str__(self) -> str:
        return f"{self.file}/{self.member}" if self.member else str(self.file)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What there is of one clip: videos and times of their frames by camera, and the car's motion."""

    videos: dict[str, Located]
    times: dict[str, Located]
    ego: Located | None


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What a data set's folder holds: its clips by name, and archives that cannot be read, with the reason."""

    clips: dict[str, Clip]
    broken: dict[Path, str]


def clips(root: Path) -> list[str]:
    """Return the names of all clips with a video beneath a folder, empty where it is no such data set."""
    camera = root / "camera"
    if not camera.is_dir() or not any(entry.name.startswith("camera_") for entry in camera.iterdir()):
        return []
    return sorted(clip for clip, found in _catalogue(root).clips.items() if found.videos)


def _catalogue(root: Path) -> Catalogue:
    folders = (root / "camera", root / "labels" / "egomotion")
    state = tuple(
        (str(path), path.stat().st_mtime_ns)
        for folder in folders
        if folder.is_dir()
        for path in (folder, *sorted(folder.rglob("*")))
        if path.is_dir() or path.suffix == ".zip"
    )
    return _listed(folders, state)


@lru_cache(maxsize=2)
def _listed(folders: tuple[Path, ...], state: tuple[tuple[str, int], ...]) -> Catalogue:
    """The folders are listed once a process: a chunk holds a hundred clips, the set three thousand chunks."""
    catalogue = Catalogue(clips={}, broken={})
    for name, place in (pair for folder in folders for pair in _files(folder, catalogue.broken)):
        for pattern in (VIDEO, TIMES, EGO):
            if match := pattern.fullmatch(name):
                clip = catalogue.clips.get(match["clip"], Clip(videos={}, times={}, ego=None))
                if pattern is EGO:
                    clip = replace(clip, ego=clip.ego or place)
                else:
                    (clip.videos if pattern is VIDEO else clip.times).setdefault(match["what"], place)
                catalogue.clips[match["clip"]] = clip
    return catalogue


def _files(folder: Path, broken: dict[Path, str]) -> Iterator[tuple[str, Located]]:
    """Yield (file name, place) of all files beneath a folder and within its archives."""
    for path in sorted(folder.rglob("*")):
        # A pipe or device by such a name would be waited for without end.
        if not path.is_file():
            continue
        if path.suffix != ".zip":
            yield path.name, Located(file=path)
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            broken[path] = f"it cannot be unpacked ({error}); download it again"
            continue
        yield from ((name.rsplit("/", 1)[-1], Located(file=path, member=name)) for name in names)


def _find(root: Path, part: str, camera: str) -> tuple[Clip, str, str]:
    """Return a clip, its name, and its camera; `part` is `clip` or `clip@camera`."""
    name, _, at = part.partition("@")
    clip = _catalogue(root).clips.get(name)
    if clip is None or not clip.videos:
        raise InputError(f"{root}: no video of clip {name!r}; download its chunk again")
    wanted = camera or at or min(clip.videos, key=camera_rank)
    if wanted not in clip.videos:
        raise InputError(
            f"{root}: no camera {wanted!r} in clip {name}; its cameras are {', '.join(sorted(clip.videos))}"
        )
    return clip, name, wanted


def _table(place: Located, columns: Sequence[str]) -> dict[str, Floats]:
    """Return columns of a table that are there, as floats.

    Raises:
        InputError: it is no readable table, lacks the times, or is larger than any clip's.
    """
    try:
        path = place.path()
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise InputError(f"{place}: {file.metadata.num_rows} rows, more than {MOST_ROWS}; download it again")
            known = [name for name in ("timestamp", *columns) if name in file.schema_arrow.names]
            table = file.read(columns=known)
        found = {name: table[name].to_numpy().astype(float) for name in known}
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:160]
        raise InputError(f"{place}: no readable table ({reason}); download it again") from error
    if "timestamp" not in found:
        raise InputError(f"{place}: a table without a column timestamp; download it again")
    return found


def _frame_times(clip: Clip, camera: str, count: int) -> Floats:
    """Return seconds since the clip's start of this many frames, NaN where there are fewer times.

    Raises:
        InputError: there is no table of times, or no time in it.
    """
    if camera not in clip.times:
        raise InputError("there is no table of its frames' times")
    time_F = _table(clip.times[camera], ())["timestamp"][:count] * 1e-6
    if not np.isfinite(time_F).any():
        raise InputError(f"{clip.times[camera]}: no time in it; download it again")
    return np.concatenate([time_F, np.full(count - len(time_F), np.nan)])


def _pictures(clip: Clip, camera: str) -> tuple[Pictures, float, str]:
    """Return the frames of a video at the times of their table, the first of these; or at its own, and why."""
    video = clip.videos[camera]
    shown = video_pictures(video.path())
    try:
        time_F = _frame_times(clip, camera, len(shown.frames))
    except InputError as error:
        return _reopened(video, shown), 0.0, str(error)
    kept = first_rising(time_F)
    start = float(time_F[kept[0]])
    timed = replace(
        shown,
        frames=[shown.frames[place] for place in kept],
        times=[float(time_F[place]) - start for place in kept],
        lost=shown.lost + len(shown.frames) - len(kept),
    )
    return _reopened(video, timed), start, ""


def _reopened(video: Located, pictures: Pictures) -> Pictures:
    """An unpacked video may be gone when frames are asked for: it is unpacked again."""

    def check() -> Iterator[Checked]:
        again = video_pictures(video.path()).check
        return again() if again else iter(())

    return replace(pictures, read=lambda indices: video_pictures(video.path()).read(indices), check=check)


def _ego(place: Located, origin: float) -> tuple[list[Stream], int]:
    """Return speed, yaw rate and acceleration of the car on the camera's clock, and how many rows are left out."""
    table = _table(place, (*POSE, *VELOCITY, *ACCELERATION))
    if missing := [name for name in POSE if name not in table]:
        raise InputError(f"{place}: a table without {', '.join(missing)}; download it again")
    finite_N = np.asarray(np.isfinite(np.stack([table[name] for name in ("timestamp", *POSE)])).all(axis=0))
    rows = np.flatnonzero(finite_N)[first_rising(table["timestamp"][finite_N] * 1e-6)]
    lost = len(finite_N) - len(rows)
    if len(rows) < 3:
        return [], lost
    time_N = table["timestamp"][rows] * 1e-6
    x_N, y_N, z_N, i_N, j_N, k_N, w_N = (table[name][rows] for name in POSE)
    heading_N = np.unwrap(np.arctan2(2 * (w_N * k_N + i_N * j_N), 1 - 2 * (j_N**2 + k_N**2)))
    moved_N3 = np.gradient(np.stack([x_N, y_N, z_N], axis=1), time_N, axis=0)
    ahead_N3 = np.stack([np.cos(heading_N), np.sin(heading_N), np.zeros_like(heading_N)], axis=1)
    known = all(name in table for name in VELOCITY)
    velocity_N3 = np.stack([table[name][rows] for name in VELOCITY], axis=1) if known else moved_N3
    columns = {
        "speed_mps": np.copysign(np.linalg.norm(velocity_N3, axis=1), (moved_N3 * ahead_N3).sum(axis=1)),
        "yaw_rate_radps": np.gradient(heading_N, time_N),
    }
    if all(name in table for name in ACCELERATION):
        columns["acceleration_mps2"] = sum(
            (table[name][rows] * ahead_N3[:, axis] for axis, name in enumerate(ACCELERATION)), np.zeros(len(rows))
        )
    source = Path(place.member or place.file).name
    return [Stream(channel=name, source=source, time_N=time_N - origin, value_N=value) for name, value in
            columns.items()], lost  # fmt: skip


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    clip, name, chosen = _find(drive.file, drive.part, camera)
    pictures, origin, untimed = _pictures(clip, chosen)
    streams: list[Stream] = []
    dropped = [Dropped(channel="archive", source=file.name, reason=why) for file, why in
               _catalogue(drive.file).broken.items()]  # fmt: skip
    if untimed:
        dropped.append(Dropped(channel="frame times", source=chosen, reason=untimed))
    lost: dict[str, int] = {}
    if clip.ego:
        try:
            streams, rows = _ego(clip.ego, origin)
            lost = {"rows of the ego motion": rows} if rows else {}
        except InputError as error:
            dropped.append(Dropped(channel="egomotion", source=str(clip.ego), reason=str(error)))
    others = [other for other in clip.videos if other != chosen]
    choice = chosen_of(chosen, others) if not camera else ""
    own = "the video's own times, from the clip's start on" if untimed else ""
    return Recording(
        file=f"{drive.file}#{name}@{chosen}",
        pictures=pictures,
        streams=streams,
        camera=chosen,
        lost=lost,
        dropped=dropped,
        assumed=[sentence for sentence in (choice, own) if sentence],
    )


def clip_pictures(path: Path, part: str, fps: float) -> Pictures:
    """Return the frames of a clip."""
    clip, _, camera = _find(path, part, "")
    return _pictures(clip, camera)[0]


READER = Reader(
    kind="physicalai",
    owns=lambda path, part: path.is_dir() and bool(part) and part.partition("@")[0] in clips(path),
    open=_open,
    pictures=clip_pictures,
)
