import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drivelet import tasks
from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.core.tables import read_rows
from drivelet.dataset.export_chat import to_llava
from drivelet.dataset.export_parquet import to_parquet
from drivelet.dataset.mix import MixConfig, mix

FIELDS = tasks.fields()
STATE = "traffic_light.state"
FRAMES = 12


def picture(seed: int) -> ImageArray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 48), Image.Resampling.BILINEAR))


def read_frames(file: str, indices: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
    """A drive whose frame n shows picture 1000 + n; frame 3 is damaged."""
    assert Path(file).is_absolute()
    assert Path(file).name == "one.mp4"
    yield from ((index, picture(1000 + index)) for index in indices if index != 3)


def images(folder: Path, seeds: Sequence[int], *, splits: str = "train", source: str = "", task: str = STATE) -> Path:
    folder.mkdir()
    rows = []
    for n, seed in enumerate(seeds):
        path = folder / f"{n:03d}.png"
        Image.fromarray(picture(seed)).save(path)
        label = ("red", "green", "off")[n % 3] if task == STATE else "some"
        split = splits if splits != "mixed" else ("train", "val", "test")[n % 3]
        rows.append(Row(path=str(path), task=task, label=label, split=split, group=f"g{n}", source=source))
    write_manifest(folder / "manifest.csv", rows)
    return folder


def labelled_drive(folder: Path) -> Path:
    folder.mkdir()
    with (folder / "labels.jsonl").open("w") as stream:
        for frame in range(FRAMES):
            record = {"drive": "one", "file": "one.mp4", "frame": frame, "t": frame / 5, "task": STATE, "answer": "red"}
            rest = {
                "prob": 0.9 if frame else 0.3,
                "accepted": frame != 1,
                "reason": "" if frame != 1 else "votes disagree",
            }
            stream.write(json.dumps(record | rest) + "\n")
    return folder


def run(tmp_path: Path, sources: Sequence[Path], name: str = "out", **options: float | int | None) -> list[Row]:
    config = MixConfig(**options)  # type: ignore[arg-type]
    manifest = mix(config, sources=sources, fields=FIELDS, read_frames=read_frames, out=tmp_path / name)
    return read_manifest(manifest, tasks=FIELDS)


def origins(rows: Sequence[Row]) -> dict[str, int]:
    count: dict[str, int] = {}
    for row in rows:
        if row.split == "train":
            count[row.source.split(":")[0]] = count.get(row.source.split(":")[0], 0) + 1
    return count


def test_all_four_kinds_mix_half_and_half_with_a_ledger(tmp_path: Path) -> None:
    render = images(tmp_path / "render", range(100, 130))
    (render / "scenes.jsonl").write_text("{}\n")
    sources = [
        images(tmp_path / "real", range(18), splits="mixed", source="github:somewhere") / "manifest.csv",
        labelled_drive(tmp_path / "drive"),
        render,
        images(tmp_path / "paint", range(200, 210), source="paint"),
    ]
    rows = run(tmp_path, sources, val_share=0.2)
    count = origins(rows)
    assert count["real"] == 6
    assert count["drive"] == FRAMES - 3
    assert count["render"] + count["paint"] == 15
    report = json.loads((tmp_path / "out" / "mix.json").read_text())
    assert report["real_share"] == 0.5
    assert report["images"]["train"] == {"real": 15, "synthetic": 15}
    assert report["rows"]["source"] == count
    assert report["rejected"]["label: not accepted: votes disagree"] == 1
    assert report["rejected"]["label: probability too low"] == 1
    assert report["rejected"]["quality: frame damaged, or beyond the cap of its video"] == 1
    items = read_rows(tmp_path / "out" / "items.lance")
    assert len(items) == 18 + FRAMES + 30 + 10
    assert sum(item["accepted"] for item in items) == len(rows)
    with (tmp_path / "out" / "rejections.csv").open() as stream:
        assert all(line["reason"] for line in csv.DictReader(stream))
    drive = [row for row in rows if row.source == "drive"]
    assert {row.weight for row in drive} == {0.9}
    assert {Path(row.path).parent for row in drive} == {tmp_path / "out" / "frames"}
    assert {path.name for path in (tmp_path / "out" / "frames").iterdir()} == {Path(row.path).name for row in drive}


def test_what_a_reviewer_decided_counts_in_full(tmp_path: Path) -> None:
    drive = labelled_drive(tmp_path / "drive")
    records = [json.loads(line) for line in (drive / "labels.jsonl").read_text().splitlines()]
    records[0] |= {"review": "accepted"}  # its probability alone would keep it out
    records[1] |= {"review": "fixed", "answer": "green", "accepted": True, "reason": ""}
    records[2] |= {"review": "rejected", "accepted": False, "reason": "rejected_by_reviewer"}
    records[4] |= {"review": ""}
    (drive / "labels.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    rows = run(tmp_path, [drive, images(tmp_path / "paint", range(200, 230), source="paint")])
    found = {int(Path(row.path).stem[-6:]): row for row in rows if row.source == "drive"}
    assert (found[0].label, found[0].weight, found[0].trust) == ("red", 1.0, "high")
    assert (found[1].label, found[1].weight, found[1].trust) == ("green", 1.0, "high")
    assert (found[4].label, found[4].weight, found[4].trust) == ("red", 0.9, "pseudo")
    assert 2 not in found
    report = json.loads((tmp_path / "out" / "mix.json").read_text())
    assert report["rejected"]["label: not accepted: rejected_by_reviewer"] == 1


def test_it_is_deterministic(tmp_path: Path) -> None:
    render = images(tmp_path / "render", range(100, 140), source="render")
    sources = [images(tmp_path / "real", range(9)), labelled_drive(tmp_path / "drive"), render]
    options = {"max_images": 14, "val_share": 0.1}
    first = run(tmp_path, sources, "first", **options)
    again = run(tmp_path, sources, "again", **options)
    assert [Path(row.path).name for row in first] == [Path(row.path).name for row in again]
    other = run(tmp_path, sources, "other", seed=1, **options)
    assert {row.path for row in first} != {row.path for row in other}
    assert sum(row.split == "train" for row in first) == 14


def test_a_drive_that_shows_a_val_image_leaves_train_as_a_whole(tmp_path: Path) -> None:
    real = images(tmp_path / "real", [0, 1005, 2, 3, 4, 5], splits="mixed")
    rows = run(tmp_path, [real, labelled_drive(tmp_path / "drive")])
    assert origins(rows) == {"real": 2}
    report = json.loads((tmp_path / "out" / "mix.json").read_text())
    assert report["rejected"]["split: its drive shows a val image"] == FRAMES - 3


def test_a_picture_of_the_test_split_never_enters_train(tmp_path: Path) -> None:
    real = images(tmp_path / "real", range(9), splits="mixed")
    copy = images(tmp_path / "copy", range(9))
    rows = run(tmp_path, [real, copy], real_share=None)
    held_out = {2, 5, 8}
    pixels = {seed: picture(seed).tobytes() for seed in range(9)}
    for row in rows:
        shown = np.asarray(Image.open(row.path)).tobytes()
        assert row.split == "test" or shown not in {pixels[seed] for seed in held_out}


@pytest.mark.parametrize("damage", ["missing", "empty", "json", "key"])
def test_a_damaged_source_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "source"
    if damage != "missing":
        folder.mkdir()
    if damage == "json":
        (folder / "labels.jsonl").write_text("{broken\n")
    if damage == "key":
        (folder / "labels.jsonl").write_text('{"drive": "one"}\n')
    with pytest.raises(InputError) as caught:
        run(tmp_path, [folder])
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_llava_and_parquet_round_trip(tmp_path: Path) -> None:
    rows = run(tmp_path, [images(tmp_path / "real", range(6), splits="mixed")])
    manifest = tmp_path / "out" / "manifest.csv"
    records = json.loads((to_llava(manifest, FIELDS, tmp_path / "llava") / "train.json").read_text())
    expected = [(row.path, row.label) for row in rows if row.split == "train"]
    assert [(r["image"], r["conversations"][1]["value"]) for r in records] == expected
    question = f"<image>\n{FIELDS[STATE].question}"
    assert {r["conversations"][0]["value"] for r in records} == {question}
    assert len({r["id"] for r in records}) == len(records)

    folder = to_parquet(manifest, FIELDS, tmp_path / "parquet", rows_per_group=1) / "data"
    table = pq.read_table(folder / "train-00000-of-00001.parquet")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert list(features) == table.column_names
    for record, (path, label) in zip(table.to_pylist(), expected, strict=True):
        assert record["answer"] == label
        shown = Image.open(io.BytesIO(record["image"]["bytes"]))
        assert np.array_equal(np.asarray(shown), np.asarray(Image.open(path)))
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"train", "validation", "test"}


def test_a_coarse_label_has_no_single_answer_to_export(tmp_path: Path) -> None:
    run(tmp_path, [images(tmp_path / "real", range(3), task="cone.count")], val_share=0.0)
    manifest = tmp_path / "out" / "manifest.csv"
    assert json.loads((to_llava(manifest, FIELDS, tmp_path / "llava") / "train.json").read_text()) == []
    table = pq.read_table(to_parquet(manifest, FIELDS, tmp_path / "p") / "data" / "train-00000-of-00001.parquet")
    assert set(table["answer"].to_pylist()) == {""}
    assert set(table["label"].to_pylist()) == {"some"}
