"""Videos through PyAV: one frame in memory at a time, as a player shows it; damage skipped and counted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from drivelet.core.artifacts import ImageArray
from drivelet.drives.containers import MOST_PIXELS, opened
from drivelet.drives.display_matrix import turn_of
from drivelet.drives.image_motion import small_size
from drivelet.drives.packets import is_shown, iter_packets
from drivelet.drives.reading import Checked, DriveSource, Dropped, Pictures, Reader, Recording
from drivelet.drives.sensor_csv import csv_streams
from drivelet.drives.timeline import Timeline, read_timeline

SUFFIXES = (
    ".mp4", ".mov", ".avi", ".m4v", ".mkv", ".webm", ".hevc", ".h265", ".265", ".h264", ".264", ".ts", ".mts", ".m2ts",
    ".m2t", ".mpg", ".mpeg", ".m2v", ".vob", ".3gp", ".3g2", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".mxf", ".mjpeg",
    ".mjpg", ".ivf", ".dav",
)  # fmt: skip
SEEK_AHEAD = 300
"""Wanted frames further apart than this are reached by a seek to the key frame before, not by decoding all between."""


@contextmanager
def _stream(path: Path, timeline: Timeline) -> Iterator[tuple[Any, Any]]:
    with opened(path) as container:
        stream = container.streams[timeline.camera.stream]
        # Concealed errors would pass as good frames; a decoder that reports them lets us skip and count.
        stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
        yield container, stream


def iter_video(path: Path, timeline: Timeline) -> Iterator[tuple[int, Any, bool]]:
    """Yield (index, decoded frame, suspect) of every undamaged frame.

    `suspect` marks frames between a damaged one and the next key frame: they decode, but may lean on what was lost.
    """
    with _stream(path, timeline) as (container, stream):
        yield from _indexed(_frames(stream, _from_start(container, stream, timeline)), stream, timeline)


def _from_start(container: Any, stream: Any, timeline: Timeline) -> Iterator[Any]:
    """Yield packets from the first key frame on, with the stamps that their frames are to bear."""
    codec, number = stream.codec_context.name, 0
    for packet in islice(_packets(container, stream, timeline), timeline.first, None):
        if timeline.kind == "number":
            shown = is_shown(packet, codec)
            packet.pts = packet.dts = number if shown else None
            number += shown
        yield packet


def _packets(container: Any, stream: Any, timeline: Timeline) -> Iterator[Any]:
    for packet in iter_packets(container, stream):
        if timeline.kind == "dts":
            packet.pts = packet.dts
        yield packet


def _frames(stream: Any, packets: Iterator[Any]) -> Iterator[Any]:
    """Yield decoded frames, and None for what does not decode."""
    for packet in chain(packets, [None]):
        try:
            frames = stream.decode(packet)
        except (FFmpegError, ValueError):
            yield None
        else:
            yield from frames


def _indexed(frames: Iterator[Any], stream: Any, timeline: Timeline) -> Iterator[tuple[int, Any, bool]]:
    suspect, following = False, 0
    for frame in frames:
        if frame is None:
            suspect = True
            continue
        index = _index(frame, stream, timeline, following)
        if index is None:
            suspect |= frame.pts is None or frame.pts >= timeline.stamps_F[0]
            continue
        if index == following - 1:
            continue
        # Some decoders drop a damaged frame without a word: then its number is missing from the order.
        suspect = (suspect or index != following) and not frame.key_frame
        following = index + 1
        if frame.is_corrupt:
            suspect = True
        else:
            yield index, frame, suspect


def _index(frame: Any, stream: Any, timeline: Timeline, following: int) -> int | None:
    if timeline.kind != "number" or frame.pts is None:
        return timeline.index(frame.pts)
    # Where frames change places, the number of a packet is that of its frame only at a key frame: all that come before
    # it in the file have been shown then, and those that are missing are lost.
    exact = frame.key_frame or not stream.codec_context.has_b_frames
    return timeline.index(max(frame.pts, following) if exact else following)


def read_video(path: Path, timeline: Timeline, indices: Sequence[int]) -> Iterator[tuple[int, float, ImageArray]]:
    """Yield (index, seconds, RGB image) for the wanted indices in ascending order; damaged frames are left out."""
    wanted = sorted({index for index in indices if 0 <= index < len(timeline.stamps_F)})
    breaks = 1 + np.flatnonzero(np.diff(wanted) > SEEK_AHEAD) if len(timeline.keys_K) else []
    for run in np.split(np.asarray(wanted, int), breaks) if wanted else []:
        left = {int(index) for index in run}
        with _reached(path, timeline, int(run[0])) as (stream, packets):
            for index, frame, _ in _indexed(_frames(stream, packets), stream, timeline):
                if index in left:
                    left.discard(index)
                    picture = turn_of(frame).apply(frame.to_ndarray(format="rgb24"))
                    yield index, float(timeline.seconds_F[index]), picture
                if not left or index > run[-1]:
                    break


@contextmanager
def _reached(path: Path, timeline: Timeline, index: int) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Open a video at the key frame before a frame; at its start where this is near, or where no seek gets there."""
    if index > SEEK_AHEAD and len(timeline.keys_K):
        with _stream(path, timeline) as (container, stream):
            if packets := _seek(container, stream, timeline, int(timeline.stamps_F[index])):
                yield stream, packets
                return
    with _stream(path, timeline) as (container, stream):
        yield stream, _from_start(container, stream, timeline)


