"""Every export, opened by the library that owns the format."""

import io
import json
import os
import tarfile
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard
from PIL import Image, ImageOps

from drivelet import tasks
from drivelet.core.artifacts import ImageArray
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.dataset.export import FORMATS, export

FIELDS = tasks.fields()
SPLITS = ("train", "train", "val", "test")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Eight images, PNG and JPEG, with boxes in both forms, fine and coarse labels, sensor text and weights."""
    rows = []
    for n in range(8):
        path = tmp_path / f"{n}.{'png' if n % 2 else 'jpg'}"
        pixels = np.random.default_rng(n).integers(0, 256, (24 + n, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        base = Row(path=str(path), task="traffic_light.state", label="red", split=SPLITS[n % 4], group=f"g{n}")
        boxes = "[[1, 2, 11, 22]]" if n % 2 else '[["lamp", 0.5, 0.5, 0.25, 0.5]]'
        rows.append(replace(base, boxes=boxes, sensor='Sensors: dark, "wet".' if n % 2 else "", weight=0.75))
        rows.append(
            replace(base, task="cone.count", label="some", boxes="[[3, 4, 9, 12], [1, 1, 2, 2]]", source="real")
        )
        rows.append(replace(base, task="cone.in_path", label="yes", boxes="[[3, 4, 9, 12]]", licence="CC-BY, v4"))
    write_manifest(tmp_path / "manifest.csv", rows)
    return tmp_path / "manifest.csv"


def told(row: Row) -> str:
    allowed = FIELDS[row.task].parse(row.label)
    return next(iter(allowed)) if len(allowed) == 1 else ""


def plain(row: Row) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "path"}


def of_split(manifest: Path, split: str) -> list[Row]:
    return [row for row in read_manifest(manifest, tasks=FIELDS) if row.split == split]


def test_hugging_face_datasets_decodes_every_row(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    folder = export("parquet", manifest, FIELDS, tmp_path / "hf")
    files = {
        split: str(folder / "data" / f"{split}-00000-of-00001.parquet") for split in ("train", "validation", "test")
    }
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = of_split(manifest, split)
        assert len(found[name]) == len(rows)
        for record, row in zip(found[name], rows, strict=True):
            with Image.open(row.path) as image:
                assert np.array_equal(np.asarray(record["image"].convert("RGB")), np.asarray(image.convert("RGB")))
            kept = {key: value for key, value in plain(row).items() if key != "split"}
            assert {key: record[key] for key in kept} == kept
            assert record["answer"] == told(row)
            assert record["question"] == FIELDS[row.task].question


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the library leaves its tar files to the collector
def test_webdataset_streams_every_image_with_its_rows(manifest: Path, tmp_path: Path) -> None:
    import webdataset

    folder = export("webdataset", manifest, FIELDS, tmp_path / "wds")
    for split in ("train", "val", "test"):
        rows = of_split(manifest, split)
        samples = list(webdataset.WebDataset(str(folder / f"{split}-000000.tar"), shardshuffle=False).decode("rgb8"))
        assert len({sample["__key__"] for sample in samples}) == len({row.path for row in rows})
        read = [row for sample in samples for row in sample["json"]["rows"]]
        assert [{k: row[k] for k in row if k not in ("question", "answer")} for row in read] == [plain(r) for r in rows]
        assert [row["answer"] for row in read] == [told(row) for row in rows]
        for sample, path in zip(samples, dict.fromkeys(row.path for row in rows), strict=True):
            with Image.open(path) as image:
                assert np.array_equal(sample[Path(path).suffix[1:]], np.asarray(image.convert("RGB")))


def test_webdataset_shards_are_the_same_bytes_and_none_is_left_over(manifest: Path, tmp_path: Path) -> None:
    first = FORMATS["webdataset"](manifest, FIELDS, tmp_path / "w", images_per_shard=1)
    shards = {path.name: path.read_bytes() for path in first.iterdir()}
    assert sorted(shards) == [
        *(f"test-{n:06d}.tar" for n in range(2)),
        *(f"train-{n:06d}.tar" for n in range(4)),
        *(f"val-{n:06d}.tar" for n in range(2)),
    ]
    os.utime(of_split(manifest, "train")[0].path)
    FORMATS["webdataset"](manifest, FIELDS, tmp_path / "w", images_per_shard=1)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == shards
    FORMATS["webdataset"](manifest, FIELDS, tmp_path / "w")
    assert sorted(path.name for path in first.iterdir()) == [f"{s}-000000.tar" for s in ("test", "train", "val")]


def test_pycocotools_reads_boxes_negatives_and_answers(manifest: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    lone = tmp_path / "lone.png"
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(lone)
    rows = [*read_manifest(manifest, tasks=FIELDS)]
    rows.append(Row(path=str(lone), task="cone.count", label="0", split="train", group="lone"))
    write_manifest(manifest, rows)
    folder = export("coco", manifest, FIELDS, tmp_path / "coco")
    for split in ("train", "val", "test"):
        rows = of_split(manifest, split)
        with redirect_stdout(io.StringIO()):
            coco = COCO(str(folder / "annotations" / f"{split}.json"))
        assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(tasks.load())
        images = coco.loadImgs(coco.getImgIds())
        answers = [said for image in images for said in image["answers"]]
        assert [(said["task"], said["label"], said["weight"]) for said in answers] == [
            (row.task, row.label, row.weight) for row in rows
        ]
        for image in images:
            with Image.open(folder / "images" / split / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"])
            cones = coco.loadAnns(coco.getAnnIds(imgIds=image["id"], catIds=coco.getCatIds(catNms=["cone"])))
            boxes = [annotation["bbox"] for annotation in cones]
            assert boxes == ([] if len(image["answers"]) == 1 else [[3, 4, 6, 8], [1, 1, 1, 1]])
            lamps = coco.loadAnns(coco.getAnnIds(imgIds=image["id"], catIds=coco.getCatIds(catNms=["traffic_light"])))
            for lamp in lamps:
                width, height = image["width"], image["height"]
                named = [0.375 * width, 0.25 * height, 0.25 * width, 0.5 * height]
                assert lamp["bbox"] in ([1, 2, 10, 20], named)
                assert lamp["area"] == lamp["bbox"][2] * lamp["bbox"][3]


def test_llava_has_one_conversation_for_every_row_with_one_answer(manifest: Path, tmp_path: Path) -> None:
    folder = export("llava", manifest, FIELDS, tmp_path / "llava")
    for split in ("train", "val", "test"):
        rows = [row for row in of_split(manifest, split) if told(row)]
        records = json.loads((folder / f"{split}.json").read_text())
        assert [record["image"] for record in records] == [row.path for row in rows]
        assert len({record["id"] for record in records}) == len(rows)
        for record, row in zip(records, rows, strict=True):
            human, gpt = record["conversations"]
            asked = f"<image>\n{row.sensor} {FIELDS[row.task].question}" if row.sensor else None
            assert human == {"from": "human", "value": asked or f"<image>\n{FIELDS[row.task].question}"}
            assert gpt == {"from": "gpt", "value": told(row)}


def test_sharegpt_keeps_the_rules_of_llama_factory(manifest: Path, tmp_path: Path) -> None:
    """Turns alternate from user to assistant, and there are as many image marks as images (its data README)."""
    folder = export("sharegpt", manifest, FIELDS, tmp_path / "sharegpt")
    info = json.loads((folder / "dataset_info.json").read_text())
    assert set(info) == {"drivelet_train", "drivelet_val", "drivelet_test"}
    for split in ("train", "val", "test"):
        about = info[f"drivelet_{split}"]
        rows = [row for row in of_split(manifest, split) if told(row)]
        records = json.loads((folder / about["file_name"]).read_text())
        assert len(records) == len(rows)
        assert about["formatting"] == "sharegpt"
        columns, tags = about["columns"], about["tags"]
        for record, row in zip(records, rows, strict=True):
            turns, images = record[columns["messages"]], record[columns["images"]]
            roles = [turn[tags["role_tag"]] for turn in turns]
            assert roles == [tags["user_tag"], tags["assistant_tag"]]
            assert sum(turn[tags["content_tag"]].count("<image>") for turn in turns) == len(images)
            assert images == [row.path] and Path(images[0]).is_file()
            assert turns[1][tags["content_tag"]] == told(row)


def test_the_card_comes_along_and_hugging_face_reads_it(manifest: Path, tmp_path: Path) -> None:
    from drivelet.dataset.card import write_card
    from drivelet.dataset.clean import Cleaned, Rejection

    rows = read_manifest(manifest, tasks=FIELDS)
    result = Cleaned(
        rows=rows[1:], rejected=[Rejection(row=rows[0], stage="quality", reason="too dark | too | bright")]
    )
    origin = {row.path: "real" for row in rows}
    settings = {"seed": 3, "looks": {"min_side": 9, "max_dark": 5}, "shares": {"real": 1.0}}
    defaults = {"seed": 0, "looks": {"min_side": 8, "max_dark": 5}, "shares": {}}
    write_card(
        tmp_path, result=result, origin=origin, sources=[manifest], config=settings, defaults=defaults, options=["-x"]
    )
    folder = export("parquet", manifest, FIELDS, tmp_path / "hf")
    card = DatasetCard.load(folder / "README.md")

    head = card.data.to_dict()
    assert head["license"] == "other" and head["license_name"]
    assert head["size_categories"] == ["n<1K"]
    assert "cone" in head["tags"]
    text = card.text
    assert "| real | 4 | 2 | 2 |" in text
    assert "| cone.count | some | 4 | 2 | 2 |" in text
    assert "| quality: too dark \\| too \\| bright | 1 |" in text
    assert "| CC-BY, v4 | 8 |" in text and "not stated" in text
    assert "--set seed=3 --set looks.min_side=9 --set 'shares={\"real\": 1.0}' -x" in text
    assert "Seed 3." in text


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A photo stored sideways, a 16-bit picture and a TIFF, each with a box on the picture as a viewer shows it."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(tmp_path / "a.jpg", exif=exif, quality=95)
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / "b.png")
    Image.fromarray(pixels).save(tmp_path / "c.tif")
    base = Row(path="", task="cone.in_path", label="yes", split="train", group="g", boxes="[[30, 4, 38, 12]]")
    rows = [replace(base, path=str(tmp_path / name), group=name) for name in ("a.jpg", "b.png", "c.tif")]
    write_manifest(tmp_path / "odd.csv", rows)
    return tmp_path / "odd.csv"


def shown_by_a_trainer(content: bytes) -> ImageArray:
    """What a reader sees that knows neither EXIF nor 16 bits, and one that applies EXIF: the same."""
    with Image.open(io.BytesIO(content)) as image:
        assert not image.getexif().get(0x0112)
        plain = np.asarray(image.convert("RGB"))
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(image).convert("RGB")), plain)
    return plain


def test_every_export_holds_pictures_as_a_viewer_shows_them(odd: Path, tmp_path: Path) -> None:
    rows = of_split(odd, "train")
    wanted = [read_image(row.path) for row in rows]
    assert [image.shape for image in wanted] == [(20, 40, 3)] * 3
    found: dict[str, list[bytes]] = {}

    coco = export("coco", odd, FIELDS, tmp_path / "coco")
    records = json.loads((coco / "annotations" / "train.json").read_text())
    assert [(r["width"], r["height"]) for r in records["images"]] == [(40, 20)] * 3
    assert [a["bbox"] for a in records["annotations"]] == [[30, 4, 8, 8]] * 3
    found["coco"] = [(coco / "images" / "train" / r["file_name"]).read_bytes() for r in records["images"]]

    table = pq.read_table(export("parquet", odd, FIELDS, tmp_path / "hf") / "data" / "train-00000-of-00001.parquet")
    found["parquet"] = [image["bytes"] for image in table["image"].to_pylist()]
    assert [image["path"] for image in table["image"].to_pylist()] == ["a.png", "b.png", "c.png"]

    shard = export("webdataset", odd, FIELDS, tmp_path / "wds") / "train-000000.tar"
    with tarfile.open(shard) as tar:
        found["webdataset"] = [tar.extractfile(m).read() for m in tar if m.name.endswith(".png")]  # type: ignore[union-attr]

    for name, key in (("llava", "image"), ("sharegpt", "images")):
        told_ = json.loads((export(name, odd, FIELDS, tmp_path / name) / "train.json").read_text())
        paths = [record[key] if key == "image" else record[key][0] for record in told_]
        found[name] = [Path(path).read_bytes() for path in paths]

    for name, contents in found.items():
        assert len(contents) == 3, name
        for content, image in zip(contents, wanted, strict=True):
            assert np.array_equal(shown_by_a_trainer(content), image), name


def test_boxes_outside_their_picture_are_cut_or_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((20, 40, 3), 90, np.uint8)).save(tmp_path / "a.png")
    boxes = [[1, 2, 9, 12], [30, 4, 60, 12], [-5, -5, 3, 3], [50, 4, 60, 12], [9, 9, 3, 3], [0, 0, 40.2, 20]]
    row = Row(
        path=str(tmp_path / "a.png"), task="cone.in_path", label="yes", split="train", group="g",
        boxes=json.dumps(boxes),
    )  # fmt: skip
    write_manifest(tmp_path / "m.csv", [row])
    folder = export("coco", tmp_path / "m.csv", FIELDS, tmp_path / "coco")
    written = json.loads((folder / "annotations" / "train.json").read_text())["annotations"]
    assert [a["bbox"] for a in written] == [[1, 2, 8, 10], [30, 4, 10, 8], [0, 0, 3, 3], [0, 0, 40, 20]]
    assert [a["area"] for a in written] == [80, 80, 9, 800]
    said = capsys.readouterr().err
    assert "2 boxes reach beyond their picture and are cut" in said
    assert "2 boxes lie outside their picture or are empty and are left out" in said
