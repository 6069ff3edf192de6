"""Who judges a painter's pictures, and the colour labeler's eye on small ones."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivelet import tasks
from drivelet.adapters.crop_classifier import CropClassifier
from drivelet.core.artifacts import Box
from drivelet.recipes.painting import JUDGE, PictureDetector, judges_of
from drivelet.synth.painting.captions import CONES, LAMP
from drivelet.synth.painting.score import JUDGED
from painter_toys import COLOURS

DETECTOR = PictureDetector(tasks.fields())


def _found(image: np.ndarray, kind: str) -> list[Box]:
    return [box for box in DETECTOR.detect(image) if box.kind == kind and box.score > 0.3]


@pytest.mark.parametrize("state", COLOURS)
@pytest.mark.parametrize("top", [3, 26])
def test_a_lamp_is_found_wherever_it_is(state: str, top: int) -> None:
    image = np.full((64, 64, 3), 150, np.uint8)
    cv2.rectangle(image, (26, top), (38, top + 34), (12, 12, 12), -1)
    middle = top + {"red": 7, "yellow": 17, "green": 27}[state]
    cv2.circle(image, (32, middle), 5, COLOURS[state], -1)
    (lamp,) = _found(image, "lamp")
    left, upper, right, lower = lamp.xyxy
    assert lamp.answer == state and left <= 32 <= right and upper <= middle <= lower
    assert not _found(image, "cone")


@pytest.mark.parametrize("foot", [22, 40, 60])
def test_a_cone_is_found_wherever_it_is(foot: int) -> None:
    image = np.full((64, 64, 3), 110, np.uint8)
    cv2.fillPoly(image, [np.array([[30, foot - 20], [23, foot], [37, foot]])], (250, 105, 20))
    (cone,) = _found(image, "cone")
    left, upper, right, lower = cone.xyxy
    assert left == pytest.approx(23, abs=2) and right == pytest.approx(38, abs=2)
    assert upper == pytest.approx(foot - 20, abs=3) and lower == pytest.approx(foot, abs=2)


def test_an_empty_picture_holds_nothing() -> None:
    assert DETECTOR.detect(np.full((64, 64, 3), 128, np.uint8)) == []


def test_the_loop_never_decides_by_who_holds_out(tmp_path: Path, tiny_folder: Path) -> None:
    crops = tmp_path / "crops"
    (crops / "images").mkdir(parents=True)
    facts = [{LAMP: lamp, CONES: "0", "light": "day"} for lamp in ("red", "green")]
    for number in range(2):
        cv2.imwrite(str(crops / f"images/{number}.png"), np.full((64, 64, 3), 100 * number, np.uint8))
    lines = [json.dumps({"file": f"images/{n}.png", "facts": fact}) for n, fact in enumerate(facts)]
    (crops / "crops.jsonl").write_text("\n".join(lines))
    painter = tmp_path / "painter"
    painter.mkdir()
    alone = judges_of(painter, tiny_folder, crops)
    assert (alone.scorer.name, alone.held_out.name) == ("colour-shape", f"vlm:{tiny_folder.name}")
    CropClassifier(JUDGED).save(painter / JUDGE)
    brought = judges_of(painter, tiny_folder, crops)
    assert (brought.scorer.name, brought.held_out.name) == (f"colour-shape+vlm:{tiny_folder.name}", "crop-cnn")
