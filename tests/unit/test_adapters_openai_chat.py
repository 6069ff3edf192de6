"""Chat endpoints asked through the real client over real HTTP: answers, retries, limits, costs, and what is kept."""

import logging
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat_server import ChatServer, Seen, choices_of, colour_scores, read_request
from drivelet.adapters.chat_limits import RateLimiter
from drivelet.adapters.chat_settings import Asking, Endpoint, Limits
from drivelet.adapters.openai_chat import ChatModel
from drivelet.core.artifacts import Question
from drivelet.core.errors import InputError, MissingBackendError

KEY = "sk-test-0123456789abcdef"
LAMP = Question(field="lamp", text="What does the lamp show?", choices=("red", "green", "none", "unknown"))
SIGN = Question(field="sign", text="Which limit is posted?", choices=("5", "50", "none", "unknown"))
QUICK: dict[str, Any] = {"Retry-After": "0.01"}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def open_model(tmp_path):
    opened = []

    def make(server, *, asking=None, limiter=None, answers="answers.sqlite", **limits):
        endpoint = Endpoint(model="toy", base_url=server.url, asking=asking or Asking(image_format="png"))
        limits = {"timeout_s": 60.0, **limits}
        opened.append(ChatModel(endpoint, answers=tmp_path / answers, limits=Limits(**limits), limiter=limiter))
        return opened[-1]

    yield make
    for model in opened:
        model.close()


def solid(number: int) -> np.ndarray:
    return np.full((20, 30, 3), (number * 37 % 256, number * 91 % 256, number * 13 % 256), np.uint8)


def pairs(count: int) -> list[tuple[np.ndarray, Question]]:
    return [(solid(number), LAMP) for number in range(count)]


def test_log_probabilities_give_the_scorer_s_own_distribution(open_model):
    with ChatServer() as server:
        model = open_model(server)
        lamp, sign = model.score(solid(3), [LAMP, SIGN])
    assert lamp.probs == pytest.approx(colour_scores(solid(3), LAMP.choices))
    expected = colour_scores(solid(3), SIGN.choices)
    assert lamp.field == "lamp" and sign.field == "sign"
    assert sign.probs["5"] + sign.probs["50"] == pytest.approx(expected["5"] + expected["50"])
    assert lamp.log_mass == pytest.approx(0.0, abs=1e-9) and model.invalid == 0 and model.asked == 2


def test_a_request_holds_the_picture_the_question_and_its_closed_set(open_model):
    with ChatServer() as server:
        open_model(server).score(solid(3), [LAMP])
    (seen,) = server.seen
    image, text = read_request(seen.body)
    assert np.array_equal(image, solid(3)) and text.startswith(LAMP.text) and choices_of(text) == list(LAMP.choices)
    assert seen.body["model"] == "toy" and seen.body["logprobs"] is True and seen.body["top_logprobs"] == 20
    assert seen.body["temperature"] == 0 and seen.body["max_tokens"] == 16 and "structured_outputs" not in seen.body
    assert seen.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("structured_outputs.choice", {"structured_outputs": {"choice": list(LAMP.choices)}}),
        ("guided_choice", {"guided_choice": list(LAMP.choices)}),
        ("regex", {"regex": "red|green|none|unknown"}),
    ],
)
def test_structured_choice_goes_under_the_server_s_name(open_model, field, sent):
    with ChatServer() as server:
        open_model(server, asking=Asking(choice_field=field)).score(solid(1), [LAMP])
    assert server.seen[0].body.items() >= sent.items()


def test_large_images_are_shrunk_and_sent_as_jpeg(open_model):
    with ChatServer() as server:
        open_model(server, asking=Asking(longest_side=32)).score(np.full((90, 120, 3), 99, np.uint8), [LAMP])
    picture = server.seen[0].body["messages"][0]["content"][0]["image_url"]["url"]
    assert picture.startswith("data:image/jpeg;base64,") and read_request(server.seen[0].body)[0].shape == (24, 32, 3)


