"""Close-ups: the box lies inside, the window lies in the image, and rows keep what is said of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drivelet import tasks
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.dataset.zoom import ZoomConfig, close_up, window, zoom

sides = st.integers(40, 400)


@given(height=sides, width=sides, place=st.tuples(*[st.floats(0, 1)] * 4), seed=st.integers(0, 2**32 - 1))
def test_the_window_is_a_square_in_the_image_that_holds_the_box(
    height: int, width: int, place: tuple[float, float, float, float], seed: int
) -> None:
    x0, x1 = sorted(round(v * width) for v in place[:2])
    y0, y1 = sorted(round(v * height) for v in place[2:])
    rng = np.random.default_rng(seed)
    left, top, right, bottom = window(rng, (height, width), (x0, y0, x1, y1), side=112, magnify=(1.0, 3.2))
    assert right - left == bottom - top and 0 <= left < right <= width and 0 <= top < bottom <= height
    span = right - left
    for low, high, start in ((x0, x1, left), (y0, y1, top)):
        if high - low <= span:
            assert start <= low and high <= start + span
        else:
            assert low <= start and start + span <= high


def test_a_close_up_shows_the_box_magnified() -> None:
    image = np.zeros((192, 320, 3), np.uint8)
    image[50:70, 100:120] = 255
    cut = close_up(np.random.default_rng(0), image, (100, 50, 120, 70), side=112, magnify=(2.0, 2.0))
    assert cut.shape == (112, 112, 3)
    assert (cut[..., 0] > 128).sum() == pytest.approx(40 * 40, rel=0.1)


def test_only_train_rows_with_one_box_of_a_chosen_field_get_close_ups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((192, 320, 3), 90, np.uint8)).save(tmp_path / "a.png")
    path, one, two = str(tmp_path / "a.png"), "[[10, 20, 30, 40]]", "[[10, 20, 30, 40], [50, 20, 70, 40]]"
    said = [
        ("speed_limit.posted", "80", "train", one),
        ("speed_limit.posted", "80", "train", two),
        ("traffic_light.state", "red", "train", ""),
        ("cone.count", "1-2", "train", one),
        ("traffic_light.state", "none", "train", one),
        ("speed_limit.posted", "80", "train", "[[1, 2]]"),
    ]
    rows = [Row(path=path, task=t, label=label, split=s, group="g", boxes=b, weight=0.5) for t, label, s, b in said]
    write_manifest(tmp_path / "in.csv", rows)
    fields = tasks.fields()
    manifest = zoom(ZoomConfig(copies=3), manifest=tmp_path / "in.csv", fields=fields, out=tmp_path / "out")
    found = read_manifest(manifest, tasks=fields)
    assert found[:6] == rows and len(found) == 9
    for row in found[6:]:
        assert (row.task, row.label, row.split, row.group, row.weight) == (
            "speed_limit.posted",
            "80",
            "train",
            "g",
            0.5,
        )
        assert row.boxes == "" and read_image(row.path).shape == (112, 112, 3)
    assert "(rows like it: 1): its boxes are not" in " ".join(capsys.readouterr().err.split())
    again = zoom(ZoomConfig(copies=0), manifest=tmp_path / "in.csv", fields=fields, out=tmp_path / "none")
    assert read_manifest(again, tasks=fields) == rows


def test_a_box_outside_its_picture_gets_no_close_up_and_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((192, 320, 3), 90, np.uint8)).save(tmp_path / "a.png")
    row = Row(
        path=str(tmp_path / "a.png"), task="speed_limit.posted", label="80", split="train", group="g",
        boxes="[[330, 20, 350, 40]]",
    )  # fmt: skip
    write_manifest(tmp_path / "in.csv", [row])
    manifest = zoom(ZoomConfig(copies=3), manifest=tmp_path / "in.csv", fields=tasks.fields(), out=tmp_path / "out")
    assert len(read_manifest(manifest, tasks=tasks.fields())) == 1
    assert "rows like it: 1): its box lies outside the picture" in capsys.readouterr().err
