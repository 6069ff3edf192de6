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
    "text",
    [
        "red", "Red.", "  RED \n", "red .", '"red"', "'red'", "\u201cred\u201d", "**red**", "`red`", "(red)", "- red",
        '"red".', "**Red.**", "```\nred\n```", "```json\n{\"answer\": \"red\"}\n```", '{"answer": "red"}', '["red"]',
        '{"traffic_light.state": "Red"}', '{"answer": "red", "confidence": 0.9, "reason": "not green"}',
        'Sure! {"answer": "red"}', "<think>It is not green, maybe none.</think>\n\nred", "no thought</think>red",
        "Answer: red", "**Answer:** red", "**Final answer: red**", "answer = red", "The answer is red.",
        "The correct answer is: **red**.", "So, my final answer would be red", "Answer: red, as the lamp glows",
        "I see a green tree, so there is a lamp.\n\nAnswer: red", "<answer>red</answer>", "so \\boxed{\\text{red}}",
        "red\n\nThe lamp above the lane glows.", "Answer: red\nAnswer: red", '{"answer": "red"',
    ],
)  # fmt: skip
def test_an_answer_is_read_in_its_dress(text):
    assert parse(text, LAMP.choices) == "red"


@pytest.mark.parametrize(
    "text",
    [
        "", "redd", "the lamp is red", "it may be red", "red, green", "red or green", "Answer: red or green",
        "Answer: red (or green)", "Answer: red\nAnswer: green", '{"answer": ["red", "green"]}', '["red", "green"]',
        '{"a": "red", "b": "green"}', '{"state": "red", "answer": "green"}', "The answer is not red.",
        "I cannot say whether the answer is red", "<think>The answer is red", "<think>red</think>", "red\ngreen",
        "not red",
        "red\nThe other one is green.", "{" * 5000, "[" * 5000, "```red```\n```green```",
    ],
)  # fmt: skip
def test_a_reply_without_one_answer_is_not_read(text):
    assert parse(text, LAMP.choices) is None


@pytest.mark.parametrize(
    "letter", ["\n", " ", "`", "<", "{", '"', "<answer>", "answer", "answer:", "- ", "red ", "\nred"]
)
def test_an_endless_reply_is_read_to_its_end(letter):
    # A pattern that tries every place against every other would not come to an end here.
    assert parse(letter * 200_000 + "\nAnswer: green", LAMP.choices) in ("green", None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3\u20135", "3-5"), ('"> 10"', ">10"), ("10", None), ("-5", None), ("<5", None), (".5", None),
        ("5 cones", None), ('{"answer": 0}', "0"), ("Answer: 1-2", "1-2"),
    ],
)  # fmt: skip
def test_signs_and_dashes_of_numbers_are_no_dress(text, answer):
    assert parse(text, COUNT.choices) == answer


def test_other_spellings_are_read():
    assert parse("Stop required.", ("none", "stop_required")) == "stop_required"
    assert parse('{"answer": true}', ("yes", "no")) == "yes"


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


@pytest.mark.parametrize(("before", "after"), [('"', '"'), ("**", "**"), ('{"answer": "', '"}'), ("Answer: ", ".")])
def test_a_dressed_answer_keeps_its_rivals(before, after):
    tokens = [token(before, 0.1, The=0.9), token("red", 0.6, green=0.3, The=0.1), token(after, 1.0)]
    result, valid = scored(LAMP, Reply(texts=(f"{before}red{after}",), tokens=tuple(tokens)))
    assert valid and result.answer == "red" and result.log_mass == pytest.approx(math.log(0.9))
    assert result.probs["red"] == pytest.approx(2 / 3) and result.probs["green"] == pytest.approx(1 / 3)


def test_a_long_thought_does_not_make_the_answer_unlikely():
    thought = [token("<think>", 0.5), *[token("hm", 0.1, ah=0.9)] * 50, token("</think>", 0.5)]
    tokens = (*thought, token("red", 0.7, green=0.3), token("</s>", 1.0))
    text = "<think>" + "hm" * 50 + "</think>red"
    assert scored(LAMP, Reply(texts=(text,), tokens=tokens))[0].probs["red"] == pytest.approx(0.7)


def test_tokens_that_name_no_rival_are_one_vote():
    result, valid = scored(LAMP, Reply(texts=("red",), tokens=(("red", -0.5, ()),)))
    assert valid and result.probs["red"] == pytest.approx((1 + 0.25) / 2)


def test_the_answer_is_the_likeliest_though_another_was_said():
    # Sampled, or forced: what was said is not what the endpoint finds likeliest.
    said = token("red", 0.2, green=0.7)
    result, valid = scored(LAMP, Reply(texts=("red",), tokens=(said,)))
    assert valid and result.answer == "green" == max(result.probs, key=result.probs.__getitem__) and not result.in_set


@pytest.mark.parametrize(
    ("text", "finish", "read"),
    [
        ("5", "length", False), ("none", "length", True), ("Answer: 5.", "length", True), ("5", "stop", True),
        ("red", "content_filter", False), ("5", "content_filter", False),
    ],
)  # fmt: skip
def test_a_reply_that_was_cut_or_filtered_counts_only_where_it_is_whole(text, finish, read):
    asked = Question(field="f", text="?", choices=("5", "50", "none", "red", "unknown"))
    assert scored(asked, Reply(texts=(text,), finishes=(finish,)))[1] == read
