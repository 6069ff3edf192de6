import json

import pytest

from drive_files import numbered_frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives import nuscenes
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from drivelet.drives.nuscenes import read_rows as read_objects
from log_files import FRAMES, sensor_times, write_nuscenes


def test_every_scene_becomes_a_drive(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert [folder.name for folder in ingested(out)] == ["scene-0001", "scene-0002"]
    rows = read_rows(out / "scene-0001" / "frames.lance")
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert [rows[5][name] for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")] == [10.5, 0.1, 1.0]
    assert rows[0]["file"] == f"{root}#scene-0001"
    images = dict(frames_at(rows[0]["file"], [2, 9]))
    assert [float(images[n].mean()) for n in (2, 9)] == [float(numbered_frame(n).mean()) for n in (2, 9)]
    summary = json.loads((out / "scene-0001" / "drive.json").read_text())
    assert (summary["kind"], summary["focal_px"], summary["camera"]) == ("nuscenes", 1266.4, "CAM_FRONT")
    assert {stream["source"] for stream in summary["streams"]} == {"scene-0001_pose.json"}


def test_without_can_bus_the_ego_poses_give_speed_and_yaw_rate(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    row = read_rows(out / "scene-0002" / "frames.lance")[5]
    assert row["speed_mps"] == pytest.approx(10.0, rel=1e-3)
    assert row["yaw_rate_radps"] == pytest.approx(0.1, rel=1e-6)
    assert row["acceleration_mps2"] != row["acceleration_mps2"]


@pytest.mark.parametrize(("up", "yaw_rate"), [(9.8, 0.2), (-9.8, -0.2)])
def test_other_messages_serve_where_the_pose_is_missing(tmp_path, up, yaw_rate):
    root = write_nuscenes(tmp_path / "nuscenes")
    (root / "can_bus/scene-0001_pose.json").unlink()
    imu = [{"utime": t // 1000, "rotation_rate": [0, 0, 0.2], "linear_accel": [0, 0, up]} for t in sensor_times()]
    (root / "can_bus/scene-0001_ms_imu.json").write_text(json.dumps(imu))
    zoe = [{"utime": t // 1000, "odom_speed": 36.0, "longitudinal_accel": 0.5} for t in sensor_times()]
    (root / "can_bus/scene-0001_zoe_veh_info.json").write_text(json.dumps(zoe))
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    row = read_rows(out / "scene-0001" / "frames.lance")[5]
    assert [row[name] for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")] == pytest.approx(
        [10.0, yaw_rate, 0.5]
    )


def test_damaged_messages_are_counted_and_a_damaged_file_is_named(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    file = root / "can_bus/scene-0001_pose.json"
    rows = json.loads(file.read_text())
    rows[3] = {"utime": "late"}
    rows[4]["vel"] = None
    file.write_text(json.dumps(rows))
    (root / "can_bus/scene-0001_vehicle_monitor.json").write_text('[{"utime": 1,')
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    summary = json.loads((out / "scene-0001" / "drive.json").read_text())
    assert summary["lost"] == {
        "scene-0001_pose.json speed_mps": 2,
        "scene-0001_pose.json yaw_rate_radps": 1,
        "scene-0001_pose.json acceleration_mps2": 1,
    }
    assert summary["dropped"][0]["channel"] == "vehicle_monitor"
    assert "no readable table" in summary["dropped"][0]["reason"]


def test_another_camera_is_chosen_by_its_channel(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    with pytest.raises(InputError, match="no picture of CAM_BACK in scene-0001"):
        ingest(IngestConfig(camera="CAM_BACK"), source=root, out=tmp_path / "out")
    with pytest.raises(InputError, match=r"sensor\.json: no camera 'CAM_TOP'"):
        ingest(IngestConfig(camera="CAM_TOP"), source=root, out=tmp_path / "out")


def test_a_scene_that_cannot_be_read_is_named_and_the_others_are_kept(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    for file in root.glob("s*/CAM_FRONT/scene-0001-*.jpg"):
        file.write_bytes(b"")
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert [folder.name for folder in ingested(out)] == ["scene-0002"]
    assert "not one frame can be decoded" in json.loads((out / "refused.json").read_text())["scene-0001"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("scene.json", "", "it is no list"),
        ("scene.json", "[]", "name no scene"),
        ("scene.json", '[{"token": 1}]', "a row lacks 'name'"),
        ("sample_data.json", '[{"token": "a"}', "no readable table|lacks or misstates"),
        ("ego_pose.json", "[1]", "holds 1 where an object should be"),
        ("sample.json", None, "No such file"),
    ],
)
def test_damaged_tables_are_one_clear_line(tmp_path, name, content, words):
    root = write_nuscenes(tmp_path / "nuscenes")
    file = root / "v1.0-mini" / name
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_tables_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(nuscenes, "BLOCK", 7)
    rows = [{"token": str(n), "value": [n, {"a": "]},["}]} for n in range(20)]
    for number, indent in enumerate((None, 2)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(rows, indent=indent))
        assert list(read_objects(path)) == rows
