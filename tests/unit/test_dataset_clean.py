from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drivelet import tasks
from drivelet.core.artifacts import ImageArray
from drivelet.core.manifest import Row
from drivelet.dataset.clean import Cleaned, clean_rows
from drivelet.dataset.duplicates import near_duplicates
from drivelet.dataset.looks import LookConfig, look_at, look_at_file

CONFIG = LookConfig()
TWO_TONES = np.array([[60, 190], [60, 60]], np.uint8).repeat(40, 0).repeat(40, 1)[..., None].repeat(3, 2)


def picture(seed: int, size: int = 64) -> ImageArray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BILINEAR))


def row(
    path: str, label: str = "red", *, split: str = "train", task: str = "traffic_light.state", weight: float = 1.0
) -> Row:
    return Row(path=path, task=task, label=label, split=split, group=f"group of {path}", weight=weight)


def cleaned(rows: list[Row], images: dict[str, ImageArray]) -> Cleaned:
    looks = {path: look_at(image, CONFIG) for path, image in images.items()}
    return clean_rows(rows, looks=looks, fields=tasks.fields())


def reasons(result: Cleaned) -> dict[str, str]:
    return {rejection.row.path: rejection.reason for rejection in result.rejected}


def test_an_exact_copy_leaves_and_hands_its_other_labels_to_the_first() -> None:
    rows = [row("a"), row("b"), row("b", "0", task="cone.count")]
    result = cleaned(rows, {"a": picture(1), "b": picture(1)})
    assert [(r.path, r.task, r.group) for r in result.rows] == [
        ("a", "traffic_light.state", "group of a"),
        ("a", "cone.count", "group of a"),
    ]
    assert reasons(result) == {"b": "exact duplicate"}


def test_equally_sure_contradictions_all_leave_but_a_hand_made_label_beats_a_pseudo_label() -> None:
    images = {"a": picture(1), "b": picture(1), "c": picture(2), "d": picture(2)}
    rows = [row("a", "red"), row("b", "green"), row("c", "red", weight=0.9), row("d", "green")]
    result = cleaned(rows, images)
    assert [(r.path, r.label) for r in result.rows] == [("d", "green")]
    assert reasons(result) == {"a": "contradicting labels", "b": "contradicting labels", "c": "exact duplicate"}


def test_the_finer_of_two_agreeing_labels_stays() -> None:
    rows = [row("a", "some", task="cone.count"), row("b", "2", task="cone.count")]
    result = cleaned(rows, {"a": picture(1), "b": picture(1)})
    assert [(r.path, r.label) for r in result.rows] == [("a", "2")]


def test_no_train_image_shows_a_held_out_picture() -> None:
    near = np.clip(picture(1).astype(int) + 2, 0, 255).astype(np.uint8)
    images = {"train": near, "val": picture(1), "copy": picture(1), "other": picture(5)}
    rows = [row("train"), row("copy", "green"), row("other"), row("val", split="val")]
    result = cleaned(rows, images)
    assert [r.path for r in result.rows] == ["other", "val"]
    assert reasons(result) == {"train": "near-duplicate of a val image", "copy": "same pixels as a val image"}


def test_a_near_duplicate_with_another_answer_stays_in_train() -> None:
    near = np.clip(picture(1).astype(int) + 2, 0, 255).astype(np.uint8)
    result = cleaned([row("a", "red"), row("b", "green")], {"a": picture(1), "b": near})
    assert len(result.rows) == 2


def test_test_rows_stay_as_given() -> None:
    dark = np.zeros((64, 64, 3), np.uint8)
    images = {"a": picture(1), "b": picture(1), "c": dark}
    result = cleaned([row(path, split="test") for path in images], images)
    assert [r.path for r in result.rows] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("image", "flaw"),
    [
        (np.zeros((64, 64, 3), np.uint8), "too dark"),
        (np.full((64, 64, 3), 120, np.uint8), "no contrast"),
        (np.full((64, 64, 3), 250, np.uint8), "too bright"),
        (picture(1)[:4], "too small"),
        (picture(1, 160)[:16], "odd shape"),
        (TWO_TONES, "low information"),
        (np.repeat(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], 90, 0).repeat(3, 2), "blurred"),
        (picture(1), ""),
    ],
)
def test_flaws(image: ImageArray, flaw: str) -> None:
    assert look_at(image, CONFIG).flaw == flaw


def test_a_night_frame_with_one_lit_lamp_is_fit() -> None:
    night = np.random.default_rng(0).integers(0, 12, (120, 160, 3), dtype=np.uint8)
    night[20:36, 60:76] = (255, 30, 30)
    assert look_at(night, CONFIG).flaw == ""


def test_a_truncated_file_is_unreadable(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(picture(1)).save(whole)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(whole.read_bytes()[:200])
    assert look_at_file(broken, CONFIG).flaw == "unreadable image"
    assert look_at_file(whole, CONFIG).flaw == ""


def test_colour_tells_a_red_lamp_from_a_green_one() -> None:
    red, green = picture(3).copy(), picture(3).copy()
    red[8:16, 8:16], green[8:16, 8:16] = (220, 20, 20), (20, 150, 20)
    looks = {"red": look_at(red, CONFIG), "green": look_at(green, CONFIG)}
    assert list(near_duplicates(looks, CONFIG)) == []


def test_a_shifted_copy_is_found_by_its_embedding_and_leaves_only_where_it_says_the_same() -> None:
    whole = picture(3, 96)
    images = {"a": whole, "b": np.roll(whole, 40, axis=1), "c": np.roll(whole, 44, axis=1), "d": picture(9, 96)}
    vectors = {"a": [1.0, 0.0], "b": [0.99999, 0.00447], "c": [1.0, 0.0], "d": [0.0, 1.0]}
    looks = {
        path: replace(look_at(image, CONFIG), vector=np.array(vectors[path], np.float32))
        for path, image in images.items()
    }
    assert list(near_duplicates(looks, CONFIG)) == [("a", "b"), ("a", "c"), ("b", "c")]
    rows = [row("a", "red"), row("b", "red"), row("c", "green"), row("d", "red")]
    result = clean_rows(rows, looks=looks, fields=tasks.fields())
    assert [r.path for r in result.rows] == ["a", "c", "d"]
    assert reasons(result) == {"b": "near-duplicate"}
