"""The ingest stage: a drive in any supported form becomes the frame table; the original file stays as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from drivelet.core.artifacts import Frame
from drivelet.core.errors import InputError
from drivelet.core.flow import write_json
from drivelet.core.progress import say, track
from drivelet.core.tables import chunked, write_table
from drivelet.drives.discover import DriveSource, discover
from drivelet.drives.frames import DEFAULT_IMAGE_FPS
from drivelet.drives.images import image_times, list_images, read_images
from drivelet.drives.sensors import CHANNELS, align, read_sensors
from drivelet.drives.video import iter_video, read_timeline

SCHEMA = pa.schema(
    [("drive", pa.string()), ("file", pa.string()), ("frame", pa.int64()), ("t", pa.float64())]
    + [(channel, pa.float64()) for channel in CHANNELS]
)


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """Settings of `ingest`.

    Attributes:
        image_fps: frames per second of a folder of images that bears no times.
        alignment: how sensor samples reach frame times.
        max_gap_s: a frame further than this from any sensor sample gets NaN.
    """

    image_fps: float = DEFAULT_IMAGE_FPS
    alignment: Literal["linear", "nearest"] = "linear"
    max_gap_s: float = 0.5


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """What decoding a drive once has found: good frames and what was lost."""

    frames: list[int]
    times: list[float]
    fps: float
    size: tuple[int, int]
    total: int
    suspect: int


def ingest(config: IngestConfig, *, source: Path, out: Path) -> Path:
    """Write `frames.lance` (columns of `Frame`) and `drive.json` for the drive at `source`.

    Several drives at `source` get a folder each beneath `out`, named after the drive; `ingested` lists them.
    Every frame is decoded once: damaged ones are left out of the table and counted in `drive.json`.

    Raises:
        InputError: nothing readable at `source`, or a damaged sensor log.
    """
    drives = discover(source)
    for drive in drives:
        ingest_drive(config, drive=drive, out=out if len(drives) == 1 else out / drive.name)
    return out


def ingested(folder: Path) -> list[Path]:
    """Return the ingested drives at or directly beneath a folder.

    Raises:
        InputError: there is none.
    """
    folders = [folder] if (folder / "drive.json").is_file() else sorted(p.parent for p in folder.glob("*/drive.json"))
    if not folders:
        raise InputError(f"{folder}: no ingested drive (drive.json); run `drivelet ingest PATH --out {folder}` first")
    return folders


def ingest_drive(config: IngestConfig, *, drive: DriveSource, out: Path) -> Path:
    """Write the tables of one drive to `out`; return `out`."""
    scan = _scan_video(drive) if drive.kind == "video" else _scan_images(config, drive)
    if not scan.frames:
        raise InputError(f"{drive.file}: not one frame can be decoded; record or copy the file again")
    channels = _sensors(config, drive, scan)
    out.mkdir(parents=True, exist_ok=True)
    rows = _rows(drive, scan, channels)
    tables = [pa.Table.from_pylist(chunk, schema=SCHEMA) for chunk in chunked(rows, 8192)]
    write_table(out / "frames.lance", pa.concat_tables(tables))
    write_json(out / "drive.json", _summary(drive, scan, channels))
    lost = scan.total - len(scan.frames)
    if lost:
        say(f"[yellow]{drive.name}: {lost} of {scan.total} frames are damaged and skipped[/yellow]")
    return out


def _scan_video(drive: DriveSource) -> _Scan:
    timeline = read_timeline(drive.file)
    good: list[int] = []
    doubtful = 0
    for index, _, suspect in track(
        iter_video(drive.file, timeline), total=len(timeline.pts), what=f"ingest {drive.name}"
    ):
        good.append(index)
        doubtful += suspect
    good = sorted(set(good))
    times = [timeline.time(index) for index in good]
    return _Scan(
        frames=good, times=times, fps=timeline.fps, size=timeline.size, total=timeline.declared, suspect=doubtful
    )


def _scan_images(config: IngestConfig, drive: DriveSource) -> _Scan:
    files = list_images(drive.file)
    times = image_times(drive.file, files, fps=config.image_fps)
    good: list[int] = []
    size = (0, 0)
    for index, _, image in track(
        read_images(files, times, range(len(files))), total=len(files), what=f"ingest {drive.name}"
    ):
        good.append(index)
        size = size if any(size) else (image.shape[1], image.shape[0])
    fps = (len(times) - 1) / times[-1] if len(times) > 1 else config.image_fps
    return _Scan(frames=good, times=[times[i] for i in good], fps=fps, size=size, total=len(files), suspect=0)


def _sensors(config: IngestConfig, drive: DriveSource, scan: _Scan) -> dict[str, Any]:
    if drive.sensors is None:
        return {}
    log = read_sensors(drive.sensors)
    channels = align(log, scan.times, method=config.alignment, max_gap_s=config.max_gap_s)
    if all((values != values).all() for values in channels.values()):
        raise InputError(
            f"{drive.sensors}: times {log.time_N[0]:g}..{log.time_N[-1]:g} s do not meet the drive's "
            f"0..{scan.times[-1]:g} s; count timestamp_s from the first frame"
        )
    return channels


def _rows(drive: DriveSource, scan: _Scan, channels: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for position, (index, time) in enumerate(zip(scan.frames, scan.times, strict=True)):
        values = {name: float(column[position]) for name, column in channels.items()}
        yield asdict(Frame(drive=drive.name, file=str(drive.file), frame=index, t=time, **values))


def _summary(drive: DriveSource, scan: _Scan, channels: dict[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "drive": drive.name,
        "source": drive.file.name,
        "file": str(drive.file),
        "kind": drive.kind,
        "fps": round(scan.fps, 4),
        "width": scan.size[0],
        "height": scan.size[1],
        "duration_s": round(scan.times[-1], 6),
        "frames": len(scan.frames),
        "skipped_frames": scan.total - len(scan.frames),
        "suspect_frames": scan.suspect,
        "sensors": list(channels),
        "sensors_source": drive.sensors.name if drive.sensors else "",
    }
