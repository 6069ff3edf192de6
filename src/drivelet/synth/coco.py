"""COCO export of a render folder: one JSON file that detection libraries load."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from drivelet.synth.facts import SEEN
from drivelet.synth.records import rendered_frames

NAME = "coco.json"
GROUPS = {
    "signal": ("lamp", "traffic_light"),
    "sign": ("speed_sign", "end_sign", "stop_sign", "yield_sign"),
    "work zone": ("cone", "drum", "channeliser", "barrier", "arrow_board", "work_sign"),
    "road": ("cross_street", "crosswalk", "stop_line", "yield_line"),
    "vehicle": ("car", "truck", "bus"),
    "person": ("person", "cyclist"),
}
OWN = ("kind", "id", "at", "box", "amodal", "pixels", "visible")
"""Fields of an object that have a place of their own in COCO, or none."""


def to_coco(folder: Path) -> Path:
    """Write `coco.json` beside the frames of a render folder and return its path; frames are read one by one.

    Every object that counts as seen is an annotation: `bbox` is the visible part's [x, y, width, height], `area` its
    visible pixels, `iscrowd` 0, and `attributes` holds `amodal_bbox`, `visible_fraction`, `distance_m`, `object` (the
    instance id) and what else is known (state, governing, facing, value, unit, lane_offset ...). An image carries
    `gold`, the answer of every field, and `file_name` is relative to the folder.

    Raises:
        InputError: there are no rendered frames.
    """
    path = folder / NAME
    partial = path.with_suffix(".partial")
    kinds = dict.fromkeys(SEEN)
    with partial.open("w", encoding="utf-8") as stream:
        stream.write('{"info": {"description": "Drivelet renders"}, "licenses": [{"id": 1, "name": "Apache-2.0"}]')
        _array(stream, "images", _images(folder, kinds))
        numbers = {kind: number for number, kind in enumerate([*SEEN, *sorted(kinds.keys() - SEEN)], start=1)}
        _array(stream, "annotations", _annotations(folder, numbers))
        _array(stream, "categories", [_category(kind, number) for kind, number in numbers.items()])
        stream.write("}\n")
    partial.replace(path)
    return path


def _array(stream: IO[str], name: str, items: Iterable[Mapping[str, Any]]) -> None:
    stream.write(f', "{name}": [')
    for number, item in enumerate(items):
        stream.write((",\n" if number else "\n") + json.dumps(item))
    stream.write("]")


def _images(folder: Path, kinds: dict[str, None]) -> Iterator[dict[str, Any]]:
    """Yield the images, and note every kind of object in `kinds`."""
    for number, (image, record) in enumerate(rendered_frames(folder), start=1):
        kinds.update(dict.fromkeys(item["kind"] for item in record["objects"]))
        width, height = record["size"]
        yield {
            "id": number, "file_name": image.relative_to(folder).as_posix(), "width": width, "height": height,
            "license": 1, "scene": record["id"], "gold": record.get("gold", {}),
        }  # fmt: skip


def _annotations(folder: Path, numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    last = 0
    for image, (_, record) in enumerate(rendered_frames(folder), start=1):
        for item in record["objects"]:
            if not item["visible"]:
                continue
            last += 1
            x0, y0, x1, y1 = item["box"]
            yield {
                "id": last, "image_id": image, "category_id": numbers[item["kind"]],
                "bbox": [x0, y0, x1 - x0, y1 - y0], "area": item["pixels"], "iscrowd": 0,
                "attributes": {"object": item["id"], "amodal_bbox": _sides(item.get("amodal")), **_known(item)},
            }  # fmt: skip


def _sides(box: list[float] | None) -> list[float] | None:
    return [box[0], box[1], round(box[2] - box[0], 1), round(box[3] - box[1], 1)] if box else None


def _known(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in OWN}


def _category(kind: str, number: int) -> dict[str, Any]:
    group = next((name for name, kinds in GROUPS.items() if kind in kinds), "other")
    return {"id": number, "name": kind, "supercategory": group}
