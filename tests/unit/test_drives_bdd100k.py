import json

import numpy as np
import pytest

from drive_files import write_video
from drivelet.core.tables import read_rows
from drivelet.drives.bdd100k import read_info
from drivelet.drives.discover import discover
from drivelet.drives.ingest import IngestConfig, ingest
from log_files import bdd_truth, write_bdd


def info_of(root):
    return next(root.glob("info/100k/train/*.json"))


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("unit", [1.0, 1 / 9.80665, -1 / 9.80665])
def test_axes_and_units_are_found_from_the_drive(tmp_path, upside_down, unit):
    """Phones lie either way round, and report m/s2, g, or g with the opposite sign."""
    video = write_bdd(tmp_path, upside_down=upside_down)
    info = json.loads(info_of(tmp_path).read_text())
    for sample in info["accelerometer"]:
        sample.update({axis: sample[axis] * unit for axis in "xyz"})
    info_of(tmp_path).write_text(json.dumps(info))
    out = ingest(IngestConfig(), source=video, out=tmp_path / "out")
    rows = read_rows(out / "frames.lance")[2:-4]
    t = np.array([row["t"] for row in rows])
    rate, force = bdd_truth(t)
    assert np.abs(np.array([row["yaw_rate_radps"] for row in rows]) - rate).max() < 0.02
    assert np.abs(np.array([row["acceleration_mps2"] for row in rows]) - force).max() < 0.1
    summary = json.loads((out / "drive.json").read_text())
    assert (summary["kind"], summary["sensors_source"]) == ("bdd100k", "cabc30fc-e7726578.json")


def test_a_straight_drive_does_not_tell_which_way_it_turns(tmp_path):
    write_bdd(tmp_path)
    info = json.loads(info_of(tmp_path).read_text())
    for fix in info["locations"]:
        fix.update(course=90.0, speed=10.0)
    info_of(tmp_path).write_text(json.dumps(info))
    streams, _, dropped = read_info(info_of(tmp_path))
    assert [stream.channel for stream in streams] == ["speed_mps"]
    assert [d.reason for d in dropped] == [
        "GPS does not tell which way it turns",
        "GPS does not tell which way is forward",
    ]


@pytest.mark.parametrize(
    ("change", "lost", "sensors"),
    [
        ({"gyro": []}, {}, ["speed_mps", "acceleration_mps2"]),
        ({"gyro": "none"}, {"gyro": 1}, ["speed_mps", "acceleration_mps2"]),
        ({"locations": None, "gps": None}, {}, []),
        ({"startTime": None}, {}, []),
        ({"startTime": "x"}, {}, []),
        ({"startTime": 5}, {}, []),
    ],
)
def test_missing_sensors_are_named_and_frames_kept(tmp_path, change, lost, sensors):
    video = write_bdd(tmp_path)
    info_of(tmp_path).write_text(json.dumps({**json.loads(info_of(tmp_path).read_text()), **change}))
    out = ingest(IngestConfig(), source=video, out=tmp_path / "out")
    summary = json.loads((out / "drive.json").read_text())
    assert (summary["frames"], summary["sensors"], summary["lost"]) == (48, sensors, lost)
    assert summary["dropped"]


def test_damaged_samples_are_counted(tmp_path):
    write_bdd(tmp_path)
    info = json.loads(info_of(tmp_path).read_text())
    info["gyro"][3] = {"timestamp": "soon"}
    info["gyro"][4]["x"] = float("nan")
    info["locations"][1] = 7
    info_of(tmp_path).write_text(json.dumps(info))
    streams, lost, dropped = read_info(info_of(tmp_path))
    assert len(streams) == 3
    assert (lost, dropped) == ({"locations": 1, "gyro": 2}, [])


def test_the_info_file_lies_beside_or_in_its_tree_and_other_json_is_left_alone(tmp_path):
    video = write_bdd(tmp_path)
    info = info_of(tmp_path)
    assert discover(video)[0].sensors == info
    beside = info.rename(video.with_suffix(".json"))
    assert discover(video)[0].sensors == beside
    beside.write_text('{"title": "my holiday"}')
    assert discover(video)[0].kind == "video"
    write_video(tmp_path / "plain.mp4", frames=2)
    assert discover(tmp_path / "plain.mp4")[0].kind == "video"
