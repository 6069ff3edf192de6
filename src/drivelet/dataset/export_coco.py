"""Export as COCO object detection: images, boxes by task, and every row's answer beside its image."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from drivelet.core.artifacts import Field
from drivelet.core.boxes import FORMS, Box, read_boxes
from drivelet.core.manifest import Row
from drivelet.core.progress import say
from drivelet.dataset.export_rows import by_image, by_split

KEPT = ("task", "label", "group", "trust", "source", "licence", "weight", "sensor")
Sizes = dict[str, tuple[int, int]]


def to_coco(manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write `out/annotations/{split}.json` and copy the images to `out/images/{split}`.

    A category is a task: what its boxes hold. An image's `answers` (our own key, which COCO's readers pass over) are
    its rows; an image without boxes stays, as a negative. Boxes of fields of one task that are the same stand once.

    Raises:
        InputError: the manifest is damaged.
    """
    categories = list(dict.fromkeys(name.split(".")[0] for name in fields))
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    for split, rows in by_split(manifest, fields).items():
        folder = out / "images" / split
        folder.mkdir(parents=True, exist_ok=True)
        images = by_image(rows)
        sizes: Sizes = {}
        parts = {
            "images": _images(images, folder, sizes),
            "annotations": _annotations(images, categories, sizes),
            "categories": ({"id": n, "name": name} for n, name in enumerate(categories, 1)),
        }
        _write(out / "annotations" / f"{split}.json", parts)
    return out


def _write(path: Path, parts: Mapping[str, Iterator[dict[str, Any]]]) -> None:
    """Write the lists of one object whole or not at all, record by record."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as stream:
        for place, (name, records) in enumerate(parts.items()):
            stream.write(("," if place else "{") + f'\n"{name}": [')
            for number, record in enumerate(records):
                stream.write((",\n" if number else "\n") + json.dumps(record, ensure_ascii=False))
            stream.write("]")
        stream.write("\n}\n")
    partial.replace(path)


def _images(images: Mapping[str, list[Row]], folder: Path, sizes: Sizes) -> Iterator[dict[str, Any]]:
    for number, (path, rows) in enumerate(images.items(), 1):
        with Image.open(path) as image:
            sizes[path] = image.size
        name = f"{number:08d}{Path(path).suffix.lower()}"
        shutil.copyfile(path, folder / name)
        yield {
            "id": number,
            "file_name": name,
            "width": sizes[path][0],
            "height": sizes[path][1],
            "answers": [{key: getattr(row, key) for key in KEPT} for row in rows],
        }


def _annotations(images: Mapping[str, list[Row]], categories: list[str], sizes: Sizes) -> Iterator[dict[str, Any]]:
    count, unread = 0, 0
    for number, (path, rows) in enumerate(images.items(), 1):
        boxes: dict[tuple[str, Box], None] = {}
        for row in rows:
            try:
                found = read_boxes(row.boxes, width=sizes[path][0], height=sizes[path][1])
            except ValueError:
                found, unread = [], unread + 1
            boxes |= dict.fromkeys((row.task.split(".")[0], box) for box in found)
        for task, (x0, y0, x1, y1) in boxes:
            count += 1
            yield {
                "id": count,
                "image_id": number,
                "category_id": categories.index(task) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
            }
    if unread:
        say(f"{unread} rows have boxes that COCO cannot take: they are not {FORMS}")