def test_samples_vote_where_no_log_probabilities_come(open_model):
    with ChatServer(say=["red", "Red.", "green", "no idea"]) as server:
        model = open_model(server, asking=Asking(samples=4))
        (lamp,) = model.score(solid(1), [LAMP])
    body = server.seen[0].body
    assert body["n"] == 4 and body["temperature"] == 1 and "logprobs" not in body
    assert lamp.answer == "red" and lamp.probs["red"] == pytest.approx((2 + 0.25) / 4)


def test_an_unreadable_answer_is_counted_not_guessed(open_model):
    with ChatServer(logprobs=False, say=["it may be red"]) as server:
        model = open_model(server)
        for _ in range(2):
            (lamp,) = model.score(solid(1), [LAMP])
    assert set(lamp.probs.values()) == {0.25} and lamp.answer == "unknown"
    assert model.invalid == 1 and len(server.seen) == 1


@pytest.mark.parametrize("fault", [(429, QUICK, "slow down"), (500, QUICK, "oops"), (503, QUICK, "busy")])
def test_passing_failures_are_tried_again(open_model, fault):
    with ChatServer(faults=deque([fault, fault])) as server:
        (lamp,) = open_model(server).score(solid(3), [LAMP])
    assert len(server.seen) == 3 and lamp.probs == pytest.approx(colour_scores(solid(3), LAMP.choices))


