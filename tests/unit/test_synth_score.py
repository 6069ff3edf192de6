import numpy as np
import pytest

from drivelet.core.artifacts import Question, Scored
from drivelet.core.rng import generator
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, LIGHTS, presence
from drivelet.synth.painting.crops import CropConfig, Cropper
from drivelet.synth.painting.score import (
    ColourShapeScorer,
    LeastScorer,
    ProbabilityScorer,
    VlmScorer,
    statistics,
)
from drivelet.tasks.cone import COUNT
from drivelet.tasks.traffic_light import STATE
from painter_toys import toy_scene

CROPPER = Cropper([toy_scene(number) for number in range(40)], CropConfig())
DRAWN = [CROPPER.draw(generator(0, "score", index)) for index in range(500)]
IMAGES, FACTS = [image for image, _ in DRAWN], [facts for _, facts in DRAWN]
NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def test_colour_and_shape_tell_lamps_and_cones_apart() -> None:
    scorer = ColourShapeScorer(IMAGES[:400], FACTS[:400])
    right = [scorer.score(i, {LAMP: f[LAMP], CONES: f[CONES]}) for i, f in zip(IMAGES[400:], FACTS[400:], strict=True)]
    assert np.mean([s[LAMP] > 0.5 for s in right]) > 0.9
    assert np.mean([s[CONES] > 0.5 for s in right]) > 0.85
    assert scorer.score(IMAGES[0], {LIGHT: "day"}) == {LIGHT: pytest.approx(1 / 3)}  # one light alone was seen


def test_tones_tell_the_time_of_day() -> None:
    darker = {"day": 1.0, "dusk": 0.5, "night": 0.2}
    lights = [LIGHTS[i % 3] for i in range(60)]
    images = [(IMAGES[i] * darker[light]).astype(np.uint8) for i, light in enumerate(lights)]
    scorer = ColourShapeScorer(images[:45], [{LIGHT: light} for light in lights[:45]])
    tests = list(zip(images[45:], lights[45:], strict=True))
    assert np.mean([scorer.score(image, {LIGHT: light})[LIGHT] > 0.5 for image, light in tests]) > 0.9


def test_probabilities_of_the_answers_sum_to_one() -> None:
    scorer = ColourShapeScorer(IMAGES[:300], FACTS[:300])
    lamps = [scorer.score(NOISE, {LAMP: state})[LAMP] for state in ("red", "yellow", "green", "none")]
    cones = [scorer.score(NOISE, {CONES: answer})[CONES] for answer in ("0", "some")]
    assert sum(lamps) == pytest.approx(1) and sum(cones) == pytest.approx(1)
    assert scorer.score(NOISE, {CONES: "3-5"})[CONES] == pytest.approx(cones[1])


def test_a_state_never_seen_gets_an_even_share() -> None:
    scorer = ColourShapeScorer(IMAGES[:5], [{CONES: "0"}] * 5)
    assert scorer.score(NOISE, {LAMP: "red", CONES: "some"}) == {LAMP: 0.25, CONES: 0.5}


def test_statistics_see_a_lit_lamp() -> None:
    dark = np.full((64, 64, 3), 40, np.uint8)
    lit = dark.copy()
    lit[10:20, 20:30] = (255, 30, 20)
    assert statistics(lit).shape == statistics(dark).shape
    assert not np.allclose(statistics(lit), statistics(dark))


class _Model:
    name = "asked"

    def score(self, image: np.ndarray, questions: list[Question]) -> list[Scored]:
        return [
            Scored(field=q.field, answer=q.choices[0], probs={c: 1 / len(q.choices) for c in q.choices})
            for q in questions
        ]


def test_a_model_scores_a_coarse_fact_by_all_answers_that_it_allows() -> None:
    fields = {STATE.name: STATE, COUNT.name: COUNT}
    scores = VlmScorer(_Model(), fields).score(NOISE, {LAMP: "red", CONES: "3-5", "view": "near"})
    assert scores[LAMP] == pytest.approx(1 / len(STATE.choices))
    assert scores[CONES] == pytest.approx(4 / len(COUNT.choices))  # some: every bin but 0


def test_the_least_sure_scorer_speaks() -> None:
    lamp = ProbabilityScorer("a", lambda images: [{LAMP: {"red": 0.8}} for _ in images])
    both = ProbabilityScorer("b", lambda images: [{LAMP: {"red": 0.4}, CONES: {"some": 0.9}} for _ in images])
    scorer = LeastScorer([lamp, both])
    assert scorer.score(NOISE, {LAMP: "red", CONES: "1-2"}) == {LAMP: 0.4, CONES: 0.9} and scorer.name == "a+b"


def test_a_model_sees_small_pictures_enlarged() -> None:
    sizes: list[tuple[int, ...]] = []

    class Sees(_Model):
        def score(self, image: np.ndarray, questions: list[Question]) -> list[Scored]:
            sizes.append(image.shape)
            return super().score(image, questions)

    scorer = VlmScorer(Sees(), {STATE.name: STATE}, least_side=96)
    for side in (48, 120):
        scorer.score(np.zeros((side, side, 3), np.uint8), {LAMP: "red"})
    assert sizes == [(96, 96, 3), (120, 120, 3)]


def test_presence_is_the_coarse_count() -> None:
    assert [presence(answer) for answer in ("0", "1-2", ">10", "some")] == ["0", "some", "some", "some"]
