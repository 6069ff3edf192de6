import json
import os
import shutil

import numpy as np
import pytest

from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.discover import discover
from drivelet.drives.frames import read_frames
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.kitti import read_focal, read_stamps
from log_files import FRAMES, write_kitti


def ingested(tmp_path, path, **settings):
    """Ingest a drive; return its frame rows and drive.json."""
    out = ingest(IngestConfig(**settings), source=path, out=tmp_path / "out")
    return read_rows(out / "frames.lance"), json.loads((out / "drive.json").read_text())


def test_a_raw_drive_becomes_the_tables(tmp_path):
    drive = write_kitti(tmp_path / "2011_09_26")
    rows, summary = ingested(tmp_path, tmp_path / "2011_09_26")
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert rows[5]["speed_mps"] == pytest.approx(10.5)
    assert (rows[5]["yaw_rate_radps"], rows[5]["acceleration_mps2"]) == (0.1, 1.0)
    assert (summary["drive"], summary["kind"]) == (drive.name, "kitti")
    assert (summary["camera"], summary["focal_px"]) == ("image_02", pytest.approx(721.5377))
    read = list(read_frames(rows[0]["file"], indices=[3, 7]))
    assert [(index, round(t, 6)) for index, t, _ in read] == [(3, 0.3), (7, 0.7)]


def test_times_keep_their_nanoseconds(tmp_path):
    path = tmp_path / "timestamps.txt"
    path.write_text("2011-09-26 13:02:25.964389445\n\nnonsense\n2011-09-26 13:02:26\n2011-02-30 13:02:26\n")
    stamps = read_stamps(path)
    assert stamps[1:3] == [None, None]
    assert stamps[3] - stamps[0] == 35610555
    assert stamps[4] is None


def test_missing_images_and_records_keep_their_lines(tmp_path):
    drive = write_kitti(tmp_path / "day")
    (drive / "image_02/data/0000000004.png").unlink()
    (drive / "oxts/data/0000000006.txt").unlink()
    (drive / "oxts/data/0000000007.txt").write_text("1 2 three\n")
    (drive / "oxts/data/0000000008.txt").write_text("1 2 3\n")
    rows, summary = ingested(tmp_path, drive)
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(FRAMES) if n != 4]
    assert summary["skipped_frames"] == 1
    assert summary["lost"] == {"oxts records": 3}
    assert [stream["samples"] for stream in summary["streams"]] == [FRAMES - 3] * 3
    assert rows[-1]["speed_mps"] == pytest.approx(11.1)


def test_images_without_a_time_are_skipped(tmp_path):
    drive = write_kitti(tmp_path / "day")
    lines = (drive / "image_02/timestamps.txt").read_text().splitlines()
    (drive / "image_02/timestamps.txt").write_text("\n".join([lines[0], "", lines[2], lines[2], *lines[4:10]]))
    rows, summary = ingested(tmp_path, drive)
    assert [row["frame"] for row in rows] == [0, 2, 4, 5, 6, 7, 8, 9]
    assert summary["skipped_frames"] == 4


def test_a_drive_without_records_keeps_its_frames(tmp_path):
    drive = write_kitti(tmp_path / "day")
    (drive / "oxts/timestamps.txt").unlink()
    rows, summary = ingested(tmp_path, drive)
    assert (len(rows), summary["sensors"]) == (FRAMES, [])
    assert "timestamps.txt" in summary["dropped"][0]["reason"]


def test_the_camera_setting_names_another_folder(tmp_path):
    drive = write_kitti(tmp_path / "day")
    (drive / "image_02").rename(drive / "image_03")
    assert ingested(tmp_path, drive)[1]["camera"] == "image_03"
    with pytest.raises(InputError, match="no images in image_00/data"):
        ingested(tmp_path, drive, camera="image_00")


def test_raw_extracts_take_the_unrectified_focal_length(tmp_path):
    drive = write_kitti(tmp_path / "day", frames=2)
    calibration = tmp_path / "day" / "calib_cam_to_cam.txt"
    calibration.write_text(calibration.read_text() + "K_02: 9.597910e+02 0 1 0 1 1 0 0 1\n")
    assert read_focal(drive, "image_02") == pytest.approx(721.5377)
    extract = drive.rename(tmp_path / "day" / "2011_09_26_drive_0001_extract")
    assert read_focal(extract, "image_02") == pytest.approx(959.791)
    calibration.write_text("P_rect_02: a b c\n")
    assert read_focal(extract, "image_02") is None


def test_a_drive_is_one_drive_whatever_lies_in_it(tmp_path):
    drive = write_kitti(tmp_path / "day", frames=2)
    (drive / "velodyne_points").mkdir()
    np.savez(drive / "extra.npz", a=np.zeros(1))
    assert [source.file for source in discover(tmp_path)] == [drive]


def test_a_drive_without_times_keeps_its_frames_at_a_rate_that_is_said(tmp_path):
    drive = write_kitti(tmp_path / "day")
    (drive / "image_02/timestamps.txt").unlink()
    rows, summary = ingested(tmp_path, drive)
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert "10 frames/s assumed" in summary["assumed"][0] and "timestamps.txt" in summary["assumed"][0]
    assert (summary["sensors"], summary["dropped"][0]["channel"]) == ([], "oxts")
    assert [index for index, _, _ in read_frames(rows[0]["file"], indices=[3, 7])] == [3, 7]


def test_the_choice_of_a_camera_is_said_and_a_wrong_one_names_those_there(tmp_path):
    drive = write_kitti(tmp_path / "day")
    shutil.copytree(drive / "image_02", drive / "image_00")
    _, summary = ingested(tmp_path, drive)
    assert summary["assumed"] == ["camera image_02, not image_00: another with --set camera=NAME"]
    with pytest.raises(InputError, match="set camera to one of image_02, image_00"):
        ingest(IngestConfig(camera="rear"), source=drive, out=tmp_path / "rear")


def test_a_damaged_picture_and_pipes_are_skipped_and_counted(tmp_path):
    drive = write_kitti(tmp_path / "day")
    (drive / "image_02/data/0000000004.png").write_bytes(b"x")
    (drive / "image_02/data/0000000005.png").unlink()
    os.mkfifo(drive / "image_02/data/0000000005.png")
    (drive / "oxts/data/0000000006.txt").unlink()
    os.mkfifo(drive / "oxts/data/0000000006.txt")
    (tmp_path / "day/calib_cam_to_cam.txt").unlink()
    os.mkfifo(tmp_path / "day/calib_cam_to_cam.txt")
    rows, summary = ingested(tmp_path, drive)
    assert [row["frame"] for row in rows] == [n for n in range(FRAMES) if n not in (4, FRAMES - 1)]
    assert summary["skipped_frames"] == 2
    assert summary["lost"] == {"oxts records": 1}
