"""HTTP to a chat endpoint: tries, time limits, fields that it refuses, and one line for whatever goes wrong."""

import os
import re
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, cast

from drivelet.adapters.chat_limits import RateLimiter
from drivelet.adapters.chat_settings import Endpoint, Limits
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.core.progress import say

OPTIONAL = ("temperature", "top_logprobs", "logprobs", "seed")
"""Fields that are left out where an endpoint refuses them."""
LENGTHS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Two names of one field: an endpoint that refuses one is asked with the other."""
MAX_REPLY_BYTES = 2**24


class ChatClient:
    """Sends requests to one endpoint; may be used by several threads.

    Raises:
        MissingBackendError: the openai client is not installed.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, limiter: RateLimiter) -> None:
        self._endpoint, self._limits = endpoint, limits
        self._client = _client(endpoint, limits, limiter)
        self._lock = threading.Lock()
        self._refused: set[str] = set()

    def send(self, body: Mapping[str, Any]) -> Any:
        """Return the JSON of the completion; fields that the endpoint refuses are left out from then on.

        Raises:
            InputError: there is no answer, or a refusal.
        """
        openai = _openai()
        while True:
            sent = self._accepted(body)
            try:
                found = self._client.chat.completions.with_raw_response.create(**sent).http_response.json()
                if isinstance(found, dict) and "error" in found and "choices" not in found:
                    said = _without_key(str(found["error"]), self._limits)
                    raise InputError(f"{self._endpoint.base_url}: the request failed: {said}")
                return found
            except (openai.OpenAIError, ValueError) as error:
                refused = _refused_field(error, sent)
                if refused is None or (refused in LENGTHS and LENGTHS[refused] in self._refused):
                    # The cause may quote the request; only our own line goes on.
                    raise InputError(_told(openai, error, self._endpoint, self._limits)) from None
                self._leave_out(refused)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _accepted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            refused = frozenset(self._refused)
        if not refused:
            return dict(body)
        extra = {name: value for name, value in body.get("extra_body", {}).items() if name not in refused}
        kept = {LENGTHS.get(name, "") if name in refused else name: value for name, value in body.items()}
        kept.pop("", None)
        return {**kept, "extra_body": extra} if extra else {k: v for k, v in kept.items() if k != "extra_body"}

    def _leave_out(self, name: str) -> None:
        with self._lock:
            if name in self._refused:
                return
            self._refused |= {name, "top_logprobs"} if name == "logprobs" else {name}
        instead = f"asked with {LENGTHS[name]}" if name in LENGTHS else "asked without it"
        say(f"{self._endpoint.base_url}: {self._endpoint.model} does not take {name}; {instead}")


def _refused_field(error: Exception, sent: Mapping[str, Any]) -> str | None:
    """Return the field that a refusal (400, 422) names, of those that can be left out or renamed."""
    if getattr(error, "status_code", None) not in (400, 422):
        return None
    present = {*sent, *sent.get("extra_body", {})}
    for text in _complaints(error):
        for name in (*OPTIONAL, *LENGTHS):
            if name in present and re.search(rf"\b{name}\b", text):
                return name
    return None


def _complaints(error: Any) -> Iterable[str]:
    """Yield where a refusal may name a field; not the whole of it, which may quote the request."""
    yield str(getattr(error, "param", None) or "")
    yield str(error)
    detail = error.body.get("detail") if isinstance(error.body, dict) else None
    if isinstance(detail, str):
        yield detail
    for item in cast("list[Any]", detail) if isinstance(detail, list) else []:
        yield str(item.get("loc", "")) if isinstance(item, dict) else str(item)


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
    import httpx2  # openai's own client

    warned = threading.Event()

    class Timed(openai.DefaultHttpxClient):
        """Bounds a whole try. The client's own limits hold for a step, and a byte a second keeps every step short."""

        def send(self, request: Any, **options: Any) -> Any:
            # Here, not around the call: retries are requests too.
            limiter.wait()
            answer: Future[Any] = Future()
            threading.Thread(target=self._answer, args=(answer, request, options), daemon=True).start()
            try:
                return answer.result(limits.timeout_s)
            except TimeoutError:
                answer.cancel()
                raise self._late(request) from None
            except httpx2.TimeoutException:
                raise self._late(request) from None

        def _late(self, request: Any) -> Exception:
            if limits.retries and not warned.is_set():
                warned.set()
                say(
                    f"{endpoint.base_url}: no answer within limits.timeout_s={limits.timeout_s:g};"
                    f" asking again, limits.retries={limits.retries} times at most"
                )
            return httpx2.ReadTimeout("no answer", request=request)

        def _answer(self, answer: Future[Any], request: Any, options: Mapping[str, Any]) -> None:
            try:
                found = super().send(request, **{**options, "stream": True})
                body = _whole(found, answer)
                kept = {name: value for name, value in found.headers.items() if name.lower() not in _UNPACKED}
                outcome: Any = type(found)(found.status_code, headers=kept, content=body, request=found.request)
            except Exception as error:  # handed to the thread that waits
                outcome = error
            if answer.set_running_or_notify_cancel():
                (answer.set_exception if isinstance(outcome, Exception) else answer.set_result)(outcome)

    return openai.OpenAI(
        base_url=endpoint.base_url,
        # A server at home asks for none, the client insists on one.
        api_key=os.environ.get(limits.key_variable) or "none",
        max_retries=limits.retries,
        timeout=limits.timeout_s,
        http_client=Timed(timeout=limits.timeout_s),
    )


_UNPACKED = ("content-encoding", "content-length", "transfer-encoding")


def _whole(response: Any, answer: Future[Any]) -> bytes:
    """Return the unpacked body; stop where nobody waits for it any more, or it grows beyond all replies."""
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if answer.cancelled():
                break
            if len(body) > MAX_REPLY_BYTES:
                raise ValueError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
    finally:
        response.close()
    return bytes(body)


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
    return not_chat(where)


def not_chat(where: str) -> str:
    """Return the line for an address that answers something else."""
    return f"{where}: the reply is no chat completion; give the address of an OpenAI-compatible server"


def _without_key(text: str, limits: Limits) -> str:
    key = os.environ.get(limits.key_variable)
    plain = " ".join(text.split())
    return (plain.replace(key, "***") if key else plain)[:300]
