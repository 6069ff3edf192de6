"""Long-tail slices of a test: night, occluded, far and rare values, as far as scenes or labels tell."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from drivelet.core.manifest import Row

SLICES = ("night", "occluded", "far", "rare value")
KINDS = {
    "traffic_light": ("lamp", "traffic_light"),
    "cone": ("cone",),
    "speed_limit": ("speed_sign",),
    "intersection": ("stop_sign", "traffic_light"),
}
"""Task -> the kinds of object that its answers speak of."""
WHOLE = {"lamp": 0.85, "traffic_light": 0.7, "speed_sign": 0.9, "stop_sign": 0.8, "cone": 0.45}
"""Kind -> visible fraction of the hull below which it counts as occluded; a cone fills little more than half of it."""
FAR_M = {"traffic_light": 25.0, "cone": 20.0, "speed_limit": 18.0, "intersection": 25.0}
"""Task -> distance in metres from which its nearest object is far."""
RARE = 0.05
"""A label is rare below this share of its field's rows."""

Scene = Mapping[str, Any]


def long_tail(rows: Sequence[Row], scenes: Mapping[str, Scene]) -> list[frozenset[str]]:
    """Return the slices that every row belongs to.

    Args:
        rows: labelled rows of one test.
        scenes: image path -> its finished scene record; an image without one can only be rare.
    """
    counts = Counter((row.task, row.label) for row in rows)
    totals = Counter(row.task for row in rows)
    rare = {key for key, count in counts.items() if count < RARE * totals[key[0]]}
    return [
        frozenset({"rare value"} if (row.task, row.label) in rare else ()) | _of_scene(row, scenes.get(row.path))
        for row in rows
    ]


def of_size(rows: Sequence[Row], scenes: Mapping[str, Scene], least_px: float) -> list[Row]:
    """Return the rows whose seen objects are at least `least_px` high; one that shows none, or has no scene, stays.

    The object of a light is its head, and of a count every cone.
    """
    return [row for row in rows if _smallest(row, scenes.get(row.path)) >= least_px]


def _smallest(row: Row, scene: Scene | None) -> float:
    kinds = [kind for kind in KINDS.get(row.task.split(".")[0], ()) if kind != "lamp"]
    objects = scene["objects"] if scene else []
    boxes = [
        item["box"] for item in objects if item["kind"] in kinds and item.get("visible") and item.get("governing", True)
    ]
    return min((box[3] - box[1] for box in boxes), default=math.inf)


def _of_scene(row: Row, scene: Scene | None) -> set[str]:
    if scene is None:
        return set()
    task = row.task.split(".")[0]
    kinds = KINDS.get(task, ())
    seen = [item for item in scene["objects"] if item["kind"] in kinds and item.get("visible")]
    seen = [item for item in seen if item.get("governing", True)]
    found = {"night"} if scene["facts"]["light"] == "night" else set()
    if any(item["visible_fraction"] < WHOLE[item["kind"]] for item in seen):
        found.add("occluded")
    if seen and min(item["distance_m"] for item in seen) >= FAR_M[task]:
        found.add("far")
    return found
