"""Pictures, videos and logs damaged anywhere: read, or refused in one clear line; what is read is sound."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from drive_files import write_images, write_sensors, write_video
from drivelet.core.images import read_image
from drivelet.core.tables import read_rows
from drivelet.drives.frames import read_frames
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from log_files import (
    ros_drive,
    video_packets,
    write_bdd,
    write_comma,
    write_comma_minute,
    write_kitti,
    write_nuscenes,
)
from mutations import damaged, fuzz, mistyped, reading, runs

FRAMES = 4


@runs(60, 2000)
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "ppm"])
def test_a_picture(tmp_path: Path, examples: int, suffix: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    stream = io.BytesIO()
    noise.save(stream, format={"jpg": "jpeg"}.get(suffix, suffix))
    path = tmp_path / f"a.{suffix}"

    def read() -> None:
        image = read_image(path)
        assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size

    fuzz(damaged(stream.getvalue()), examples, reading(path, read))


@runs(12, 1000)
@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "hevc"])
def test_a_video(tmp_path: Path, examples: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "hevc":
        path.write_bytes(b"".join(video_packets(8, codec="libx265")))
    else:
        write_video(path, frames=8)

    def read() -> None:
        indices = [index for index, _, image in read_frames(path) if image.shape[2] == 3]
        assert indices == sorted(set(indices))

    fuzz(damaged(path.read_bytes()), examples, reading(path, read))


def images(folder: Path) -> None:
    write_images(folder, [f"{n:03d}.png" for n in range(FRAMES)])
    write_sensors(folder / "sensors.csv", seconds=0.5)


def video(folder: Path) -> None:
    write_video(folder / "drive.mp4", frames=FRAMES)
    write_sensors(folder / "drive.csv", seconds=0.5)


LOGS: dict[str, Callable[[Path], Any]] = {
    "images": images,
    "video": video,
    "mcap": lambda folder: ros_drive(FRAMES).write(folder / "drive.mcap", chunk_size=1500),
    "bag": lambda folder: ros_drive(FRAMES).write(folder / "drive.bag", chunk_size=1500),
    "comma2k19": lambda folder: write_comma(folder / "40", FRAMES),
    "npz": lambda folder: write_comma_minute(folder / "minute.npz", FRAMES),
    "kitti": lambda folder: write_kitti(folder / "day", FRAMES),
    "nuscenes": lambda folder: write_nuscenes(folder / "nuscenes", FRAMES),
    "bdd100k": lambda folder: write_bdd(folder, seconds=4),
}


def injuries(root: Path) -> st.SearchStrategy[tuple[Path, bytes]]:
    """One file of a log, and other bytes for it."""
    files = sorted(path for path in root.rglob("*") if path.is_file())

    def injured(path: Path) -> st.SearchStrategy[tuple[Path, bytes]]:
        content = path.read_bytes()
        bytes_of = damaged(content)
        if path.suffix == ".json":
            bytes_of |= mistyped(json.loads(content)).map(lambda value: json.dumps(value).encode())
        return bytes_of.map(lambda found: (path.relative_to(root), found))

    return st.sampled_from(files).flatmap(injured)


@runs(10, 120)
@pytest.mark.parametrize("name", sorted(LOGS))
def test_a_log(tmp_path: Path, examples: int, name: str) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    LOGS[name](whole)

    def read(injury: tuple[Path, bytes]) -> None:
        place, content = injury
        root, out = tmp_path / "log", tmp_path / "out"
        for stale in (root, out):
            shutil.rmtree(stale, ignore_errors=True)
        shutil.copytree(whole, root)
        (root / place).write_bytes(content)
        for drive in ingested(ingest(IngestConfig(), source=root, out=out)):
            times = [row["t"] for row in read_rows(drive / "frames.lance")]
            assert times == sorted(set(times)) and np.isfinite(times).all()
            assert np.isfinite([row["value"] for row in read_rows(drive / "sensors.lance")]).all()
            assert not [path for path in tmp_path.iterdir() if path not in (whole, root, out)]

    fuzz(injuries(whole), examples, read)
