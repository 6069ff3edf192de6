"""What cameras, clocks and sensors of a log become, on logs made message by message."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_files import numbered_frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at, read_frames
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.log_clock import on_clock_of, topic_times
from drivelet.drives.message_log import Readings
from drivelet.drives.pictures import packet_head
from log_files import FRAMES, START_NS, Entry, Script, frame_times, jpeg, ros_drive, video_packets

SECOND = 10**9
IMAGE, STILL = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
VIDEO, FFMPEG = "foxglove_msgs/msg/CompressedVideo", "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"


def ingested(tmp_path, path, **options):
    """Ingest a log; return its frame rows and drive.json."""
    out = ingest(IngestConfig(**options), source=path, out=tmp_path / "out")
    return read_rows(out / "frames.lance"), json.loads((out / "drive.json").read_text())


def bytes_of(data):
    return np.frombuffer(data, np.uint8)


def video(kind, form, packets, *, name="format", topic="/camera"):
    times = frame_times(len(packets))
    return Script(
        [Entry(topic, kind, t, {name: form, "data": bytes_of(p)}) for t, p in zip(times, packets, strict=True)]
    )


def without_sets(packet, codec):
    """A key packet as encoders write it that send their parameter sets once."""
    for unit in packet_head(packet, codec).sets.values():
        packet = packet.replace(unit, b"").replace(unit[1:], b"")
    return packet


@pytest.mark.parametrize(
    ("kind", "name", "form"),
    [(STILL, "format", "h264"), (STILL, "format", "rgb8; H264 compressed"), (STILL, "format", "hevc"),
     (STILL, "format", "h265"), (VIDEO, "format", "h264"), (FFMPEG, "encoding", "libx264"),
     (FFMPEG, "encoding", "hevc")],
)  # fmt: skip
@pytest.mark.parametrize("once", [False, True])
def test_a_video_is_told_by_its_format_and_keeps_parameter_sets_that_came_once(tmp_path, kind, name, form, once):
    codec = "h265" if "h265" in form or "hevc" in form else "h264"
    packets = list(video_packets(codec="libx265" if codec == "h265" else "libx264"))
    if once:
        packets = [packets[0], *(without_sets(packet, codec) for packet in packets[1:])]
        assert not any(packet_head(packet, codec).sets for packet in packets[1:])
    path = video(kind, form, packets, name=name).write(tmp_path / "a.mcap")
    rows, summary = ingested(tmp_path, path)
    assert (len(rows), summary["skipped_frames"], summary["width"]) == (FRAMES, 0, 64)
    whole = {index: image for index, _, image in read_frames(path)}
    assert [float(image.mean()) for image in whole.values()] == pytest.approx(
        [float(numbered_frame(n).mean()) for n in range(FRAMES)], abs=3
    )
    assert all(np.array_equal(image, whole[index]) for index, image in frames_at(str(path), [2, 7, 9]))


def test_parameter_sets_in_a_message_of_their_own_are_no_lost_frame(tmp_path):
    packets = list(video_packets())
    sets = b"".join(packet_head(packets[0], "h264").sets.values())
    path = video(VIDEO, "h264", [sets, *(without_sets(packet, "h264") for packet in packets)]).write(
        tmp_path / "a.mcap"
    )
    rows, summary = ingested(tmp_path, path)
    assert (len(rows), summary["skipped_frames"]) == (FRAMES, 0)


def test_a_packet_without_a_picture_is_counted(tmp_path):
    packets = list(video_packets())
    packets[6] = b"nothing of a video"
    rows, summary = ingested(tmp_path, video(VIDEO, "h264", packets).write(tmp_path / "a.mcap"))
    assert summary["skipped_frames"] == FRAMES - len(rows) > 0


def test_a_video_of_another_codec_is_named(tmp_path):
    path = video(VIDEO, "vp9", list(video_packets())).write(tmp_path / "a.mcap")
    with pytest.raises(InputError, match=r"12 messages of /camera \(video format 'vp9' is not supported"):
        ingested(tmp_path, path)


def test_a_bayer_still_and_sixteen_bits_are_shown_in_colour_and_said(tmp_path):
    colour = {"r": 200, "g": 120, "b": 40}
    grey = np.tile(np.array([[colour["r"], colour["g"]], [colour["g"], colour["b"]]], np.uint16) * 257, (24, 32))
    content = {"format": "bayer_rggb16; png compressed", "data": bytes_of(cv2.imencode(".png", grey)[1].tobytes())}
    path = Script([Entry("/camera", STILL, time, content) for time in frame_times()]).write(tmp_path / "a.mcap")
    rows, summary = ingested(tmp_path, path)
    assert dict(frames_at(rows[0]["file"], [0]))[0][20, 20].tolist() == [200, 120, 40]
    assert any("16 bits" in sentence for sentence in summary["assumed"])


def test_a_log_of_sensors_alone_is_a_drive_without_pictures(tmp_path):
    script = ros_drive()
    script.entries = [entry for entry in script.entries if entry.topic in ("/imu", "/odom")]
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert (len(rows), summary["pictures"], summary["camera"]) == (12, False, "")
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(12)]
    assert rows[5]["speed_mps"] == pytest.approx(10.5)
    assert summary["assumed"] == ["no pictures in it: a step every 0.1 s, --set image_fps=N for others"]
    assert list(read_frames(rows[0]["file"])) == []
    assert len(ingested(tmp_path, tmp_path / "a.mcap", image_fps=20.0)[0]) == 24


def test_a_camera_that_cannot_be_read_is_no_drive_without_pictures(tmp_path):
    script = ros_drive()
    for entry in script.entries:
        if entry.type == STILL:
            entry.type, entry.content = "acme_msgs/msg/Image", {}
    script.entries = [entry for entry in script.entries if entry.content]
    path = script.write(tmp_path / "a.mcap", encoding="json")
    assert ingested(tmp_path, path)[1]["pictures"] is False
    times = frame_times()
    script.entries += [Entry("/camera", "foxglove.CompressedVideo", t, {"format": "av1", "data": b"x"}) for t in times]
    with pytest.raises(InputError, match=r"that can be read \(12 messages of /camera \(video format 'av1'"):
        ingested(tmp_path, script.write(tmp_path / "b.mcap", encoding="json"))


def test_a_topic_that_nobody_reads_is_named_where_it_looks_like_a_camera(tmp_path):
    entries = [Entry("/front/image", "acme_msgs.PackedImage", time, {"x": 1}) for time in frame_times()]
    with pytest.raises(InputError, match=r"\(/front/image is acme_msgs\.PackedImage\)"):
        ingested(tmp_path, Script(entries).write(tmp_path / "a.mcap", encoding="json"))


def restamped(change):
    script = ros_drive(frames=30)
    for n, entry in enumerate(e for e in script.entries if e.type == STILL):
        entry.log_ns, entry.time_ns = entry.time_ns, change(n, entry.time_ns)
    return script


@pytest.mark.parametrize(
    "change",
    [
        lambda n, time: time if n < 15 else time - START_NS,
        lambda n, time: (time - START_NS) if n < 15 else (time - START_NS - 15 * 10**8),
        lambda n, time: time if n < 15 else time - 1_400_000_000,
        lambda n, time: time if n < 15 else time + 3600 * SECOND,
        lambda n, time: 0,
        lambda n, time: START_NS,
    ],
)
def test_stamps_that_restart_jump_or_stand_give_way_to_the_log_s_times(tmp_path, change):
    rows, summary = ingested(tmp_path, restamped(change).write(tmp_path / "a.mcap"))
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(30)]
    assert "its times are the log's own" in " ".join(summary["assumed"])
    assert rows[5]["speed_mps"] == pytest.approx(10.5, abs=0.02)


def test_a_sensor_s_broken_stamps_leave_the_camera_on_its_own(tmp_path):
    script = ros_drive(frames=30)
    for entry in script.entries:
        entry.log_ns = entry.time_ns + 7 * 10**7 * (entry.type == STILL)
        if entry.topic == "/odom":
            entry.time_ns = 0
    rows, summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))
    assert [round(row["t"], 6) for row in rows] == [n / 10 for n in range(30)]
    assert summary["assumed"] == ["the stamps of /odom bear no time: its times are the log's own"]


def test_stamps_that_a_slow_disk_logs_late_are_kept():
    found = Readings(kind="Imu")
    found.stamp_ns.extend(START_NS + n * SECOND // 10 for n in range(100))
    found.log_ns.extend(START_NS + max(n, 70 if 40 <= n < 70 else n) * SECOND // 10 for n in range(100))
    clock = topic_times(found)
    assert (clock.fault, clock.replaced) == ("", 0)
    assert clock.time_N.tolist() == list(found.stamp_ns)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.integers(1, SECOND // 5), min_size=6, max_size=60),
    delay=st.integers(0, 30 * SECOND),
    restart=st.integers(0, 59),
)
def test_times_rise_whatever_the_stamps_do(steps, delay, restart):
    true = np.cumsum(steps)
    found = Readings(kind="Imu")
    stamps = np.where(np.arange(len(true)) < restart, true + START_NS, true)
    found.stamp_ns.extend(int(stamp) for stamp in stamps)
    found.log_ns.extend(int(time) for time in true + START_NS + delay)
    clock = topic_times(found)
    assert (np.diff(clock.time_N) > 0).all()
    assert np.diff(clock.time_N).tolist() == np.diff(true).tolist()
    assert on_clock_of(found, clock, found.log_ns).time_N.tolist() == clock.time_N.tolist()


def test_a_camera_of_the_car_goes_before_one_on_a_lidar_for_its_imu(tmp_path):
    script = ros_drive()
    for entry in list(script.entries):
        if entry.topic == "/imu":
            script.entries += [Entry("/a_camera/imu", entry.type, entry.time_ns + n, entry.content) for n in range(2)]
    summary = ingested(tmp_path, script.write(tmp_path / "a.mcap"))[1]
    assert {s["source"] for s in summary["streams"] if s["channel"] == "yaw_rate_radps"} == {"/imu"}


def test_a_jpeg_whose_message_says_nothing_is_read(tmp_path):
    data = bytes_of(jpeg(numbered_frame(3)))
    path = Script([Entry("/c", STILL, t, {"format": "", "data": data}) for t in frame_times(3)]).write(
        tmp_path / "a.mcap"
    )
    assert len(ingested(tmp_path, path)[0]) == 3
