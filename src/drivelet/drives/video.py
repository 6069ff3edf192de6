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

SUFFIXES = (".mp4", ".mov", ".avi", ".m4v", ".mkv", ".webm")
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
    """

    pts: tuple[int, ...]
    seconds_per_tick: float
    fps: float
    size: tuple[int, int]
    declared: int

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
        pts = sorted({stamp for packet in _packets(container, stream) if (stamp := _stamp(packet)) is not None})
        if not pts:
            raise InputError(f"{path}: the video holds no frames; record or copy the file again")
        tick = float(stream.time_base)
        span = (pts[-1] - pts[0]) * tick
        mean = (len(pts) - 1) / span if span > 0 else float(stream.average_rate or 0.0)
        declared = max(int(stream.frames or 0), len(pts))
        return Timeline(
            pts=tuple(pts), seconds_per_tick=tick, fps=mean, size=(stream.width, stream.height), declared=declared
        )


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
    if packet.size == 0:
        return None
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
    for packet in _packets(container, stream):
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
    runs = np.split(np.asarray(wanted, int), 1 + np.flatnonzero(np.diff(wanted) > SEEK_AHEAD)) if wanted else []
    with _opened(path) as (container, stream):
        for run in runs:
            left = {int(index) for index in run}
            if run[0] > SEEK_AHEAD:
                container.seek(timeline.pts[int(run[0])], stream=stream, backward=True)
            for index, frame, _ in _decoded(container, stream, timeline):
                if index in left:
                    left.discard(index)
                    yield index, timeline.time(index), frame.to_ndarray(format="rgb24")
                if not left or index > run[-1]:
                    break
