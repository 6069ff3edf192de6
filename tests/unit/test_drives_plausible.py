"""Wrong units are caught by what cars do, by the channels together, and by the picture; right ones are left alone."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drive_files import HEADER, write_video
from drivelet.core.errors import InputError
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.plausible import check, gain_over_pull, other_unit, seen_turning

TIMES = np.arange(0, 60, 0.1)
SPEED = 12 + 5 * np.sin(TIMES / 3)
RATE = 0.15 * np.sin(TIMES / 4)
RIGHT = {"speed_mps": SPEED, "yaw_rate_radps": RATE, "acceleration_mps2": np.gradient(SPEED, TIMES)}
IN_KMH, IN_DEGREES = 3.6, math.degrees(1)


def judged(*, slope=math.nan, focal_px=math.nan, width=1280, **factors):
    channels = {name: (TIMES, values * factors.get(name, 1.0)) for name, values in RIGHT.items()}
    return check(channels, slope=slope, focal_px=focal_px, width=width)


def test_a_drive_in_the_right_units_is_left_alone():
    for slope, focal in ((900.0, math.nan), (900.0, 910.0), (math.nan, 910.0), (300.0, math.nan), (-900.0, 910.0)):
        assert judged(slope=slope, focal_px=focal) == judged()
    assert (judged().refused, judged().unusual) == ({}, [])


@pytest.mark.parametrize(
    ("channel", "factor", "unit"),
    [
        ("speed_mps", 3.6, "kmh"),
        ("speed_mps", 2.23694, "mph"),
        ("speed_mps", 1.94384, "kn"),
        ("acceleration_mps2", 1 / 9.80665, "g"),
        ("yaw_rate_radps", IN_DEGREES, "degps"),
    ],
)
def test_a_channel_in_another_unit_is_refused_with_the_unit_that_fits(channel, factor, unit):
    refused = judged(**{channel: factor}).refused
    assert list(refused) == [channel]
    quantity = channel.rpartition("_")[0]
    assert f"name the column {quantity}_{unit} or --set units.{quantity}={unit}" in refused[channel]
    assert "check the unit" in refused[channel]


def test_slow_turning_in_degrees_is_caught_by_the_picture_and_by_the_speed():
    slow = IN_DEGREES / 20
    by_picture = judged(yaw_rate_radps=slow, slope=900 / IN_DEGREES)
    assert "times as much as the picture" in by_picture.refused["yaw_rate_radps"]
    known = judged(yaw_rate_radps=slow, slope=900 / IN_DEGREES, focal_px=900.0)
    assert "57.3 times as much as the picture" in known.refused["yaw_rate_radps"]
    wild = judged(yaw_rate_radps=slow, slope=1.0, focal_px=900.0).refused["yaw_rate_radps"]
    assert wild == "it turns 900 times as much as the picture: check the unit"
    fast = {"speed_mps": (TIMES, 0 * TIMES + 30), "yaw_rate_radps": (TIMES, 0 * TIMES + 1.2)}
    found = check(fast)
    assert "pulled sideways by 36 m/s2" in found.refused["yaw_rate_radps"]


@pytest.mark.parametrize("rate", [0.5, -0.5])
def test_a_steady_turn_is_compared_with_the_picture(rate):
    frames, steady = np.arange(0, 4, 0.1), (np.arange(0, 5, 0.05), np.full(100, rate))
    shift = np.full(40, 300 * rate / 10) + np.random.default_rng(0).normal(0, 1, 40)
    shift[[0, 7]] = math.nan
    sure = np.where(np.arange(40) % 5, 0.8, 0.3)
    assert seen_turning(frames, shift, sure, steady) == pytest.approx(300, rel=0.2)
    assert math.isnan(seen_turning(frames, shift - shift, sure, steady))
    assert math.isnan(seen_turning(frames, -shift, sure, steady))
    assert math.isnan(seen_turning(frames[:5], shift[:5], sure[:5], steady))
    assert math.isnan(seen_turning(frames, shift, sure, (steady[0], steady[1] / 50)))


def test_what_cannot_be_proven_is_named():
    constant = {"speed_mps": (TIMES, 0 * TIMES + 90)}
    (line,) = check(constant).unusual
    assert "speed_mps reaches 90 m/s (324 km/h): check the unit" in line
    assert "speed_kmh" in line
    (line,) = check({"yaw_rate_radps": (TIMES, 0 * TIMES - 1.2)}).unusual
    assert "yaw_rate_radps reaches 1.2 rad/s (68.8 degrees a second): check the unit" in line
    pulled = {"speed_mps": (TIMES, 0 * TIMES + 40), "yaw_rate_radps": (TIMES, 0 * TIMES - 0.5)}
    (line,) = check(pulled).unusual
    assert "speed times yaw rate is 20 m/s2" in line
    (line,) = judged(acceleration_mps2=1 / 5.5).unusual
    assert "5.5 times as much as the acceleration says" in line


@given(
    knots=st.lists(st.floats(-1, 1), min_size=13, max_size=13),
    seed=st.integers(0, 99),
    factor=st.sampled_from([1.0, 3.6, 1 / 9.80665]),
)
def test_the_factor_between_speed_and_acceleration_is_found(knots, seed, factor):
    speed = 20 + 8 * np.interp(TIMES, np.linspace(0, 60, 13), knots)
    force = np.gradient(speed, TIMES)
    assume(force.std() > 0.5)
    noisy = force + np.random.default_rng(seed).normal(0.3, 0.2, len(TIMES))
    channels = {"speed_mps": (TIMES, speed), "acceleration_mps2": (TIMES + 0.02, noisy * factor)}
    assert gain_over_pull(channels) == pytest.approx(1 / factor, rel=0.1)


@pytest.mark.parametrize(
    ("times", "end", "words"),
    [
        (np.arange(90) * 50.0, 3.9, "ms would fit (name the column timestamp_ms)"),
        (np.arange(90) * 5e4, 3.9, "us would fit (name the column timestamp_us)"),
        (np.arange(90) * 5e7, 3.9, "ns would fit (name the column timestamp_ns)"),
        (np.arange(5) * 1000.0, 3.9, "ms would fit"),
    ],
)
def test_times_that_are_no_seconds_are_doubted(times, end, words):
    assert words in other_unit(times, end)
    assert "check the unit" in other_unit(times, end)


@pytest.mark.parametrize(
    ("times", "end"),
    [
        (np.arange(9.0), 8.0),
        (np.arange(9000) * 0.1, 4.0),
        (np.arange(3) * 2.0, 4.0),
        ([0.0, 9.0], 4.0),
        ([], 4.0),
        (np.arange(90) * 50.0, 0.0),
        (np.arange(90) * 7.0, 3.9),
        ([math.nan] * 5, 4.0),
    ],
)
def test_other_times_are_not(times, end):
    assert other_unit(np.array(times), end) == ""


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (np.arange(90) * 7.0, "speed_mps has a sample every 7 s only: check the unit of its times"),
        (np.arange(9000) * 0.1, "speed_mps goes on for 899.9 s, beside 4 s of pictures: check the unit"),
    ],
)
def test_times_that_are_unusual_are_named(times, words):
    (line,) = check({"speed_mps": (times, 0 * times + 9)}, end=4.0).unusual
    assert words in line


def written(tmp_path, rows):
    video = write_video(tmp_path / "clip.mp4", frames=40)
    (tmp_path / "clip.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return video


def test_milliseconds_under_a_header_of_seconds_are_an_error(tmp_path):
    video = written(tmp_path, [f"{50 * n},10,0.1,0" for n in range(90)])
    with pytest.raises(InputError, match=r"clip\.csv: a sample every 50 s .* timestamp_ms"):
        ingest(IngestConfig(), source=video, out=tmp_path / "out")


def test_degrees_are_left_out_and_the_rest_is_used(tmp_path, capsys):
    video = written(tmp_path, [f"{n / 20},10,7.5,0" for n in range(90)])
    out = ingest(IngestConfig(), source=video, out=tmp_path / "out")
    summary = json.loads((out / "drive.json").read_text())
    assert summary["sensors"] == ["speed_mps", "acceleration_mps2"]
    assert "yaw_rate_degps" in summary["dropped"][0]["reason"]
    assert summary["motion_sources"]["yaw"].startswith("unknown")
    assert "deg/s would fit" in " ".join(capsys.readouterr().err.split())


def test_an_unusual_speed_is_said_last(tmp_path, capsys):
    video = written(tmp_path, [f"{n / 20},90,0,0" for n in range(90)])
    out = ingest(IngestConfig(), source=video, out=tmp_path / "out")
    assert "324 km/h" in json.loads((out / "drive.json").read_text())["assumed"][-1]
    assert "324 km/h" in " ".join(capsys.readouterr().err.split())
