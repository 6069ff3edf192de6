"""The frames of a video that a player shows, and when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from av.format import Flags
from numpy.typing import NDArray

from drivelet.drives.containers import Camera, cameras, choose_camera, opened, unreadable
from drivelet.drives.packets import NONE, Packets, Stamps, read_packets

DEFAULT_FPS = 25.0
RATES = (1.0, 240.0)
"""Frames a second between which the rate that a bare stream states is believed."""
RESET_S = 1.0
"""Times that fall by more than this have started anew: recordings joined end to end."""
MADE_UP = 5
"""Frames within which doubled times may lie off an even rate."""

Floats = NDArray[np.float64]
Kind = Literal["pts", "dts", "number"]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What a video shows, told from its packets without decoding.

    Attributes:
        camera: the picture stream it speaks of.
        others: the file's other picture streams.
        stamps_F: rising; a frame's index is the rank of its stamp, so a damaged frame keeps its number.
        seconds_F: time of every frame; the first one shown has 0.
        fps: mean frames per second.
        declared: frames that the file promises to show; more than there are stamps where it is cut short.
        unshown: frames left out because the key frame that they lean on is not in the file.
        first: how many packets come before the first that is decoded.
        keys_K: rising stamps of the key frames from which decoding may begin; empty where only the start will do.
        kind: which stamp of a packet its frame bears: that of display, that of decoding where frames never change
            places, or, where neither tells the frames apart, their number as they leave the decoder.
        assumed: what was taken for granted.
    """

    camera: Camera
    others: tuple[Camera, ...]
    stamps_F: Stamps
    seconds_F: Floats
    fps: float
    declared: int
    unshown: int
    first: int
    keys_K: Stamps
    kind: Kind
    assumed: tuple[str, ...]

    def index(self, stamp: int | None) -> int | None:
        """Return the index of the frame that bears a stamp, None where there is none."""
        place = len(self.stamps_F) if stamp is None else int(np.searchsorted(self.stamps_F, stamp))
        return place if place < len(self.stamps_F) and self.stamps_F[place] == stamp else None


def read_timeline(path: Path, *, camera: str = "", fps: float = 0.0) -> Timeline:
    """Read the stamps of all packets.

    Args:
        path: the video.
        camera: number or title of the picture stream, where there are several.
        fps: frames a second of a stream without times; 0 takes what the stream itself states, or 25.

    Raises:
        InputError: missing, no video, cut off before its index, or empty; or there is no such camera.
    """
    with opened(path) as container:
        found = cameras(container, path)
        chosen = choose_camera(found, camera, path)
        stream = container.streams[chosen.stream]
        packets = read_packets(container, stream)
        count = int(packets.shown_P.sum())
        if not count:
            raise unreadable(path, "it holds no frames")
        bare = _is_bare(container, packets)
        kind: Kind = "number" if bare else _kind(container, stream, packets)
        rate, assumed = _rate(stream, fps) if bare else (float(stream.average_rate or 0.0), _needless(fps))
        tick = float(stream.time_base)
        stamps_F = np.arange(count) if kind == "number" else np.sort(_stamps(packets, kind)[packets.shown_P])
        if bare:
            seconds_F = stamps_F / rate
        else:
            seconds_F = joined_seconds(packets, tick) if kind == "number" else (stamps_F - stamps_F[0]) * tick
        return Timeline(
            camera=chosen,
            others=tuple(other for other in found if other != chosen),
            stamps_F=stamps_F,
            seconds_F=seconds_F,
            fps=(count - 1) / float(seconds_F[-1]) if count > 1 else rate,
            declared=max(_promised(container, stream, packets), count),
            unshown=packets.unshown,
            first=packets.first,
            keys_K=_keys(container, packets, kind),
            kind=kind,
            assumed=assumed,
        )


def _is_bare(container: Any, packets: Packets) -> bool:
    """Tell a stream without a container; the stamps that FFmpeg makes up for some of these are not its own."""
    untimed = (packets.pts_P == NONE) & (packets.dts_P == NONE)
    return bool(container.format.flags & Flags.no_timestamps.value) or bool(untimed.all())