def _seek(container: Any, stream: Any, timeline: Timeline, stamp: int) -> Iterator[Any] | None:
    """Return the packets from a key frame that is shown at or before a stamp, None where the container finds none."""
    for key in timeline.keys_K[timeline.keys_K <= stamp][:-3:-1]:
        try:
            container.seek(int(key), stream=stream, backward=True)
        except FFmpegError:
            continue
        packets = _packets(container, stream, timeline)
        first = next((packet for packet in packets if packet.is_keyframe), None)
        # Some containers land behind what they were asked for, or make up other stamps after it.
        if first is not None and first.pts in timeline.keys_K and first.pts <= stamp:
            return chain([first], packets)
    return None


def video_pictures(path: Path, part: str = "", fps: float = 0.0) -> Pictures:
    """Return the frames of a video.

    Args:
        path: the video.
        part: number or title of the camera, where the file holds several.
        fps: frames a second of a stream without times; 0 takes what the stream itself states, or 25.
    """
    return _pictures(path, read_timeline(path, camera=part, fps=fps))


def _pictures(path: Path, timeline: Timeline) -> Pictures:
    return Pictures(
        frames=range(len(timeline.stamps_F)),
        times=timeline.seconds_F.tolist(),
        read=lambda indices: ((index, image) for index, _, image in read_video(path, timeline, indices)),
        check=lambda: (_checked(*found) for found in iter_video(path, timeline)),
        fps=timeline.fps,
        lost=timeline.declared - len(timeline.stamps_F),
    )


def _checked(index: int, frame: Any, suspect: bool) -> Checked:
    turn = turn_of(frame)
    size = turn.size(frame.width, frame.height)
    width, height = turn.size(*small_size(*size))
    grey = frame.reformat(width=width, height=height, format="gray", interpolation="AREA").to_ndarray()
    return Checked(index, size, suspect, turn.apply(grey))


def open_video(path: Path, *, fps: float, camera: str) -> Recording:
    """Open a video without sensors.

    Args:
        path: the video.
        fps: as of `video_pictures`.
        camera: number or title of the camera, where the file holds several; empty takes the likeliest.
    """
    timeline = read_timeline(path, camera=camera, fps=fps)
    taken, others = timeline.camera, timeline.others
    assumed = [*timeline.assumed]
    if others and not camera:
        assumed.append(f"camera {taken} of {len(others) + 1} is taken, set ingest camera")
    if abs(taken.pixel_width - 1) > 0.01:
        assumed.append(f"pixels are {taken.pixel_width:.3g} as wide as high; the picture stays as it is stored")
    return Recording(
        file=f"{path}#{taken.number}" if camera and others else str(path),
        pictures=_pictures(path, timeline),
        camera=str(taken.number) if others else "",
        lost={"frames that lean on a key frame before the file begins": timeline.unshown} if timeline.unshown else {},
        dropped=[
            Dropped(channel="camera", source=str(other), reason=f"camera {taken.number} is taken", spare=True)
            for other in others
        ],
        assumed=assumed,
    )


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    streams = csv_streams(drive.sensors) if drive.sensors else []
    return replace(open_video(drive.file, fps=fps, camera=camera), streams=streams)


READER = Reader(
    kind="video",
    owns=lambda path, part: path.suffix.lower() in SUFFIXES,
    open=_open,
    pictures=lambda path, part, fps: video_pictures(path, part),
    bare=True,
)
