import json

import pytest

from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest
from log_files import FRAMES, ros_drive


def ingested(tmp_path, path):
    """Ingest a bag; return its frame rows and drive.json."""
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    return read_rows(out / "frames.lance"), json.loads((out / "drive.json").read_text())


@pytest.mark.parametrize("compression", ["", "BZ2", "LZ4"])
def test_a_bag_becomes_the_tables(tmp_path, compression):
    path = ros_drive().write(tmp_path / "a.bag", compression=compression)
    rows, summary = ingested(tmp_path, path)
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert [rows[5][name] for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")] == [10.5, 0.1, 1.0]
    assert (summary["kind"], summary["focal_px"], summary["lost"]) == ("rosbag", 55.5, {})
    assert [index for index, _ in frames_at(rows[0]["file"], [2, 9])] == [2, 9]


def test_a_bag_without_index_loses_nothing(tmp_path):
    path = ros_drive().write(tmp_path / "a.bag")
    content = path.read_bytes()
    start = content.index(b"index_pos=") + len(b"index_pos=")
    end = int.from_bytes(content[start : start + 8], "little")
    path.write_bytes(content[:start] + b"\x00" * 8 + content[start + 8 : end])
    rows, summary = ingested(tmp_path, path)
    assert (len(rows), summary["lost"]) == (FRAMES, {})


def test_a_cut_off_bag_and_a_damaged_chunk_are_counted(tmp_path):
    path = ros_drive(frames=40).write(tmp_path / "a.bag", chunk_size=2000, compression="LZ4")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    rows, summary = ingested(tmp_path, path)
    assert 10 < len(rows) < 40
    assert summary["lost"] == {"cut-off tails": 1}
    place = content.index(b"\x04\x22\x4d\x18", len(content) // 3)
    path.write_bytes(content[:place] + b"\xff" * 8 + content[place + 8 :])
    rows, summary = ingested(tmp_path, path)
    assert 30 < len(rows) <= 40
    assert summary["lost"] == {"damaged chunks": 1}
