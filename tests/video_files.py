"""Small videos of every kind that cameras and cutting tools make, written by tests through PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from drive_files import numbered_frame
from drivelet.core.artifacts import ImageArray

B_FRAMES = {
    "libx264": {"x264-params": "b-adapt=0:bframes=3:b-pyramid=none"},
    "libx265": {"x265-params": "b-adapt=0:bframes=3:log-level=0:open-gop=0"},
    "mpeg4": {"bf": "2"},
    "mpeg2video": {"bf": "2"},
}
"""Codec -> options that make frames change places."""


def encode(
    path: Path,
    pictures: Sequence[ImageArray],
    *,
    codec: str = "libx264",
    fps: int = 10,
    key_every: int = 12,
    options: dict[str, str] | None = None,
    matrix: tuple[int, bool, bool] | None = None,
    form: str | None = None,
    flags: str = "",
) -> Path:
    """Write pictures as a video; `matrix` is (degrees counter-clockwise, mirrored left-right, upside down)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form, options={"movflags": flags} if flags else {}) as container:
        stream = add_stream(container, pictures[0], codec=codec, fps=fps, key_every=key_every, options=options)
        if matrix:
            stream.set_display_rotation(matrix[0], hflip=matrix[1], vflip=matrix[2])
        mux(container, [(stream, pictures)])
    return path


def add_stream(
    container: Any,
    picture: ImageArray,
    *,
    codec: str = "libx264",
    fps: int = 10,
    key_every: int = 12,
    options: dict[str, str] | None = None,
) -> Any:
    """Add a stream for pictures of this size."""
    stream = container.add_stream(codec, rate=fps)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream.codec_context.time_base = Fraction(1, fps)
    stream.codec_context.gop_size = key_every
    stream.bit_rate = 2_000_000
    stream.codec_context.options = options or {}
    return stream


def mux(container: Any, streams: Sequence[tuple[Any, Sequence[ImageArray]]]) -> None:
    """Encode pictures into their streams, in turn."""
    for number in range(max(len(pictures) for _, pictures in streams)):
        for stream, pictures in streams:
            if number < len(pictures):
                frame = av.VideoFrame.from_ndarray(pictures[number], format="rgb24")
                frame.pts, frame.time_base = number, stream.codec_context.time_base
                container.mux(stream.encode(frame))
    for stream, _ in streams:
        container.mux(stream.encode())


def numbered(frames: int, *, width: int = 64, height: int = 48) -> list[ImageArray]:
    """Return pictures whose grey level tells their number, up to 50."""
    return [numbered_frame(number, width=width, height=height) for number in range(frames)]


def grainy(frames: int) -> list[ImageArray]:
    """Return numbered pictures with noise in them, which makes packets large."""
    rng = np.random.default_rng(0)
    return [picture + rng.integers(-15, 16, picture.shape).astype(np.uint8) for picture in numbered(frames)]


def number_of(image: ImageArray) -> int:
    """Return the number that a picture was written with."""
    return round((float(image.mean()) - 20) / 4)


def recut(source: Path, path: Path, *, packets: slice = slice(None), shift_s: float = 0.0) -> Path:
    """Copy packets without decoding, as cutting tools do; what comes before 0 goes into the edit list of an mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        av.open(str(source)) as given,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container,
    ):
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in [packet for packet in given.demux(video=0) if packet.size][packets]:
            shift = round(shift_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = stream
            container.mux(packet)
    return path


def without_repeats(source: Path, path: Path, units: str) -> Path:
    """Copy a video without those units of a stream (parameter sets, mostly) that come after its first packet."""
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        keep = BitStreamFilterContext(f"filter_units=remove_types={units}", given.streams.video[0])
        for number, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            for left in keep.filter(packet) if number else [packet]:
                left.stream = stream
                container.mux(left)
    return path


def write_cover_first(path: Path, pictures: Sequence[ImageArray], cover: ImageArray) -> Path:
    """Write an mp4 whose stream 0 is a cover picture, as some cameras do: its box comes before those of the video."""
    with av.open(str(path), "w") as container:
        picture = add_stream(container, cover, codec="mjpeg", fps=1)
        picture.disposition = Disposition.attached_pic
        mux(container, [(add_stream(container, pictures[0]), pictures), (picture, [cover])])
    content = path.read_bytes()
    start = content.index(b"moov") + 4
    boxes = []
    while start < len(content):
        size = int.from_bytes(content[start : start + 4], "big")
        boxes.append(content[start : start + size])
        start += size
    boxes.sort(key=lambda box: box[4:8] != b"udta")
    path.write_bytes(content[: content.index(b"moov") + 4] + b"".join(boxes))
    return path


def write_cameras(path: Path, cameras: Sequence[tuple[str, Sequence[ImageArray]]]) -> Path:
    """Write several (title, pictures) as the streams of one file."""
    with av.open(str(path), "w") as container:
        streams = []
        for title, pictures in cameras:
            stream = add_stream(container, pictures[0])
            stream.metadata["title"] = title
            streams.append((stream, pictures))
        mux(container, streams)
    return path


def drop_chunk(path: Path, number: int) -> None:
    """Empty a chunk of an AVI, as recorders do where a frame came too late; its room becomes padding."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"idx1") + 8 + 16 * number
    place = content.index(b"movi") + int.from_bytes(content[entry + 8 : entry + 12], "little")
    size = int.from_bytes(content[place + 4 : place + 8], "little")
    content[place + 4 : place + 16] = bytes(4) + b"JUNK" + (size + size % 2 - 8).to_bytes(4, "little")
    content[entry + 12 : entry + 16] = bytes(4)
    path.write_bytes(bytes(content))
