"""Chat endpoints: log-probabilities become the distribution they came from; rates and costs keep their limits."""

import itertools
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_server import spell
from drivelet.adapters.chat_answers import Reply, as_json, from_json, scored, set_mass
from drivelet.adapters.chat_limits import CostMeter, RateLimiter
from drivelet.adapters.chat_reading import find, parse
from drivelet.core.artifacts import Question
from drivelet.core.errors import InputError

LAMPS = ("red", "yellow", "green", "off", "none", "unknown")
SPEEDS = ("5", "15", "50", "55", "100", "none", "unknown")
JUNK = ("The lamp", "blue", "7", "5 mph", "reddish")
weight = st.floats(0.01, 1.0)


def distribution(choices, junk=()):
    texts = (*choices, *junk)
    return st.lists(weight, min_size=len(texts), max_size=len(texts)).map(
        lambda ws: {text: w / sum(ws) for text, w in zip(texts, ws, strict=True)}
    )


def words(text):
    return [text]


def asked(choices):
    return Question(field="f", text="?", choices=choices)


def scored_from(texts, choices, **how):
    text, tokens = spell(texts, **how)
    return scored(asked(choices), Reply(texts=(text,), tokens=tuple(tokens)))


@given(distribution(LAMPS, JUNK[:2]), st.sampled_from([list, words]), st.sampled_from([None, "told"]))
def test_answers_that_differ_in_their_first_token_come_out_exactly(texts, tokenise, end):
    result, valid = scored_from(texts, LAMPS, tokenise=words if end is None else tokenise, end=end)
    inside = sum(texts[choice] for choice in LAMPS)
    assert valid and sum(result.probs.values()) == pytest.approx(1)
    for choice in LAMPS:
        assert result.probs[choice] == pytest.approx(texts[choice] / inside)
    assert result.log_mass == pytest.approx(math.log(inside))
    assert result.in_set == (max(texts, key=texts.__getitem__) in LAMPS)


@given(distribution(SPEEDS))
def test_shared_prefixes_keep_every_group_s_mass(texts):
    result, _ = scored_from(texts, SPEEDS, tokenise=list)
    assert sum(result.probs.values()) == pytest.approx(1)
    assert result.log_mass == pytest.approx(0.0, abs=1e-9)
    for first in {choice[0] for choice in SPEEDS}:
        group = [choice for choice in SPEEDS if choice[0] == first]
        assert sum(result.probs[c] for c in group) == pytest.approx(sum(texts[c] for c in group))


@given(distribution(SPEEDS))
def test_the_walked_branch_is_exact_down_to_its_end(texts):
    text, tokens = spell(texts, list)
    mass = set_mass(text, tokens, SPEEDS)
    assert mass[text] == pytest.approx(texts[text])


@given(distribution(SPEEDS, JUNK), st.sampled_from([list, words]), st.sampled_from([None, "told"]))
def test_whatever_is_said_probabilities_are_a_distribution(texts, tokenise, end):
    result, valid = scored_from(texts, SPEEDS, tokenise=tokenise, end=end)
    assert sum(result.probs.values()) == pytest.approx(1)
    assert all(p >= 0 for p in result.probs.values())
    assert result.log_mass <= 0 and result.answer in SPEEDS
    assert valid or set(result.probs.values()) == {1 / len(SPEEDS)}


@given(distribution(LAMPS, JUNK[:2]), st.sampled_from(LAMPS), st.floats(0.01, 2.0))
def test_more_weight_on_an_answer_never_lowers_it(texts, choice, more):
    before, _ = scored_from(texts, LAMPS, tokenise=words)
    raised = {text: p + more * (text == choice) for text, p in texts.items()}
    after, _ = scored_from({t: p / (1 + more) for t, p in raised.items()}, LAMPS, tokenise=words)
    assert after.probs[choice] >= before.probs[choice] - 1e-9
    assert after.log_mass >= before.log_mass - 1e-9


@given(st.lists(st.sampled_from([*LAMPS, *JUNK]), min_size=1, max_size=9))
def test_votes_rise_with_their_number(texts):
    result, valid = scored(asked(LAMPS), Reply(texts=tuple(texts)))
    counts = {choice: texts.count(choice) for choice in LAMPS}
    assert sum(result.probs.values()) == pytest.approx(1)
    assert valid == any(counts.values())
    for a in LAMPS:
        for b in LAMPS:
            assert (result.probs[a] > result.probs[b]) == (counts[a] > counts[b])
    if valid:
        assert math.exp(result.log_mass) == pytest.approx(sum(counts.values()) / len(texts))


@given(distribution(SPEEDS, JUNK))
def test_a_reply_survives_being_kept(texts):
    text, tokens = spell(texts)
    reply = Reply(texts=(text,), tokens=tuple(tokens), input_tokens=3, output_tokens=4)
    assert from_json(json.loads(json.dumps(as_json(reply)))) == reply


DRESSES = (
    '"{}"', "'{}'", "`{}`", "**{}**", "*{}*", "_{}_", "({})", "{}.", "{}!", " {}\n", "- {}", "```\n{}\n```", "```{}```",
    "<answer>{}</answer>"
)  # fmt: skip
LEADS = (
    "Answer: {}",
    "**Answer:** {}",
    "The answer is {}",
    "My final answer is: {}.",
    '{{"answer": "{}"}}',
    "Hm.\nAnswer: {}",
)
CLOSED = st.sampled_from(
    [LAMPS, SPEEDS, ("0", "1-2", "3-5", "6-10", ">10", "unknown"), ("none", "stop_required", "St.")]
)
LETTERS = st.sampled_from([str, str.upper, str.title])