def test_a_lost_answer_is_asked_for_again(open_model):
    with ChatServer(faults=deque(["slow"])) as server:
        open_model(server, timeout_s=0.2).score(solid(3), [LAMP])
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ((401, {}, f"Incorrect API key provided: {KEY}"), r"access denied \(401\); set OPENAI_API_KEY"),
        ((404, {}, "no such model"), r"no model 'toy'.*correct --teacher"),
        ((413, {}, "too large"), r"too large \(413\); set endpoint.longest_side"),
        ((400, {}, f"image is too large, key {KEY}"), r"refused: .*image is too large, key \*\*\*.*longest_side"),
        ((429, QUICK, "quota"), r"too many requests after 1 retries \(429\)"),
        ((500, QUICK, "oops"), r"the server fails after 1 retries \(500\)"),
        ("broken", "no chat completion"),
    ],
)
def test_each_failure_is_one_line_without_the_key(open_model, tmp_path, caplog, fault, said):
    caplog.set_level(logging.DEBUG)
    with ChatServer(faults=deque([fault] * 2)) as server, pytest.raises(InputError, match=said) as caught:
        open_model(server, retries=1).score(solid(1), [LAMP])
    assert "\n" not in str(caught.value) and server.url in str(caught.value)
    assert KEY not in str(caught.value) and KEY not in caplog.text and not holds(tmp_path, KEY)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def holds(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_an_unreachable_or_slow_server_is_one_line(open_model):
    with ChatServer() as server:
        closed = server.url
    silent = type("Server", (), {"url": closed})
    with pytest.raises(InputError, match="cannot be reached after 0 retries"):
        open_model(silent, retries=0).score(solid(1), [LAMP])
    with ChatServer(faults=deque(["slow"])) as server, pytest.raises(InputError, match=r"no answer within 0.2 s"):
        open_model(server, retries=0, timeout_s=0.2).score(solid(1), [LAMP])


UNSUPPORTED = {
    "temperature": "Unsupported value: 'temperature' does not support 0.0 with this model.",
    "logprobs": "logprobs are not supported with this model",
    "top_logprobs": "Unknown name: top_logprobs",
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
    "seed": "seed is not permitted",
}


class Picky(ChatServer):
    """Refuses some fields of a request, as reasoning models and small servers do."""

    refuses: tuple[str, ...] = ()

    def handle(self, handler, body):
        for name in self.refuses:
            if name in body:
                self.faults.appendleft((400, {}, UNSUPPORTED[name]))
                break
        super().handle(handler, body)


@pytest.mark.parametrize("refuses", [(name,) for name in UNSUPPORTED] + [tuple(UNSUPPORTED)])
def test_fields_that_a_model_refuses_are_left_out_once_and_said_once(open_model, capfd, refuses):
    with Picky() as server:
        server.refuses = refuses
        model = open_model(server, asking=Asking(image_format="png", extra={"seed": 3}), concurrent=1)
        results = model.score_many(pairs(4))
    assert len(server.seen) == 4 + len(refuses) - (refuses == tuple(UNSUPPORTED))  # top_logprobs goes with logprobs
    assert [result.answer in LAMP.choices for result in results] == [True] * 4
    last = server.seen[-1].body
    assert not set(refuses) & set(last) and ("max_tokens" in last) != ("max_completion_tokens" in last)
    said = capfd.readouterr().err
    assert all(
        said.count(f"does not take {name};") == 1 for name in refuses if name != "top_logprobs" or len(refuses) == 1
    )


def test_a_field_that_cannot_be_left_out_is_a_refusal(open_model):
    fault = (400, {}, "messages must not be empty")
    with ChatServer(faults=deque([fault])) as server, pytest.raises(InputError, match=r"refused: .*messages must not"):
        open_model(server).score(solid(1), [LAMP])
    both = [(400, {}, "max_tokens is too large"), (400, {}, "max_completion_tokens is too large")]
    with (
        ChatServer(faults=deque(both)) as server,
        pytest.raises(InputError, match=r"max_completion_tokens is too large"),
    ):
        open_model(server).score(solid(1), [LAMP])


def test_temperature_and_extra_fields_are_sent_as_set(open_model):
    kwargs = {"chat_template_kwargs": {"enable_thinking": False}}
    with ChatServer() as server:
        open_model(server, asking=Asking(temperature=None, extra=kwargs)).score(solid(1), [LAMP])
        open_model(server, asking=Asking(temperature=0.7, choice_field="guided_choice", extra=kwargs)).score(
            solid(1), [LAMP]
        )
        open_model(server, asking=Asking(samples=2, temperature=0.4)).score(solid(1), [LAMP])
    first, second, third = (seen.body for seen in server.seen)
    assert "temperature" not in first and first.items() >= kwargs.items()
    assert (
        second["temperature"] == 0.7
        and second["guided_choice"] == list(LAMP.choices)
        and second.items() >= kwargs.items()
    )
    assert third["temperature"] == 0.4


@pytest.mark.parametrize(
    ("message", "finish", "answer"),
    [
        ({"content": '"red"'}, "stop", "red"),
        ({"content": [{"type": "text", "text": "re"}, {"type": "text", "text": "d"}]}, "stop", "red"),
        ({"content": None, "reasoning_content": "Answer: red"}, "stop", "red"),
        ({"content": None, "reasoning_content": "The answer is red"}, "length", None),
        ({"content": "<think>is it red"}, "length", None),
        ({"content": "red"}, "content_filter", None),
        ({"content": ""}, "stop", None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_messages_of_every_shape_are_read_or_counted(open_model, message, finish, answer):
    with Shaped(message, finish) as server:
        model = open_model(server)
        (lamp,) = model.score(solid(1), [LAMP])
    assert lamp.answer == (answer or "unknown") and model.invalid == (answer is None)


class Shaped(ChatServer):
    """Answers with one message, whatever it is asked."""

    def __init__(self, message, finish):
        super().__init__()
        self.message, self.finish = message, finish

    def completion(self, body, number):
        choice = {"index": 0, "message": {"role": "assistant", **self.message}, "finish_reason": self.finish}
        return {"choices": [choice], "usage": {"prompt_tokens": None}}


@pytest.mark.parametrize(
    "shape", [[], {"choices": []}, {"choices": [None]}, {"choices": [{"message": 3}]}, {"choices": 4}, 7]
)
def test_an_answer_of_another_shape_is_one_line(open_model, shape):
    with ChatServer() as server, pytest.raises(InputError, match="no chat completion"):
        server.completion = lambda body, number: shape
        open_model(server).score(solid(1), [LAMP])


def test_an_error_that_comes_as_an_answer_is_told_without_the_key(open_model):
    with ChatServer() as server, pytest.raises(InputError, match=r"the request failed: .*no provider, key \*\*\*"):
        server.completion = lambda body, number: {"error": {"message": f"no provider, key {KEY}", "code": 502}}
        open_model(server).score(solid(1), [LAMP])


def test_replies_that_cannot_be_read_are_an_error_with_the_first_in_it(open_model):
    with ChatServer(logprobs=False, say=["I am only a text model."]) as server:
        with pytest.raises(
            InputError, match=r"(\d+) of \1 replies .*the first, to lamp: 'I am only a text model.'"
        ) as caught:
            open_model(server, concurrent=1).score_many(pairs(60))
        assert "\n" not in str(caught.value) and 20 <= len(server.seen) < 60
        few = open_model(server)
        few.score_many([(solid(200), LAMP), (solid(201), LAMP)])
        with pytest.raises(InputError, match="2 of 2 replies"):
            few.check_replies()
        # A server that was put right is asked again.
        server.say = ["red"]
        results = open_model(server).score_many(pairs(60))
    assert [result.answer for result in results] == ["red"] * 60


def test_some_replies_that_cannot_be_read_are_no_error(open_model):
    with ChatServer(logprobs=False, say=["red", "well..."] * 20 + ["red"]) as server:
        model = open_model(server, concurrent=1)
        model.score_many(pairs(40))
        model.check_replies()
    assert model.invalid == 20


def test_a_key_holds_all_that_is_sent(open_model):
    ways = [
        {}, {"temperature": None}, {"temperature": 0.5}, {"extra": {"seed": 1}}, {"extra": {"seed": 2}},
        {"max_tokens": 17}, {"length_field": "max_completion_tokens"}, {"longest_side": 8},
        {"image_format": "jpeg"}, {"logprobs": False},
        {"top_logprobs": 5}, {"samples": 2}, {"choice_field": "guided_choice"},
    ]  # fmt: skip
    with ChatServer() as server:
        for way in ways * 2:
            open_model(server, asking=Asking(**{"image_format": "png", **way})).score(solid(1), [LAMP])
        assert len(server.seen) == len(ways)
        open_model(server).score(solid(2), [LAMP])
        assert len(server.seen) == len(ways) + 1


def test_a_slow_trickle_is_given_up_on_and_said(open_model, capfd):
    with Trickle() as server, pytest.raises(InputError, match=r"no answer within 0.3 s after 1 retries"):
        open_model(server, timeout_s=0.3, retries=1).score(solid(1), [LAMP])
    assert len(server.seen) == 2 and capfd.readouterr().err.count("limits.timeout_s=0.3; asking again") == 1


class Trickle(ChatServer):
    """Sends a reply byte by byte, each long before any time limit of a step."""

    def handle(self, handler, body):
        self.seen.append(Seen(body, {}, 0.0))
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(600):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)


def test_an_endless_reply_is_one_line(open_model):
    class Endless(ChatServer):
        def handle(self, handler, body):
            handler.send_response(200)
            handler.send_header("Content-Length", str(2**32))
            handler.end_headers()
            for _ in range(64):
                handler.wfile.write(b" " * 2**20)

    with Endless() as server, pytest.raises(InputError, match="no chat completion"):
        open_model(server, retries=0).score(solid(1), [LAMP])


INTERRUPTED = """
import sys
import numpy as np
from pathlib import Path
from drivelet.adapters.chat_settings import *
from drivelet.adapters.openai_chat import ChatModel
from drivelet.core.artifacts import Question
lamp = Question(field="lamp", text="What does the lamp show?", choices=("red", "green", "none", "unknown"))
model = ChatModel(Endpoint(model="toy", base_url=sys.argv[1]), answers=Path(sys.argv[2]), limits=Limits())
try:
    model.score(np.zeros((20, 30, 3), np.uint8), [lamp])
except KeyboardInterrupt:
    model.close()
    sys.exit(130)
"""


@pytest.mark.parametrize("way", ["silent", "trickle", "failing"])
def test_ctrl_c_ends_the_program_whatever_the_server_does(tmp_path, way):
    reached, over = threading.Event(), threading.Event()

    def on_request(number):
        reached.set()
        if way == "silent":
            over.wait(timeout=60)

    class Server(Trickle if way == "trickle" else ChatServer):
        def handle(self, handler, body):
            if way == "trickle":
                reached.set()
            super().handle(handler, body)

    faults = deque([(503, {"Retry-After": "50"}, "busy")] if way == "failing" else [])
    with Server(on_request=on_request, faults=faults) as server:
        process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, server.url, str(tmp_path / "a.sqlite")])
        assert reached.wait(timeout=60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        # The server goes on for 30 s and more: the test ends only where the program does not wait for it.
        assert process.wait(timeout=20) == 130
        over.set()


def test_a_server_that_speaks_something_else_is_one_line(open_model):
    with ChatServer() as server:
        server.completion = lambda body, number: {"choices": []}
        with pytest.raises(InputError, match="no chat completion"):
            open_model(server).score(solid(1), [LAMP])


def test_a_key_is_not_needed_where_the_server_asks_for_none(open_model, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with ChatServer() as server:
        open_model(server).score(solid(1), [LAMP])
    assert server.seen[0].headers["authorization"] == "Bearer none"


def test_the_key_s_variable_is_a_setting(open_model, monkeypatch):
    monkeypatch.setenv("OTHER_KEY", "other")
    with ChatServer() as server:
        open_model(server, key_variable="OTHER_KEY").score(solid(1), [LAMP])
    assert server.seen[0].headers["authorization"] == "Bearer other"


def test_as_many_requests_as_allowed_are_under_way(open_model):
    together = threading.Barrier(3)
    with ChatServer(on_request=lambda number: together.wait(timeout=60) and None) as server:
        open_model(server, concurrent=3).score_many(pairs(12))
    # The barrier opens for three at a time, so three were; a fourth never was.
    assert server.most_at_once == 3 and len(server.seen) == 12


def test_the_rate_limit_spaces_requests_and_their_retries(open_model):
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    limiter = RateLimiter(30, clock=lambda: now[0], sleep=sleep)
    with ChatServer(clock=lambda: now[0], faults=deque([None, (500, QUICK, "oops"), None])) as server:
        open_model(server, limiter=limiter, concurrent=1).score_many(pairs(5))
    assert [seen.at for seen in server.seen] == pytest.approx([0, 2, 4, 6, 8, 10])


def test_equal_questions_are_asked_once_and_kept_by_content(open_model):
    with ChatServer() as server:
        first = open_model(server).score_many([*pairs(3), *pairs(3)])
        assert len(server.seen) == 3 and first[:3] == first[3:]
        assert open_model(server).score_many(pairs(3)) == first[:3]
        assert len(server.seen) == 3
        for asking in (Asking(image_format="png", samples=2), Asking(image_format="jpeg")):
            open_model(server, asking=asking).score_many(pairs(1))
        open_model(server).score(solid(0), [SIGN])
        assert len(server.seen) == 6


def test_the_cost_cap_stops_before_it_and_keeps_what_was_answered(open_model, tmp_path):
    prices = {"price_in": 5_000.0, "price_out": 0.0}
    with ChatServer(tokenise=lambda text: [text]) as server:
        one = open_model(server, answers="probe.sqlite", **prices)
        one.score_many(pairs(1))
        dearest = max(one.spent, _expected(5_000.0))
        cap = 4 * one.spent + dearest + 1e-6
        model = open_model(server, max_cost=cap, concurrent=4, **prices)
        server.seen.clear()
        with pytest.raises(
            InputError, match=r"stopped before limits.max_cost=.*5 requests paid in this run.*all answers"
        ):
            model.score_many(pairs(20))
        assert len(server.seen) == 5 and model.spent <= cap
        server.seen.clear()
        again = open_model(server, max_cost=cap, **prices)
        assert again.spent == pytest.approx(5 * one.spent)
        with pytest.raises(InputError, match="0 requests paid in this run"):
            again.score_many(pairs(20))
        assert server.seen == []
        open_model(server, **prices).score_many(pairs(20))
        assert len(server.seen) == 15


def _expected(price_in: float) -> float:
    """What a request on a solid picture is expected to cost: a token a byte of text, 14 x 14 pixels, and a template."""
    text = f"{LAMP.text}\nAnswer with exactly one of these and nothing else: {', '.join(LAMP.choices)}"
    return (20 * 30 // 196 + 100 + len(text)) * price_in / 1e6


def test_an_endpoint_that_counts_no_tokens_is_charged_what_was_expected(open_model):
    with ChatServer(usage=False) as server:
        model = open_model(server, price_in=5_000.0)
        model.score_many(pairs(2))
    assert model.spent == pytest.approx(2 * _expected(5_000.0))


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"max_cost": 1.0}, "needs prices"), ({"retries": -1}, "retries=-1"), ({"concurrent": 0}, "at least 1")],
)
def test_limits_that_make_no_sense_are_one_line(open_model, limits, said):
    with ChatServer() as server, pytest.raises(InputError, match=said):
        open_model(server, **limits)


