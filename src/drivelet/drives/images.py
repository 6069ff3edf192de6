"""A folder of images as a drive: order from the names, times from `times.csv`, from the names, or from a frame rate."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.images import SUFFIXES, read_image
from drivelet.drives.reading import DriveSource, Pictures, Reader, Recording
from drivelet.drives.sensor_csv import csv_streams

TIMES = "times.csv"
EPOCH_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""(at least, seconds a unit): integer names this large are times since 1970 in ns, us or ms."""


def list_images(folder: Path) -> list[Path]:
    """Return the folder's images in the order of the numbers in their names."""
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES]
    return sorted(files, key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def image_times(folder: Path, files: Sequence[Path], *, fps: float) -> list[float]:
    """Return seconds from the first image for every file.

    Taken from `times.csv` (`file,timestamp_s`) where there is one, from names such as `1506500000123456789.png` (time
    since 1970) or `12.350.png` (seconds), else evenly at `fps`.

    Raises:
        InputError: `times.csv` lacks a column or a file, or its times do not rise.
    """
    if (folder / TIMES).is_file():
        times = _from_csv(folder / TIMES, files)
        where = str(folder / TIMES)
    else:
        times = _from_names(files) or [index / fps for index in range(len(files))]
        where = f"{folder}: image names"
    if any(late <= early for early, late in pairwise(times)):
        raise InputError(f"{where}: times do not rise from image to image; correct or remove them")
    return [time - times[0] for time in times]


def _from_csv(path: Path, files: Sequence[Path]) -> list[float]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not {"file", "timestamp_s"} <= set(reader.fieldnames or ()):
            raise InputError(f"{path}: header must be file,timestamp_s")
        try:
            known = {str(row["file"]): float(row["timestamp_s"] or "") for row in reader}
        except ValueError as error:
            raise InputError(f"{path}: {error}; every timestamp_s must be a number of seconds") from error
    missing = [file.name for file in files if file.name not in known]
    if missing:
        raise InputError(f"{path}: no time for {missing[0]} ({len(missing)} images without); add a row for each image")
    return [known[file.name] for file in files]


def _from_names(files: Sequence[Path]) -> list[float]:
    stems = [file.stem for file in files]
    if all(re.fullmatch(r"\d+\.\d+", stem) for stem in stems):
        return [float(stem) for stem in stems]
    if not all(stem.isdecimal() for stem in stems):
        return []
    numbers = [int(stem) for stem in stems]
    scale = next((unit for least, unit in EPOCH_UNITS if numbers[0] >= least), None)
    return [(number - numbers[0]) * scale for number in numbers] if scale else []


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
        InputError: there is none, or their times do not rise.
    """
    files = list_images(path)
    if not files:
        raise InputError(f"{path}: no image in this folder; put a drive into it")
    return file_pictures(files, image_times(path, files, fps=fps), fps=fps)


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    streams = csv_streams(drive.sensors) if drive.sensors else []
    return Recording(file=str(drive.file), pictures=folder_pictures(drive.file, "", fps), streams=streams)


READER = Reader(kind="images", owns=lambda path, part: path.is_dir(), open=_open, pictures=folder_pictures)
