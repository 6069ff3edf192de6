"""Sensor CSVs as people have them: damaged rows, blank cells, several rates, other units, other names."""

import json
import math

import numpy as np
import pytest

from drive_files import HEADER, write_video
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.sensor_csv import csv_streams
from drivelet.drives.sensors import align, choose
from drivelet.drives.units import UnitConfig


def written(tmp_path, text):
    path = tmp_path / "clip.csv"
    path.write_text(text)
    return path


def chosen(tmp_path, text, **more):
    return choose(csv_streams(written(tmp_path, text)), end=10.0, max_gap_s=0.5, **more)


def values(found, channel):
    return found.log.channels[channel].value_N.tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,speed\n0,1\n", "header lacks timestamp_s, speed_mps or yaw_rate_radps or"),
        ("timestamp_s,velocity\n0,1\n", "header lacks speed_mps or"),
        ("speed_mps\n1\n", "header lacks timestamp_s; .*timestamp_ms.*speed_kmh.*yaw_rate_degps.*acceleration_g"),
        ("", "header lacks"),
        (f"{HEADER}\n", "no rows"),
    ],
)
def test_a_csv_without_what_is_needed_is_one_clear_line(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=words) as caught:
        csv_streams(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


ROWS = [f"{n / 20},10,0.1,0" for n in range(90)]


@pytest.mark.parametrize(
    ("row", "skipped"),
    [
        ("1,nan,0.1,0", (1, 0, 0)),
        ("1,,0.1,0", (1, 0, 0)),
        ("1,10,0.1", (0, 0, 1)),
        ("1,inf,-,0", (1, 1, 0)),
        ("word,10,0.1,0", (1, 1, 1)),
        ("0.95,10,0.1,0", (1, 1, 1)),
        (",,,", (1, 1, 1)),
        ("1,999,0.1,0", (1, 0, 0)),
    ],
)
def test_one_bad_row_is_skipped_and_counted(tmp_path, row, skipped):
    found = chosen(tmp_path, "\n".join([HEADER, *ROWS[:20], row, *ROWS[21:]]) + "\n")
    assert tuple(stream.skipped for stream in found.streams) == skipped
    assert [stream.samples for stream in found.streams] == [90 - count for count in skipped]
    assert values(found, "speed_mps") == [10] * (90 - skipped[0])


def test_rows_out_of_order_are_put_back(tmp_path):
    found = chosen(tmp_path, f"{HEADER}\n0,0,0,0\n0.2,2,0,0\n0.1,1,0,0\n0.3,3,0,0\n")
    assert values(found, "speed_mps") == [0, 1, 2, 3]
    assert found.streams[0].unsorted == 1


def test_channels_may_have_rates_of_their_own(tmp_path):
    rows = [f"{n / 20},{n if n % 5 == 0 else ''},0.1,{n % 2}" for n in range(100)]
    found = chosen(tmp_path, "\n".join([HEADER, *rows]))
    assert [(s.samples, s.rate_hz, s.skipped) for s in found.streams] == [(20, 4, 0), (100, 20, 0), (100, 20, 0)]
    assert found.streams[0].note == "80 rows have no value of it"


def test_a_csv_of_speed_alone_is_the_sensor_of_its_drive(tmp_path):
    write_video(tmp_path / "clip.mp4")
    (tmp_path / "clip.csv").write_text("timestamp_s,speed_mps\n" + "".join(f"{n / 10},8\n" for n in range(40)))
    out = ingest(IngestConfig(), source=tmp_path / "clip.mp4", out=tmp_path / "out")
    assert json.loads((out / "drive.json").read_text())["sensors"] == ["speed_mps"]
    rows = read_rows(out / "frames.lance")
    assert [row["speed_mps"] for row in rows] == [8] * 30
    assert {row["standing"] for row in rows} == {False}
    assert [row["forward_m"] for row in rows[1:]] == pytest.approx([0.8] * 29)


def test_one_wrong_channel_leaves_the_others_in_use(tmp_path):
    rows = [f"{n / 20},13000,0.1,word" for n in range(40)]
    found = chosen(tmp_path, "\n".join([HEADER, *rows]))
    assert list(found.log.channels) == ["yaw_rate_radps"]
    assert {d.channel: d.reason for d in found.dropped} == {
        "speed_mps": "40 of 40 values are beyond 120 (up to 13000); check the unit",
        "acceleration_mps2": "none of its samples is a finite number",
    }


def test_a_csv_without_one_channel_of_use_is_an_error(tmp_path):
    write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "a.csv").write_text(f"{HEADER}\n0,1,0,0\n0,1,0,0\n")
    with pytest.raises(InputError, match=r"a\.csv: its times never rise"):
        ingest(IngestConfig(), source=tmp_path / "a.mp4", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "cell", "channel", "value"),
    [
        ("speed_kmh", 36, "speed_mps", 10),
        ("Speed_KPH", 36, "speed_mps", 10),
        (" speed_mph ", 10, "speed_mps", 4.4704),
        ("speed_kn", 36, "speed_mps", 18.52),
        ("yaw_rate_degps", 18, "yaw_rate_radps", math.pi / 10),
        ("acceleration_g", 0.5, "acceleration_mps2", 4.903325),
    ],
)
def test_the_column_s_name_tells_the_unit(tmp_path, name, cell, channel, value):
    found = chosen(tmp_path, f"timestamp_ms,{name}\n" + "".join(f"{100 * n},{cell}\n" for n in range(9)))
    assert found.log.channels[channel].value_N == pytest.approx(np.full(9, value))
    assert found.log.channels[channel].time_N == pytest.approx(np.arange(9) / 10)
    assert found.streams[0].note == f"given in {name.strip().lower().rpartition('_')[2]}"


def test_a_setting_tells_the_unit_where_the_column_does_not(tmp_path):
    units = UnitConfig(speed="kmh", yaw_rate="degps", acceleration="g")
    text = "timestamp_s,speed_kmh,yaw_rate_radps,acceleration_mps2\n0,36,18,1\n1,36,18,1\n"
    found = chosen(tmp_path, text, units=units)
    first = [found.log.channels[name].value_N[0] for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")]
    # The column's own name goes before the setting: it is not turned twice.
    assert first == pytest.approx([10, math.pi / 10, 9.80665])
    assert "units.yaw_rate" in found.streams[1].note


def test_alignment_is_linear_or_nearest_and_empty_in_gaps(tmp_path):
    log = chosen(tmp_path, f"{HEADER}\n0,0,0,0\n1,10,1,0\n5,20,2,0\n").log
    times = [0.25, 0.75, 3.0, 5.4, 5.6]
    linear = align(log, times)["yaw_rate_radps"]
    assert linear[[0, 1, 3]] == pytest.approx([0.25, 0.75, 2])
    assert np.isnan(linear[[2, 4]]).all()
    assert list(align(log, times, method="nearest")["speed_mps"][:2]) == [0, 10]


def test_a_slow_speed_is_known_between_its_samples(tmp_path):
    rows = [f"{n * 1.1},{n},0,0" for n in range(5)]
    log = chosen(tmp_path, "\n".join([HEADER, *rows])).log
    found = align(log, [0.55, 1.7, 5.6, 6.0])
    assert found["speed_mps"] == pytest.approx([0.5, 1.545, 4, math.nan], abs=1e-3, nan_ok=True)
    assert np.isnan(found["yaw_rate_radps"][0])
