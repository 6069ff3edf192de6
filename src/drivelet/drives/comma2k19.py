"""comma2k19 segments (folders with a video and NumPy logs), and single minutes of their sensors as `.npz`.

Source: the data set's README (H. Schafer et al., A Commute in Data, 2018): times in seconds since the device's boot,
CAN speed in m/s, IMU axes [forward, right, down], so acceleration is forward as it stands and the yaw rate to the left
is the negated rate about the third axis. The accelerometer reads specific force and is not levelled: the camera's
pitch leaves a constant of some tenths of m/s2 in it.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.drives.reading import DriveSource, Dropped, Floats, Pictures, Reader, Recording, Stream, first_rising
from drivelet.drives.video import video_pictures

VIDEOS = ("video.hevc", "video.mp4")
POSES = ("global_pose", "global_pos")
FPS = 20.0
"""What the EON records; its .hevc bears no times."""
FOCAL_PX = {1164: 910.0}
"""Picture width -> focal length of the EON's road camera, from openpilot's `common/transformations/camera.py`."""
LARGEST = 256 << 20
"""Bytes of all arrays of a minute; a whole one has a tenth of a megabyte."""
SIGNALS = (
    ("speed_mps", "CAN/speed", "can_speed"),
    ("speed_mps", "CAN/wheel_speed", "wheel_speed"),
    ("yaw_rate_radps", "IMU/gyro", "gyro"),
    ("acceleration_mps2", "IMU/accelerometer", "accelerometer"),
)
"""(channel, folder beneath processed_log, key in an .npz)."""


def is_segment(folder: Path) -> bool:
    """Return whether a folder is a segment."""
    return (folder / "processed_log").is_dir() or any((folder / name).is_dir() for name in POSES)


def is_minute(file: Path) -> bool:
    """Return whether an `.npz` is a minute of this data set; one that cannot be opened is taken for such."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return "frame_times" in arrays.files
    except Exception:
        # NumPy, zipfile and zlib each raise their own on damaged bytes.
        return True


def _numbers(array: NDArray[Any]) -> Floats:
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"it holds {array.dtype}, no numbers")
    return array.astype(np.float64)


def _file(path: Path) -> Floats:
    if path.exists() and not path.is_file():
        raise ValueError("it is no plain file")
    with path.open("rb") as stream, warnings.catch_warnings(action="ignore"):
        return _numbers(np.lib.format.read_array(stream, allow_pickle=False))


def _values(channel: str, array: Floats, count: int) -> Floats:
    """Return one value a sample from an array with one row each."""
    if channel == "speed_mps":
        value_N = array.mean(axis=1) if array.ndim == 2 else array
    else:
        if array.ndim != 2 or array.shape[1] != 3:
            raise ValueError(f"its shape is {array.shape}, not samples x 3 axes")
        value_N = array[:, 0] if channel == "acceleration_mps2" else -array[:, 2]
    if value_N.shape != (count,):
        raise ValueError(f"{count} times and {len(value_N)} values")
    return value_N


Signal = tuple[str, str, Callable[[], tuple[Floats, Floats]]]
"""(channel, name, reads its times and values)."""


def _of_folder(folder: Path) -> Iterator[Signal]:
    for channel, path, _ in SIGNALS:
        place = folder / "processed_log" / path
        if place.is_dir():
            yield channel, path, lambda place=place: (_file(place / "t"), _file(place / "value"))


def _of_archive(arrays: Any) -> Iterator[Signal]:
    for channel, _, key in SIGNALS:
        if key in arrays.files:
            yield channel, key, lambda key=key: (_numbers(arrays[f"{key}_t"]), _numbers(arrays[key]))


def _streams(signals: Iterable[Signal], origin: float) -> tuple[list[Stream], list[Dropped]]:
    streams: list[Stream] = []
    dropped: list[Dropped] = []
    for channel, name, read in signals:
        try:
            time_N, array = read()
            value_N = _values(channel, array, len(time_N))
        except Exception as error:
            # NumPy, zipfile and zlib each raise their own on damaged bytes.
            dropped.append(Dropped(channel=channel, source=name, reason=f"it cannot be read ({_line(error)})"))
        else:
            streams.append(Stream(channel=channel, source=name, time_N=time_N - origin, value_N=value_N))
    return streams, dropped


