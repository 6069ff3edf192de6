"""Which drives lie at a path: one in any supported format, or folders of these; and what lies there and is not read."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.images import SUFFIXES as IMAGE_SUFFIXES
from drivelet.drives import comma2k19, kitti, nuscenes, physicalai, rosbag2
from drivelet.drives.bdd100k import find_info
from drivelet.drives.drive_names import name_drives
from drivelet.drives.image_times import LISTS
from drivelet.drives.images import natural
from drivelet.drives.reading import DriveSource
from drivelet.drives.video import SUFFIXES as VIDEO_SUFFIXES

LOGS = {".mcap": "mcap", ".bag": "rosbag", ".npz": "comma2k19"}
"""Files that are a drive by themselves."""
FORMATS = (
    f"videos ({', '.join(VIDEO_SUFFIXES)}), .mcap, .bag, .db3 (all in .zstd too), comma2k19, KITTI raw, nuScenes, "
    "PhysicalAI-AV, BDD100K and image folders"
)
SHARED = "sensors.csv"
SERIES = 3
"""Fewer pictures than these beside videos are stills of them, no drive."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The drives at a path, ordered by name, and how many files and folders are not read, by what they are and why."""

    drives: list[DriveSource]
    not_read: Mapping[str, int]


@dataclass(kw_only=True)
class _Walk:
    """Folders that are still to be looked into, those behind links last, and what was found so far."""

    root: Path
    pending: list[Path]
    links: list[Path] = default(default_factory=list[Path])
    seen: set[tuple[int, int]] = default(default_factory=set[tuple[int, int]])
    drives: list[DriveSource] = default(default_factory=list[DriveSource])
    passed: Counter[str] = default(default_factory=Counter[str])
    faults: list[InputError] = default(default_factory=list[InputError])


@dataclass(frozen=True, kw_only=True)
class _Entries:
    """What lies in a folder, by name: plain files, folders, folders behind links."""

    files: list[Path]
    folders: list[Path]
    links: list[Path]


def discover(path: Path) -> list[DriveSource]:
    """Return the drives at a path, ordered by name: `survey` without what is not read."""
    return survey(path).drives


def survey(path: Path) -> Found:
    """Return the drives at a path.

    A file is a drive; a folder of images is one drive, also beside videos where the images are a series of their own; a
    comma2k19 segment, a KITTI drive and a scene of a nuScenes root are one each; other subfolders are looked into,
    every one once, but for `frames` beside a video, which holds that video's own pictures. What cannot be opened is
    passed over and counted; pipes and devices are never opened.

    Raises:
        InputError: nothing is there, or nothing of these kinds.
    """
    path = path.absolute()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a drive or a folder of drives")
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file() or not _is_drive_file(path):
        raise InputError(f"{path}: no video or log by its name; supported are {FORMATS}")
    return Found(drives=name_drives([_file(path, _beside(path))], root=path.parent), not_read={})


def _of_folder(root: Path) -> Found:
    walk = _Walk(root=root, pending=[root])
    while walk.pending:
        folder = walk.pending.pop()
        try:
            _look_into(folder, walk)
        except OSError as error:
            walk.faults.append(InputError(f"{folder}: {error.strerror}; make it readable or give another folder"))
            walk.passed[_reason(folder, walk, str(error.strerror))] += 1
        except InputError as error:
            walk.faults.append(error)
            walk.passed[_reason(folder, walk, str(error))] += 1
        if not walk.pending:
            walk.pending, walk.links = walk.links, []
    drives = _once(walk)
    if not drives:
        nothing = InputError(f"{root}: no video, log or image in this folder; supported are {FORMATS}")
        raise walk.faults[0] if walk.faults else nothing
    return Found(drives=name_drives(drives, root=root), not_read=walk.passed)


def _reason(folder: Path, walk: _Walk, why: str) -> str:
    return f"{os.path.relpath(folder, walk.root)}/ ({why})"


def _look_into(folder: Path, walk: _Walk) -> None:
    """Add the drives of a folder, and its folders to those that are pending."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in walk.seen:
        walk.passed[_reason(folder, walk, "a link to a folder read before")] += 1
        return
    walk.seen.add((status.st_dev, status.st_ino))
    if (folder / "drive.json").is_file() and (folder / "frames.lance").is_dir():
        walk.passed[_reason(folder, walk, "the tables of an ingested drive")] += 1
        return
    if known := _known_layout(folder):
        walk.drives += known
        return
    passed: Counter[str] = Counter()
    entries = _entries(folder, passed)
    found = _files(folder, entries, passed)
    for place in (*entries.folders, *entries.links):
        if place.name == "frames" and any(source.file != folder for source in found):
            passed["frames/ (pictures of the video beside it; give that folder to have them)"] += 1
        else:
            (walk.links if place in entries.links else walk.pending).append(place)
    walk.drives += [replace(source, not_read=dict(passed)) for source in found]
    walk.passed += passed


def _known_layout(folder: Path) -> list[DriveSource]:
    """Return the drives of a data set's own folder."""
    if comma2k19.is_segment(folder):
        return [_segment(folder)]
    if kitti.is_drive(folder):
        return [DriveSource(name="", file=folder, kind="kitti", sensors=folder / "oxts")]
    if names := physicalai.clips(folder):
        sensors = folder / "labels" / "egomotion"
        return [DriveSource(name="", file=folder, kind="physicalai", sensors=sensors, part=name) for name in names]
    return _scenes(folder) if nuscenes.tables_of(folder) else []


