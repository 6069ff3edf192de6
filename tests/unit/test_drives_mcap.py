import json
import random

import numpy as np
import pytest
from mcap.writer import CompressionType

from drive_files import numbered_frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows, read_table
from drivelet.drives.frames import frames_at, read_frames
from drivelet.drives.ingest import IngestConfig, ingest
from log_files import (
    FRAMES,
    START_NS,
    Entry,
    Script,
    frame_times,
    imu,
    jpeg,
    ros_drive,
    sensor_times,
    video_packets,
    xyz,
)


def ingested(tmp_path, path, **settings):
    """Ingest a log; return its frame rows and drive.json."""
    out = ingest(IngestConfig(**settings), source=path, out=tmp_path / "out")
    return read_rows(out / "frames.lance"), json.loads((out / "drive.json").read_text())


def level(image):
    return float(image.mean())


def foxglove_drive(*, imu_too=False):
    """A drive in Foxglove's schemas: one camera and its calibration; its IMU is JSON in ROS's shape."""
    entries = [
        Entry("/cam", "foxglove.CompressedImage", time, {"format": "jpeg", "data": jpeg(numbered_frame(n))})
        for n, time in enumerate(frame_times())
    ]
    calibration = {"width": 64, "height": 48, "K": [77.0, 0, 32, 0, 77.0, 24, 0, 0, 1]}
    entries.append(Entry("/calibration", "foxglove.CameraCalibration", START_NS, calibration))
    if imu_too:
        entries += [Entry("/imu", "acme.Imu", time, imu()) for time in sensor_times()]
    return Script(entries)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunked": False},
        {"compression": CompressionType.ZSTD},
        {"compression": CompressionType.NONE},
        {"encoding": "ros1"},
    ],
)
def test_ros_messages_become_the_tables(tmp_path, options):
    path = ros_drive().write(tmp_path / "a.mcap", **options)
    before = path.read_bytes()
    rows, summary = ingested(tmp_path, path)
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert rows[5]["speed_mps"] == pytest.approx(10.5)
    assert rows[5]["yaw_rate_radps"] == pytest.approx(0.1)
    assert rows[5]["acceleration_mps2"] == pytest.approx(1.0)
    assert rows[0]["file"] == str(path)
    assert (summary["kind"], summary["focal_px"], summary["camera"]) == ("mcap", 55.5, "/camera/front/image/compressed")
    assert summary["lost"] == {}
    assert {(s["channel"], s["source"], s["samples"], s["rate_hz"]) for s in summary["streams"]} == {
        ("acceleration_mps2", "/imu", 60, 50.0), ("yaw_rate_radps", "/imu", 60, 50.0), ("speed_mps", "/odom", 60, 50.0)
    }  # fmt: skip
    assert path.read_bytes() == before


