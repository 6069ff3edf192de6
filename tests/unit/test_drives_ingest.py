import json
import math
from dataclasses import replace

import pytest

from drive_files import HEADER, damage, write_images, write_sensors, write_video
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives import video
from drivelet.drives.discover import discover
from drivelet.drives.images import list_images
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from drivelet.drives.reading import Recording
from drivelet.drives.sensors import align, read_sensors
from drivelet.drives.video import video_pictures


def test_a_video_with_sensors_becomes_a_frame_table(tmp_path):
    drive = tmp_path / "drive"
    drive.mkdir()
    video = write_video(drive / "cam.mp4")
    before = video.read_bytes()
    write_sensors(drive / "sensors.csv", seconds=1.5)
    out = ingest(IngestConfig(), source=drive, out=tmp_path / "out")
    rows = read_rows(out / "frames.lance")
    assert [row["frame"] for row in rows] == list(range(30))
    assert rows[7]["speed_mps"] == pytest.approx(10.7)
    assert rows[7]["file"] == str(video)
    assert math.isnan(rows[-1]["speed_mps"])
    summary = json.loads((out / "drive.json").read_text())
    assert (summary["frames"], summary["skipped_frames"], summary["fps"]) == (30, 0, 10.0)
    assert summary["sensors"] == ["speed_mps", "yaw_rate_radps", "acceleration_mps2"]
    assert video.read_bytes() == before


def test_damage_is_counted_and_a_drive_without_sensors_has_nan(tmp_path):
    video = write_video(tmp_path / "cam.mp4", noise=True)
    damage(video, packets=(3, 20))
    out = ingest(IngestConfig(), source=video, out=tmp_path / "out")
    summary = json.loads((out / "drive.json").read_text())
    assert (summary["frames"], summary["skipped_frames"], summary["sensors"]) == (28, 2, [])
    assert all(math.isnan(row["yaw_rate_radps"]) for row in read_rows(out / "frames.lance"))


def test_a_video_without_one_good_frame_is_an_error(tmp_path):
    video = write_video(tmp_path / "cam.mp4", frames=4, noise=True)
    damage(video, packets=(0, 1, 2, 3))
    with pytest.raises(InputError, match=r"no readable video|not one frame"):
        ingest(IngestConfig(), source=video, out=tmp_path / "out")


def test_a_folder_of_several_drives_gives_a_folder_each(tmp_path):
    root = tmp_path / "logs"
    write_images(root / "pictures", ["2.png", "10.png", "1.png"])
    (root / "videos").mkdir()
    write_video(root / "videos" / "a.mp4", frames=5)
    write_video(root / "videos" / "a.avi", frames=5)
    write_sensors(root / "videos" / "sensors.csv")
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert [folder.name for folder in ingested(out)] == ["pictures", "videos_a_avi", "videos_a_mp4"]
    # Two videos share the folder: whose log it is cannot be told.
    assert all(source.sensors is None for source in discover(root))


def test_the_log_of_the_video_s_own_name_comes_first(tmp_path):
    write_video(tmp_path / "a.mp4", frames=2)
    write_sensors(tmp_path / "sensors.csv")
    own = write_sensors(tmp_path / "a.csv")
    assert discover(tmp_path / "a.mp4")[0].sensors == own


def test_damaged_images_are_skipped_and_keep_their_numbers(tmp_path):
    folder = write_images(tmp_path / "images", [f"{i:03d}.png" for i in range(6)])
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:40])
    out = ingest(IngestConfig(image_fps=2.0), source=folder, out=tmp_path / "out")
    rows = read_rows(out / "frames.lance")
    assert [(row["frame"], row["t"]) for row in rows] == [(0, 0.0), (1, 0.5), (3, 1.5), (4, 2.0), (5, 2.5)]
    assert json.loads((out / "drive.json").read_text())["skipped_frames"] == 1


def test_images_are_ordered_by_the_numbers_in_their_names(tmp_path):
    plain = list_images(write_images(tmp_path / "a", ["img10.png", "img9.png"]))
    assert [file.name for file in plain] == ["img9.png", "img10.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,speed\n0,1\n", "header lacks timestamp_s, speed_mps"),
        ("", "header lacks"),
        (f"{HEADER}\n", "no rows"),
        (f"{HEADER}\n0,1,0,0\n0.1,nan,0,0\n", "line 3: speed_mps is 'nan'"),
        (f"{HEADER}\n0,1,0,0\n0.1,,0,0\n", "line 3: speed_mps is ''"),
        (f"{HEADER}\n0,1,0\n", "line 2: acceleration_mps2 is None"),
        (f"{HEADER}\n0,1,0,0\n0.2,1,0,0\n0.1,1,0,0\n", "line 4: timestamp_s 0.1 does not rise"),
        (f"{HEADER}\n0,1,0,0\n0,1,0,0\n", "line 3: timestamp_s 0 does not rise"),
        (f"{HEADER}\n0,13000,0,0\n", "check the unit"),
    ],
)
def test_a_bad_sensor_log_is_one_clear_line(tmp_path, text, words):
    path = tmp_path / "sensors.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_sensors(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_sensors_of_another_clock_are_an_error(tmp_path):
    write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "a.csv").write_text(f"{HEADER}\n1600000000,1,0,0\n1600000001,1,0,0\n")
    with pytest.raises(InputError, match="do not meet"):
        ingest(IngestConfig(), source=tmp_path / "a.mp4", out=tmp_path / "out")


def test_alignment_is_linear_or_nearest_and_empty_in_gaps(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(f"{HEADER}\n0,0,0,0\n1,10,0,0\n5,20,0,0\n")
    log = read_sensors(path)
    times = [0.25, 0.75, 3.0, 5.4]
    linear = align(log, times)["speed_mps"]
    assert linear[:2] == pytest.approx([2.5, 7.5])
    assert math.isnan(linear[2])
    assert linear[3] == 20
    assert list(align(log, times, method="nearest")["speed_mps"][:2]) == [0, 10]


@pytest.mark.parametrize("name", ["missing", "empty", "notes.txt"])
def test_a_path_without_a_drive_is_one_clear_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=name):
        discover(tmp_path / name)


def test_what_is_assumed_stands_in_drive_json_and_in_the_last_line(tmp_path, monkeypatch, capsys):
    def assume(drive, fps, camera):
        own = [f"[{drive.file.stem}] is a camera"]
        return Recording(file=str(drive.file), pictures=video_pictures(drive.file), assumed=["10 a second", *own])

    monkeypatch.setattr("drivelet.drives.ingest.reader", lambda kind: replace(video.READER, open=assume))
    for name in "ab":
        write_video(tmp_path / "in" / f"{name}.mp4", frames=3)
    out = ingest(IngestConfig(), source=tmp_path / "in", out=tmp_path / "out")
    assert json.loads((out / "a" / "drive.json").read_text())["assumed"] == ["10 a second", "[a] is a camera"]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "assumed: 10 a second (a, b); [a] is a camera (a); [b] is a camera (b)"


def test_a_folder_that_was_not_ingested_is_named(tmp_path):
    with pytest.raises(InputError, match="drivelet ingest"):
        ingested(tmp_path)
