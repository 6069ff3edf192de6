"""The text-to-image loop's judges, joined from several rooms, and the loop as one stage."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.artifacts import Box, Field, ImageArray
from drivelet.core.ports import Scorer
from drivelet.labels.colour import ColourLabeler
from drivelet.recipes.pretrain_painter import JUDGE
from drivelet.runtime.engine import Engine
from drivelet.synth.painting.crops import CutConfig, cut_crops, read_crops
from drivelet.synth.painting.paint import Judges, PaintConfig, paint_loop
from drivelet.synth.painting.score import ColourShapeScorer, LeastScorer, VlmScorer, load_held_out

CONE_ZOOM = 2
"""How much a picture is enlarged before cones are looked for: of a small one's, one in ten is missed otherwise."""


class PictureDetector:
    """Finds lamps and cones on painted pictures with the colour labeler, which knows whole frames.

    There lamps are in the upper two thirds and cones never near the top edge; in a close-up either may be anywhere. So
    the picture is continued, by its own edges, downwards for lamps and upwards for cones. Of the lamps and cones on
    rendered crops of 64 pixels it finds about three and nearly nine in ten.
    """

    name = "colour"

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._labeler = ColourLabeler(fields)

    def detect(self, image: ImageArray) -> list[Box]:
        """Return lamps with their colours as answers, and cones, in pixels of an RGB image (H, W, 3)."""
        enlarged = cv2.resize(image, None, fx=CONE_ZOOM, fy=CONE_ZOOM, interpolation=cv2.INTER_CUBIC)
        lamps = self._found(image, "lamp", above=0, below=image.shape[0])
        cones = self._found(np.asarray(enlarged, np.uint8), "cone", above=enlarged.shape[0], below=0)
        return [*lamps, *(_scaled(cone, 1 / CONE_ZOOM) for cone in cones)]

    def _found(self, image: ImageArray, kind: str, *, above: int, below: int) -> list[Box]:
        height, width = image.shape[:2]
        # Continued to the right too, or it would be taken for the crop of one lamp head.
        canvas = np.pad(image, ((above, below), (0, width), (0, 0)), mode="edge")
        boxes = [_moved(box, above) for box in self._labeler.detect(canvas) if box.kind == kind]
        return [box for box in boxes if _centre(box)[0] < width and 0 <= _centre(box)[1] < height]


def _moved(box: Box, up: float) -> Box:
    left, top, right, bottom = box.xyxy
    return replace(box, xyxy=(left, top - up, right, bottom - up))


def _scaled(box: Box, scale: float) -> Box:
    left, top, right, bottom = (value * scale for value in box.xyxy)
    return replace(box, xyxy=(left, top, right, bottom))


def _centre(box: Box) -> tuple[float, float]:
    left, top, right, bottom = box.xyxy
    return (left + right) / 2, (top + bottom) / 2


def held_out_scorer(painter: Path, teacher: Path) -> Scorer:
    """Return the scorer that the loop never optimises: the painter's own judge, or the teacher where it has none."""
    judge = painter / JUDGE
    return load_held_out(judge) if judge.is_file() else VlmScorer(Engine.from_pretrained(teacher), tasks.fields())


def judges_of(painter: Path, teacher: Path, round_0: Path) -> Judges:
    """Return who judges a painter's pictures.

    Where the painter's folder brings a held-out scorer of its own, the loop decides by the teacher and by a
    colour-and-shape scorer fitted to round 0, whichever is less sure. Elsewhere the teacher must hold out, and the
    loop decides by colour and shape alone.
    """
    known, fields = read_crops(round_0), tasks.fields()
    shapes = ColourShapeScorer([image for image, _ in known], [facts for _, facts in known])
    held_out = held_out_scorer(painter, teacher)
    by_teacher = isinstance(held_out, VlmScorer)
    own = shapes if by_teacher else LeastScorer([shapes, VlmScorer(Engine.from_pretrained(teacher), fields)])
    return Judges(scorer=own, held_out=held_out, detector=PictureDetector(fields))


@flow.stage(
    1,
    parts=(
        paint_loop,
        cut_crops,
    ),
)
def paint_pictures(config: PaintConfig, *, painter: Path, world: Path, teacher: Path, out: Path) -> Path:
    """Run the text-to-image loop from crops of a rendered world."""
    crops = cut_crops(CutConfig(seed=config.seed), folders=[world], out=out / "round-0")
    return paint_loop(config, pipeline=painter, judges=judges_of(painter, teacher, crops), round_0=crops, out=out)