def test_sensors_are_kept_at_their_own_rate(tmp_path):
    script = ros_drive()
    script.entries.append(Entry("/imu", "sensor_msgs/msg/Imu", START_NS - 10**8, imu(rate=0.3)))
    out = ingest(IngestConfig(), source=script.write(tmp_path / "a.mcap"), out=tmp_path / "out")
    table = read_table(out / "sensors.lance")
    assert table.column_names == ["channel", "t", "value"]
    yaw = [(row["t"], row["value"]) for row in table.to_pylist() if row["channel"] == "yaw_rate_radps"]
    assert len(yaw) == 61
    assert yaw[0] == pytest.approx((-0.1, 0.3))
    assert yaw == sorted(yaw)


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_foxglove_messages_become_the_tables(tmp_path, encoding):
    script = foxglove_drive(imu_too=encoding == "json")
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap", encoding=encoding))
    assert len(rows) == FRAMES
    assert summary["focal_px"] == 77.0
    assert summary["sensors"] == (["yaw_rate_radps", "acceleration_mps2"] if encoding == "json" else [])
    assert all(abs(level(im) - level(numbered_frame(n))) < 2 for n, im in frames_at(rows[0]["file"], range(FRAMES)))


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_raw_images_of_foxglove_are_read(tmp_path, encoding):
    picture = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    content = {"width": 6, "height": 4, "encoding": "bgr8", "step": 18, "data": picture[:, :, ::-1].tobytes()}
    script = Script([Entry("/raw", "foxglove.RawImage", time, content) for time in frame_times(2)])
    path = script.write(tmp_path / "a.mcap", encoding=encoding)
    assert [np.array_equal(image, picture) for _, image in frames_at(str(path), [0, 1])] == [True, True]


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "h265")])
@pytest.mark.parametrize("encoding", ["cdr", "protobuf"])
def test_frames_of_compressed_video_are_reached_from_the_key_picture_before(tmp_path, codec, name, encoding):
    kind = "foxglove_msgs/msg/CompressedVideo" if encoding == "cdr" else "foxglove.CompressedVideo"
    packets = [np.frombuffer(packet, np.uint8) for packet in video_packets(codec=codec)]
    script = Script(
        [
            Entry("/video", kind, time, {"format": name, "data": packet})
            for time, packet in zip(frame_times(), packets, strict=True)
        ]
    )
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap", encoding=encoding))
    assert (len(rows), summary["width"], summary["skipped_frames"]) == (FRAMES, 64, 0)
    whole = {index: image for index, _, image in read_frames(rows[0]["file"])}
    some = dict(frames_at(rows[0]["file"], [2, 7, 9]))
    assert list(some) == [2, 7, 9]
    assert all(np.array_equal(image, whole[index]) for index, image in some.items())
    assert [level(image) for image in whole.values()] == pytest.approx(
        [level(numbered_frame(n)) for n in range(FRAMES)], abs=3
    )


def test_the_front_camera_is_taken_and_said_and_a_setting_overrides(tmp_path):
    script = ros_drive(frames=4)
    for n in range(9):
        content = {"format": "jpeg", "data": np.frombuffer(jpeg(numbered_frame(40)), np.uint8)}
        script.entries.append(Entry("/rear", "sensor_msgs/msg/CompressedImage", START_NS + n * 10**7, content))
    path = script.write(tmp_path / "a.mcap")
    rows, summary = ingested(tmp_path, path)
    front = "/camera/front/image/compressed"
    assert (len(rows), summary["camera"], rows[0]["file"]) == (4, front, f"{path}#{front}")
    assert summary["assumed"] == [f"camera {front}, not /rear: another with --set camera=NAME"]
    assert {k: v for k, v in summary["dropped"][0].items() if k != "reason"} == {
        "channel": "camera",
        "source": "/rear",
        "spare": True,
    }
    rows, summary = ingested(tmp_path, path, camera="/rear")
    assert (len(rows), rows[0]["file"], summary["assumed"]) == (9, f"{path}#/rear", [])
    assert level(dict(frames_at(rows[0]["file"], [3]))[3]) == pytest.approx(level(numbered_frame(40)), abs=2)
    with pytest.raises(InputError, match=r"no pictures in topic '/roof'; camera topics are /camera/front"):
        ingested(tmp_path, path, camera="/roof")


def test_a_camera_that_cannot_be_read_gives_way_to_the_next_and_is_named(tmp_path):
    script = ros_drive(frames=4, camera="/camera/left/image/compressed")
    raw = {"encoding": "32FC1", "width": 4, "height": 4, "data": np.zeros(64, np.uint8)}
    script.entries += [Entry("/front", "sensor_msgs/msg/Image", time, raw) for time in frame_times(4)]
    script.entries += [Entry("/center", "sensor_msgs/msg/Image", time, raw | {"encoding": "packed12"})
                       for time in frame_times(4)]  # fmt: skip
    path = script.write(tmp_path / "a.mcap")
    rows, summary = ingested(tmp_path, path)
    assert (len(rows), summary["camera"]) == (4, "/camera/left/image/compressed")
    reason = next(d["reason"] for d in summary["dropped"] if d["source"] == "/center")
    assert "encoding 'packed12' is not supported" in reason
    with pytest.raises(InputError, match="/center: not one frame can be decoded"):
        ingested(tmp_path, path, camera="/center")


