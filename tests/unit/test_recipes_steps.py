"""The joints: what is asked of whom, and how manifests are cut."""

import json
from collections import Counter
from pathlib import Path

import pytest

from drive_files import write_images, write_video
from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.recipes.steps import (
    PredictConfig,
    asker,
    identity_of,
    measure,
    only_split,
    pictures,
    sample_rows,
    split_real,
)

FIELDS = tasks.fields()
NAMES = list(FIELDS)


def rows(folder: Path, *cells: tuple[str, str, str]) -> Path:
    """Write a manifest of (task, label, split), an image each."""
    write_images(folder, [f"{n}.png" for n in range(len(cells))])
    made = [
        Row(path=str(folder / f"{n}.png"), task=task, label=label, split=split, group=str(n))
        for n, (task, label, split) in enumerate(cells)
    ]
    write_manifest(folder / "manifest.csv", made)
    return folder / "manifest.csv"


def test_real_val_rows_only_measure(tmp_path: Path) -> None:
    lamp = "traffic_light.state"
    table = rows(tmp_path, (lamp, "red", "train"), (lamp, "green", "val"), (lamp, "off", "test"))
    split_real({}, images=[table], out=tmp_path)
    assert [row.label for row in read_manifest(tmp_path / "train.csv", tasks=FIELDS)] == ["red"]
    measured = read_manifest(tmp_path / "test.csv", tasks=FIELDS)
    assert [(row.label, row.split) for row in measured] == [("green", "test"), ("off", "test")]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_run_on_images_needs_both_sides(tmp_path: Path, split: str) -> None:
    table = rows(tmp_path, ("traffic_light.state", "red", split))
    with pytest.raises(InputError, match="needs rows of split train and of split val or test"):
        split_real({}, images=[table], out=tmp_path)


def test_one_split_is_kept(tmp_path: Path) -> None:
    table = rows(tmp_path, ("cone.count", "0", "train"), ("cone.count", "1-2", "val"))
    (tmp_path / "out").mkdir()
    only_split({"split": "val"}, manifest=table, out=tmp_path / "out")
    assert [row.label for row in read_manifest(tmp_path / "out" / "manifest.csv", tasks=FIELDS)] == ["1-2"]


def test_a_sample_spreads_over_labels() -> None:
    labels = ["red"] * 50 + ["green"] * 3 + ["off"]
    all_rows = [Row(path=str(n), task="t", label=label, split="train", group="") for n, label in enumerate(labels)]
    chosen = sample_rows(all_rows, 7, seed=0)
    assert Counter(row.label for row in chosen) == {"red": 3, "green": 3, "off": 1}
    assert chosen == sample_rows(all_rows, 7, seed=0)
    assert len(sample_rows(all_rows, 1000, seed=0)) == len(labels)


def test_a_sample_gives_every_field_its_rows_from_few_images() -> None:
    names = ["a", "b", "c"]
    all_rows = [
        Row(path=str(image), task=task, label=str(image % 3), split="train", group="")
        for image in range(60)
        for task in (names if image < 40 else names[:1])
    ]
    chosen = sample_rows(all_rows, 10, seed=0)
    counts = Counter(row.task for row in chosen)
    assert min(counts.values()) >= 10
    assert len({row.path for row in chosen}) <= 20
    paths = {row.path for row in chosen}
    assert sorted(r.task for r in all_rows if r.path in paths) == sorted(r.task for r in chosen)


