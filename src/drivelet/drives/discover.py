"""Which drives lie at a path: one in any supported format, or folders of these."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.images import SUFFIXES as IMAGE_SUFFIXES
from drivelet.drives import comma2k19, kitti, nuscenes, rosbag2
from drivelet.drives.bdd100k import find_info
from drivelet.drives.reading import DriveSource
from drivelet.drives.video import SUFFIXES as VIDEO_SUFFIXES

LOGS = {".mcap": "mcap", ".bag": "rosbag", ".npz": "comma2k19"}
"""Files that are a drive by themselves."""
FORMATS = (
    f"videos ({', '.join(VIDEO_SUFFIXES)}), .mcap, .bag, .db3 (all in .zstd too), comma2k19, KITTI raw, nuScenes, "
    "BDD100K and image folders"
)


def discover(path: Path) -> list[DriveSource]:
    """Return the drives at a path, ordered by name.

    A file is a drive; a folder of images without any is one drive; a comma2k19 segment, a KITTI drive and a scene of a
    nuScenes root are one each; other subfolders are looked into, but for `frames` beside a video, which holds that
    video's own pictures.

    Raises:
        InputError: nothing is there, or nothing of these kinds.
    """
    path = path.absolute()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a drive or a folder of drives")
    if path.is_file():
        if not _is_drive_file(path):
            raise InputError(f"{path}: no video or log by its name; supported are {FORMATS}")
        found = [_file(path, path.parent)]
    else:
        found = _in_folder(path, path)
    if not found:
        raise InputError(f"{path}: no video, log or image in this folder; supported are {FORMATS}")
    taken = Counter(source.name for source in found)
    named = [_rename(source) if taken[source.name] > 1 else source for source in found]
    return sorted(named, key=lambda source: source.name)


def _in_folder(folder: Path, root: Path) -> list[DriveSource]:
    name = _name(folder, root) or folder.name
    if comma2k19.is_segment(folder):
        return [DriveSource(name=name, file=folder, kind="comma2k19", sensors=folder / "processed_log")]
    if kitti.is_drive(folder):
        return [DriveSource(name=name, file=folder, kind="kitti", sensors=folder / "oxts")]
    if rosbag2.is_split(folder):
        return [DriveSource(name=name, file=folder, kind="rosbag2")]
    if nuscenes.tables_of(folder):
        return _scenes(folder, root)
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and _is_drive_file(entry, listed=True)]
    found = [_file(file, root) for file in files]
    if not files and any(entry.is_file() and entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries):
        sensors = folder / "sensors.csv"
        found.append(DriveSource(name=name, file=folder, kind="images", sensors=sensors if sensors.is_file() else None))
    for entry in entries:
        if entry.is_dir() and not (files and entry.name == "frames"):
            found += _in_folder(entry, root)
    return found


def _is_drive_file(path: Path, *, listed: bool = False) -> bool:
    """Any `.npz` may be named as a drive, but one met in a folder must look like one."""
    suffix = path.suffix.lower()
    if suffix == ".npz" and listed:
        return comma2k19.is_minute(path)
    return suffix in VIDEO_SUFFIXES or suffix in LOGS or rosbag2.is_log(path)


def _file(path: Path, root: Path) -> DriveSource:
    if rosbag2.is_log(path):
        return DriveSource(name=_name(path.with_name(rosbag2.bare_name(path)), root), file=path, kind="rosbag2")
    if path.suffix.lower() in LOGS:
        return DriveSource(name=_name(path.with_suffix(""), root), file=path, kind=LOGS[path.suffix.lower()])
    if path.name in comma2k19.VIDEOS and comma2k19.is_segment(path.parent):
        folder = path.parent
        return DriveSource(name=folder.name, file=folder, kind="comma2k19", sensors=folder / "processed_log")
    return _video(path, root)


def _video(video: Path, root: Path) -> DriveSource:
    own = video.with_suffix(".csv")
    shared = video.parent / "sensors.csv"
    alone = sum(entry.suffix.lower() in VIDEO_SUFFIXES for entry in video.parent.iterdir()) == 1
    sensors = own if own.is_file() else shared if alone and shared.is_file() else None
    name = _name(video.with_suffix(""), root)
    if sensors is None and (info := find_info(video)):
        return DriveSource(name=name, file=video, kind="bdd100k", sensors=info)
    return DriveSource(name=name, file=video, kind="video", sensors=sensors)


def _scenes(folder: Path, root: Path) -> list[DriveSource]:
    prefix = _name(folder, root)
    names = dict.fromkeys(name for version in nuscenes.tables_of(folder) for name in nuscenes.scene_names(version))
    if not names:
        raise InputError(f"{folder}: its tables name no scene; copy the tables again")
    return [
        DriveSource(
            name=f"{prefix}_{name}" if prefix else name,
            file=folder,
            kind="nuscenes",
            sensors=folder / "can_bus",
            part=name,
        )
        for name in names
    ]


def _name(path: Path, root: Path) -> str:
    return "_".join(path.relative_to(root).parts)


def _rename(source: DriveSource) -> DriveSource:
    """Two files of one stem are told apart by their suffix."""
    return replace(source, name=f"{source.name}_{source.file.suffix.lstrip('.')}") if source.file.suffix else source
