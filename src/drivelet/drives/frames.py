"""Frames of any drive by index or by rate: what labelling, mixing and prediction read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from drivelet.core.artifacts import ImageArray
from drivelet.drives.readers import open_pictures

DEFAULT_IMAGE_FPS = 10.0


def select(times: Sequence[float], hz: float) -> list[int]:
    """Return positions of the first time at or after every tick of `1 / hz` seconds; all where `hz` is higher."""
    chosen: list[int] = []
    tick = -1
    for position, time in enumerate(times):
        # A millisecond of slack: timestamps are rounded to the container's clock.
        now = int((time + 1e-3) * hz)
        if now > tick:
            chosen.append(position)
            tick = now
    return chosen


def read_frames(
    source: Path | str,
    *,
    indices: Sequence[int] | None = None,
    every_hz: float | None = None,
    fps: float = DEFAULT_IMAGE_FPS,
) -> Iterator[tuple[int, float, ImageArray]]:
    """Yield (frame index, seconds from the start, RGB image) in ascending order, one frame in memory at a time.

    Args:
        source: a drive as the `file` column names it: a video, a folder of images, a log, or one of these with `#part`.
        indices: the frames wanted; all where neither this nor `every_hz` is given.
        every_hz: take the first frame at or after every tick instead.
        fps: frame rate of a folder of images that bears no times.

    Damaged frames are left out.
    """
    pictures = open_pictures(source, fps=fps)
    time_of = dict(zip(pictures.frames, pictures.times, strict=True))
    if indices is None:
        places = select(pictures.times, every_hz) if every_hz else range(len(pictures.times))
        indices = [pictures.frames[place] for place in places]
    for index, image in pictures.read([index for index in indices if index in time_of]):
        yield index, time_of[index], image


def frames_at(file: str, indices: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
    """Yield (index, RGB image) of a drive as the `file` column names it: the reader for the rooms that need frames."""
    for index, _, image in read_frames(file, indices=indices):
        yield index, image
