"""A folder of images as a drive: order from the names, times from a list, from the names, or from a frame rate."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.images import SUFFIXES, TONE_CURVE, is_deep, read_image
from drivelet.drives.image_times import TIMES, find_times
from drivelet.drives.name_times import SECOND
from drivelet.drives.reading import DriveSource, Pictures, Reader, Recording, by_time, first_rising
from drivelet.drives.sensors import read_sensors, streams_of


def list_images(folder: Path) -> list[Path]:
    """Return the folder's images in the order of the numbers in their names."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted((file for file in files if not file.name.startswith(".")), key=natural)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Return the parts of a file's name in an order that counts numbers: (0, number, digits) and (1, 0, text)."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def file_pictures(
    files: Sequence[Path],
    times: Sequence[float],
    *,
    frames: Sequence[int] | None = None,
    fps: float = 0.0,
    lost: int = 0,
) -> Pictures:
    """Return image files as frames; `frames` are their places in `files`, all by default, of one time each."""
    frames = range(len(files)) if frames is None else frames
    known = set(frames)

    def read(indices: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
        for index in sorted(known.intersection(indices)):
            try:
                image = read_image(files[index])
            except InputError:
                continue
            yield index, image

    return Pictures(frames=frames, times=times, read=read, fps=fps, lost=lost)


def folder_pictures(path: Path, part: str, fps: float) -> Pictures:
    """Return the images of a folder as frames.

    Raises:
        InputError: there is none, or none with a time.
    """
    return _timed(path, list_images(path), fps)[0]


def _timed(folder: Path, files: Sequence[Path], fps: float) -> tuple[Pictures, tuple[str, ...]]:
    """Return the frames and what was taken for granted about their times."""
    if not files:
        raise InputError(f"{folder}: no image in this folder; put a drive into it")
    taken = find_times(folder, files)
    if not taken.times:
        rate = f"no times found: {fps:g} frames/s assumed; set image_fps or write {TIMES}"
        return file_pictures(files, [n / fps for n in range(len(files))], fps=fps), (*taken.assumed, rate)
    known = [(place, time) for place, time in enumerate(taken.times) if time is not None]
    order = by_time([time for _, time in known])
    if taken.in_order:
        order = first_rising(np.array([(time - known[0][1]) / SECOND for _, time in known]))
    origin = known[order[0]][1]
    pictures = file_pictures(
        files,
        [(known[n][1] - origin) / SECOND for n in order],
        frames=[known[n][0] for n in order],
        fps=fps,
        lost=len(files) - len(order),
    )
    back = sum(late < early for early, late in pairwise(order))
    said = (f"{back} times fall back in the order of the names: images are taken in order of time",) if back else ()
    return pictures, (*taken.assumed, *said)


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    streams = streams_of(read_sensors(drive.sensors), source=drive.sensors.name) if drive.sensors else []
    files = list_images(drive.file)
    pictures, assumed = _timed(drive.file, files, fps)
    deep = (TONE_CURVE,) if any(is_deep(file) for file in files) else ()
    return Recording(file=str(drive.file), pictures=pictures, streams=streams, assumed=(*assumed, *deep))


READER = Reader(kind="images", owns=lambda path, part: path.is_dir(), open=_open, pictures=folder_pictures)
