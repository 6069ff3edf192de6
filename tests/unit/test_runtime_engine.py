"""The engine gives the answers that the model's own greedy decoding gives."""

import pytest
import torch

from drivelet.core.artifacts import Question
from drivelet.runtime.engine import Engine
from drivelet.vlm.load import Loaded
from tiny_vlm import LAMP, LAMP_TEXT, LESSONS, SIGN, noise, questions, solid


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_taught_model_answers_as_it_generates(taught: Loaded, lesson: tuple[tuple[int, int, int], str, str]) -> None:
    engine, (colour, lamp, sign) = Engine(taught), lesson
    scored = engine.score(solid(colour), questions())
    assert [one.answer for one in scored] == [lamp, sign]
    assert [engine.generate(solid(colour), q.text) for q in questions()] == [lamp, sign]
    assert all(one.in_set and one.prob > 0.5 and -1 < one.log_mass <= 1e-6 for one in scored)


@pytest.mark.parametrize("lesson", LESSONS)
def test_an_answer_outside_the_set_is_told(taught: Loaded, lesson: tuple[tuple[int, int, int], str, str]) -> None:
    engine, (colour, lamp, _) = Engine(taught), lesson
    rest = tuple(choice for choice in LAMP if choice != lamp)
    (scored,) = engine.score(solid(colour), [Question(field="lamp", text=LAMP_TEXT, choices=rest)])
    spoken = engine.generate(solid(colour), LAMP_TEXT)
    assert not scored.in_set and scored.answer in rest and spoken == lamp != scored.answer
    assert scored.log_mass < -1


def test_unseen_pictures_agree_with_generate_too(taught: Loaded) -> None:
    engine = Engine(taught)
    for seed in range(4):
        image = noise(seed)
        for one, question in zip(engine.score(image, questions()), questions(), strict=True):
            assert one.in_set == (engine.generate(image, question.text) == one.answer)


def test_random_weights_answer_outside_the_set(tiny: Loaded) -> None:
    engine = Engine(tiny)
    for one, question in zip(engine.score(noise(0), questions()), questions(), strict=True):
        assert not one.in_set and engine.generate(noise(0), question.text) != one.answer
        assert one.log_mass < -1 and one.answer in question.choices


def test_probabilities_are_a_distribution_in_the_order_of_the_choices(taught: Loaded) -> None:
    lamp, sign = Engine(taught).score(solid(LESSONS[0][0]), questions())
    assert tuple(lamp.probs) == LAMP and tuple(sign.probs) == SIGN
    assert sum(lamp.probs.values()) == pytest.approx(1) and sum(sign.probs.values()) == pytest.approx(1)
    assert (lamp.field, sign.field) == ("lamp", "sign")


def test_asking_together_or_alone_is_the_same(taught: Loaded) -> None:
    engine, image = Engine(taught), noise(7)
    together = engine.score(image, [*questions(), *questions()[::-1]])
    alone = [engine.score(image, [question])[0] for question in questions()]
    for one, other in zip(together, [*alone, *alone[::-1]], strict=True):
        assert one.answer == other.answer and one.probs == pytest.approx(other.probs, abs=1e-5)


def test_no_question_no_answer(tiny: Loaded) -> None:
    assert Engine(tiny).score(noise(0), []) == []


def test_a_folder_can_be_asked_directly_and_names_itself(taught: Loaded) -> None:
    engine = Engine.from_pretrained(taught.path, dtype=torch.bfloat16)
    assert engine.name == taught.path.name and engine.loaded.model.dtype == torch.bfloat16
    assert engine.score(solid(LESSONS[0][0]), questions())[0].answer == LESSONS[0][1]
