"""All formats: a new one is a file with a `READER`, a line here, and how it is found in `discover.py`."""

from pathlib import Path

from drivelet.core.errors import InputError
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
    found = next((reader for reader in READERS if reader.owns(path, part)), video.READER)
    return found.pictures(path, part, fps)


def split_part(file: str) -> tuple[Path, str]:
    """Split `path#part` at the first `#` before which a path exists."""
    place = file.find("#")
    while place >= 0 and not _exists(file):
        if _exists(file[:place]):
            return Path(file[:place]), file[place + 1 :]
        place = file.find("#", place + 1)
    return Path(file), ""


def _exists(file: str) -> bool:
    """A path with the name of a topic or scene behind it may be longer than any file's."""
    try:
        return Path(file).exists()
    except OSError:
        return False
