"""Every reason of rejection on drawn pictures, with the boxes that the loop's own detector sees in them."""

import cv2
import numpy as np
import pytest

from drivelet import tasks
from drivelet.core.artifacts import Box, ImageArray, Painted
from drivelet.recipes.painting import PictureDetector
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, POSTED, caption
from drivelet.synth.painting.reject import REASONS, RejectConfig, floats, perceptual_hash, rejection, two_lamps, unsafe
from painter_toys import COLOURS

CONFIG = RejectConfig()
DETECTOR = PictureDetector(tasks.fields())
GOOD = {LAMP: 0.9, CONES: 0.9, LIGHT: 0.9}
FACTS = {LAMP: "red", CONES: "some", LIGHT: "day"}
NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def street(side: int = 64) -> ImageArray:
    """A blue sky over a grey road."""
    image = np.full((side, side, 3), (150, 180, 215), np.uint8)
    image[side // 2 :] = 85
    noise = np.random.default_rng(1).integers(-6, 7, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def with_lamp(image: ImageArray, state: str, left: int, *, size: int = 12) -> ImageArray:
    image = image.copy()
    cv2.rectangle(image, (left, 4), (left + size, 4 + int(2.5 * size)), (12, 12, 12), -1)
    rise = {"red": 0.5, "yellow": 1.25, "green": 2.0}[state]
    cv2.circle(image, (left + size // 2, 4 + int(rise * size)), int(0.36 * size), COLOURS[state], -1)
    return image


def with_cone(image: ImageArray, foot: int, *, left: int = 32, tall: int = 18) -> ImageArray:
    image = image.copy()
    points = np.array([[left, foot - tall], [left - tall // 3, foot], [left + tall // 3, foot]])
    cv2.fillPoly(image, [points], (250, 105, 20))
    return image


def reason(image: ImageArray, **given: object) -> str:
    asked = {"caption": "street", "scores": GOOD, "facts": FACTS, "boxes": DETECTOR.detect(image), "known": []}
    return rejection(Painted(image=image), config=CONFIG, **{**asked, **given})  # pyright: ignore


def test_a_good_picture_passes() -> None:
    picture = with_cone(with_lamp(street(), "red", 20), 58)
    kinds = sorted((box.kind, box.answer) for box in DETECTOR.detect(picture) if box.score >= CONFIG.least_box)
    assert kinds == [("cone", ""), ("lamp", "red")]
    assert reason(picture) == ""


@pytest.mark.parametrize(
    ("fact", "expected"), [(LAMP, "lamp_contradicts"), (CONES, "cones_contradict"), (LIGHT, "light_contradicts")]
)
def test_a_picture_that_contradicts_its_text(fact: str, expected: str) -> None:
    assert reason(NOISE, boxes=[], scores={**GOOD, fact: 0.4}) == expected
    unstated = {name: answer for name, answer in FACTS.items() if name != fact}
    assert reason(NOISE, boxes=[], scores={**GOOD, fact: 0.4}, facts=unstated) == ""


def test_a_sign_that_no_scorer_reads() -> None:
    asked = {**FACTS, POSTED: "50"}
    assert caption(asked).endswith("speed limit 50 sign")
    assert reason(NOISE, boxes=[], facts=asked) == "sign_unreadable"
    assert reason(NOISE, boxes=[], facts=asked, scores={**GOOD, POSTED: 0.3}) == "sign_unreadable"
    assert reason(NOISE, boxes=[], facts=asked, scores={**GOOD, POSTED: 0.7}) == ""


def test_two_lamps_of_different_colours_and_like_size_govern_both() -> None:
    twins = with_lamp(with_lamp(street(), "red", 8), "green", 40)
    assert reason(twins) == "two_governing_lamps"
    assert reason(with_lamp(with_lamp(street(), "green", 8), "green", 40)) == ""
    far = with_lamp(with_lamp(street(128), "red", 16, size=24), "green", 90, size=13)
    seen = [box.answer for box in DETECTOR.detect(far) if box.score >= CONFIG.least_box]
    assert sorted(seen) == ["green", "red"] and reason(far) == ""


def test_the_halo_of_a_lamp_is_no_second_lamp() -> None:
    middle = Box(kind="lamp", xyxy=(10, 10, 20, 20), score=0.9, answer="yellow")
    halo = Box(kind="lamp", xyxy=(9, 19, 21, 27), score=0.9, answer="red")
    assert not two_lamps([middle, halo], CONFIG)
    assert two_lamps([middle, Box(kind="lamp", xyxy=(30, 10, 40, 20), score=0.9, answer="red")], CONFIG)


def test_a_cone_in_the_sky_floats_and_one_on_the_road_stands() -> None:
    assert reason(with_cone(street(), 26)) == "cone_floats"
    assert reason(with_cone(street(), 56)) == ""
    at_the_bottom = with_cone(street(), 63)
    assert reason(at_the_bottom) == ""
    dark = np.full((64, 64, 3), 20, np.uint8)
    cone = Box(kind="cone", xyxy=(26, 8, 38, 26), score=0.9)
    assert not floats(with_cone(dark, 26), cone, CONFIG)  # at night sky and road are alike: nothing tells
    assert floats(with_cone(dark, 11), Box(kind="cone", xyxy=(26, 0, 38, 11), score=0.9), CONFIG)  # above any horizon


def test_blurred_artificial_and_repeated_pictures() -> None:
    ramp = np.repeat(np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 3, 64, 0), 3, 2)
    assert reason(ramp, boxes=[]) == "blurred"
    black = np.where(NOISE > 120, 255, 0).astype(np.uint8)
    black[...] = black[..., :1]
    assert reason(black, boxes=[]) == "artefact"
    assert reason(NOISE, boxes=[], known=[perceptual_hash(NOISE)]) == "near_duplicate"


def test_the_checkers_verdict_and_banned_words_make_a_picture_unsafe() -> None:
    assert unsafe(Painted(image=NOISE, unsafe=True), "street", CONFIG)
    assert unsafe(Painted(image=NOISE), "street, Naked people", CONFIG)
    assert not unsafe(Painted(image=NOISE), "street, gunmetal sky", CONFIG)  # whole words alone
    assert reason(NOISE, caption="blood on the street", scores={LAMP: 0.0}) == "unsafe"  # looked for first


def test_every_reason_has_a_name_of_its_own() -> None:
    assert len(set(REASONS)) == len(REASONS) == 10
