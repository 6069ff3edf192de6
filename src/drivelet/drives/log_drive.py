"""A drive out of a message log: which camera, which clock, and pictures read by their place, one chunk at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.drives import messages
from drivelet.drives.car_axes import Vectors, car_streams
from drivelet.drives.message_log import Index, MessageLog, Readings, Shots, decoded_message, scan
from drivelet.drives.pictures import PictureError, decode_packets
from drivelet.drives.reading import DriveSource, Dropped, Pictures, Reader, Recording, Stream, by_time

OpenLog = Callable[[Path], MessageLog]
FAR_NS = 60 * 10**9
FEW = 0.05
"""A stamp further than `FAR_NS` from the log's time is damage where no more than this share of them is."""


def choose_camera(index: Index, path: Path, wanted: str) -> str:
    """Return the picture topic to use: the wanted one, else a front camera, else the one with the most messages.

    Raises:
        InputError: the log holds no pictures, or none of that topic.
    """
    counts = {name: len(shots.number) for name, shots in index.shots.items()}
    known = ", ".join(sorted(counts)) or "none"
    if wanted:
        if wanted not in counts:
            raise InputError(f"{path}: no pictures in topic {wanted!r}; camera topics are {known}")
        return wanted
    if not counts:
        silent = ", ".join(topic.name for topic in index.empty if topic.kind in messages.PICTURES)
        why = f"camera topic {silent} is empty" if silent else "no camera topic"
        raise InputError(f"{path}: {why} that can be read; record a camera as images or compressed images")
    return min(counts, key=lambda name: (_odd(name), "front" not in name.lower(), -counts[name], name))


def _odd(name: str) -> bool:
    return any(word in name.lower() for word in ("depth", "thumbnail", "segment", "disparity", "infra"))


def _clock(index: Index, camera: str) -> str:
    """Return which times to use: the messages' own where camera and sensors share a clock in them, else the log's."""
    shots = index.shots[camera]
    first, last = min(shots.stamp_ns), max(shots.stamp_ns)
    if first <= 0 or (len(shots.stamp_ns) > 1 and first == last):
        return "log_ns"
    for found in index.readings.values():
        if min(found.stamp_ns) > last or max(found.stamp_ns) < first:
            return "log_ns"
    return "stamp_ns"


def _times_ns(found: Shots | Readings, clock: str) -> tuple[NDArray[np.int64], int]:
    """Return the times of a topic, and how many stamps were far off and gave way to the log's time."""
    times_N, logged_N = np.array(getattr(found, clock), np.int64), np.array(found.log_ns, np.int64)
    offset_N = times_N - logged_N
    usual = int(np.median(offset_N))
    far_N = np.abs(offset_N - usual) > FAR_NS
    if not far_N.any() or far_N.mean() > FEW:
        return times_N, 0
    first, last = times_N[~far_N].min(), times_N[~far_N].max()
    wild_N = far_N & ((times_N < first - FAR_NS) | (times_N > last + FAR_NS))
    return np.where(wild_N, logged_N + usual, times_N), int(wild_N.sum())


def _pictures(index: Index, camera: str, clock: str) -> Pictures:
    shots = index.shots[camera]
    times_ns = _times_ns(shots, clock)[0].tolist()
    order = by_time(times_ns)
    return Pictures(
        frames=range(len(order)),
        times=[(times_ns[place] - times_ns[order[0]]) * 1e-9 for place in order],
        read=partial(_read, index.log, shots, order),
        lost=len(times_ns) - len(order),
    )


def _read(
    log: MessageLog, shots: Shots, order: Sequence[int], indices: Sequence[int]
) -> Iterator[tuple[int, ImageArray]]:
    wanted = sorted({index for index in indices if 0 <= index < len(order)})
    if shots.kind == messages.VIDEO:
        yield from _read_video(log, shots, order, wanted)
        return
    for number, decoded in _fetch(log, shots, [(index, order[index]) for index in wanted]):
        try:
            image = messages.still(shots.kind, decoded)
        except messages.BROKEN:
            continue
        yield number, image


def _read_video(
    log: MessageLog, shots: Shots, order: Sequence[int], wanted: Sequence[int]
) -> Iterator[tuple[int, ImageArray]]:
    """Decode every stretch from the key packet before what is wanted to the last wanted frame before the next key."""
    keys = np.flatnonzero(np.frombuffer(shots.key, np.uint8)[np.asarray(order, int)]) if wanted else np.zeros(0, int)
    place = np.searchsorted(keys, wanted, side="right") - 1
    for start, run in groupby(zip(place, wanted, strict=True), key=lambda item: item[0]):
        asked = {index for _, index in run}
        if start < 0:
            continue
        fetched = _fetch(log, shots, [(index, order[index]) for index in range(int(keys[start]), max(asked) + 1)])
        first = next(fetched)
        packets = decode_packets(_payloads(first, fetched), messages.video_codec(first[1]))
        yield from ((index, image) for index, image in packets if index in asked)


