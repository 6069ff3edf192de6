"""The times of a folder of images: from a list, from the names, or an assumed rate that is said."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drive_files import write_images
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.ingest import IngestConfig, ingest


def ingested(folder: Path, **settings: Any) -> tuple[dict[str, Any], list[tuple[int, float]]]:
    """Return `drive.json`, and (frame, time) of every row."""
    out = ingest(IngestConfig(**settings), source=folder, out=folder.parent / f"{folder.name}.out")
    rows = read_rows(out / "frames.lance")
    return json.loads((out / "drive.json").read_text()), [(row["frame"], row["t"]) for row in rows]


def times_of(folder: Path, **settings: Any) -> list[float]:
    return [time for _, time in ingested(folder, **settings)[1]]


DATED = {
    "dates": [f"202305011200{n:02d}" for n in (50, 51, 53)],
    "dates with ms": [f"202305011200{n:02d}000" for n in (50, 51, 53)],
    "dates with lines": [f"2023-05-01_12-00-{n}" for n in (50, 51, 53)],
    "dates with dots": [f"2023-05-01 12.00.{n}.000" for n in (50, 51, 53)],
    "phone": [f"PXL_20230501_1200{n}000" for n in (50, 51, 53)],
    "iso": [f"2023-05-01T12:00:{n}Z" for n in (50, 51, 53)],
    "dash cam with a running number": [f"2023_0501_1200{n}_{k:03d}F" for k, n in enumerate((50, 51, 53))],
    "dash cam with six digits": [f"20230501_1200{n}_{k:06d}" for k, n in enumerate((50, 51, 53))],
    "epoch s": [f"168294245{n}" for n in (0, 1, 3)],
    "epoch ms": [f"frame-168294245{n}000" for n in (0, 1, 3)],
    "epoch us": [f"n015-2018-07-24-11-22-45+0800__CAM_FRONT__153240292{n}612460" for n in (0, 1, 3)],
    "epoch ns": [f"168294245{n}000000000_left" for n in (0, 1, 3)],
    "epoch s and ns": [f"168294245{n}_000000000" for n in (0, 1, 3)],
    "epoch with decimals": [f"168294245{n}.25" for n in (0, 1, 3)],
    "seconds": ["12.350", "13.350", "15.350"],
}


@pytest.mark.parametrize("names", DATED.values(), ids=DATED)
def test_names_that_are_times_give_the_times(tmp_path: Path, names: Sequence[str]) -> None:
    folder = write_images(tmp_path / "in", [f"{name}.png" for name in names])
    assert times_of(folder) == pytest.approx([0, 1, 3])


def test_fractions_of_a_second_in_names_count(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", [f"2023-05-01_12-00-50-{ms:03d}.png" for ms in (0, 250, 500, 900)])
    assert times_of(folder) == pytest.approx([0, 0.25, 0.5, 0.9])


@pytest.mark.parametrize(
    "names",
    [
        ["0000000000", "0000000001", "0000000002"],
        ["20231399120050", "20231399120051", "20231399120052"],
        ["20230501_120050_000001", "20230501_120050_000002", "20230501_120050_000003"],
        ["99999999999999", "99999999999998", "99999999999997"],
        ["1000000001", "2000000002", "3000000003"],
        ["img1", "img2", "img10"],
    ],
)
def test_names_that_are_no_plausible_times_get_a_rate_that_is_said(tmp_path: Path, names: Sequence[str]) -> None:
    folder = write_images(tmp_path / "in", [f"{name}.png" for name in names])
    summary, rows = ingested(folder, image_fps=4)
    assert rows == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert summary["assumed"] == ["no times found: 4 frames/s assumed; set image_fps or write times.csv"]


def test_a_name_without_a_time_and_a_doubled_time_are_counted(tmp_path: Path) -> None:
    names = [f"16829424{n}.png" for n in range(50, 70)]
    folder = write_images(tmp_path / "in", [*names, "1682942453_b.png", "thumbnail.png"])
    summary, rows = ingested(folder)
    assert [time for _, time in rows] == list(range(20))
    assert summary["skipped_frames"] == 2


def test_several_images_in_each_whole_second_are_spread_evenly(tmp_path: Path) -> None:
    seconds = [50] * 2 + [51] * 4 + [52] * 4 + [53] * 1
    folder = write_images(tmp_path / "in", [f"2023-05-01_12-00-{s}_{k}.png" for k, s in enumerate(seconds)])
    summary, _ = ingested(folder)
    assert times_of(folder) == pytest.approx([n * 0.25 for n in range(11)])
    assert "spread evenly" in summary["assumed"][0]


def kitti_360(root: Path, lines: Sequence[str], *, count: int = 4) -> Path:
    folder = write_images(root / "image_00" / "data_rect", [f"{n:010d}.png" for n in range(count)])
    (folder.parent / "timestamps.txt").write_text("\n".join(lines) + "\n")
    return folder


DATES = [f"2013-05-28 08:46:02.{n * 25:02d}0000000" for n in range(4)]
LISTED = {
    "dates": DATES,
    "seconds": ["0.000000e+00", "2.500000e-01", "5.000000e-01", "7.500000e-01"],
    "a comment and a header": ["# of the camera", "time", "0.0", "0.25", "0.5", "0.75"],
    "whole ms": ["0", "250", "500", "750"],
    "ns since 1970": [str(1682942450 * 10**9 + n * 250_000_000) for n in range(4)],
    "numbered": ["0 0.0", "1 0.25", "2 0.5", "3 0.75"],
    "named": [f"{n * 0.25} rgb/{n:010d}.png" for n in (2, 0, 3, 1)],
    "named dates": [f"{n:010d}.png, {date}" for n, date in enumerate(DATES)],
    "of more images": [f"{n * 0.25}" for n in range(9)],
}


@pytest.mark.parametrize("lines", LISTED.values(), ids=LISTED)
@pytest.mark.parametrize("above", [True, False])
def test_lists_of_times_beside_the_images_and_above_are_read(tmp_path: Path, lines: Sequence[str], above: bool) -> None:
    folder = kitti_360(tmp_path, lines)
    if not above:
        (folder.parent / "timestamps.txt").rename(folder / "times.txt")
    assert times_of(folder) == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_missing_image_keeps_the_lines_of_the_others(tmp_path: Path) -> None:
    folder = kitti_360(tmp_path, DATES)
    (folder / "0000000001.png").unlink()
    assert times_of(folder) == pytest.approx([0, 0.5, 0.75])


def test_a_line_that_falls_back_or_is_no_time_is_skipped_and_counted(tmp_path: Path) -> None:
    folder = kitti_360(tmp_path, ["0.0", "0.25", "0.1", "0.75", "x", "1.25"], count=6)
    summary, rows = ingested(folder)
    assert rows == [(0, 0.0), (1, 0.25), (3, 0.75), (5, 1.25)]
    assert summary["skipped_frames"] == 2


def test_a_list_that_does_not_belong_to_the_images_is_named_and_not_used(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", ["a.png", "b.png"])
    (tmp_path / "times.txt").write_text("0.0\n0.1\n0.2\n")
    summary, rows = ingested(folder)
    assert rows == [(0, 0.0), (1, 0.1)]
    assert "times.txt is not used: it has 3 lines for 2 images" in summary["assumed"][0]
    assert "10 frames/s assumed" in summary["assumed"][1]


def test_times_csv_counts_bad_rows_and_orders_by_time(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", [f"{name}.png" for name in "abcdef"])
    rows = ["a.png,3.0", 'b.png,"1.0"', "c.png,nan", "d.png,", "e.png,2.5", "e.png", "elsewhere.png,9"]
    (folder / "times.csv").write_text("\n".join(["file,timestamp_s", *rows]))
    summary, found = ingested(folder)
    assert found == [(1, 0.0), (4, 1.5), (0, 2.0)]
    assert summary["skipped_frames"] == 3
    assert any("fall back in the order of the names" in line for line in summary["assumed"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,time\na.png,1\n", "header must be file,timestamp_s"),
        ("", "header must be file,timestamp_s"),
        ("file,timestamp_s\nb.png,1\n", "no time for any of the images"),
        ("file,timestamp_s\na.png,x\n", "no time for any of the images"),
    ],
)
def test_a_times_csv_that_serves_nothing_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    folder = write_images(tmp_path / "in", ["a.png"])
    (folder / "times.csv").write_text(text)
    with pytest.raises(InputError, match=rf"times\.csv: .*{words}"):
        ingested(folder)


def test_tiffs_between_pngs_keep_every_frame_at_its_place(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", [f"{n:04d}.{'tif' if n % 2 else 'png'}" for n in range(6)])
    summary, rows = ingested(folder, image_fps=2)
    assert rows == [(n, n / 2) for n in range(6)]
    assert (summary["width"], summary["height"]) == (64, 48)


def test_16_bit_frames_are_seen_and_the_tone_curve_is_said(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", ["0.png"])
    ramp = np.linspace(7000, 9000, 64 * 48).astype(np.uint16).reshape(48, 64)
    Image.fromarray(ramp).save(folder / "1.png")
    summary, rows = ingested(folder)
    assert len(rows) == 2
    assert any("16 bits" in line and "percentile" in line for line in summary["assumed"])


def test_photos_are_upright_in_the_tables(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(tmp_path / "in" / "0.jpg", exif=exif)
    summary, _ = ingested(tmp_path / "in")
    assert (summary["width"], summary["height"]) == (64, 48)


@pytest.mark.parametrize("size", [(1, 1), (2000, 10), (10, 2000)])
def test_the_smallest_and_thinnest_pictures_become_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "in").mkdir()
    for n in range(3):
        Image.new("RGB", size, (n * 40, 9, 9)).save(tmp_path / "in" / f"{n}.png")
    summary, rows = ingested(tmp_path / "in")
    assert len(rows) == 3
    assert (summary["width"], summary["height"]) == size


def test_pipes_among_the_images_are_never_opened(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", ["0.png", "1.png"])
    for name in ("2.png", "times.csv", "sensors.csv", "clip.mp4"):
        os.mkfifo(folder / name)
    assert len(ingested(folder)[1]) == 2