def _entries(folder: Path, passed: Counter[str]) -> _Entries:
    files: list[Path] = []
    folders: list[Path] = []
    links: list[Path] = []
    for entry in sorted(folder.iterdir(), key=natural):
        if entry.name.startswith("."):
            continue
        if entry.name != entry.name.encode("utf-8", "replace").decode():
            passed[f"{entry.name!a} (a name that is no UTF-8; rename it)"] += 1
        elif entry.is_dir():
            (links if entry.is_symlink() else folders).append(entry)
        elif entry.is_file():
            files.append(entry)
        else:
            why = "a pipe, socket or device" if entry.exists() else "a link to nothing"
            passed[f"{_kind(entry)} ({why})"] += 1
    return _Entries(files=files, folders=folders, links=links)


def _kind(path: Path) -> str:
    return path.suffix.lower() or path.name


def _files(folder: Path, entries: _Entries, passed: Counter[str]) -> list[DriveSource]:
    """Return the drives that the files of a folder are, and count the other files."""
    files, bag = entries.files, rosbag2.split_files(folder)
    drives = [file for file in files if file not in bag and _is_drive_file(file, listed=True)]
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    beside = {file.name.lower(): file for file in files}
    found = [_file(file, beside) for file in drives]
    if rosbag2.is_split(folder):
        found.append(DriveSource(name="", file=folder, kind="rosbag2"))
    series = bool(images) and (not drives or _is_series(images, drives))
    if series:
        sensors = None if drives else beside.get(SHARED)
        found.append(DriveSource(name="", file=folder, kind="images", sensors=sensors))
    used = {*drives, *bag, *(images if series else []), *(source.sensors for source in found)}
    if rosbag2.is_bag(folder):
        used.add(folder / rosbag2.METADATA)
    for file in files:
        # Times are listed beside the images, or one folder above.
        listed = file.name in LISTS and (series or entries.folders)
        if file not in used and not listed:
            passed[f"{_kind(file)} ({_why_not(file, drives)})"] += 1
    return found


def _is_series(images: Sequence[Path], drives: Sequence[Path]) -> bool:
    """Return whether pictures beside videos are frames of their own: more than the videos, named alike."""
    stems = {drive.stem for drive in drives}
    alike = Counter(
        tuple(part for kind, _, part in natural(image) if kind) for image in images if image.stem not in stems
    )
    most = max(alike.values(), default=0)
    return most >= SERIES and most > len(drives)


def _why_not(file: Path, drives: Sequence[Path]) -> str:
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return "pictures beside a video or log; put them into a folder of their own to have them"
    if file.name.lower() == SHARED and drives:
        return f"{SHARED} beside {len(drives)} drives; name it {drives[0].stem}.csv if it is that one's"
    return "no reader"


def _is_drive_file(path: Path, *, listed: bool = False) -> bool:
    """Any `.npz` may be named as a drive, but one met in a folder must look like one."""
    suffix = path.suffix.lower()
    if suffix == ".npz" and listed:
        return comma2k19.is_minute(path)
    return suffix in VIDEO_SUFFIXES or suffix in LOGS or rosbag2.is_log(path)


def _beside(file: Path) -> dict[str, Path]:
    try:
        return {path.name.lower(): path for path in file.parent.iterdir() if path.is_file()}
    except OSError:
        return {}


def _file(path: Path, beside: Mapping[str, Path]) -> DriveSource:
    if rosbag2.is_log(path):
        return DriveSource(name="", file=path, kind="rosbag2")
    if path.suffix.lower() in LOGS:
        return DriveSource(name="", file=path, kind=LOGS[path.suffix.lower()])
    if path.name in comma2k19.VIDEOS and comma2k19.is_segment(path.parent):
        return _segment(path.parent)
    return _video(path, beside)


def _segment(folder: Path) -> DriveSource:
    return DriveSource(name="", file=folder, kind="comma2k19", sensors=folder / "processed_log")


def _video(video: Path, beside: Mapping[str, Path]) -> DriveSource:
    """Cameras write names in capitals too: `CLIP.CSV` belongs to `CLIP.MP4`."""
    alone = sum(Path(name).suffix in VIDEO_SUFFIXES for name in beside) == 1
    sensors = beside.get(f"{video.stem.lower()}.csv") or (beside.get(SHARED) if alone else None)
    if sensors is None and (info := find_info(video)):
        return DriveSource(name="", file=video, kind="bdd100k", sensors=info)
    return DriveSource(name="", file=video, kind="video", sensors=sensors)


def _scenes(folder: Path) -> list[DriveSource]:
    names = dict.fromkeys(name for version in nuscenes.tables_of(folder) for name in nuscenes.scene_names(version))
    if not names:
        raise InputError(f"{folder}: its tables name no scene; copy the tables again")
    sensors = folder / "can_bus"
    return [DriveSource(name="", file=folder, kind="nuscenes", sensors=sensors, part=name) for name in names]


def _once(walk: _Walk) -> list[DriveSource]:
    """Return the drives without links to files that are drives themselves."""
    known: set[tuple[str, str]] = set()
    drives: list[DriveSource] = []
    for source in sorted(walk.drives, key=lambda source: (source.file.is_symlink(), source.file)):
        real = (os.path.realpath(source.file), f"{source.kind} {source.part}")
        if real in known:
            walk.passed[f"{os.path.relpath(source.file, walk.root)} (a link to a file read before)"] += 1
        else:
            known.add(real)
            drives.append(source)
    return drives
