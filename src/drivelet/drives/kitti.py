"""KITTI raw drives: image folders with a time a line, and an OXTS navigation record a file.

Source: the raw data development kit's `dataformat.txt` (A. Geiger et al., Vision meets Robotics, IJRR 2013): `vf` is
the forward velocity in m/s, `af` the forward acceleration in m/s2, `wu` the rate around the upward axis in rad/s, so
positive to the left.
"""

import re
from datetime import datetime
from pathlib import Path

import numpy as np

from drivelet.core.errors import InputError
from drivelet.drives.cameras import chosen_of
from drivelet.drives.images import file_pictures, list_images
from drivelet.drives.reading import (
    DriveSource,
    Dropped,
    Floats,
    Pictures,
    Reader,
    Recording,
    Stream,
    by_time,
    read_bytes,
)

CAMERAS = ("image_02", "image_03", "image_00", "image_01")
"""Colour left, colour right, grey left, grey right."""
OXTS = {"speed_mps": 8, "acceleration_mps2": 14, "yaw_rate_radps": 22}
"""Channel -> place of `vf`, `af` and `wu` among the 30 values of a record."""
CALIBRATION = "calib_cam_to_cam.txt"


def is_drive(folder: Path) -> bool:
    """Return whether a folder is a KITTI drive: `oxts`, or an `image_0N` folder with `data`."""
    return (folder / "oxts").is_dir() or any((folder / camera / "data").is_dir() for camera in CAMERAS)


def read_stamps(path: Path) -> list[int | None]:
    """Return the nanoseconds since 1970 of every line, None where a line is no time.

    Raises:
        InputError: the file is missing or holds no time at all.
    """
    stamps = [_stamp(line) for line in read_bytes(path).decode("ascii", "replace").splitlines()]
    if not any(stamp is not None for stamp in stamps):
        raise InputError(f"{path}: no line is a time like 2011-09-26 13:02:25.964389445; copy the drive again")
    return stamps


def _stamp(line: str) -> int | None:
    found = re.fullmatch(r"\s*(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\s*", line)
    if not found:
        return None
    try:
        seconds = int(datetime.fromisoformat(f"{found[1]}+00:00").timestamp())
    except ValueError:
        return None
    return seconds * 10**9 + int((found[2] or "0").ljust(9, "0"))


def data_pictures(path: Path, part: str, fps: float) -> Pictures:
    """Return the frames of a `data` folder, with the times beside it."""
    return _pictures(path, fps)[0]


def _pictures(folder: Path, fps: float) -> tuple[Pictures, int | None, tuple[str, ...]]:
    """Return the frames, the nanoseconds of the first (None without times), and what was taken for granted."""
    files = list_images(folder)
    if not files:
        raise InputError(f"{folder}: no image in this folder; copy the drive again")
    try:
        stamps = read_stamps(folder.parent / "timestamps.txt")
    except InputError as error:
        rate = f"{fps:g} frames/s assumed, for {str(error).partition(';')[0]}; set image_fps or copy the drive again"
        return file_pictures(files, [n / fps for n in range(len(files))], fps=fps), None, (rate,)
    timed = [(place, stamp) for place, file in enumerate(files) if (stamp := _of(stamps, file)) is not None]
    if not timed:
        raise InputError(f"{folder.parent / 'timestamps.txt'}: no time for the images; copy the drive again")
    order = by_time([stamp for _, stamp in timed])
    origin = timed[order[0]][1]
    frames = [timed[n][0] for n in order]
    times = [(timed[n][1] - origin) * 1e-9 for n in order]
    lost = _known(stamps, files) - len(frames)
    return file_pictures(files, times, frames=frames, fps=10.0, lost=lost), origin, ()


def _known(stamps: list[int | None], files: list[Path]) -> int:
    """Return how many there should be: a line without its file is as much lost as a file without its line."""
    lines = {n for n, stamp in enumerate(stamps) if stamp is not None}
    numbers = {int(file.stem) for file in files if file.stem.isdecimal()}
    return len(lines | numbers) + sum(not file.stem.isdecimal() for file in files)


def _of(stamps: list[int | None], file: Path) -> int | None:
    """The line of a file is the number in its name: files may be missing between."""
    return stamps[int(file.stem)] if file.stem.isdecimal() and int(file.stem) < len(stamps) else None


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    there = [name for name in CAMERAS if (drive.file / name / "data").is_dir()]
    chosen = camera or next(iter(there), "")
    if chosen not in there:
        known = f"set camera to one of {', '.join(there)}" if there else "copy the drive again"
        raise InputError(f"{drive.file}: no images in {chosen or CAMERAS[0]}/data; {known}")
    folder = drive.file / chosen / "data"
    pictures, origin, assumed = _pictures(folder, fps)
    if others := chosen_of(chosen, [name for name in there if name != chosen and not camera]):
        assumed = (*assumed, others)
    streams, lost, dropped = [], {}, []
    try:
        streams, bad = _oxts(drive.file / "oxts", origin)
        lost = {"oxts records": bad} if bad else {}
    except InputError as error:
        dropped = [Dropped(channel="oxts", source="oxts", reason=str(error))]
    return Recording(
        file=str(folder), pictures=pictures, streams=streams, camera=chosen, lost=lost, dropped=dropped,
        focal_px=read_focal(drive.file, chosen), assumed=assumed,
    )  # fmt: skip


def _oxts(folder: Path, origin: int | None) -> tuple[list[Stream], int]:
    if origin is None:
        raise InputError(f"{folder}: the images bear no times that tie its records to them; copy the drive again")
    files = sorted(path for path in (folder / "data").glob("*.txt") if path.stem.isdecimal() and path.is_file())
    if not files:
        raise InputError(f"{folder}: no record in data; copy the drive again")
    stamps = read_stamps(folder / "timestamps.txt")
    rows = [(stamp, values) for file in files if (stamp := _of(stamps, file)) is not None
            and (values := _record(file)) is not None]  # fmt: skip
    time_N = np.array([(stamp - origin) * 1e-9 for stamp, _ in rows])
    values_NV = np.array([values for _, values in rows]).reshape(len(rows), len(OXTS))
    streams = [
        Stream(channel=name, source="oxts", time_N=time_N, value_N=values_NV[:, n]) for n, name in enumerate(OXTS)
    ]
    return streams, _known(stamps, files) - len(rows)


def _record(file: Path) -> list[float] | None:
    try:
        values = [float(word) for word in file.read_bytes().split()]
    except (OSError, ValueError):
        return None
    return [values[place] for place in OXTS.values()] if len(values) >= 25 else None


def read_focal(drive: Path, camera: str) -> float | None:
    """Return the focal length in pixels from the day's calibration: of the rectified pictures, else of the raw ones."""
    for folder in (drive, drive.parent):
        try:
            text = read_bytes(folder / CALIBRATION).decode("ascii", "replace")
        except InputError:
            continue
        known = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        names = ("K_", "P_rect_") if drive.name.endswith("_extract") else ("P_rect_", "K_")
        for name in names:
            numbers = _numbers(known.get(f"{name}{camera[-2:]}", ""))
            if len(numbers) and np.isfinite(numbers[0]) and numbers[0] > 0:
                return float(numbers[0])
    return None


def _numbers(text: str) -> Floats:
    try:
        return np.array([float(word) for word in text.split()])
    except ValueError:
        return np.array([])


def _owns(path: Path, part: str) -> bool:
    return path.name == "data" and path.parent.name in CAMERAS and (path.parent / "timestamps.txt").is_file()


READER = Reader(kind="kitti", owns=_owns, open=_open, pictures=data_pictures)
