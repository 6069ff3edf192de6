import json
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_files import numbered_frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives import unpacking
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from log_files import FRAMES, TELE, WIDE, write_physicalai, zip_physicalai


def clip(tmp_path, root, name="0a-1", **settings):
    """Ingest a set; return one clip's frame rows and drive.json."""
    out = ingest(IngestConfig(**settings), source=root, out=tmp_path / "out")
    return read_rows(out / name / "frames.lance"), json.loads((out / name / "drive.json").read_text())


@pytest.mark.parametrize("packed", [False, True])
def test_a_clip_is_a_drive_of_the_wide_front_camera(tmp_path, packed):
    root = write_physicalai(tmp_path / "set")
    root = zip_physicalai(root) if packed else root
    rows, summary = clip(tmp_path, root)
    assert [folder.name for folder in ingested(tmp_path / "out")] == ["0a-1", "0b-2"]
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert rows[5]["speed_mps"] == pytest.approx(10.5, abs=1e-3)
    assert rows[5]["yaw_rate_radps"] == pytest.approx(0.1, abs=1e-6)
    assert rows[5]["acceleration_mps2"] == pytest.approx(1.0, abs=1e-6)
    assert (summary["kind"], summary["camera"], summary["lost"]) == ("physicalai", WIDE, {})
    assert summary["assumed"] == [f"camera {WIDE}, not {TELE}: another with --set camera=NAME"]
    assert rows[0]["file"] == f"{root}#0a-1@{WIDE}"
    images = dict(frames_at(rows[0]["file"], [2, 9]))
    assert [float(images[n].mean()) for n in (2, 9)] == pytest.approx(
        [float(numbered_frame(n).mean()) for n in (2, 9)], abs=3
    )


def test_another_camera_is_taken_by_its_name(tmp_path):
    rows, summary = clip(tmp_path, write_physicalai(tmp_path / "set"), camera=TELE)
    assert (summary["camera"], summary["assumed"], len(rows)) == (TELE, [], FRAMES)
    with pytest.raises(InputError, match=f"no camera 'roof' in clip 0a-1; its cameras are {TELE}, {WIDE}"):
        clip(tmp_path, tmp_path / "set", camera="roof")


def test_a_video_that_was_unpacked_long_ago_is_unpacked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "KEPT_MEMBERS", 1)
    root = zip_physicalai(write_physicalai(tmp_path / "set"))
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    files = [read_rows(folder / "frames.lance")[0]["file"] for folder in ingested(out)]
    readers = [frames_at(file, [3, 7]) for file in files]
    assert [[next(reader)[0] for reader in readers] for _ in range(2)] == [[3, 3], [7, 7]]


def test_without_times_or_motion_the_video_s_own_times_serve_and_this_is_said(tmp_path):
    root = write_physicalai(tmp_path / "set")
    (root / f"camera/{WIDE}/0a-1.{WIDE}.timestamps.parquet").unlink()
    (root / "labels/egomotion/0a-1.egomotion.parquet").unlink()
    rows, summary = clip(tmp_path, root)
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(FRAMES)]
    assert summary["sensors"] == []
    assert any("the video's own times" in sentence for sentence in summary["assumed"])
    assert [d["channel"] for d in summary["dropped"]] == ["frame times"]


@pytest.mark.parametrize("content", [b"", b"PAR1 not a table PAR1", None])
def test_a_damaged_table_is_named_and_the_pictures_are_kept(tmp_path, content):
    root = write_physicalai(tmp_path / "set")
    for file in (
        root / f"camera/{WIDE}/0a-1.{WIDE}.timestamps.parquet",
        root / "labels/egomotion/0a-1.egomotion.parquet",
    ):
        if content is None:
            pq.write_table(pa.table({"other": [1, 2]}), file)
        else:
            file.write_bytes(content)
    rows, summary = clip(tmp_path, root)
    assert len(rows) == FRAMES
    assert [d["channel"] for d in summary["dropped"]] == ["frame times", "egomotion"]
    assert any("the video's own times" in sentence for sentence in summary["assumed"])


def test_rows_that_are_no_numbers_are_left_out_and_counted(tmp_path):
    root = write_physicalai(tmp_path / "set")
    file = root / "labels/egomotion/0a-1.egomotion.parquet"
    table = pq.read_table(file)
    x = table["x"].to_numpy().copy()
    x[7] = float("nan")
    pq.write_table(table.set_column(table.column_names.index("x"), "x", pa.array(x)), file)
    rows, summary = clip(tmp_path, root)
    assert summary["lost"] == {"rows of the ego motion": 1}
    assert rows[5]["speed_mps"] == pytest.approx(10.5, abs=1e-3)


def test_a_damaged_archive_or_member_is_one_clear_line(tmp_path):
    root = zip_physicalai(write_physicalai(tmp_path / "set"))
    archive = root / f"camera/{WIDE}/{WIDE}.chunk_0000.zip"
    content = bytearray(archive.read_bytes())
    content[100:600] = bytes(500)
    archive.write_bytes(bytes(content))
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert "it cannot be unpacked" in json.loads((out / "refused.json").read_text())["0a-1"]
    archive.write_bytes(b"no archive")
    summary = clip(tmp_path, root)[1]
    assert (summary["camera"], summary["dropped"][0]["source"]) == (TELE, archive.name)


def test_a_member_that_unpacks_without_end_is_refused(tmp_path):
    root = zip_physicalai(write_physicalai(tmp_path / "set", clips=("0a-1",)))
    archive = root / f"camera/{WIDE}/{WIDE}.chunk_0000.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr(f"0a-1.{WIDE}.mp4", bytes(50_000_000))
    with pytest.raises(InputError, match=r"unpacks to more than .* GB \(1000 times its size\)"):
        ingest(IngestConfig(), source=root, out=tmp_path / "out")


def test_pipes_in_the_place_of_files_are_never_opened(tmp_path):
    root = write_physicalai(tmp_path / "set", clips=("0a-1",))
    for name in (f"camera/{WIDE}/0a-1.{WIDE}.mp4", "labels/egomotion/0a-1.egomotion.parquet"):
        (root / name).unlink()
        os.mkfifo(root / name)
    os.mkfifo(root / "camera" / "chunk.zip")
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert json.loads((out / "drive.json").read_text())["camera"] == TELE


def test_an_archive_that_is_gone_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match=r"it cannot be unpacked .* download it again"):
        unpacking.unpacked_member(tmp_path / "gone.zip", "a.mp4")