@pytest.mark.parametrize(
    ("acceleration", "yaw_rate", "sensors"),
    [
        ((1.0, 0.2, 9.8), 0.1, ["yaw_rate_radps", "acceleration_mps2"]),
        ((1.0, 0.2, -9.8), -0.1, ["yaw_rate_radps", "acceleration_mps2"]),
        ((1.0, 0.2, 0.0), 0.1, ["yaw_rate_radps", "acceleration_mps2"]),
        ((0.1, -9.8, 0.2), 0.0, ["yaw_rate_radps"]),
    ],
)
def test_gravity_tells_how_an_imu_hangs(tmp_path, acceleration, yaw_rate, sensors):
    script = ros_drive()
    script.entries = [e for e in script.entries if e.topic != "/odom"]
    for entry in script.entries:
        if entry.topic == "/imu":
            entry.content = imu(acceleration=acceleration)
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert summary["sensors"] == sensors
    assert rows[3]["yaw_rate_radps"] == pytest.approx(yaw_rate)
    if len(sensors) == 1:
        assert "nothing tells which way is forward" in summary["dropped"][0]["reason"]


def test_another_source_serves_a_channel_whose_first_one_is_absurd(tmp_path):
    script = ros_drive()
    for entry in script.entries:
        if entry.topic == "/imu":
            entry.content = imu(rate=100.0)
    twist = [Entry("/twist", "geometry_msgs/msg/TwistStamped", time, {"twist": {"linear": xyz(5.0)}}) for time in
             sensor_times()]  # fmt: skip
    script.entries += twist
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert {(s["channel"], s["source"]) for s in summary["streams"]} == {
        ("acceleration_mps2", "/imu"), ("yaw_rate_radps", "/odom"), ("speed_mps", "/odom")
    }  # fmt: skip
    assert rows[2]["yaw_rate_radps"] == pytest.approx(0.5)
    reasons = {d["source"]: d["reason"] for d in summary["dropped"] if not d["spare"]}
    assert reasons == {"/imu": "60 of 60 values are beyond 10 (up to 100); check the unit"}


def test_log_times_serve_where_stamps_are_on_other_clocks(tmp_path):
    script = ros_drive()
    for entry in script.entries:
        entry.log_ns = entry.time_ns
        if entry.topic in ("/imu", "/odom"):
            entry.time_ns = entry.time_ns - START_NS + 5 * 10**9
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert rows[5]["speed_mps"] == pytest.approx(10.5, abs=0.02)
    assert len(summary["streams"]) == 3


def test_a_lone_wild_stamp_gives_way_to_the_log_s_time(tmp_path):
    script = ros_drive(frames=40)
    images = [entry for entry in script.entries if entry.type.endswith("CompressedImage")]
    images[7].log_ns, images[7].time_ns = images[7].time_ns, images[7].time_ns + 10**15
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(40)]
    assert summary["lost"] == {"time stamps of /camera/front/image/compressed": 1}


def test_frames_out_of_order_are_sorted_and_doubles_skipped(tmp_path):
    script = ros_drive()
    random.Random(0).shuffle(script.entries)
    script.entries.append(next(e for e in script.entries if e.type.endswith("CompressedImage")))
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(FRAMES)]
    assert summary["skipped_frames"] == 1
    assert all(20 < stream["unsorted"] < 40 for stream in summary["streams"])
    assert [stream["samples"] for stream in summary["streams"]] == [60] * 3
    assert all(abs(level(im) - level(numbered_frame(n))) < 2 for n, im in frames_at(rows[0]["file"], range(FRAMES)))


def test_a_broken_frame_is_skipped_and_the_rest_keep_their_numbers(tmp_path):
    script = ros_drive()
    images = [entry for entry in script.entries if entry.type.endswith("CompressedImage")]
    images[3].content["data"] = images[3].content["data"][:100]
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert [row["frame"] for row in rows] == [0, 1, 2, *range(4, FRAMES)]
    assert summary["skipped_frames"] == 1


