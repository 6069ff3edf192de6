import json
import os

import pytest

from drive_files import numbered_frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives import json_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from drivelet.drives.json_rows import read_rows as read_objects
from log_files import FRAMES, sensor_times, write_nuscenes


def test_every_scene_becomes_a_drive(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    out = ingest(IngestConfig(), source=root, out=tmp_path / "out")
    assert [folder.name for folder in ingested(out)] == ["scene-0001", "scene-0002"]
    rows = read_rows(out / "scene-0001" / "frames.lance")
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert [rows[5][name] for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")] == [10.5, 0.1, 1.0]
    assert rows[0]["file"] == f"{root}#scene-0001@CAM_FRONT"
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
        ("scene.json", '[{"token": 1}]', "name no scene"),
        ("sample_data.json", '[{"token": "a"}', "no readable table|lacks or misstates"),
        ("sample_data.json", "[1]", "holds 1 where an object should be"),
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
    monkeypatch.setattr(json_rows, "BLOCK", 7)
    rows = [{"token": str(n), "value": [n, {"a": "]},["}]} for n in range(20)]
    for number, indent in enumerate((None, 2)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(rows, indent=indent))
        assert list(read_objects(path)) == rows


def edited(root, table, change):
    """Change the rows of a table in place."""
    file = root / "v1.0-mini" / f"{table}.json"
    rows = json.loads(file.read_text())
    for number, row in enumerate(rows):
        change(number, row)
    file.write_text(json.dumps(rows))


def scene(tmp_path, root, name="scene-0001", **settings):
    out = ingest(IngestConfig(**settings), source=root, out=tmp_path / "out")
    rows = read_rows(out / name / "frames.lance")
    return rows, json.loads((out / name / "drive.json").read_text())


@pytest.mark.parametrize("content", [None, "[]", "[1]", '[{"token": "x"}]'])
def test_a_set_without_ego_poses_has_its_pictures(tmp_path, content):
    root = write_nuscenes(tmp_path / "nuscenes")
    edited(root, "sample_data", lambda n, row: row.pop("ego_pose_token"))
    file = root / "v1.0-mini/ego_pose.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    rows, summary = scene(tmp_path, root)
    assert len(rows) == FRAMES
    assert summary["lost"]["ego poses unknown"] == FRAMES
    assert ("ego_pose" in [d["channel"] for d in summary["dropped"]]) == (content in (None, "[1]"))
    assert summary["sensors"] == ["speed_mps", "yaw_rate_radps", "acceleration_mps2"]


@pytest.mark.parametrize(("unit", "factor"), [("ns", 1000), ("us", 1), ("ms", 1e-3), ("s", 1e-6)])
@pytest.mark.parametrize("kind", [int, float])
def test_times_in_any_unit_are_seconds_of_a_drive(tmp_path, unit, factor, kind):
    if kind is int and factor < 1:
        # Whole milliseconds keep a tenth of a second; whole seconds do not.
        kind = round if unit == "ms" else float
    root = write_nuscenes(tmp_path / "nuscenes")
    edited(root, "sample_data", lambda n, row: row.update(timestamp=kind(row["timestamp"] * factor)))
    rows, summary = scene(tmp_path, root)
    assert [round(row["t"], 4) for row in rows] == [n / 10 for n in range(FRAMES)]
    assert any(f"count time in {unit}" in sentence for sentence in summary["assumed"]) == (unit != "us")
    assert rows[5]["speed_mps"] == pytest.approx(10.5)


def test_rows_that_lack_something_are_skipped_and_counted(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    edited(root, "sample_data", lambda n, row: row.pop("filename") if n == 3 else None)
    edited(root, "sample_data", lambda n, row: row.update(calibrated_sensor_token=[]) if n == 5 else None)
    edited(root, "ego_pose", lambda n, row: row.clear() if n == 0 else None)
    edited(root, "sensor", lambda n, row: row.clear() if n == 1 else None)
    rows, summary = scene(tmp_path, root)
    assert len(rows) == FRAMES - 2
    assert summary["lost"] == {
        "rows of sensor.json": 1, "rows of sample_data.json": 2, "rows of ego_pose.json": 1, "ego poses unknown": 1
    }  # fmt: skip


def test_a_picture_whose_sample_is_in_no_table_follows_the_one_before_it(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    edited(root, "sample_data", lambda n, row: row.update(prev=f"d{n - 1}", token=f"d{n}"))
    edited(root, "sample_data", lambda n, row: row.update(sample_token="gone") if n in (10, 11) else None)
    assert len(scene(tmp_path, root)[0]) == FRAMES
    edited(root, "sample_data", lambda n, row: row.update(prev=""))
    rows, summary = scene(tmp_path, root)
    assert (len(rows), summary["lost"]) == (FRAMES - 2, {"pictures of no scene": 2})


def test_without_a_front_camera_by_the_format_s_name_one_is_chosen_and_said(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    names = ["CAMERA_2", "CAMERA_BACK"]
    edited(root, "sensor", lambda n, row: row.update(channel=names[n], modality="camera"))
    rows, summary = scene(tmp_path, root)
    assert (summary["camera"], rows[0]["file"]) == ("CAMERA_2", f"{root}#scene-0001@CAMERA_2")
    assert summary["assumed"] == ["camera CAMERA_2, not CAMERA_BACK: another with --set camera=NAME"]
    assert [index for index, _ in frames_at(rows[0]["file"], [2, 9])] == [2, 9]
    assert scene(tmp_path, root, camera="CAMERA_2")[1]["assumed"] == []


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", "a/b", "x" * 400, "a@b", "a#b", "\x00", "."])
def test_a_scene_s_name_never_leads_out(tmp_path, name):
    root = write_nuscenes(tmp_path / "in" / "nuscenes", can=False)
    edited(root, "scene", lambda n, row: row.update(name=name) if n == 0 else None)
    (tmp_path / "in" / "x_pose.json").write_text("[]")
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "in" / "deep" / "out"
    ingest(IngestConfig(), source=root, out=out)
    assert len(ingested(out)) == 2
    assert all(path == out.parent or path.is_relative_to(out) for path in set(tmp_path.rglob("*")) - before)
    for folder in ingested(out):
        rows = read_rows(folder / "frames.lance")
        assert len(list(frames_at(rows[0]["file"], [0, 3]))) == 2


@pytest.mark.parametrize("name", ["../secret.jpg", "/dev/zero", "samples/../../secret.jpg"])
def test_a_picture_s_name_never_leads_out(tmp_path, name):
    root = write_nuscenes(tmp_path / "nuscenes")
    edited(root, "sample_data", lambda n, row: row.update(filename=name) if n == 4 else None)
    rows, summary = scene(tmp_path, root)
    assert (len(rows), summary["lost"]) == (FRAMES - 1, {"rows of sample_data.json": 1})


def test_a_row_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "LARGEST_ROW", 1000)
    monkeypatch.setattr(json_rows, "BLOCK", 100)
    path = tmp_path / "a.json"
    path.write_text('[{"token": "' + "x" * 10_000)
    with pytest.raises(InputError, match="a row of more than 0 MiB"):
        list(read_objects(path))


def test_a_pipe_in_the_place_of_a_table_is_never_opened(tmp_path):
    root = write_nuscenes(tmp_path / "nuscenes")
    (root / "v1.0-mini/sample.json").unlink()
    os.mkfifo(root / "v1.0-mini/sample.json")
    with pytest.raises(InputError, match=r"no file \(a folder, pipe or device\)"):
        ingest(IngestConfig(), source=root, out=tmp_path / "out")