def test_an_interrupted_batch_goes_on_without_asking_again(open_model):
    def on_request(number):
        if number == 7:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if 7 <= number < 20:
            # Time for the batch to notice.
            time.sleep(0.3)

    with ChatServer(on_request=on_request) as server:
        with pytest.raises(KeyboardInterrupt):
            open_model(server, concurrent=2).score_many(pairs(40))
        server.on_request = lambda number: None
        before = len(server.seen)
        assert 7 <= before < 40
        results = open_model(server).score_many(pairs(40))
        assert len(server.seen) == 40
    pictures = [seen.body["messages"][0]["content"][0]["image_url"]["url"] for seen in server.seen]
    assert len(set(pictures)) == 40
    for number, result in enumerate(results):
        assert result.probs == pytest.approx(colour_scores(solid(number), LAMP.choices))


KILLED = """
import os, sys
import numpy as np
from pathlib import Path
from drivelet.adapters.chat_settings import *
from drivelet.adapters.openai_chat import ChatModel
from drivelet.core.artifacts import Question
lamp = Question(field="lamp", text="What does the lamp show?", choices=("red", "green", "none", "unknown"))
solid = lambda n: np.full((20, 30, 3), (n * 37 % 256, n * 91 % 256, n * 13 % 256), np.uint8)
endpoint = Endpoint(model="toy", base_url=sys.argv[1], asking=Asking(image_format="png"))
model = ChatModel(endpoint, answers=Path(sys.argv[2]), limits=Limits(concurrent=1))
model.score_many([(solid(n), lamp) for n in range(40)])
"""


