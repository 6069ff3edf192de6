"""A drive out of a message log: which camera, which clock, and pictures read by their place, one chunk at a time."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.images import TONE_CURVE
from drivelet.drives import messages
from drivelet.drives.cameras import camera_rank, chosen_of
from drivelet.drives.log_clock import Clock, on_clock_of, topic_times
from drivelet.drives.log_pictures import first_message, topic_pictures
from drivelet.drives.log_sensors import sensor_topics, steps, topic_streams
from drivelet.drives.message_log import Index, MessageLog, Shots, scan
from drivelet.drives.reading import DriveSource, Dropped, Pictures, Reader, Recording

OpenLog = Callable[[Path], MessageLog]
TRIED = 50
"""Pictures of a topic that are tried before another camera is."""


def choose_camera(index: Index, path: Path, wanted: str) -> str:
    """Return the picture topic to use: the wanted one, else the one that looks ahead by its name; empty without any.

    Raises:
        InputError: none of that topic, or the log's camera topics cannot be read.
    """
    if wanted and wanted not in index.shots:
        known = ", ".join(sorted(index.shots)) or "none"
        raise InputError(f"{path}: no pictures in topic {wanted!r}{_why(index)}; camera topics are {known}")
    if wanted or index.shots:
        return wanted or _ranked(index)[0]
    unreadable = [name for name in index.faults if _topic_kind(index, name) in messages.PICTURES]
    if index.readings and not unreadable:
        return ""
    silent = ", ".join(topic.name for topic in index.empty if topic.kind in messages.PICTURES)
    why = f"camera topic {silent} is empty" if silent else "no camera topic that can be read"
    raise InputError(f"{path}: {why}{_why(index)}; record a camera as images or compressed images")


def _ranked(index: Index) -> list[str]:
    return sorted(index.shots, key=lambda topic: camera_rank(topic, index.shots[topic].form))


def _topic_kind(index: Index, name: str) -> str:
    return next(topic.kind for topic in index.log.topics.values() if topic.name == name)


def _why(index: Index, most: int = 4) -> str:
    """Return what is to be known of a log without pictures: what was skipped, and topics of types that nobody reads."""
    skipped = [f"{count} {what}" for what, count in index.lost.items() if count]
    foreign = [f"{name} is {kind}" for name, kind in index.unread.items() if _looks_like_camera(name, kind)]
    told = [*skipped, *foreign][:most]
    return f" ({'; '.join(told)})" if told else ""


def _looks_like_camera(name: str, kind: str) -> bool:
    return any(word in f"{name} {kind}".lower() for word in ("image", "camera", "video", "ffmpeg", "picture"))


def _focal(index: Index, camera: str, width: int) -> float | None:
    """Return the focal length of the calibration whose topic shares the camera's folder, at the pictures' width."""
    home = camera.rsplit("/", 1)[0]
    for topic, (focal, at_width) in sorted(index.focal.items()):
        if (home and topic.startswith(f"{home}/")) or len(index.shots) == 1:
            return focal * width / at_width if at_width > 0 and width else focal
    return None


@lru_cache(maxsize=4)
def _scanned(open_log: OpenLog, path: Path, state: tuple[tuple[int, int], ...]) -> Index:
    """A log is scanned once a process: labelling asks for frames in many small runs."""
    return scan(open_log(path))


def _index(open_log: OpenLog, path: Path) -> Index:
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = [file.stat() for file in files]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; correct the path") from error
    return _scanned(open_log, path, tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


def _decodable(path: Path, index: Index, wanted: str) -> tuple[str, int, dict[str, str]]:
    """Return the camera, the width of its first picture that decodes, and why better ones were passed over.

    Raises:
        InputError: no camera has one; the line says what is wrong with the first picture of each.
    """
    passed: dict[str, str] = {}
    candidates = [wanted] if wanted else _ranked(index)
    for topic in candidates:
        pictures = topic_pictures(index.log, index.shots[topic])
        tried = pictures.frames if len(candidates) == 1 else pictures.frames[:TRIED]
        if width := next((image.shape[1] for _, image in pictures.read(tried)), 0):
            return topic, width, passed
        passed[topic] = _first_fault(index, topic)
    reasons = "; ".join(f"{topic}: not one frame can be decoded ({why})" for topic, why in passed.items())
    raise InputError(f"{path}: {reasons}; record it again or name a camera")


def _first_fault(index: Index, topic: str) -> str:
    shots = index.shots[topic]
    if shots.codec:
        return f"{shots.codec} packets without a parameter set" if not shots.sets else "damaged packets"
    try:
        messages.still(shots.kind, first_message(index.log, shots))
    except messages.BROKEN as error:
        return str(error)
    return "damaged pictures"


def _open(open_log: OpenLog, drive: DriveSource, fps: float, wanted: str) -> Recording:
    index = _index(open_log, drive.file)
    if not choose_camera(index, drive.file, wanted):
        return _without_pictures(index, drive, fps)
    camera, width, passed = _decodable(drive.file, index, wanted)
    shots = index.shots[camera]
    clock = topic_times(shots)
    clocks = {topic: on_clock_of(found, clock, shots.log_ns) for topic, found in index.readings.items()}
    others = [topic for topic in index.shots if topic != camera]
    return Recording(
        file=f"{drive.file}#{camera}" if others else str(drive.file),
        pictures=topic_pictures(index.log, index.shots[camera]),
        streams=topic_streams(index, clocks, int(clock.time_N.min())),
        focal_px=_focal(index, camera, width),
        camera=camera,
        lost=_lost(index, {camera: clock, **clocks}),
        dropped=_dropped(index, camera, passed),
        assumed=[
            *([] if wanted or not others else [chosen_of(camera, others)]),
            *_clock_notes({camera: clock, **clocks}),
            *([TONE_CURVE] if _is_deep(index, shots) else []),
        ],
    )


def _is_deep(index: Index, shots: Shots) -> bool:
    return not shots.codec and messages.is_deep(shots.kind, first_message(index.log, shots))


def _clock_notes(clocks: dict[str, Clock]) -> list[str]:
    return [f"the stamps of {topic} {clock.fault}: its times are the log's own" for topic, clock in clocks.items()
            if clock.fault]  # fmt: skip


def _lost(index: Index, clocks: dict[str, Clock]) -> dict[str, int]:
    restamped = {f"time stamps of {topic}": clock.replaced for topic, clock in clocks.items()}
    return {what: count for what, count in {**index.lost, **restamped}.items() if count}


def _without_pictures(index: Index, drive: DriveSource, fps: float) -> Recording:
    """Sensors alone are a drive: its frames are steps in time."""
    first = index.readings[sensor_topics(index)[0]]
    clock = topic_times(first)
    clocks = {topic: on_clock_of(found, clock, first.log_ns) for topic, found in index.readings.items()}
    pictures, origin_ns = steps(clocks, fps)
    return Recording(
        file=str(drive.file),
        pictures=pictures,
        streams=topic_streams(index, clocks, origin_ns),
        readable=False,
        lost=_lost(index, clocks),
        dropped=_dropped(index, "", {}),
        assumed=[f"no pictures in it: a step every {1 / fps:g} s, --set image_fps=N for others", *_clock_notes(clocks)],
    )


def _dropped(index: Index, camera: str, passed: dict[str, str]) -> list[Dropped]:
    others = [
        Dropped(channel="camera", source=topic, reason=passed.get(topic, f"{camera} is the camera"),
                spare=topic not in passed)
        for topic in sorted(index.shots)
        if topic != camera
    ]  # fmt: skip
    empty = [
        Dropped(channel=topic.kind, source=topic.name, reason="it is empty")
        for topic in index.empty
        if topic.kind in (*messages.PICTURES, *messages.SENSORS)
    ]
    foreign = [
        Dropped(channel="camera", source=name, reason=f"messages are {kind}, which is not read")
        for name, kind in index.unread.items()
        if _looks_like_camera("", kind)
    ]
    return [*others, *empty, *foreign]


def log_reader(kind: str, owns: Callable[[Path], bool], open_log: OpenLog) -> Reader:
    """Return the reader of a container format."""

    def pictures(path: Path, part: str, fps: float) -> Pictures:
        index = _index(open_log, path)
        camera = choose_camera(index, path, part)
        if camera:
            return topic_pictures(index.log, index.shots[camera])
        return steps({topic: topic_times(found) for topic, found in index.readings.items()}, fps)[0]

    return Reader(
        kind=kind,
        owns=lambda path, part: owns(path),
        open=lambda drive, fps, camera: _open(open_log, drive, fps, camera),
        pictures=pictures,
    )
