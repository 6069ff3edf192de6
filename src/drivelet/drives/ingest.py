"""The ingest stage: a drive in any supported format becomes the same tables; the original files stay as they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import field as default
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, NonNegativeInt

from drivelet.core import flow
from drivelet.core.artifacts import EgoMotion, EgoStep, Frame
from drivelet.core.errors import InputError
from drivelet.core.flow import read_json, write_json
from drivelet.core.identity import drive_id
from drivelet.core.outside import read_as
from drivelet.core.progress import say, track
from drivelet.core.ranges import Positive, ranged
from drivelet.core.tables import append_table, chunked, write_table
from drivelet.drives.clock import ClockConfig
from drivelet.drives.discover import survey
from drivelet.drives.drive_motion import find_motion
from drivelet.drives.ego_motion import EgoConfig
from drivelet.drives.frames import DEFAULT_IMAGE_FPS
from drivelet.drives.image_motion import Grey, ImageMotion, motion_into, small_grey
from drivelet.drives.readers import reader
from drivelet.drives.reading import Checked, DriveSource, Floats, Pictures, Recording
from drivelet.drives.sensors import CHANNELS, Chosen, SensorLog, align, choose
from drivelet.drives.units import UnitConfig

FRAMES = pa.schema(
    [("drive", pa.string()), ("file", pa.string()), ("frame", pa.int64()), ("t", pa.float64())]
    + [(channel, pa.float64()) for channel in CHANNELS]
    + [("standing", pa.bool_()), *((name, pa.float64()) for name in ("forward_m", "left_m", "yaw_rad"))]
)
SENSORS = pa.schema([("channel", pa.string()), ("t", pa.float64()), ("value", pa.float64())])
CHUNK = 8192


@dataclass(frozen=True, kw_only=True)
@ranged
class IngestConfig:
    """Settings of `ingest`.

    Attributes:
        image_fps: frames per second of a folder of images that bears no times.
        video_fps: frames per second of a video without container, which bears no times; None takes what the stream
            states, or 25.
        camera: the image topic, camera folder or channel, or the number or title of the picture stream of a video;
            empty takes the front camera.
        alignment: how sensor samples reach frame times.
        max_gap_s: a frame further than this from any sensor sample gets NaN.
        units: units of the sensors where the log does not tell them.
        clock: how the sensors' clock is compared with the camera's.
        ego: how the car's motion is told.
    """

    image_fps: Positive = DEFAULT_IMAGE_FPS
    video_fps: Positive | None = None
    camera: str = ""
    alignment: Literal["linear", "nearest"] = "linear"
    max_gap_s: Positive = 0.5
    units: UnitConfig = default(default_factory=UnitConfig)
    clock: ClockConfig = default(default_factory=ClockConfig)
    ego: EgoConfig = default(default_factory=EgoConfig)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What decoding a drive once has found: good frames, seconds from the first one of the source, what moved into
    each of them (empty without pictures), and losses.
    """

    frames: list[int]
    times: list[float]
    moved: list[ImageMotion]
    size: tuple[int, int]
    total: int
    suspect: int


def ingest(config: IngestConfig, *, source: Path, out: Path) -> Path:
    """Write the tables of the drives at `source` as `ingest_tables` does, then say what was taken for granted."""
    ingest_tables(config, source=source, out=out)
    say_assumed(out)
    return out


@flow.stage(3)
def ingest_tables(config: IngestConfig, *, source: Path, out: Path) -> Path:
    """Write `frames.lance` (columns of `Frame`), `sensors.lance` and `drive.json` for the drive at `source`.

    Several drives at `source` get a folder each beneath `out`, named after the drive; `ingested` lists them. One of
    them that cannot be read is named and left out, and stands in `out/refused.json`.
    Every frame is decoded once: damaged ones are left out of the table and counted in `drive.json`.

    Raises:
        InputError: nothing readable at `source`, or a damaged sensor log.
    """
    found = survey(source)
    drives = found.drives
    if len(drives) == 1:
        ingest_drive(config, drive=drives[0], out=out)
        _say_not_read(found.not_read)
        return out
    refused: dict[str, InputError] = {}
    for drive in drives:
        try:
            ingest_drive(config, drive=drive, out=out / drive.name)
        except InputError as error:
            refused[drive.name] = error
    if len(refused) == len(drives):
        raise next(iter(refused.values()))
    for name, error in refused.items():
        say(f"{name} is left out: {error}", style="yellow")
    if refused:
        write_json(out / "refused.json", {name: str(error) for name, error in refused.items()})
    _say_not_read(found.not_read)
    return out


