import json
import os
from pathlib import Path

import numpy as np
import pytest

from drive_files import numbered_frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.discover import discover
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest
from log_files import FRAMES, write_comma, write_comma_minute

REAL = Path(os.environ.get("DRIVELET_REAL", Path(__file__).parents[3] / "shared" / "real")) / "comma2k19"


def ingested(tmp_path, path):
    """Ingest a drive; return its frame rows and drive.json."""
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    return read_rows(out / "frames.lance"), json.loads((out / "drive.json").read_text())


def test_a_segment_becomes_the_tables(tmp_path):
    rows, summary = ingested(tmp_path, write_comma(tmp_path / "route" / "40"))
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert rows[5]["speed_mps"] == pytest.approx(10.5)
    assert rows[5]["yaw_rate_radps"] == pytest.approx(0.1)
    assert rows[5]["acceleration_mps2"] == pytest.approx(1.0)
    assert (summary["kind"], summary["width"], summary["skipped_frames"]) == ("comma2k19", 64, 0)
    assert {stream["source"] for stream in summary["streams"]} == {"CAN/speed", "IMU/gyro", "IMU/accelerometer"}
    images = dict(frames_at(rows[0]["file"], [2, 9]))
    assert {n: round(float(image.mean())) for n, image in images.items()} == pytest.approx(
        {n: float(numbered_frame(n).mean()) for n in (2, 9)}, abs=3
    )


def test_segments_are_found_by_route_and_number_and_by_their_video(tmp_path):
    write_comma(tmp_path / "b0c9|2018" / "3", frames=2)
    folder = write_comma(tmp_path / "b0c9|2018" / "12", frames=2)
    assert [source.name for source in discover(tmp_path)] == ["b0c9|2018_12", "b0c9|2018_3"]
    assert [source.file for source in discover(folder / "video.hevc")] == [folder]


def test_without_frame_times_the_rate_of_the_device_is_assumed_aloud(tmp_path):
    folder = write_comma(tmp_path / "40")
    (folder / "global_pose" / "frame_times").unlink()
    out = ingest(IngestConfig(), source=folder, out=tmp_path / "out")
    summary = json.loads((out / "drive.json").read_text())
    assert summary["fps"] == 20.0
    assert summary["assumed"] == ["no frame_times; 20 frames/s, as the video says or comma2k19 records"]


def test_frame_times_that_do_not_rise_or_have_no_frame_are_skipped(tmp_path):
    folder = write_comma(tmp_path / "40")
    times = np.load(folder / "global_pose/frame_times")
    times[4] = np.nan
    times[6] = times[2]
    with (folder / "global_pose/frame_times").open("wb") as stream:
        np.save(stream, np.append(times, times[-1] + 0.1))
    rows, summary = ingested(tmp_path, folder)
    assert [row["frame"] for row in rows] == [0, 1, 2, 3, 5, 7, 8, 9, 10, 11]
    assert summary["skipped_frames"] == 3


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "IMU/gyro/t").unlink(), "No such file"),
        (lambda folder: (folder / "IMU/gyro/value").write_bytes(b"\x80\x04."), "it cannot be read"),
        (lambda folder: _save(folder / "IMU/gyro/value", np.zeros((5, 3))), "60 times and 5 values"),
        (lambda folder: _save(folder / "IMU/gyro/value", np.zeros(60)), "not samples x 3 axes"),
        (lambda folder: _save(folder / "IMU/gyro/value", np.array(["a"])), "no numbers"),
        (lambda folder: _save(folder / "IMU/gyro/value", np.full((60, 3), 1000.0)), "60 of 60 values are beyond 10"),
    ],
)
def test_a_damaged_signal_is_left_out_and_named(tmp_path, spoil, reason):
    folder = write_comma(tmp_path / "40")
    spoil(folder / "processed_log")
    _, summary = ingested(tmp_path, folder)
    assert summary["sensors"] == ["speed_mps", "acceleration_mps2"]
    (dropped,) = [d for d in summary["dropped"] if d["channel"] == "yaw_rate_radps"]
    assert reason in dropped["reason"]


def _save(path, values):
    with path.open("wb") as stream:
        np.save(stream, values)


def test_wheels_serve_where_the_speed_is_missing(tmp_path):
    folder = write_comma(tmp_path / "40")
    for name in ("t", "value"):
        (folder / "processed_log/CAN/speed" / name).unlink()
    (folder / "processed_log/CAN/speed").rmdir()
    rows, summary = ingested(tmp_path, folder)
    assert rows[5]["speed_mps"] == pytest.approx(10.5)
    assert "CAN/wheel_speed" in {stream["source"] for stream in summary["streams"]}


def test_a_minute_without_video_is_a_drive_of_sensors_alone(tmp_path):
    path = write_comma_minute(tmp_path / "minute.npz")
    rows, summary = ingested(tmp_path, path)
    assert (len(rows), summary["pictures"], summary["skipped_frames"]) == (FRAMES, False, 0)
    assert rows[5]["yaw_rate_radps"] == pytest.approx(0.1)
    with pytest.raises(InputError, match=r"minute\.npz: holds sensors and frame times but no pictures"):
        list(frames_at(rows[0]["file"], [0]))


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, frame_times=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"a\.npz: no readable comma2k19 minute"):
        ingested(tmp_path, path)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real drive at {REAL} (set DRIVELET_REAL)")
def test_on_a_real_drive_speed_acceleration_and_yaw_rate_agree(tmp_path):
    """Published axes: forward, right, down. The derivative of speed must follow the forward acceleration, one to one
    but for noise, and the steering wheel (left positive) the yaw rate."""
    out = ingest(IngestConfig(), source=REAL, out=tmp_path / "out")
    table = read_rows(out / "sensors.lance")
    series = {
        name: np.array([(row["t"], row["value"]) for row in table if row["channel"] == name]).T
        for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")
    }
    assert {name: len(samples[0]) for name, samples in series.items()} == {
        "speed_mps": 4974, "yaw_rate_radps": 6256, "acceleration_mps2": 6256
    }  # fmt: skip
    grid = np.arange(1.0, 58.0, 0.02)

    def smooth(t, values):
        return np.convolve(np.interp(grid, t, values), np.ones(25) / 25, "same")

    inner = slice(50, -50)
    slope = np.gradient(smooth(*series["speed_mps"]), 0.02)[inner]
    forward = smooth(*series["acceleration_mps2"])[inner]
    assert np.corrcoef(slope, forward)[0, 1] >= 0.75
    assert 0.75 < np.polyfit(forward, slope, 1)[0] < 1.25
    with np.load(next(REAL.glob("*.npz")), allow_pickle=False) as arrays:
        steering = smooth(arrays["steering_angle_t"] - arrays["frame_times"][0], arrays["steering_angle"])[inner]
    turning = steering * smooth(*series["speed_mps"])[inner]
    assert np.corrcoef(turning, smooth(*series["yaw_rate_radps"])[inner])[0, 1] >= 0.75


def test_a_pipe_among_the_signals_is_named_and_never_opened(tmp_path):
    segment = write_comma(tmp_path / "route" / "40")
    (segment / "processed_log/CAN/speed/t").unlink()
    os.mkfifo(segment / "processed_log/CAN/speed/t")
    _, summary = ingested(tmp_path, segment)
    assert [d["reason"] for d in summary["dropped"]] == ["it cannot be read (it is no plain file)"]