WORN = st.lists(st.sampled_from(DRESSES), max_size=3, unique_by=lambda dress: "```" if "```" in dress else dress)


@given(st.data(), CLOSED, WORN, st.sampled_from(("{}", *LEADS)), LETTERS, st.booleans())
def test_whatever_dress_an_answer_wears_it_is_read(data, choices, dresses, lead, letters, thinks):
    choice = data.draw(st.sampled_from(choices))
    text = lead.format(letters(choice))
    for dress in dresses:
        text = dress.format(text)
    if thinks:
        text = f"<think>{choices[0]} or {choices[1]}?</think>\n{text}"
    found = find(text, choices)
    assert found is not None and found.choice == choice
    assert text[found.start : found.end].casefold() == choice.casefold()


@given(
    st.data(),
    CLOSED,
    st.sampled_from(("{}", *LEADS)),
    st.sampled_from([" or ", ", ", "/", " and ", "\n", " (not ", "; "]),
)
def test_two_answers_are_none(data, choices, lead, between):
    first, second = data.draw(st.lists(st.sampled_from(choices), min_size=2, max_size=2, unique=True))
    assert parse(lead.format(f"{first}{between}{second}"), choices) is None


@given(st.text(), CLOSED)
def test_any_text_is_read_as_a_choice_that_it_holds_or_not_at_all(text, choices):
    found = find(text, choices)
    assert found is None or (found.choice in choices and 0 <= found.start <= found.end <= len(text))


@given(
    distribution(LAMPS, JUNK[:2]),
    st.sampled_from(LAMPS),
    st.sampled_from(['"{}"', "**{}**", "Answer: {}", '{{"answer": "{}"}}']),
)
def test_a_dress_does_not_change_the_distribution(texts, said, dress):
    before, after = dress.format("|").split("|")
    rivals = tuple((text, math.log(p)) for text, p in texts.items())
    told = (
        (before, -3.0, ((before, -3.0), ("The", -0.1))),
        (said, math.log(texts[said]), rivals),
        (after, 0.0, ((after, 0.0),)),
    )
    result, valid = scored(asked(LAMPS), Reply(texts=(dress.format(said),), tokens=told))
    inside = sum(texts[choice] for choice in LAMPS)
    assert valid and result.probs == pytest.approx({choice: texts[choice] / inside for choice in LAMPS})


class Clock:
    def __init__(self):
        self.now, self.lock = 0.0, threading.Lock()

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        with self.lock:
            self.now = max(self.now, self.now + seconds)


@given(st.floats(0.5, 600), st.lists(st.floats(0, 30), min_size=2, max_size=60))
def test_no_minute_holds_more_requests_than_allowed(per_minute, pauses):
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock, sleep=clock.sleep)
    turns = []
    for pause in pauses:
        clock.now += pause
        asked_at = clock.now
        turns.append(limiter.wait())
        assert turns[-1] >= asked_at and clock.now >= turns[-1] - 1e-6
    gap = 60 / per_minute
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(turns))
    for turn in turns:
        assert sum(turn <= other < turn + 60 - 1e-6 for other in turns) <= math.ceil(per_minute)


def test_turns_of_many_threads_are_spaced_too():
    limiter = RateLimiter(60, clock=lambda: 0.0, sleep=lambda seconds: None)
    with ThreadPoolExecutor(8) as pool:
        turns = sorted(pool.map(lambda _: limiter.wait(), range(50)))
    assert turns == [float(second) for second in range(50)]


costs = st.lists(st.floats(0.001, 1.0), min_size=1, max_size=30)


@given(costs, st.floats(0.05, 10), st.integers(1, 4))
def test_a_cap_is_kept_where_expectations_hold_and_stops_late_enough(requests, cap, threads):
    meter, lock, paid = CostMeter(cap), threading.Lock(), []

    def send(cost):
        try:
            aside = meter.reserve(1.0)
        except InputError:
            return
        meter.settle(aside, cost)
        with lock:
            paid.append(cost)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, requests))
    assert meter.spent == pytest.approx(sum(paid)) and meter.spent <= cap + 1e-9
    # None was turned away while another surely fitted.
    assert len(paid) == len(requests) or meter.spent + 1.0 > cap - 1e-9


@given(costs, st.floats(0.0, 5.0), st.floats(0.1, 5.0), st.integers(1, 5))
def test_workers_share_what_is_left(requests, spent, room, workers):
    meters = [CostMeter(spent + room, spent=spent, workers=workers) for _ in range(workers)]
    total = spent
    for place, cost in enumerate(requests):
        meter = meters[place % workers]
        try:
            aside = meter.reserve(1.0)
        except InputError:
            continue
        meter.settle(aside, cost)
        total += cost
    assert total <= spent + room + 1e-9


def test_without_a_cap_all_pass_at_once():
    meter = CostMeter(0.0)
    asides = [meter.reserve(10.0) for _ in range(5)]
    for aside in asides:
        meter.settle(aside, 2.0)
    assert meter.spent == 10.0