def _payloads(first: tuple[int, Any], rest: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, bytes]]:
    yield first[0], messages.payload(first[1])
    for number, decoded in rest:
        try:
            yield number, messages.payload(decoded)
        except PictureError:
            continue


def _fetch(log: MessageLog, shots: Shots, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Any]]:
    """Yield (frame index, decoded message) of (index, place) pairs; a part is read once for neighbours in it."""
    for offset, group in groupby(wanted, key=lambda item: shots.offset[item[1]]):
        found = log.part(offset)
        for index, place in group:
            message = found[shots.number[place]]
            yield index, decoded_message(log.topics[message.topic], message.data)


def _streams(index: Index, clock: str, origin_ns: int) -> list[Stream]:
    rank = {kind: place for place, kind in enumerate(messages.SENSORS)}
    order = sorted(index.readings, key=lambda t: (rank[index.readings[t].kind], -len(index.readings[t].log_ns), t))
    topics: list[Vectors] = []
    for topic in order:
        found = index.readings[topic]
        time_N = np.asarray((_times_ns(found, clock)[0] - origin_ns) * 1e-9, np.float64)
        linear_N3, angular_N3 = np.hsplit(np.array(found.values).reshape(len(time_N), 6), 2)
        topics.append(Vectors(
            kind=found.kind, topic=topic, frame=found.frame, time_N=time_N, linear_N3=linear_N3, angular_N3=angular_N3
        ))  # fmt: skip
    return car_streams(topics)


def _focal(index: Index, camera: str, width: int) -> float | None:
    """Return the focal length of the calibration whose topic shares the camera's folder, at the pictures' width."""
    home = camera.rsplit("/", 1)[0]
    for topic, (focal, at_width) in sorted(index.focal.items()):
        if (home and topic.startswith(f"{home}/")) or len(index.shots) == 1:
            return focal * width / at_width if at_width > 0 and width else focal
    return None


@lru_cache(maxsize=4)
def _scanned(open_log: OpenLog, path: Path, size: int, changed_ns: int) -> Index:
    """A log is scanned once a process: labelling asks for frames in many small runs."""
    return scan(open_log(path))


def _index(open_log: OpenLog, path: Path) -> Index:
    try:
        stat = path.stat()
        return _scanned(open_log, path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; correct the path") from error


def _width(path: Path, index: Index, camera: str, pictures: Pictures) -> int:
    """Return the width of the first picture that decodes.

    Raises:
        InputError: there is none; the line says what is wrong with the first.
    """
    width = next((image.shape[1] for _, image in pictures.read(pictures.frames)), 0)
    if not width:
        shots = index.shots[camera]
        reason = "damaged packets"
        if shots.kind != messages.VIDEO:
            try:
                messages.still(shots.kind, next(_fetch(index.log, shots, [(0, 0)]))[1])
            except messages.BROKEN as error:
                reason = str(error)
        raise InputError(f"{path}: {camera}: not one frame can be decoded ({reason}); record it again or name a camera")
    return width


def _open(open_log: OpenLog, drive: DriveSource, camera: str) -> Recording:
    index = _index(open_log, drive.file)
    chosen = choose_camera(index, drive.file, camera)
    clock = _clock(index, chosen)
    pictures = _pictures(index, chosen, clock)
    origin_ns = int(_times_ns(index.shots[chosen], clock)[0].min())
    used = {chosen: index.shots[chosen], **index.readings}
    restamped = {f"time stamps of {topic}": _times_ns(found, clock)[1] for topic, found in used.items()}
    return Recording(
        file=f"{drive.file}#{camera}" if camera else str(drive.file),
        pictures=pictures,
        streams=_streams(index, clock, origin_ns),
        focal_px=_focal(index, chosen, _width(drive.file, index, chosen, pictures)),
        camera=chosen,
        lost={what: count for what, count in {**index.lost, **restamped}.items() if count},
        dropped=_dropped(index, chosen),
    )


def _dropped(index: Index, camera: str) -> list[Dropped]:
    others = [
        Dropped(channel="camera", source=topic, reason=f"{camera} is the camera", spare=True)
        for topic in sorted(index.shots)
        if topic != camera
    ]
    empty = [
        Dropped(channel=topic.kind, source=topic.name, reason="it is empty")
        for topic in index.empty
        if topic.kind in (*messages.PICTURES, *messages.SENSORS)
    ]
    return [*others, *empty]


def log_reader(kind: str, suffix: str, open_log: OpenLog) -> Reader:
    """Return the reader of a container format."""

    def pictures(path: Path, part: str, fps: float) -> Pictures:
        index = _index(open_log, path)
        chosen = choose_camera(index, path, part)
        return _pictures(index, chosen, _clock(index, chosen))

    return Reader(
        kind=kind,
        owns=lambda path, part: path.suffix.lower() == suffix,
        open=lambda drive, fps, camera: _open(open_log, drive, camera),
        pictures=pictures,
    )