def test_a_killed_process_paid_for_what_it_kept(open_model, tmp_path):
    stop, killed = threading.Event(), threading.Event()

    def on_request(number):
        if number == 6:
            stop.set()
            killed.wait(timeout=60)

    with ChatServer(on_request=on_request) as server:
        call = [sys.executable, "-c", KILLED, server.url, str(tmp_path / "answers.sqlite")]
        process = subprocess.Popen(call)
        assert stop.wait(timeout=60)
        process.kill()
        process.wait()
        killed.set()
        open_model(server).score_many(pairs(40))
        # The sixth was under way: asked again. The five before it were not.
        assert len(server.seen) == 41


def test_a_file_that_is_no_store_is_one_line(open_model, tmp_path):
    (tmp_path / "answers.sqlite").write_text("no database, but long enough to be looked at" * 50)
    with ChatServer() as server, pytest.raises(InputError, match=r"answers.sqlite: answers cannot be kept"):
        open_model(server)


def test_the_store_holds_replies_and_no_picture(open_model, tmp_path):
    with ChatServer() as server:
        open_model(server).score_many(pairs(2))
    rows = sqlite3.connect(tmp_path / "answers.sqlite").execute("SELECT account, reply FROM answers").fetchall()
    assert len(rows) == 2 and {account for account, _ in rows} == {f"toy@{server.url}"}
    assert all("base64" not in reply and KEY not in reply for _, reply in rows)


def test_the_missing_client_is_told_with_its_remedy(open_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with ChatServer() as server, pytest.raises(MissingBackendError, match=r"pip install 'drivelet\[remote\]'"):
        open_model(server)


def test_asking_in_another_way_is_another_name():
    plain = Endpoint(model="a/b", base_url="http://host:8000/v1")
    other = Endpoint(model="a/b", base_url="http://host:8000/v1", asking=Asking(samples=3))
    assert plain.name == "a/b@host:8000" and other.name.startswith("a/b@host:8000+")
