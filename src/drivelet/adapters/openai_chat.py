"""Any OpenAI-compatible chat endpoint (OpenAI, vLLM, SGLang, llama.cpp, LM Studio) as a vision-language model."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from drivelet.adapters.chat_answers import Reply, scored
from drivelet.adapters.chat_client import ChatClient
from drivelet.adapters.chat_limits import CostMeter, RateLimiter
from drivelet.adapters.chat_reply import read_reply
from drivelet.adapters.chat_request import SentImage, request_body, stated
from drivelet.adapters.chat_settings import Endpoint, Limits, digest_of
from drivelet.adapters.chat_store import AnswerStore
from drivelet.adapters.patience import take
from drivelet.core.artifacts import ImageArray, Question, Scored
from drivelet.core.errors import InputError

GRACE_S = 1.0
"""After Ctrl-C, answers under way are paid for: those that come within this time are kept."""
ENOUGH = 20
"""After so many replies it shows whether an endpoint's replies can be read."""

Job = tuple[SentImage, Question]
Outcome = tuple[str, Reply | Exception]


class ChatModel:
    """Asks one question a request and answers it inside its closed set.

    Implements `core.ports.VisionLanguageModel`. Answers are kept by content (address, and the whole request: model,
    pixels, question, choices, settings), so that no question is paid for twice; `asked` counts the requests that were
    answered.

    Args:
        endpoint: who is asked, and how.
        answers: file that keeps the answers.
        limits: rates, retries and cost.
        limiter: spaces the requests; made from `limits` by default.
    """

    def __init__(
        self, endpoint: Endpoint, *, answers: Path, limits: Limits, limiter: RateLimiter | None = None
    ) -> None:
        limits.check()
        self.endpoint, self.limits, self.name = endpoint, limits, endpoint.name
        self.asked = 0
        self._read: set[str] = set()
        self._unread: dict[str, tuple[str, Reply]] = {}
        self._client = ChatClient(endpoint, limits, limiter or RateLimiter(limits.requests_per_minute / limits.workers))
        self._store = AnswerStore(answers)
        self._account = f"{endpoint.model}@{endpoint.base_url}"
        spent = limits.cost(*self._store.tokens(self._account))
        self._meter = CostMeter(limits.max_cost, spent=spent, workers=limits.workers)

    @property
    def spent(self) -> float:
        """What all kept answers of this model cost, in the unit of the prices."""
        return self._meter.spent

    @property
    def invalid(self) -> int:
        """How many questions got a reply that says nothing about their closed set."""
        return len(self._unread)

    def close(self) -> None:
        """Close connections and the file of answers."""
        self._client.close()
        self._store.close()

    def score(self, image: ImageArray, questions: Sequence[Question]) -> list[Scored]:
        """Answer all questions about one image of shape (height, width, 3); one result a question, in order."""
        return self.score_many([(image, question) for question in questions])

    def score_many(self, pairs: Iterable[tuple[ImageArray, Question]]) -> list[Scored]:
        """Answer questions about images, `limits.concurrent` at a time; one result a pair, in order.

        Raises:
            InputError: the endpoint cannot be reached, refuses, most of its replies cannot be read, or the cost cap is
                reached; answers so far are kept.
        """
        pictures: dict[int, SentImage] = {}
        jobs = [(pictures.setdefault(id(image), SentImage(image, self.endpoint.asking)), q) for image, q in pairs]
        keys = [_key(self.endpoint, picture.digest, question) for picture, question in jobs]
        asked = dict(zip(keys, jobs, strict=True))
        replies = {key: reply for key in asked if (reply := self._store.get(key)) is not None}
        for key, reply in replies.items():
            self._note(key, asked[key][1], reply)
        replies |= self._ask_all({key: job for key, job in asked.items() if key not in replies})
        return [scored(question, replies[key])[0] for key, (_, question) in zip(keys, jobs, strict=True)]

    def check_replies(self) -> None:
        """Raise InputError where no reply says one of its answers, or of many fewer than half do.

        Replies that cannot be read are then asked for again by the next run.
        """
        if self._is_unreadable(least=1):
            raise self._unreadable()

    def _unreadable(self) -> InputError:
        count, ((field, first), *_) = len(self._unread), self._unread.values()
        self._store.forget(list(self._unread))
        return InputError(
            f"{self.name}: {count} of {count + len(self._read)} replies are none of the answers asked for; the first,"
            f" to {field}: {_shown(first)}; see the settings endpoint.* (max_tokens, choice_field, extra), or ask"
            " another model"
        )

    def _is_unreadable(self, *, least: int) -> bool:
        told = len(self._read) + len(self._unread)
        few = 2 * len(self._read) < told if told >= ENOUGH else not self._read
        return bool(self._unread) and told >= least and few

    def _note(self, key: str, question: Question, reply: Reply) -> None:
        if scored(question, reply)[1]:
            self._read.add(key)
        else:
            self._unread[key] = (question.field, reply)

    def _ask_all(self, missing: Mapping[str, Job]) -> dict[str, Reply]:
        waiting: SimpleQueue[tuple[str, Job]] = SimpleQueue()
        outcomes: SimpleQueue[Outcome] = SimpleQueue()
        for item in missing.items():
            waiting.put(item)
        stop = Event()
        count = min(len(missing), max(1, self.limits.concurrent // self.limits.workers))
        # Daemons: whatever a server does to them, Ctrl-C ends the program.
        crew = [Thread(target=self._serve, args=(waiting, outcomes, stop), daemon=True) for _ in range(count)]
        replies: dict[str, Reply] = {}
        patience = self.limits.timeout_s
        try:
            for member in crew:
                member.start()
            while len(replies) < len(missing) and not self._is_unreadable(least=ENOUGH):
                self._take(take(outcomes), missing, replies)
        except KeyboardInterrupt:
            patience = GRACE_S
            raise
        finally:
            # After an error or Ctrl-C: what is under way is paid for, so it is kept if it comes.
            stop.set()
            until = time.monotonic() + patience
            for member in crew:
                member.join(max(0.0, until - time.monotonic()))
        while not outcomes.empty():
            self._take(outcomes.get(), missing, replies)
        if len(replies) < len(missing):
            raise self._unreadable()
        return replies

    def _take(self, outcome: Outcome, missing: Mapping[str, Job], replies: dict[str, Reply]) -> None:
        key, reply = outcome
        if isinstance(reply, Exception):
            raise reply
        replies[key] = reply
        self.asked += 1
        self._note(key, missing[key][1], reply)

    def _serve(self, waiting: "SimpleQueue[tuple[str, Job]]", outcomes: "SimpleQueue[Outcome]", stop: Event) -> None:
        while not stop.is_set():
            try:
                key, job = waiting.get_nowait()
            except Empty:
                return
            try:
                outcomes.put((key, self._ask(key, *job)))
            except Exception as error:  # handed to the caller's thread, which raises it
                outcomes.put((key, error))

    def _ask(self, key: str, picture: SentImage, question: Question) -> Reply:
        body = request_body(self.endpoint, picture.url, question)
        expected = picture.expected_tokens + len(stated(question).encode())
        most = self.endpoint.asking.max_tokens * self.endpoint.asking.samples
        aside = self._meter.reserve(self.limits.cost(expected, most))
        cost = 0.0
        try:
            reply = read_reply(self._client.send(body), expected=(expected, most), where=self.endpoint.base_url)
            cost = self.limits.cost(reply.input_tokens, reply.output_tokens)
            self._store.put(key, self._account, reply)
        finally:
            self._meter.settle(aside, cost)
        return reply


def _key(endpoint: Endpoint, digest: str, question: Question) -> str:
    """The address and the whole request, its picture by its pixels and how they are sent."""
    asking = endpoint.asking
    body = request_body(endpoint, f"{digest} {asking.longest_side} {asking.image_format}", question)
    return digest_of(json.dumps([endpoint.base_url, question.choices, body], sort_keys=True))


def _shown(reply: Reply) -> str:
    text = next((text for text in reply.texts if text.strip()), "")
    said = repr(text[:200] + "..." * (len(text) > 200)) if text else "an empty text"
    if "length" in reply.finishes:
        return f"{said}, cut short by endpoint.max_tokens"
    return f"{said}, held back by the content filter" if "content_filter" in reply.finishes else said
