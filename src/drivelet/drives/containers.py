"""Video files opened: of known container formats only, and of several picture streams the camera that is meant."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.error import FFmpegError
from av.stream import Disposition

from drivelet.core.errors import InputError

DEMUXERS = (
    "mov,matroska,avi,mpegts,mpeg,asf,flv,live_flv,mxf,ogg,ivf,dhav,nut,"
    "h264,hevc,vvc,m4v,mpegvideo,mjpeg,vc1,obu,av1,dv,h263,cavsvideo"
)
"""FFmpeg's names; playlists, lists of files and image sequences name other files, which a recording has no need of."""
MOST_PIXELS = 2**27
NO_CAMERA = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
AHEAD = re.compile(r"(?i)(?<![a-z])(front|forward|ahead|road)(?![a-z])")
ELSEWHERE = re.compile(
    r"(?i)(?<![a-z])(rear|back|left|right|side|cabin|interior|inside|driver|thumbnail|preview)(?![a-z])"
)


class Camera(NamedTuple):
    """A picture stream: its number among the file's cameras and among all its streams, its size, title and weight, and
    the width of its pixels for a height of 1.
    """

    number: int
    stream: int
    width: int
    height: int
    title: str
    preference: tuple[bool, int, int, bool]
    pixel_width: float = 1.0

    def __str__(self) -> str:
        return f"{self.number} ({self.width} x {self.height}{f', {self.title}' if self.title else ''})"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a video file.

    Raises:
        InputError: it is missing, or no video.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such video; correct the path")
    try:
        container = av.open(str(path), metadata_errors="replace", options={"format_whitelist": DEMUXERS})
    except (FFmpegError, OSError, ValueError) as error:
        raise unreadable(path, str(getattr(error, "strerror", "") or error).splitlines()[0]) from error
    with container:
        yield container


def unreadable(path: Path, why: str) -> InputError:
    """Return the error of a file that holds no pictures."""
    return InputError(f"{path}: no readable video ({why}); record or copy the file again")


def cameras(container: Any, path: Path) -> list[Camera]:
    """Return the picture streams of a file but for cover pictures and thumbnails.

    Raises:
        InputError: there is none.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & NO_CAMERA]
    known = [stream for stream in streams if stream.codec_context is not None]
    found = [stream for stream in known if stream.width and stream.height]
    if not found:
        raise unreadable(path, "no picture size" if known else "unknown codec" if streams else "no picture stream")
    return [_camera(number, stream) for number, stream in enumerate(found)]


def _camera(number: int, stream: Any) -> Camera:
    title = str(stream.metadata.get("title") or stream.metadata.get("handler_name") or "").strip()
    preference = (
        stream.frames != 1,
        bool(AHEAD.search(title)) - bool(ELSEWHERE.search(title)),
        stream.width * stream.height,
        bool(stream.disposition & Disposition.default),
    )
    pixel_width = float(stream.sample_aspect_ratio or 1.0)
    return Camera(number, stream.index, stream.width, stream.height, title, preference, pixel_width)


def choose_camera(found: Sequence[Camera], wanted: str, path: Path) -> Camera:
    """Return the camera of a number or title; where none is wanted, the one whose title says that it looks ahead, else
    the largest, else the file's default, else the first.

    Raises:
        InputError: several are there, and none is the wanted one.
    """
    if not wanted or len(found) == 1:
        return max(found, key=lambda camera: (camera.preference, -camera.number))
    for camera in found:
        if wanted == str(camera.number) or wanted.casefold() == camera.title.casefold():
            return camera
    known = ", ".join(str(camera) for camera in found)
    raise InputError(f"{path}: no camera {wanted!r}; there are {known}: set ingest camera to a number or a title")
