"""A long log is read in memory that does not grow with it."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType

from drivelet.core.tables import read_rows
from drivelet.drives import log_pictures
from drivelet.drives.frames import read_frames
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.message_log import MessageLog
from log_files import START_NS, Entry, jpeg, write_bag, write_db3, write_mcap

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


class _Counted:
    """A log that notes which parts are read."""

    def __init__(self, log: MessageLog, reads: list[int]) -> None:
        self._log, self._reads = log, reads
        self.topics, self.lost, self.parts = log.topics, log.lost, log.parts

    def part(self, offset: int):
        self._reads.append(offset)
        return self._log.part(offset)