def _kind(container: Any, stream: Any, packets: Packets) -> Kind:
    """Tell which stamps tell the frames apart: none where they are missing, doubled, or start anew."""
    known = packets.dts_P[packets.dts_P != NONE]
    if (np.diff(known) * float(stream.time_base) < -RESET_S).any():
        return "number"
    # AVI knows the order of decoding only, and what FFmpeg makes of it is wrong for these.
    kind: Kind = "dts" if container.format.name == "avi" and stream.codec_context.name in ("h264", "hevc") else "pts"
    stamps = _stamps(packets, kind)[packets.shown_P]
    apart = (stamps != NONE).all() and len(np.unique(stamps)) == len(stamps)
    return kind if apart and (kind == "pts" or not stream.codec_context.has_b_frames) else "number"


def _stamps(packets: Packets, kind: Kind) -> Stamps:
    return packets.dts_P if kind == "dts" else packets.pts_P


def _keys(container: Any, packets: Packets, kind: Kind) -> Stamps:
    """Return the stamps to seek; a program stream bears few of its own, and others are made up after a seek."""
    stamps = _stamps(packets, kind)[packets.key_P]
    sought = kind != "number" and container.format.name != "mpeg"
    return np.unique(stamps[stamps != NONE]) if sought else np.array([], np.int64)


def _rate(stream: Any, fps: float) -> tuple[float, tuple[str, ...]]:
    if fps:
        return fps, ()
    stated = float(stream.codec_context.framerate or 0.0)
    if RATES[0] <= stated <= RATES[1]:
        return stated, (f"no times in a bare stream; {stated:g} frames/s as it states itself, set ingest video_fps",)
    return DEFAULT_FPS, (f"no times in a bare stream; {DEFAULT_FPS:g} frames/s assumed, set ingest video_fps",)


def _needless(fps: float) -> tuple[str, ...]:
    return (f"video_fps={fps:g} does not apply: this is no bare stream",) if fps else ()


def joined_seconds(packets: Packets, tick: float) -> Floats:
    """Return the times of frames in order of display, from stamps in order of decoding that may be missing here and
    there, or start anew in a recording that is joined to another.
    """
    dts_P = _filled(np.where(packets.dts_P == NONE, packets.pts_P, packets.dts_P)) * tick
    steps = np.diff(dts_P)
    period = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1 / DEFAULT_FPS
    offset_P = np.concatenate([[0.0], np.cumsum(np.where(steps < -RESET_S, period - steps, 0.0))])
    seconds_F: Floats = np.sort((dts_P + offset_P)[packets.shown_P])
    seconds_F = seconds_F - seconds_F[0]
    if (np.diff(seconds_F) > 0).all():
        return seconds_F
    # Equal times were made up by the container's reader from an even rate, or else are told apart by a microsecond.
    even_F: Floats = np.arange(len(seconds_F), dtype=np.float64) * period
    made_up = np.abs(seconds_F - even_F).max() <= MADE_UP * period
    return even_F if made_up else seconds_F + 1e-6 * np.arange(len(seconds_F))


def _filled(stamps: Stamps) -> Floats:
    known = np.flatnonzero(stamps != NONE)
    return np.interp(np.arange(len(stamps)), known, stamps[known]).astype(np.float64)


def _promised(container: Any, stream: Any, packets: Packets) -> int:
    """Return how many frames the file says that it shows."""
    if container.format.name.startswith("mov"):
        # The count in the header knows nothing of edit lists; the index does.
        return sum(not entry.is_discard for entry in stream.index_entries) - packets.unshown
    missing = int(stream.frames or 0) - packets.first - len(packets.pts_P)
    if container.format.name == "avi" and len(packets.dts_P) > 1 and (packets.dts_P != NONE).all():
        # Frames that the camera dropped, of no bytes, are counted and timed: the one before is shown for longer.
        span = int(np.ptp(packets.dts_P))
        missing = (int(stream.frames) - packets.first - span - 1) // max(span // (len(packets.dts_P) - 1), 1)
    return int(packets.shown_P.sum()) + missing