def _say_not_read(counts: Mapping[str, int]) -> None:
    """Say how much lies at the source that nothing reads."""
    if counts:
        kinds = _few([f"{count} {what}" for what, count in sorted(counts.items(), key=lambda kind: -kind[1])], most=8)
        total = sum(counts.values())
        what = "file or folder" if total == 1 else "files or folders"
        say(f"{total} {what} not read: {kinds}", style="yellow")


def say_assumed(out: Path) -> None:
    """Say of the ingested drives in a folder what was taken for granted, once for all that share it."""
    drives_of: dict[str, list[str]] = {}
    for folder in ingested(out):
        summary = read_json(folder / "drive.json")
        for sentence in summary["assumed"]:
            drives_of.setdefault(sentence, []).append(summary["drive"])
    if drives_of:
        say(f"assumed: {'; '.join(f'{what} ({_few(names)})' for what, names in drives_of.items())}")


def _few(names: Sequence[str], most: int = 3) -> str:
    return ", ".join([*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])])


class _Described(BaseModel):
    """What later commands take from `drive.json`; there is more in it."""

    drive: str
    file: str
    width: NonNegativeInt
    height: NonNegativeInt
    pictures: bool = True
    focal_px: float | None = None


def ingested(folder: Path) -> list[Path]:
    """Return the ingested drives at or directly beneath a folder.

    Raises:
        InputError: there is none, or what describes one is damaged.
    """
    folders = [folder] if (folder / "drive.json").is_file() else sorted(p.parent for p in folder.glob("*/drive.json"))
    if not folders:
        raise InputError(f"{folder}: no ingested drive (drive.json); run `drivelet ingest PATH --out {folder}` first")
    for each in folders:
        read_as(each / "drive.json", _Described, remedy="ingest the drive again")
    return folders


def ingest_drive(config: IngestConfig, *, drive: DriveSource, out: Path) -> Path:
    """Write the tables of one drive to `out`; return `out`."""
    # Wild numbers overflow to what is no number, and that is left out and counted.
    with np.errstate(all="ignore"):
        recording = open_drive(config, drive)
        scan = check_frames(drive, recording)
        sensors = choose_sensors(config, drive, recording, end=scan.times[-1])
    motion = find_motion(
        scan.times, sensors.log, scan.moved, focal_px=recording.focal_px, clock=config.clock, ego=config.ego,
        width=scan.size[0], doubts=sensors.doubts,
    )  # fmt: skip
    sensors = sensors.without(motion.refused)
    channels = align(motion.log, scan.times, method=config.alignment, max_gap_s=config.max_gap_s)
    out.mkdir(parents=True, exist_ok=True)
    write_frames(out / "frames.lance", drive.name, recording.file, scan, channels, motion.ego)
    write_sensors(out / "sensors.lance", sensors.log)
    summary = {**summarise(drive, recording, scan, sensors), **motion.as_json()}
    summary["assumed"] = [*recording.assumed, *sensors.assumed, *motion.assumed]
    write_json(out / "drive.json", summary)
    for line in losses(summary):
        say(f"{drive.name}: {line}", style="yellow")
    if alarm := summary["clock"]["alarm"]:
        say(f"{drive.name}: sensors stay on their own clock: {alarm}")
    return out


def open_drive(config: IngestConfig, drive: DriveSource) -> Recording:
    """Open a drive by its reader; a setting that is of no use to it is said to be."""
    found = reader(drive.kind)
    recording = found.open(drive, (config.video_fps or 0.0) if found.bare else config.image_fps, config.camera)
    needless: list[str] = []
    if config.camera and not recording.camera:
        needless.append(f"camera={config.camera} does not apply: there is one camera to choose from")
    if config.video_fps and not found.bare:
        needless.append(f"video_fps={config.video_fps:g} does not apply: this is no bare stream")
    return replace(recording, assumed=[*recording.assumed, *needless])


def check_frames(drive: DriveSource, recording: Recording) -> Scan:
    """Decode every frame once; where a source holds times only, take these.

    Raises:
        InputError: not one frame can be decoded.
    """
    pictures = recording.pictures
    total = len(pictures.frames) + pictures.lost
    if not recording.readable:
        times = list(pictures.times)
        return Scan(frames=list(pictures.frames), times=times, moved=[], size=(0, 0), total=total, suspect=0)
    known = pictures.frames if isinstance(pictures.frames, range) else set(pictures.frames)
    good: dict[int, ImageMotion] = {}
    size, suspect = (0, 0), 0
    before: Grey | None = None
    for found in track(_checked(pictures), total=len(known), what=f"ingest {drive.name}"):
        if found.index in known:
            size = size if any(size) else found.size
            suspect += found.suspect
            good[found.index] = motion_into(before, found.grey, scale=found.size[0] / found.grey.shape[1])
            before = found.grey
    if not good:
        raise InputError(f"{drive.file}: not one frame can be decoded; record or copy the file again")
    frames = [index for index in pictures.frames if index in good]
    times = [time for index, time in zip(pictures.frames, pictures.times, strict=True) if index in good]
    moved = [good[index] for index in frames]
    return Scan(frames=frames, times=times, moved=moved, size=size, total=total, suspect=suspect)


