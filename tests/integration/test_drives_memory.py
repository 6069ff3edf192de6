"""A long log is read in memory that does not grow with it."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType

from drive_files import numbered_frame, write_sensors, write_video
from drivelet.core.artifacts import ImageArray
from drivelet.core.tables import read_rows
from drivelet.drives import log_pictures
from drivelet.drives.frames import read_frames
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.message_log import MessageLog
from log_files import START_NS, Entry, jpeg, write_bag, write_db3, write_mcap
from video_files import encode

BOUND = 5 * 2**20
"""Bytes: a fraction of the pictures, which are 17 to 70 MiB."""


@pytest.mark.parametrize(("suffix", "frames"), [("mcap", 2000), ("bag", 500), ("db3", 500)])
def test_a_long_log_is_read_in_constant_memory(
    tmp_path: Path, suffix: str, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    data = np.frombuffer(jpeg(noise), np.uint8)
    kind, content = "sensor_msgs/msg/CompressedImage", {"format": "jpeg", "data": data}
    entries = [Entry("/cam", kind, START_NS + n * 10**8, content) for n in range(frames)]
    path = tmp_path / f"long.{suffix}"
    if suffix == "bag":
        write_bag(path, entries, chunk_size=200_000)
    elif suffix == "db3":
        write_db3(path, entries)
    else:
        write_mcap(path, entries, chunk_size=200_000, compression=CompressionType.NONE)
    pictures = frames * noise.nbytes
    assert pictures > 3 * BOUND

    reads: list[int] = []
    part_of = log_pictures.fetch
    monkeypatch.setattr(log_pictures, "fetch", lambda log, shots, wanted: part_of(_Counted(log, reads), shots, wanted))
    tracemalloc.start()
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    assert peak < BOUND
    assert len(read_rows(out / "frames.lance")) == frames
    # Every chunk is read about once, not once a frame; a row of a database is a chunk of its own.
    assert len(reads) < (frames / 5 if suffix != "db3" else frames + 10)

    reads.clear()
    tracemalloc.reset_peak()
    some = [index for index, _, _ in read_frames(path, indices=range(0, frames, 100))]
    assert some == list(range(0, frames, 100))
    assert tracemalloc.get_traced_memory()[1] < BOUND
    assert len(reads) == len(some)
    tracemalloc.stop()


def test_a_long_video_is_read_in_the_memory_of_a_short_one(tmp_path: Path) -> None:
    peaks: list[int] = []
    for frames in (100, 100, 2000):  # what is loaded and cached once is not counted
        (tmp_path / f"{len(peaks)}").mkdir()
        video = write_video(tmp_path / f"{len(peaks)}" / "drive.mp4", frames=frames, fps=20)
        write_sensors(video.with_suffix(".csv"), seconds=frames / 20, hz=40)
        tracemalloc.start()
        ingest(IngestConfig(), source=video, out=tmp_path / f"out{len(peaks)}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The pictures are 18 MiB; a frame's own numbers, of which tables are made, are 2 KiB while a chunk is written.
    assert peaks[2] - peaks[1] < BOUND


@pytest.mark.parametrize("suffix", ["mp4", "h264"])
def test_a_long_video_is_read_in_constant_memory(tmp_path: Path, suffix: str) -> None:
    frames = 1500
    path = encode(tmp_path / f"long.{suffix}", Repeated(frames), options={"preset": "ultrafast"})
    tracemalloc.start()
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < BOUND < frames * Repeated.picture.nbytes / 3
    tracemalloc.stop()
    assert len(read_rows(out / "frames.lance")) == frames


class Repeated(Sequence[ImageArray]):
    """One picture, many times over."""

    picture = numbered_frame(0, width=160, height=96)

    def __init__(self, times: int) -> None:
        self._times = times

    def __len__(self) -> int:
        return self._times

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self._times:
            raise IndexError(number)
        return self.picture


class _Counted:
    """A log that notes which parts are read."""

    def __init__(self, log: MessageLog, reads: list[int]) -> None:
        self._log, self._reads = log, reads
        self.topics, self.lost, self.parts = log.topics, log.lost, log.parts

    def part(self, offset: int):
        self._reads.append(offset)
        return self._log.part(offset)
