"""What stands out in a picture, and that labels ask for nothing that fog or night has swallowed."""

import numpy as np
import pytest

from drivelet import tasks
from drivelet.synth.contrast import with_contrast
from drivelet.synth.domain import full
from drivelet.synth.facts import LEAST_CONTRAST, finish
from drivelet.synth.scene import sample_scene

BOX = [30, 20, 50, 44]


def picture(inside: int, around: int) -> np.ndarray:
    image = np.full((96, 160, 3), around, np.uint8)
    image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = inside
    return image


def measured(image: np.ndarray, box: list[int] | None = BOX) -> dict[str, dict]:
    return with_contrast({"3": {"pixels": 400, "box": box, "amodal": [30.0, 20.0, 50.0, 44.0], "area": 480.0}}, image)


@pytest.mark.parametrize(("inside", "around"), [(90, 90), (90, 100), (20, 200)])
def test_contrast_is_the_step_from_the_box_to_what_is_around_it(inside: int, around: int) -> None:
    assert measured(picture(inside, around))["3"]["contrast"] == pytest.approx(abs(inside - around), rel=0.2)


def test_digits_stand_out_on_a_sign_that_is_as_grey_as_its_surroundings() -> None:
    image = picture(128, 128)
    image[26:38, 34:40], image[26:38, 40:46] = 28, 228
    assert measured(image)["3"]["contrast"] > 40


def test_a_box_that_fills_the_picture_has_its_spread() -> None:
    assert measured(picture(10, 10), [0, 0, 160, 96])["3"]["contrast"] == 0.0


def test_what_was_not_seen_has_no_contrast() -> None:
    assert "contrast" not in measured(picture(10, 90), None)["3"]


@pytest.mark.parametrize(("contrast", "seen"), [(None, True), (LEAST_CONTRAST, True), (LEAST_CONTRAST - 0.1, False)])
def test_a_sign_that_fog_has_swallowed_has_no_answer(contrast: float | None, seen: bool) -> None:
    scene = next(
        scene for scene in (sample_scene(4, i, full()) for i in range(99))
        if scene["setting"]["weather"] == "clear" and any(o["kind"] == "speed_sign" for o in scene["objects"])
    )  # fmt: skip
    sign = next(item for item in scene["objects"] if item["kind"] == "speed_sign")
    found = {"pixels": 400, "box": BOX, "amodal": [30.0, 20.0, 50.0, 44.0], "area": 480.0}
    found |= {} if contrast is None else {"contrast": contrast}
    record = finish(scene, {str(sign["id"]): found})
    assert tasks.gold(record)["speed_limit.posted"] == (str(sign["value"]) if seen else "none")