def _checked(pictures: Pictures) -> Iterator[Checked]:
    if pictures.check:
        return pictures.check()
    return (
        Checked(index, (image.shape[1], image.shape[0]), suspect=False, grey=small_grey(image))
        for index, image in pictures.read(pictures.frames)
    )


def choose_sensors(config: IngestConfig, drive: DriveSource, recording: Recording, *, end: float) -> Chosen:
    """Return the drive's sensor log.

    Raises:
        InputError: a CSV, which was put beside the pictures by hand, has not one channel that can be used.
    """
    chosen = choose(recording.streams, end=end, max_gap_s=config.max_gap_s, units=config.units)
    table = drive.sensors is not None and drive.sensors.suffix.lower() == ".csv"
    if table and recording.streams and not chosen.log.channels:
        raise InputError(f"{drive.sensors}: {chosen.dropped[0].reason}; correct or remove it")
    return replace(chosen, dropped=[*recording.dropped, *chosen.dropped])


def write_frames(path: Path, name: str, file: str, scan: Scan, channels: Mapping[str, Floats], ego: EgoMotion) -> None:
    """Write the frame table in chunks."""
    places = range(len(scan.frames))
    for number, chunk in enumerate(chunked(places, CHUNK)):
        rows = [
            asdict(Frame(
                drive=name, file=file, frame=scan.frames[n], t=scan.times[n],
                **{channel: float(values[n]) for channel, values in channels.items()}, **_step(ego.steps[n]),
            ))
            for n in chunk
        ]  # fmt: skip
        (append_table if number else write_table)(path, rows, schema=FRAMES)


def _step(step: EgoStep) -> dict[str, Any]:
    return {name: getattr(step, name) for name in ("standing", "forward_m", "left_m", "yaw_rad")}


def write_sensors(path: Path, log: SensorLog) -> None:
    """Write every channel at its own rate, one after the other; a drive without sensors has an empty table."""
    write_table(path, [], schema=SENSORS)
    for channel, samples in log.channels.items():
        for start in range(0, len(samples.time_N), CHUNK):
            time_N, value_N = (column[start : start + CHUNK] for column in samples)
            names = pa.array([channel] * len(time_N), pa.string())
            append_table(path, pa.Table.from_arrays([names, pa.array(time_N), pa.array(value_N)], schema=SENSORS))


def summarise(drive: DriveSource, recording: Recording, scan: Scan, sensors: Chosen) -> dict[str, Any]:
    """Return the content of `drive.json`."""
    times = recording.pictures.times
    span = times[-1] - times[0]
    return {
        "drive": drive.name,
        "drive_id": drive_id(recording.file),
        "source": f"{drive.file.name}#{drive.part}" if drive.part else drive.file.name,
        "file": recording.file,
        "kind": drive.kind,
        "camera": recording.camera,
        "fps": round((len(times) - 1) / span if span > 0 else recording.pictures.fps, 4),
        "width": scan.size[0],
        "height": scan.size[1],
        "duration_s": round(scan.times[-1], 6),
        "frames": len(scan.frames),
        "skipped_frames": scan.total - len(scan.frames),
        "suspect_frames": scan.suspect,
        "pictures": recording.readable,
        "sensors": [channel for channel in CHANNELS if channel in sensors.log.channels],
        "sensors_source": (drive.sensors or drive.file).name if sensors.log.channels else "",
        "lost": dict(recording.lost),
        "not_read": dict(drive.not_read),
        **sensors.as_json(),
    }


def losses(summary: Mapping[str, Any]) -> list[str]:
    """Return what is to be said of a drive: a line for every kind of loss."""
    lines: list[str] = []
    if summary["skipped_frames"]:
        total = summary["frames"] + summary["skipped_frames"]
        lines.append(f"{summary['skipped_frames']} of {total} frames skipped: damaged or without a time")
    if not summary["pictures"]:
        lines.append("sensors and frame times only; there are no pictures to label")
    if lost := ", ".join(f"{count} {what}" for what, count in summary["lost"].items() if count):
        lines.append(f"skipped {lost}")
    for stream in summary["streams"]:
        if stream["skipped"] or stream["unsorted"]:
            lines.append(
                f"{stream['channel']} ({stream['source']}): {stream['skipped']} samples skipped, "
                f"{stream['unsorted']} put back in order"
            )
    dropped: Sequence[Mapping[str, Any]] = summary["dropped"]
    lines += [f"{d['channel']} ({d['source']}) is left out: {d['reason']}" for d in dropped if not d["spare"]]
    return lines
