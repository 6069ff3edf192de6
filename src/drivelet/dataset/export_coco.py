"""Export as COCO object detection: images, boxes by task, and every row's answer beside its image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import Field
from drivelet.core.boxes import FORMS, Box, inside, read_boxes
from drivelet.core.images import image_size
from drivelet.core.manifest import Row
from drivelet.core.progress import say
from drivelet.dataset.export_rows import by_image, by_split, picture

KEPT = ("task", "label", "group", "trust", "source", "licence", "weight", "sensor")
Sizes = dict[str, tuple[int, int]]


def to_coco(manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write `out/annotations/{split}.json` and put the images into `out/images/{split}`, upright.

    A category is a task: what its boxes hold. An image's `answers` (our own key, which COCO's readers pass over) are
    its rows; an image without boxes stays, as a negative. Same boxes of fields of one task stand once; what
    reaches beyond its picture is cut there, and counted.

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
        sizes[path] = image_size(path)
        suffix, content = picture(path)
        name = f"{number:08d}{suffix}"
        (folder / name).write_bytes(content)
        yield {
            "id": number,
            "file_name": name,
            "width": sizes[path][0],
            "height": sizes[path][1],
            "answers": [{key: getattr(row, key) for key in KEPT} for row in rows],
        }


def _annotations(images: Mapping[str, list[Row]], categories: list[str], sizes: Sizes) -> Iterator[dict[str, Any]]:
    count = 0
    faults: dict[str, list[str]] = {"unread": [], "cut": [], "outside": []}
    for number, (path, rows) in enumerate(images.items(), 1):
        for task, (x0, y0, x1, y1) in _boxes(path, rows, sizes[path], faults):
            count += 1
            yield {
                "id": count,
                "image_id": number,
                "category_id": categories.index(task) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
            }
    _report(faults)


def _boxes(
    path: str, rows: Sequence[Row], size: tuple[int, int], faults: Mapping[str, list[str]]
) -> Iterator[tuple[str, Box]]:
    """Yield (task, box inside the picture), each once; note in `faults` the image of what is not as it was given."""
    width, height = size
    given: dict[tuple[str, Box], None] = {}
    for row in rows:
        try:
            found = read_boxes(row.boxes, width=width, height=height)
        except ValueError:
            found = []
            faults["unread"].append(path)
        given |= dict.fromkeys((row.task.split(".")[0], box) for box in found)
    for task, box in given:
        part = inside(box, width=width, height=height)
        if part is None:
            faults["outside"].append(path)
            continue
        # Shares of the image are rounded: half a pixel over the edge is none over it.
        if max(abs(a - b) for a, b in zip(box, part, strict=True)) > 0.5:
            faults["cut"].append(path)
        yield task, part


def _report(faults: Mapping[str, Sequence[str]]) -> None:
    if unread := faults["unread"]:
        say(f"{len(unread)} rows have boxes that COCO cannot take: they are not {FORMS}")
    if cut := faults["cut"]:
        say(f"{len(cut)} boxes reach beyond their picture and are cut at its edge, first that of {cut[0]}")
    if outside := faults["outside"]:
        lie = "boxes lie outside their picture or are empty and are left out, first that of"
        say(f"{len(outside)} {lie} {outside[0]}; they count from the upper left corner of what a viewer shows")
