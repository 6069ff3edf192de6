"""Small real drives that tests write: videos through PyAV, folders of images, sensor logs."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from drivelet.core.artifacts import ImageArray

HEADER = "timestamp_s,speed_mps,yaw_rate_radps,acceleration_mps2"


def numbered_frame(number: int, *, width: int = 64, height: int = 48) -> ImageArray:
    """A picture whose grey level tells its number (coarsely enough to survive compression)."""
    return np.full((height, width, 3), 20 + 4 * (number % 50), np.uint8)


def write_video(
    path: Path, *, frames: int = 30, fps: int = 10, codec: str = "mpeg4", key_every: int = 5, noise: bool = False
) -> Path:
    """Write a video of numbered frames, or of noise where the packets must be large."""
    rng = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        stream.bit_rate = 4_000_000
        stream.codec_context.options = {"sc_threshold": "1000000000", "bf": "0"} if noise else {}
        stream.codec_context.gop_size = key_every
        for number in range(frames):
            picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) if noise else numbered_frame(number)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def damage(path: Path, *, packets: tuple[int, ...]) -> None:
    """Overwrite the payload of some packets with garbage, leaving the container's index whole."""
    with av.open(str(path)) as container:
        spots = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for number in packets:
        position, size = spots[number]
        content[position : position + size] = b"\xff" * size
    path.write_bytes(bytes(content))


def write_images(folder: Path, names: list[str]) -> Path:
    """Write numbered images under the given names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(numbered_frame(number)).save(folder / name)
    return folder


def write_sensors(path: Path, *, seconds: float = 3.0, hz: int = 20) -> Path:
    """Write a log whose speed is 10 m/s plus the time."""
    rows = [f"{i / hz:.4f},{10 + i / hz:.4f},0.1,{(-1) ** i * 0.5}" for i in range(int(seconds * hz) + 1)]
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path
