"""The packets of a picture stream as they lie in its file, from the first key frame on, without decoding."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from drivelet.drives.reading import FAR_S

NONE = int(np.iinfo(np.int64).min)
"""The stamp of a packet that bears none."""

Stamps = NDArray[np.int64]
Flagged = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Packets:
    """What the packets of a stream say of themselves, from the first key frame on.

    Attributes:
        first: how many come before: no player shows these.
        pts_P: stamps of display, `NONE` where a packet bears none.
        dts_P: stamps of decoding, the same.
        key_P: whether it is a key frame.
        shown_P: whether its frame is shown: not where an edit list leaves it out, where it only serves others, or where
            it comes before the first key frame in order of display and leans on one that is not there.
        unshown: frames that lean on what is not in the file.
    """

    first: int
    pts_P: Stamps
    dts_P: Stamps
    key_P: Flagged
    shown_P: Flagged
    unshown: int


def iter_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield packets until the end or until the container itself is broken off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        if packet.size:
            yield packet


def is_shown(packet: Any, codec: str) -> bool:
    """Return whether a packet's frame is meant to be seen."""
    hidden = codec == "vp8" and not bytes(memoryview(packet)[:1])[0] & 0x10
    return not packet.is_discard and not hidden


def read_packets(container: Any, stream: Any) -> Packets:
    """Read what all packets say: 18 bytes of memory for each."""
    pts, dts, key, shown = array("q"), array("q"), bytearray(), bytearray()
    codec = stream.codec_context.name
    for packet in iter_packets(container, stream):
        pts.append(NONE if packet.pts is None else packet.pts)
        dts.append(NONE if packet.dts is None else packet.dts)
        key.append(packet.is_keyframe)
        shown.append(is_shown(packet, codec))
    key_P, shown_P = (np.frombuffer(bytes(flags), np.bool_) for flags in (key, shown))
    tick = float(stream.time_base or 0)
    pts_P, dts_P = (_believed(np.frombuffer(stamps.tobytes(), np.int64), tick) for stamps in (pts, dts))
    first = int(key_P.argmax()) if key_P.any() else 0
    leading_P = _leading(pts_P[first:], key_P[first:])
    return Packets(
        first=first, pts_P=pts_P[first:], dts_P=dts_P[first:], key_P=key_P[first:],
        shown_P=shown_P[first:] & ~leading_P, unshown=int(shown_P[:first].sum() + leading_P.sum()),
    )  # fmt: skip


def _believed(stamps: Stamps, tick: float) -> Stamps:
    """Take stamps a day off the middle one for damage: for none."""
    known = stamps[stamps != NONE]
    if not len(known):
        return stamps
    far = np.abs(stamps.astype(np.float64) - np.median(known)) * tick > FAR_S
    return np.where(far, NONE, stamps)


def _leading(pts_P: Stamps, key_P: Flagged) -> Flagged:
    """Tell the frames that follow the first key frame in the file and come before it on the screen."""
    leading_P = np.zeros(len(pts_P), np.bool_)
    if len(pts_P) and key_P[0]:
        end = 1 + int(key_P[1:].argmax()) if key_P[1:].any() else len(pts_P)
        leading_P[:end] = (pts_P[:end] != NONE) & (pts_P[:end] < pts_P[0])
    return leading_P
