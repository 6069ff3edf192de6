"""Which drives lie at a path: a video, a folder of images, or folders of these."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drivelet.core.errors import InputError
from drivelet.core.images import SUFFIXES as IMAGE_SUFFIXES
from drivelet.drives.video import SUFFIXES as VIDEO_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class DriveSource:
    """One drive as it lies on disk.

    Attributes:
        name: unique among the drives found together.
        file: the video, or the folder of images.
        kind: which reader it takes.
        sensors: the sensor CSV that belongs to it: `<stem>.csv`, or `sensors.csv` in its folder.
    """

    name: str
    file: Path
    kind: Literal["video", "images"]
    sensors: Path | None = None


def discover(path: Path) -> list[DriveSource]:
    """Return the drives at a path, ordered by name.

    A folder's videos are a drive each; a folder of images without a video is one drive; subfolders are looked into, but
    for `frames` beside a video, which holds that video's own pictures.

    Raises:
        InputError: nothing is there, or nothing of these kinds.
    """
    path = path.absolute()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a video, a folder of images, or a folder of drives")
    if path.is_file() and path.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(f"{path}: no video by its name; supported are {', '.join(VIDEO_SUFFIXES)} and image folders")
    found = [_video(path, path.parent)] if path.is_file() else _in_folder(path, path)
    if not found:
        raise InputError(f"{path}: no video and no image in this folder; put a drive into it")
    taken = Counter(source.name for source in found)
    named = [_rename(source) if taken[source.name] > 1 else source for source in found]
    return sorted(named, key=lambda source: source.name)


def _in_folder(folder: Path, root: Path) -> list[DriveSource]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    videos = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in VIDEO_SUFFIXES]
    found = [_video(video, root) for video in videos]
    if not videos and any(entry.is_file() and entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries):
        sensors = folder / "sensors.csv"
        name = _name(folder, root) or folder.name
        found.append(DriveSource(name=name, file=folder, kind="images", sensors=sensors if sensors.is_file() else None))
    for entry in entries:
        if entry.is_dir() and not (videos and entry.name == "frames"):
            found += _in_folder(entry, root)
    return found


def _video(video: Path, root: Path) -> DriveSource:
    own = video.with_suffix(".csv")
    shared = video.parent / "sensors.csv"
    alone = sum(entry.suffix.lower() in VIDEO_SUFFIXES for entry in video.parent.iterdir()) == 1
    sensors = own if own.is_file() else shared if alone and shared.is_file() else None
    return DriveSource(name=_name(video.with_suffix(""), root), file=video, kind="video", sensors=sensors)


def _name(path: Path, root: Path) -> str:
    return "_".join(path.relative_to(root).parts)


def _rename(source: DriveSource) -> DriveSource:
    """Two files of one stem are told apart by their suffix."""
    name = f"{source.name}_{source.file.suffix.lstrip('.')}" if source.file.suffix else source.name
    return DriveSource(name=name, file=source.file, kind=source.kind, sensors=source.sensors)
