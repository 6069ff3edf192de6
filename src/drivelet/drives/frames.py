"""Frames of any drive by index or by rate: what labelling, mixing and prediction read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.drives.images import image_times, list_images, read_images
from drivelet.drives.video import read_timeline, read_video

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
        source: a video file or a folder of images.
        indices: the frames wanted; all where neither this nor `every_hz` is given.
        every_hz: take the first frame at or after every tick instead.
        fps: frame rate of a folder of images that bears no times.

    Damaged frames are left out.
    """
    path = Path(source)
    if path.is_dir():
        files = list_images(path)
        if not files:
            raise InputError(f"{path}: no image in this folder; put a drive into it")
        times = image_times(path, files, fps=fps)
        yield from read_images(files, times, _wanted(times, indices, every_hz))
        return
    timeline = read_timeline(path)
    times = [timeline.time(index) for index in range(len(timeline.pts))]
    yield from read_video(path, timeline, _wanted(times, indices, every_hz))


def _wanted(times: Sequence[float], indices: Sequence[int] | None, every_hz: float | None) -> Sequence[int]:
    if indices is not None:
        return indices
    return select(times, every_hz) if every_hz else range(len(times))


def frames_at(file: str, indices: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
    """Yield (index, RGB image) of a video or folder of images: the reader for the rooms that need frames."""
    for index, _, image in read_frames(file, indices=indices):
        yield index, image