def _frame_times(folder: Path) -> Floats | None:
    """Return the boot time of every frame, None where a segment lacks them."""
    for name in POSES:
        path = folder / name / "frame_times"
        if path.is_file():
            try:
                times_F = _file(path)
            except Exception as error:
                raise InputError(f"{path}: no readable array ({_line(error)}); copy the segment again") from error
            if times_F.ndim != 1 or not first_rising(times_F):
                raise InputError(f"{path}: no rising times; copy the segment again")
            return times_F
    return None


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _on_clock(pictures: Pictures, times_F: Floats, where: Path) -> tuple[Pictures, float]:
    """Return a video's frames at the times of the device's clock, and the first of these."""
    kept = first_rising(times_F[: len(pictures.frames)])
    if not kept:
        raise InputError(f"{where}: the frame times do not rise within the video; copy the segment again")
    origin = float(times_F[kept[0]])
    lost = pictures.lost + max(len(pictures.frames), len(times_F)) - len(kept)
    return Pictures(
        frames=kept, times=[float(times_F[n]) - origin for n in kept], read=pictures.read, check=pictures.check,
        fps=FPS, lost=lost,
    ), origin  # fmt: skip


def segment_pictures(path: Path, part: str, fps: float) -> Pictures:
    """Return the frames of a segment's video; an `.npz` holds none.

    Raises:
        InputError: the drive has no pictures, or they cannot be read.
    """
    if path.suffix == ".npz":
        raise InputError(
            f"{path}: holds sensors and frame times but no pictures; give the segment's folder with its video"
        )
    pictures = video_pictures(path, fps=FPS)
    times_F = _frame_times(path.parent)
    return pictures if times_F is None else _on_clock(pictures, times_F, path.parent)[0]


def _open(drive: DriveSource, fps: float, camera: str) -> Recording:
    return _open_minute(drive.file) if drive.file.suffix == ".npz" else _open_segment(drive.file)


def _open_segment(folder: Path) -> Recording:
    video = next((folder / name for name in VIDEOS if (folder / name).is_file()), None)
    if video is None:
        raise InputError(f"{folder}: no {' or '.join(VIDEOS)} in this segment; copy it again")
    pictures = video_pictures(video, fps=FPS)
    times_F = _frame_times(folder)
    if times_F is None:
        why = "frame_times is missing: the sensors' clock cannot be tied to the frames"
        return Recording(
            file=str(video),
            pictures=pictures,
            dropped=[Dropped(channel="processed_log", source="global_pose", reason=why)],
            assumed=[f"no frame_times; {pictures.fps:g} frames/s, as the video says or comma2k19 records"],
        )
    pictures, origin = _on_clock(pictures, times_F, folder)
    streams, dropped = _streams(_of_folder(folder), origin)
    width = next((image.shape[1] for _, image in pictures.read(pictures.frames[:5])), 0)
    return Recording(file=str(video), pictures=pictures, streams=streams, dropped=dropped, focal_px=FOCAL_PX.get(width))


def _open_minute(file: Path) -> Recording:
    try:
        with (
            file.open("rb") as stream,
            warnings.catch_warnings(action="ignore"),
            np.load(stream, allow_pickle=False) as arrays,
        ):
            _check_size(arrays)
            times_F = _numbers(arrays["frame_times"])
            kept = first_rising(times_F) if times_F.ndim == 1 else []
            if not kept:
                raise ValueError("frame_times holds no rising times")
            origin = float(times_F[kept[0]])
            streams, dropped = _streams(_of_archive(arrays), origin)
    except Exception as error:
        raise InputError(f"{file}: no readable comma2k19 minute ({_line(error)}); copy it again") from error
    times = [float(times_F[n]) - origin for n in kept]
    pictures = Pictures(frames=kept, times=times, read=_no_pictures, fps=FPS, lost=len(times_F) - len(kept))
    return Recording(file=str(file), pictures=pictures, streams=streams, dropped=dropped, readable=False)


def _check_size(arrays: Any) -> None:
    """Refuse an archive that unpacks to what no minute holds: zeros pack a thousandfold."""
    size = sum(entry.file_size for entry in arrays.zip.infolist())
    if size > LARGEST:
        raise ValueError(f"it unpacks to {size >> 20} MiB, more than {LARGEST >> 20}")


def _no_pictures(indices: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
    return iter(())


def _owns(path: Path, part: str) -> bool:
    return path.suffix.lower() == ".npz" or (path.name in VIDEOS and is_segment(path.parent))


READER = Reader(kind="comma2k19", owns=_owns, open=_open, pictures=segment_pictures)