def test_without_prompts_every_question_is_canonical(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (picture,) = pictures(tmp_path / "a.png", FIELDS, NAMES)
    asked = asker(FIELDS, None)(picture.read(), NAMES, "")
    assert list(asked) == NAMES
    assert all(question is not None and FIELDS[name].question in question.text for name, question in asked.items())


def test_a_folder_is_answered_in_order_of_names(tmp_path: Path) -> None:
    write_images(tmp_path, ["b.png", "a.JPG", "c.bmp"])
    (tmp_path / "notes.txt").write_text("")
    assert [Path(p.path).name for p in pictures(tmp_path, FIELDS, NAMES)] == ["a.JPG", "b.png", "c.bmp"]


def test_a_video_is_answered_frame_by_frame(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", frames=4)
    found = list(pictures(video, FIELDS, ["cone.count"]))
    assert [(p.path, p.frame, p.fields) for p in found] == [(str(video), n, ("cone.count",)) for n in range(4)]


def test_a_measurement_takes_nothing_from_a_killed_one(tiny_folder: Path, tmp_path: Path) -> None:
    table = rows(tmp_path / "images", ("cone.count", "0", "test"))
    stale = tmp_path / "attempt-old"
    stale.mkdir()
    (stale / "preds.jsonl").write_text("half")
    config = PredictConfig(blind=True, threads=1, dtype="float32")
    said = measure(config, model=tiny_folder, manifest=table, prompts=None, key="x", out=tmp_path)
    assert said == tmp_path / "preds.jsonl"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "images", "preds.jsonl", "preds.cost.json", "preds.blind.jsonl", "preds.blind.cost.json", "preds.run.json"
    }  # fmt: skip
    assert len(said.read_text().splitlines()) == 1
    cost = json.loads((tmp_path / "preds.cost.json").read_text())
    assert cost["dtype"] == "float32" and cost["peak_rss_mb"] > 100
    assert cost["model_mb"] is None or 0 < cost["model_mb"] < 0.5 * cost["peak_rss_mb"]


def identity(source: Path, model: Path, **settings: object) -> str:
    return identity_of(settings, {"model": model, "source": source, "prompts": None})


@pytest.mark.parametrize("kind", ["image", "folder", "manifest", "video"])
def test_what_predictions_depend_on_is_in_their_identity(tmp_path: Path, kind: str) -> None:
    folder = write_images(tmp_path / "pictures", ["0.png", "1.png", "2.png"])
    write_video(tmp_path / "drive.mp4")
    table = rows(tmp_path / "listed", ("cone.count", "0", "val"), ("cone.count", "0", "val"))
    source, touched = {
        "image": (folder / "1.png", folder / "1.png"),
        "folder": (folder, folder / "1.png"),
        "manifest": (table, table.parent / "1.png"),
        "video": (tmp_path / "drive.mp4", tmp_path / "drive.mp4"),
    }[kind]
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("1")
    first = identity(source, model, strict=False)
    assert first == identity(source, model, strict=False)
    found = {first, identity(source, model, strict=True)}
    (model / "weights").write_text("2")
    found.add(identity(source, model, strict=False))
    if kind == "video":
        write_video(touched, frames=7)
    else:
        touched.write_bytes((folder / "2.png").read_bytes())
    found.add(identity(source, model, strict=False))
    assert len(found) == 4


def test_a_manifest_that_asks_for_other_fields_has_another_identity(tmp_path: Path) -> None:
    first = rows(tmp_path, ("cone.count", "0", "val"))
    one = identity(first, tmp_path)
    assert one != identity(rows(tmp_path, ("traffic_light.state", "red", "val")), tmp_path)


def test_rows_of_unreadable_images_are_left_out_of_what_is_measured(tmp_path: Path) -> None:
    lamp = "traffic_light.state"
    table = rows(tmp_path, (lamp, "red", "train"), (lamp, "green", "val"), (lamp, "off", "val"), (lamp, "off", "train"))
    for name in ("0.png", "2.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:70])
    split_real({}, images=[table], out=tmp_path)
    assert [row.label for row in read_manifest(tmp_path / "train.csv", tasks=FIELDS)] == ["off"]
    assert [row.label for row in read_manifest(tmp_path / "test.csv", tasks=FIELDS)] == ["green"]
    (tmp_path / "out").mkdir()
    only_split({"split": "val"}, manifest=table, out=tmp_path / "out")
    assert [row.label for row in read_manifest(tmp_path / "out" / "manifest.csv", tasks=FIELDS)] == ["green"]
    with pytest.raises(InputError, match=r"0\.png: no readable image"):
        split_real({"strict": True}, images=[table], out=tmp_path)


def test_a_split_without_a_readable_image_is_one_line(tmp_path: Path) -> None:
    table = rows(tmp_path, ("cone.count", "0", "val"))
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"none of its 1 images can be read; the first: .*0\.png"):
        only_split({"split": "val"}, manifest=table, out=tmp_path)
