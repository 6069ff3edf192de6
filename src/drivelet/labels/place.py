"""Boxes of a drive checked in space, and what their verdicts mean for the answers that they speak for."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivelet.core.artifacts import Box, EgoMotion
from drivelet.labels.spatial import SpatialConfig, check_boxes
from drivelet.labels.tracks import jitter

LAMP, CONES = "traffic_light.state", ("cone.count", "cone.in_path")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """The rows of the box table with their verdicts, and how many boxes were checked by what and failed at what."""

    rows: list[dict[str, Any]]
    counts: dict[str, Any]


def placed(
    config: SpatialConfig,
    frames: Sequence[Mapping[str, Any]],
    boxes: Sequence[Mapping[str, Any]],
    motion: EgoMotion | None,
    described: Mapping[str, Any],
) -> Placed:
    """Check the boxes on a drive's labelled frames against its motion; `described` is its `drive.json`."""
    if not boxes:
        return Placed(rows=[], counts={})
    rows = _by_frame(boxes, frames)
    size = {"width": described["width"], "height": described["height"]}
    found = check_boxes(config, boxes_by_frame(boxes, frames), motion, **size)
    checked = [
        {**row, "track": check.track, "reason": check.reason}
        for some, checks in zip(rows, found.frames, strict=True)
        for row, check in zip(some, checks, strict=True)
    ]
    failed = Counter(row["reason"] for row in checked if row["reason"])
    shaking = jitter(found.tracks)
    counts = {"boxes": len(checked), "ran": dict(found.ran), "failed": dict(failed)}
    return Placed(rows=checked, counts={**counts, "jitter_px": round(shaking, 3) if shaking == shaking else None})


def _by_frame(boxes: Sequence[Mapping[str, Any]], frames: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    by_frame: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in boxes:
        by_frame[row["frame"]].append(row)
    return [by_frame[frame["frame"]] for frame in frames]


def boxes_by_frame(boxes: Sequence[Mapping[str, Any]], frames: Sequence[Mapping[str, Any]]) -> list[list[Box]]:
    """Return the boxes of every frame from rows of the box table."""
    return [[_box(row) for row in rows] for rows in _by_frame(boxes, frames)]


def _box(row: Mapping[str, Any]) -> Box:
    return Box(
        kind=row["kind"], xyxy=(row["x0"], row["y0"], row["x1"], row["y1"]), score=row["score"], answer=row["answer"]
    )


def place_reasons(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str, str], str]:
    """Return (frame, field, answer) -> the first reason where every box that speaks for this answer failed."""
    verdicts: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for row in rows:
        for name, answer in _speaks_for(row):
            verdicts[row["frame"], name, answer].append(row["reason"])
    return {cell: reasons[0] for cell, reasons in verdicts.items() if all(reasons)}


def _speaks_for(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    if row["kind"] == "lamp" and row["answer"]:
        return [(LAMP, row["answer"])]
    if row["kind"] == "cone":
        counts = [(CONES[0], answer) for answer in ("1-2", "3-5", "6-10", ">10")]
        return [*counts, (CONES[1], "yes")]
    return []
