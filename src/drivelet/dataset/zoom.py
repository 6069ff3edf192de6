"""Zoomed copies of training images: a small model learns to read a far sign from near ones first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from drivelet.core import flow
from drivelet.core.artifacts import Field, ImageArray
from drivelet.core.boxes import FORMS, Box, inside, read_boxes
from drivelet.core.errors import InputError
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.core.progress import say, track
from drivelet.core.ranges import Count, Seed, Side, Span, ranged
from drivelet.core.rng import generator


@dataclass(frozen=True, kw_only=True)
@ranged
class ZoomConfig:
    """What is zoomed and how.

    Attributes:
        fields: fields whose answer a close-up of the one thing that shows it does not change.
        copies: crops of every such row; 0 adds none.
        side: side of a crop in pixels.
        magnify: range of the magnification.
    """

    fields: tuple[str, ...] = ("speed_limit.posted", "traffic_light.state")
    copies: Count = 2
    side: Side = 112
    magnify: Span = (1.0, 3.2)
    seed: Seed = 0


@flow.stage(2)
def zoom(config: ZoomConfig, *, manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write `out/manifest.csv`: every row of `manifest`, and close-ups of train rows about exactly one box.

    Returns:
        The manifest's path.

    Raises:
        InputError: the manifest or one of its images cannot be read.
    """
    if strange := sorted({*config.fields} - fields.keys()):
        raise InputError(f"zoom.fields: {strange[0]!r} is none of {', '.join(fields)}")
    rows = read_manifest(manifest, tasks=fields)
    chosen = [row for row in rows if row.task in config.fields and _shows_one(row, fields[row.task])]
    unread = [row.path for row in rows if _boxes(row) is None]
    if unread:
        say(f"no close-up of {unread[0]} (rows like it: {len(unread)}): its boxes are not {FORMS}")
    (out / "frames").mkdir(parents=True, exist_ok=True)
    added, outside = [], []
    for number, row in enumerate(track(chosen, total=len(chosen), what="zoom")):
        image = read_image(row.path)
        (box,) = read_boxes(row.boxes, width=image.shape[1], height=image.shape[0])
        if inside(box, width=image.shape[1], height=image.shape[0]) is None:
            outside.append(row.path)
            continue
        for copy in range(config.copies):
            rng = generator(config.seed, "zoom", f"{number}-{copy}")
            path = out / "frames" / f"{number:06d}-{copy}.png"
            cut = close_up(rng, image, box, side=config.side, magnify=config.magnify)
            cv2.imwrite(str(path), cv2.cvtColor(cut, cv2.COLOR_RGB2BGR))
            added.append(replace(row, path=str(path.absolute()), boxes="", sensor=""))
    if outside:
        say(f"no close-up of {outside[0]} (rows like it: {len(outside)}): its box lies outside the picture or is empty")
    write_manifest(out / "manifest.csv", [*rows, *added])
    return out / "manifest.csv"


def _shows_one(row: Row, field: Field) -> bool:
    """Return whether a train row's one box holds what its answer speaks of."""
    there = row.split == "train" and field.absent not in field.parse(row.label)
    return there and len(_boxes(row) or []) == 1


def _boxes(row: Row) -> list[Box] | None:
    """Return a row's boxes as shares of the image or in pixels, as they are written; None where they cannot be read."""
    try:
        return read_boxes(row.boxes, width=1, height=1)
    except ValueError:
        return None


def close_up(
    rng: np.random.Generator, image: ImageArray, box: Box, *, side: int, magnify: tuple[float, float]
) -> ImageArray:
    """Cut a square around `box` and scale it to (side, side, 3); the box lies wholly inside, in a random place."""
    x0, y0, x1, y1 = window(rng, image.shape[:2], box, side=side, magnify=magnify)
    shrink = x1 - x0 > side
    cut = cv2.resize(
        image[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    )  # fmt: skip
    return np.asarray(cut, dtype=np.uint8)


def window(
    rng: np.random.Generator, size: tuple[int, int], box: Box, *, side: int, magnify: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Return a square in an image of `size` (height, width) that holds `box` as far as the image allows."""
    height, width = size
    wanted = side / float(np.exp(rng.uniform(*np.log(magnify))))
    span = min(int(max(wanted, 1.1 * (box[2] - box[0]), 1.1 * (box[3] - box[1]))), height, width)
    left = _start(rng, box[0], box[2], span, width)
    top = _start(rng, box[1], box[3], span, height)
    return left, top, left + span, top + span


def _start(rng: np.random.Generator, low: float, high: float, span: int, limit: int) -> int:
    """Return where a stretch of `span` in [0, limit] starts that covers low..high, at random."""
    first, last = int(np.ceil(high)) - span, int(low)
    start = int(rng.integers(min(first, last), max(first, last) + 1))
    return min(max(start, 0), limit - span)
