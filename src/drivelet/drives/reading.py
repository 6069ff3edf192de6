"""What every reader yields: the frames of a drive, still on disk, and its sensor streams, on one clock."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.drives.image_motion import Grey

Floats = NDArray[np.float64]

Read = Callable[[Sequence[int]], Iterator[tuple[int, ImageArray]]]
"""(wanted frame indices) -> (index, RGB image) in ascending order, one in memory at a time; damaged ones left out."""

FAR_S = 86_400.0
"""A time further than this from the middle one of its series is damage: no drive lasts a day."""


class Checked(NamedTuple):
    """A frame that decodes: its index, (width, height), whether it is suspect, and its small grey image."""

    index: int
    size: tuple[int, int]
    suspect: bool
    grey: Grey


@dataclass(frozen=True, kw_only=True)
class DriveSource:
    """One drive as it lies on disk.

    Attributes:
        name: unique among the drives found together.
        file: the video, the log, or the folder that holds it.
        kind: which reader it takes.
        sensors: the file or folder of its sensors, where these lie apart.
        part: which part of `file` it is, where this holds several drives or cameras.
        not_read: how many files and folders lie beside it and are read by nothing, by what they are and why.
    """

    name: str
    file: Path
    kind: str
    sensors: Path | None = None
    part: str = ""
    not_read: Mapping[str, int] = default(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Samples of one channel as a log holds them, unchecked; `note` says what was done to them."""

    channel: str
    source: str
    time_N: Floats
    value_N: Floats
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A stream or topic that is not in use, and why; `spare` where another one serves in its place."""

    channel: str
    source: str
    reason: str
    spare: bool = False


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The frames of one drive.

    Attributes:
        frames: indices in order of time.
        times: seconds from the first of them, strictly rising.
        read: reads some.
        check: decodes all once; None where reading them is the way.
        fps: the rate where a single frame tells none.
        lost: frames that the source holds or promises beyond these (without a time, of a time given before).
    """

    frames: Sequence[int]
    times: Sequence[float]
    read: Read
    check: Callable[[], Iterator[Checked]] | None = None
    fps: float = 0.0
    lost: int = 0


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A drive opened by its reader.

    Attributes:
        file: what the `file` column says: the path, with `#part` where this is needed to find the frames again.
        pictures: its frames.
        streams: its sensors, seconds from the first frame; of a channel's streams the first good one is taken.
        focal_px: focal length in pixels, where the source tells it.
        camera: the camera or topic that was taken, where there may be several.
        readable: whether the frames themselves are there, or only their times.
        lost: what could not be read, by what it is: damaged rows, messages, files.
        dropped: what the reader itself left out.
        assumed: what the source does not tell and was taken for granted (times, rate, camera), a short sentence each
            that ends in how to set it.
    """

    file: str
    pictures: Pictures
    streams: Sequence[Stream] = ()
    focal_px: float | None = None
    camera: str = ""
    readable: bool = True
    lost: Mapping[str, int] = default(default_factory=dict)
    dropped: Sequence[Dropped] = ()
    assumed: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One format.

    Attributes:
        kind: its name in `drive.json`.
        owns: whether a path of the `file` column, with its part, is of this format.
        open: (drive, frame rate of images without times, camera or "") -> the recording.
        pictures: (path, part, frame rate of images without times) -> the frames.
    """

    kind: str
    owns: Callable[[Path, str], bool]
    open: Callable[[DriveSource, float, str], Recording]
    pictures: Callable[[Path, str, float], Pictures]


def by_time(times_ns: Sequence[int]) -> list[int]:
    """Return the places of the times in rising order: the first of equal ones, none a day off the middle."""
    order = sorted(range(len(times_ns)), key=times_ns.__getitem__)
    middle = times_ns[order[len(order) // 2]] if order else 0
    order = [place for place in order if abs(times_ns[place] - middle) <= FAR_S * 10**9]
    return [place for n, place in enumerate(order) if n == 0 or times_ns[place] > times_ns[order[n - 1]]]


def first_rising(times: Sequence[float] | Floats) -> list[int]:
    """Return the places whose time is finite and above every kept one before; jumps ahead are left out."""
    values = np.asarray(times, dtype=float)
    good = np.isfinite(values)
    if good.any():
        good &= np.abs(values - np.sort(values[good])[good.sum() // 2]) <= FAR_S
    kept: list[int] = []
    for place in np.flatnonzero(good):
        following = values[place + 1 : place + 4]
        jump = len(following) == 3 and (following < values[place]).all()
        if not jump and (not kept or values[place] > values[kept[-1]]):
            kept.append(int(place))
    return kept


def read_bytes(path: Path) -> bytes:
    """Return a small file's bytes.

    Raises:
        InputError: it is missing or not readable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; copy the recording again, whole") from error
