"""All formats: a new one is a file with a `READER`, a line here, and how it is found in `discover.py`."""

from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.identity import split_part
from drivelet.drives import bdd100k, comma2k19, images, kitti, mcap, nuscenes, physicalai, rosbag, rosbag2, video
from drivelet.drives.reading import Pictures, Reader

READERS: tuple[Reader, ...] = (
    mcap.READER, rosbag.READER, rosbag2.READER, comma2k19.READER, kitti.READER, physicalai.READER, nuscenes.READER,
    bdd100k.READER, video.READER, images.READER,
)  # fmt: skip
"""In the order in which they are asked for a path."""


def reader(kind: str) -> Reader:
    """Return the reader of a kind of drive."""
    return next(found for found in READERS if found.kind == kind)


def open_pictures(file: Path | str, *, fps: float) -> Pictures:
    """Return the frames of what the `file` column names: a path, or `path#part`.

    Raises:
        InputError: nothing of a supported format is there.
    """
    path, part = split_part(str(file))
    if not path.exists():
        what = "video" if path.suffix.lower() in video.SUFFIXES else "file or folder"
        raise InputError(f"{path}: no such {what}; correct the path")
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: a pipe or device, no file; correct the path")
    found = next((reader for reader in READERS if reader.owns(path, part)), video.READER)
    return found.pictures(path, part, fps)