def test_a_cut_off_tail_and_a_damaged_chunk_are_counted(tmp_path):
    path = ros_drive(frames=40).write(tmp_path / "a.mcap", chunk_size=2000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    rows, summary = ingested(tmp_path, path)
    assert 10 < len(rows) < 40
    assert summary["lost"] == {"cut-off tails": 1}
    damaged = bytearray(content)
    damaged[len(content) // 3 : len(content) // 3 + 8] = b"\xff" * 8
    path.write_bytes(bytes(damaged))
    rows, summary = ingested(tmp_path, path)
    assert 30 < len(rows) <= 40
    assert summary["lost"] == {"damaged chunks": 1}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script([Entry("/tf", "tf2_msgs/msg/TFMessage", START_NS, {"transforms": None})]), "no camera topic that can"),
        (Script([Entry("/cam", "sensor_msgs/msg/Image", START_NS, {})]), "camera topic /cam is empty"),
        (
            Script([Entry("/cam", "sensor_msgs/msg/Image", START_NS, {"encoding": "32FC1", "width": 4, "height": 4})]),
            "encoding '32FC1' is not supported",
        ),
    ],
)
def test_a_log_without_pictures_is_one_clear_line(tmp_path, script, words):
    path = script.write(tmp_path / "a.mcap")
    with pytest.raises(InputError, match=words) as caught:
        ingested(tmp_path, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["mcap", "bag"])
@pytest.mark.parametrize("content", [b"", b"hello\n" * 99])
def test_a_file_that_is_no_log_is_one_clear_line(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="by its first"):
        ingested(tmp_path, path)


def test_the_halves_of_an_optical_imu_and_a_velocity_over_ground_become_the_car_s_motion(tmp_path):
    """A RealSense, which fills with zeros what it does not measure, and a GPS that says how far east and north."""
    script = ros_drive()
    script.entries = [entry for entry in script.entries if entry.topic not in ("/imu", "/odom")]
    for time in sensor_times():
        halves = {"gyro": {"angular_velocity": xyz(0.001, -0.2, 0.003), "linear_acceleration": xyz()},
                  "accel": {"angular_velocity": xyz(), "linear_acceleration": xyz(0.1, -9.8, 1.0)}}  # fmt: skip
        for half, content in halves.items():
            header = {"frame_id": f"camera_{half}_optical_frame"}
            script.entries.append(
                Entry(f"/camera/{half}/sample", "sensor_msgs/msg/Imu", time, {"header": header, **content})
            )
        twist = {"header": {"frame_id": "gps"}, "twist": {"linear": xyz(-9.0, 12.0), "angular": xyz()}}
        script.entries.append(Entry("/vel", "geometry_msgs/msg/TwistStamped", time, twist))
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    names = ("speed_mps", "yaw_rate_radps", "acceleration_mps2", "forward_m", "yaw_rad")
    assert [rows[5][name] for name in names] == pytest.approx([15.0, 0.2, 1.0, 1.5, 0.02], rel=1e-3)
    assert {(s["channel"], s["source"]) for s in summary["streams"]} == {
        ("yaw_rate_radps", "/camera/gyro/sample"), ("acceleration_mps2", "/camera/accel/sample"), ("speed_mps", "/vel")
    }  # fmt: skip
    assert not [d for d in summary["dropped"] if not d["spare"]]
    assert summary["assumed"][-1] == "speed_mps (/vel): the size of a velocity over ground"


def test_the_velocity_of_an_odometry_is_in_its_child_s_frame(tmp_path):
    script = ros_drive()
    for entry in script.entries:
        if entry.topic == "/odom":
            twist = {"twist": {"linear": xyz(-3.0), "angular": xyz(z=0.1)}}
            entry.content = {"header": {"frame_id": "map"}, "child_frame_id": "base_link", "twist": twist}
    rows, _ = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert (rows[5]["speed_mps"], rows[5]["standing"]) == (-3.0, False)
    assert rows[5]["forward_m"] == pytest.approx(-0.3, rel=1e-3)
