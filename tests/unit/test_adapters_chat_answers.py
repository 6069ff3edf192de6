"""Replies of chat endpoints: what is read strictly, what counts for an answer, and what is the tail."""

import math

import pytest

from drivelet.adapters.chat_answers import NOTHING, Reply, parse, scored, set_mass
from drivelet.core.artifacts import Question

LAMP = Question(field="lamp", text="Lamp?", choices=("red", "green", "none", "unknown"))
COUNT = Question(field="count", text="How many?", choices=("0", "1-2", "3-5", "6-10", ">10", "unknown"))


def token(text, prob, **others):
    listed = {text: prob, **{name.strip("_"): p for name, p in others.items()}}
    return text, math.log(prob), tuple((name, math.log(p)) for name, p in listed.items())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("red", "red"), ("Red.", "red"), ("  RED \n", "red"), ("red .", "red"), ("the lamp is red", None),
        ("red..", None), ("", None), ("redd", None), ('"red"', None), ("red, green", None),
    ],
)  # fmt: skip
def test_text_is_read_strictly(text, answer):
    assert parse(text, LAMP.choices) == answer


def test_an_answer_that_ends_in_a_full_stop_keeps_it():
    assert parse("St.", ("St.", "Ave")) == "St." and parse("st..", ("St.", "Ave")) == "St."


def test_blanks_and_capitals_of_tokens_do_not_matter():
    mass = set_mass("Red", [token(" Red", 0.6, Green=0.2, red=0.1, The=0.1)], LAMP.choices)
    assert mass == pytest.approx({"red": 0.7, "green": 0.2, "none": 0.0, "unknown": 0.0})


def test_a_token_that_begins_several_answers_is_shared_among_them():
    mass = set_mass("none", [token("none", 0.6, re=0.3)], ("red", "reverse", "none"))
    assert mass == pytest.approx({"red": 0.15, "reverse": 0.15, "none": 0.6})


def test_the_end_token_tells_a_short_answer_from_a_longer_one():
    tokens = [token("5", 0.8, **{"6": 0.2}), token("</s>", 0.7, **{"0": 0.2, "5": 0.1})]
    assert set_mass("5", tokens, ("5", "50", "55", "60")) == pytest.approx(
        {"5": 0.56, "50": 0.16, "55": 0.08, "60": 0.2}
    )


def test_an_end_that_was_not_taken_counts_for_the_answer_before_it():
    tokens = [token("5", 1.0), token("0", 0.6, **{"</s>": 0.3, "\n": 0.1}), token("</s>", 1.0)]
    assert set_mass("50", tokens, ("5", "50")) == pytest.approx({"5": 0.4, "50": 0.6})


def test_where_no_end_is_told_the_spelt_answer_takes_the_path():
    assert set_mass("5", [token("5", 0.8, **{"6": 0.2})], ("5", "50", "60")) == pytest.approx(
        {"5": 0.8, "50": 0, "60": 0.2}
    )


def test_a_sentence_leaves_its_first_token_s_rivals():
    tokens = [token("The", 0.5, red=0.3, green=0.1), token(" lamp", 1.0)]
    result, valid = scored(LAMP, Reply(texts=("The lamp",), tokens=tuple(tokens)))
    assert valid and not result.in_set and result.answer == "red"
    assert result.probs["red"] == pytest.approx(0.75) and result.log_mass == pytest.approx(math.log(0.4))


def test_a_word_that_only_begins_like_an_answer_is_the_tail():
    tokens = [token("re", 1.0), token("indeer", 0.9, d=0.1)]
    assert set_mass("reindeer", tokens, LAMP.choices)["red"] == pytest.approx(0.1)


def test_an_answer_forced_into_the_set_is_no_greedy_one():
    # Structured output: the taken token is not the likeliest of those told.
    forced = ("red", math.log(0.2), (("The", math.log(0.7)), ("red", math.log(0.2)), ("green", math.log(0.1))))
    result, _ = scored(LAMP, Reply(texts=("red",), tokens=(forced,)))
    assert result.answer == "red" and not result.in_set
    assert result.log_mass == pytest.approx(math.log(0.3))


@pytest.mark.parametrize("texts", [("I cannot see",), ("", "maybe")])
def test_an_answer_that_cannot_be_read_is_a_uniform_abstention(texts):
    result, valid = scored(COUNT, Reply(texts=texts))
    assert not valid and result.answer == "unknown" and not result.in_set
    assert set(result.probs.values()) == {1 / 6} and result.log_mass == NOTHING


def test_tokens_without_any_mass_on_the_set_are_one_too():
    result, valid = scored(LAMP, Reply(texts=("Sorry",), tokens=(token("Sorry", 1.0),)))
    assert not valid and set(result.probs.values()) == {0.25}


def test_tokens_that_do_not_spell_the_text_are_not_trusted():
    result, valid = scored(LAMP, Reply(texts=("red",), tokens=(token("\N{REPLACEMENT CHARACTER}x", 1.0),)))
    assert valid and result.probs["red"] == pytest.approx((1 + 0.25) / 2)


def test_samples_vote():
    result, valid = scored(LAMP, Reply(texts=("red", "Red.", "green", "dunno")))
    assert valid and result.answer == "red"
    assert result.probs["red"] == pytest.approx((2 + 0.25) / 4)
    assert result.probs["green"] == pytest.approx((1 + 0.25) / 4)
    assert result.log_mass == pytest.approx(math.log(3 / 4))
