"""Videos through PyAV: one frame in memory at a time, presentation timestamps, damage skipped and counted."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.drives.image_motion import small_size
from drivelet.drives.reading import Checked, DriveSource, Pictures, Reader, Recording
from drivelet.drives.sensor_csv import csv_streams

SUFFIXES = (".mp4", ".mov", ".avi", ".m4v", ".mkv", ".webm", ".hevc")
SEEK_AHEAD = 300
"""Wanted frames further apart than this are reached by a seek to the key frame before, not by decoding all between."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What a video holds before anything is decoded.

    Attributes:
        pts: presentation timestamp of every packet, ascending; a frame's index is its rank here, so a damaged frame
            keeps its number.
        seconds_per_tick: the unit of `pts`.
        fps: mean frames per second.
        size: (width, height) in pixels.
        declared: frames that the container's index promises; more than `pts` where the file is cut short.
        bare: whether this is a stream without container, whose packets bear no times and are numbered as they come.
    """

    pts: tuple[int, ...]
    seconds_per_tick: float
    fps: float
    size: tuple[int, int]
    declared: int
    bare: bool = False

    def time(self, index: int) -> float:
        """Return seconds from the first frame."""
        return (self.pts[index] - self.pts[0]) * self.seconds_per_tick

    def index(self, pts: int | None) -> int | None:
        """Return the rank of a timestamp, None where no packet bears it."""
        if pts is None:
            return None
        place = bisect_left(self.pts, pts)
        return place if place < len(self.pts) and self.pts[place] == pts else None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    if not path.is_file():
        raise InputError(f"{path}: no such video; correct the path")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path}: no readable video ({_short(error)}); record or copy the file again") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{path}: no readable video (no picture stream); record or copy the file again")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise InputError(f"{path}: no readable video (unknown codec); record or copy the file again")
        # Concealed errors would pass as good frames; a decoder that reports them lets us skip and count.
        stream.codec_context.options = {"err_detect": "explode"}
        yield container, stream


def _short(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error).splitlines()[0]


def read_timeline(path: Path) -> Timeline:
    """Read the timestamps of all packets without decoding.

    Raises:
        InputError: missing, no video, cut off before its index, or empty.
    """
    with _opened(path) as (container, stream):
        if not stream.width or not stream.height:
            raise InputError(f"{path}: no readable video (no picture size); record or copy the file again")
        stamps = [_stamp(packet) for packet in _packets(container, stream) if packet.size]
        bare = bool(stamps) and all(stamp is None for stamp in stamps)
        if bare:
            return _numbered(len(stamps), float(stream.average_rate or 25.0), (stream.width, stream.height))
        pts = sorted({stamp for stamp in stamps if stamp is not None})
        if not pts:
            raise InputError(f"{path}: the video holds no frames; record or copy the file again")
        tick = float(stream.time_base)
        span = (pts[-1] - pts[0]) * tick
        mean = (len(pts) - 1) / span if span > 0 else float(stream.average_rate or 0.0)
        declared = max(int(stream.frames or 0), len(pts))
        return Timeline(
            pts=tuple(pts), seconds_per_tick=tick, fps=mean, size=(stream.width, stream.height), declared=declared
        )


def _numbered(count: int, fps: float, size: tuple[int, int]) -> Timeline:
    return Timeline(pts=tuple(range(count)), seconds_per_tick=1 / fps, fps=fps, size=size, declared=count, bare=True)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield packets until the end or until the container itself is broken off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        yield packet


def _stamp(packet: Any) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


def iter_video(path: Path, timeline: Timeline) -> Iterator[tuple[int, Any, bool]]:
    """Yield (index, decoded frame, suspect) of every undamaged frame.

    `suspect` marks frames between a damaged one and the next key frame: they decode, but may lean on what was lost.
    """
    with _opened(path) as (container, stream):
        yield from _decoded(container, stream, timeline)


def _decoded(container: Any, stream: Any, timeline: Timeline) -> Iterator[tuple[int, Any, bool]]:
    suspect = False
    following: int | None = None
    for number, packet in enumerate(_packets(container, stream)):
        if timeline.bare and packet.size:
            packet.pts = packet.dts = number
        try:
            frames = packet.decode()
        except (FFmpegError, ValueError):
            suspect = True
            continue
        for frame in frames:
            index = timeline.index(frame.pts if frame.pts is not None else frame.dts)
            if index is None or frame.is_corrupt:
                suspect = True
                continue
            # Some decoders drop a damaged frame without a word: then its number is missing from the order.
            suspect = (suspect or following not in (None, index)) and not frame.key_frame
            following = index + 1
            yield index, frame, suspect


def read_video(path: Path, timeline: Timeline, indices: Sequence[int]) -> Iterator[tuple[int, float, ImageArray]]:
    """Yield (index, seconds, RGB image) for the wanted indices in ascending order; damaged frames are left out."""
    wanted = sorted({index for index in indices if 0 <= index < len(timeline.pts)})
    breaks = [] if timeline.bare else 1 + np.flatnonzero(np.diff(wanted) > SEEK_AHEAD)
    runs = np.split(np.asarray(wanted, int), breaks) if wanted else []
    with _opened(path) as (container, stream):
        for run in runs:
            left = {int(index) for index in run}
            if run[0] > SEEK_AHEAD and not timeline.bare:
                container.seek(timeline.pts[int(run[0])], stream=stream, backward=True)
            for index, frame, _ in _decoded(container, stream, timeline):
                if index in left:
                    left.discard(index)
                    yield index, timeline.time(index), frame.to_ndarray(format="rgb24")
                if not left or index > run[-1]:
                    break


def video_pictures(path: Path, part: str = "", fps: float = 0.0) -> Pictures:
    """Return the frames of a video."""
    timeline = read_timeline(path)
    count = len(timeline.pts)

    def check() -> Iterator[Checked]:
        for index, frame, suspect in iter_video(path, timeline):
            width, height = small_size(frame.width, frame.height)
            grey = frame.reformat(width=width, height=height, format="gray", interpolation="AREA").to_ndarray()
            yield Checked(index, (frame.width, frame.height), suspect, grey)

    return Pictures(
        frames=range(count),
        times=[timeline.time(index) for index in range(count)],
        read=lambda indices: ((index, image) for index, _, image in read_video(path, timeline, indices)),
        check=check,
        fps=timeline.fps,
        lost=timeline.declared - count,
    )


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    streams = csv_streams(drive.sensors) if drive.sensors else []
    return Recording(file=str(drive.file), pictures=video_pictures(drive.file), streams=streams)


READER = Reader(
    kind="video", owns=lambda path, part: path.suffix.lower() in SUFFIXES, open=_open, pictures=video_pictures
)
