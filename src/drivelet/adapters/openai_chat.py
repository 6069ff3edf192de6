"""Any OpenAI-compatible chat endpoint (OpenAI, vLLM, SGLang, llama.cpp, LM Studio) as a vision-language model."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drivelet.adapters.chat_answers import Reply, Token, scored
from drivelet.adapters.chat_limits import CostMeter, RateLimiter
from drivelet.adapters.chat_request import SentImage, request_body, stated
from drivelet.adapters.chat_settings import Endpoint, Limits, digest_of
from drivelet.adapters.chat_store import AnswerStore
from drivelet.core.artifacts import ImageArray, Question, Scored
from drivelet.core.errors import InputError, MissingBackendError

IMPOSSIBLE = -9999.0
"""What OpenAI gives as the log-probability of a token that cannot come."""


class ChatModel:
    """Asks one question a request and answers it inside its closed set.

    Implements `core.ports.VisionLanguageModel`. Answers are kept by content (pixels, question, choices, model, address,
    `Asking`), so that no question is paid for twice; `asked` counts the requests that were answered.

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
        self._invalid: set[str] = set()
        self._client = _client(endpoint, limits, limiter or RateLimiter(limits.requests_per_minute / limits.workers))
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
        return len(self._invalid)

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
            InputError: the endpoint cannot be reached, refuses, or the cost cap is reached; answers so far are kept.
        """
        pictures: dict[int, SentImage] = {}
        jobs = [(pictures.setdefault(id(image), SentImage(image, self.endpoint.asking)), q) for image, q in pairs]
        keys = [_key(self.endpoint, picture.digest, question) for picture, question in jobs]
        replies = {key: reply for key in dict.fromkeys(keys) if (reply := self._store.get(key)) is not None}
        replies |= self._ask_all({key: job for key, job in zip(keys, jobs, strict=True) if key not in replies})
        results: list[Scored] = []
        for key, (_, question) in zip(keys, jobs, strict=True):
            result, valid = scored(question, replies[key])
            results.append(result)
            if not valid:
                self._invalid.add(key)
        return results

    def _ask_all(self, missing: Mapping[str, tuple[SentImage, Question]]) -> dict[str, Reply]:
        pool = ThreadPoolExecutor(max(1, self.limits.concurrent // self.limits.workers))
        try:
            futures = {pool.submit(self._ask, key, *job): key for key, job in missing.items()}
            replies: dict[str, Reply] = {}
            for future in as_completed(futures):
                replies[futures[future]] = future.result()
                self.asked += 1
            return replies
        finally:
            # After an error or Ctrl-C: what is under way is paid for, so it is waited for and kept.
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, key: str, picture: SentImage, question: Question) -> Reply:
        body = request_body(self.endpoint, picture.url, question)
        expected = picture.expected_tokens + len(stated(question).encode())
        most = self.endpoint.asking.max_tokens * self.endpoint.asking.samples
        aside = self._meter.reserve(self.limits.cost(expected, most))
        cost = 0.0
        try:
            reply = _reply(self._send(body), expected=(expected, most), where=self.endpoint.base_url)
            cost = self.limits.cost(reply.input_tokens, reply.output_tokens)
            self._store.put(key, self._account, reply)
        finally:
            self._meter.settle(aside, cost)
        return reply

    def _send(self, body: Mapping[str, Any]) -> Any:
        openai = _openai()
        try:
            return self._client.chat.completions.create(**body)
        except (openai.OpenAIError, ValueError) as error:
            # The cause may quote the request; only our own line goes on.
            raise InputError(_told(openai, error, self.endpoint, self.limits)) from None


def _reply(completion: Any, *, expected: tuple[int, int], where: str) -> Reply:
    """Read a completion; some servers leave out usage, log-probabilities, or all that makes it one."""
    choices = getattr(completion, "choices", None)
    if not choices or not all(getattr(choice, "message", None) for choice in choices):
        raise InputError(f"{where}: the reply is no chat completion; give the address of an OpenAI-compatible server")
    content = getattr(choices[0].logprobs, "content", None) or []
    usage = completion.usage
    counted = (usage.prompt_tokens, usage.completion_tokens) if usage else expected
    return Reply(
        texts=tuple(choice.message.content or "" for choice in choices),
        tokens=tuple(_token(item) for item in content),
        input_tokens=int(counted[0] or 0),
        output_tokens=int(counted[1] or 0),
    )


def _token(item: Any) -> Token:
    likeliest = tuple((top.token, _number(top.logprob)) for top in item.top_logprobs or ())
    return item.token, _number(item.logprob), likeliest


def _number(log_prob: float | None) -> float:
    return IMPOSSIBLE if log_prob is None else log_prob


def _key(endpoint: Endpoint, digest: str, question: Question) -> str:
    asked = [digest, question.text, question.choices, endpoint.model, endpoint.base_url, asdict(endpoint.asking)]
    return digest_of(json.dumps(asked, sort_keys=True))


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise MissingBackendError(
            "teacher openai:...: the openai client is not installed; run `pip install 'drivelet[remote]'`"
        ) from error
    return openai


def _client(endpoint: Endpoint, limits: Limits, limiter: RateLimiter) -> Any:
    openai = _openai()

    def on_request(_: Any) -> None:
        # Here, not around the call: the client's own retries are requests too.
        limiter.wait()

    return openai.OpenAI(
        base_url=endpoint.base_url,
        # A server at home asks for none, the client insists on one.
        api_key=os.environ.get(limits.key_variable) or "none",
        max_retries=limits.retries,
        timeout=limits.timeout_s,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [on_request]}, timeout=limits.timeout_s),
    )


def _told(openai: Any, error: Exception, endpoint: Endpoint, limits: Limits) -> str:
    """Return one line for what went wrong: where, what, and what to do."""
    where, status = endpoint.base_url, getattr(error, "status_code", None)
    tries = f"after {limits.retries} retries"
    if isinstance(error, openai.APITimeoutError):
        return f"{where}: no answer within {limits.timeout_s:g} s {tries}; raise limits.timeout_s or ask fewer at once"
    if isinstance(error, openai.APIConnectionError):
        return f"{where}: cannot be reached {tries}; check the address, and that the server runs"
    if status in (401, 403):
        return f"{where}: access denied ({status}); set {limits.key_variable} to a valid API key"
    if status == 404:
        return f"{where}: no model {endpoint.model!r}, or no chat endpoint there (404); correct --teacher"
    if status == 413:
        return f"{where}: the image is too large (413); set endpoint.longest_side to fewer pixels"
    if status == 429:
        return f"{where}: too many requests {tries} (429); lower limits.requests_per_minute, or check the account"
    if status is not None and status >= 500:
        return f"{where}: the server fails {tries} ({status}); look at its log, then run the same command again"
    if status is not None:
        said = _without_key(str(error), limits)
        return f"{where}: the request was refused: {said}; see the settings endpoint.*, longest_side for large images"
    return f"{where}: the reply is no chat completion; give the address of an OpenAI-compatible server"


def _without_key(text: str, limits: Limits) -> str:
    key = os.environ.get(limits.key_variable)
    plain = " ".join(text.split())
    return (plain.replace(key, "***") if key else plain)[:300]
