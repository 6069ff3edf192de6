"""A chat endpoint on loopback: a known distribution over texts behind the OpenAI schema, and faults on demand."""

import base64
import io
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

END = "<|im_end|>"
Tokenise = Callable[[str], list[str]]
Token = tuple[str, float, tuple[tuple[str, float], ...]]


def spell(
    texts: Mapping[str, float], tokenise: Tokenise = list, *, end: str | None = END, top: int = 20
) -> tuple[str, list[Token]]:
    """Decode greedily from a distribution over whole texts; without `end`, the end token is not told."""
    paths = {(*tokenise(text), END): prob for text, prob in texts.items() if prob > 0}
    said: list[Token] = []
    taken: tuple[str, ...] = ()
    while not taken or taken[-1] != END:
        alive = {path: prob for path, prob in paths.items() if path[: len(taken)] == taken}
        whole = sum(alive.values())
        following: dict[str, float] = {}
        for path, prob in alive.items():
            following[path[len(taken)]] = following.get(path[len(taken)], 0.0) + prob / whole
        likeliest = sorted(following.items(), key=lambda item: -item[1])[:top]
        shown = tuple((token, math.log(prob)) for token, prob in likeliest if end or token != END)
        token, prob = likeliest[0]
        taken = (*taken, token)
        if end or token != END:
            said.append((token, math.log(prob), shown))
    return "".join(taken[:-1]), said


def colour_scores(image: np.ndarray, choices: Sequence[str]) -> dict[str, float]:
    """A deterministic scorer: each choice's probability follows from the picture's mean colour."""
    red, green, blue = (float(v) for v in image.reshape(-1, 3).mean(axis=0))
    weights = [1 + (round(red) * (i + 1) + round(green) * (i + 3) + round(blue)) % 17 for i in range(len(choices))]
    return {choice: weight / sum(weights) for choice, weight in zip(choices, weights, strict=True)}


def choices_of(text: str) -> list[str]:
    return text.rsplit(": ", 1)[1].split(", ")


@dataclass
class Seen:
    """A request as the server met it."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float


@dataclass
class ChatServer:
    """Serves `/v1/chat/completions`; use as a context manager.

    Attributes:
        logprobs: whether it tells token log-probabilities where they are asked for.
        usage: whether it counts tokens (input: characters of the text; output: tokens said).
        say: what to say instead of the scorer's greedy text, in turn; the last one stays.
        faults: what to do with the next requests: a status with headers, `"broken"`, `"slow"`, or None for an answer.
        on_request: called with the number of the request before it is answered.
        clock: what `Seen.at` is read from.
    """

    logprobs: bool = True
    usage: bool = True
    say: Sequence[str] = ()
    tokenise: Tokenise = list
    faults: deque[Any] = field(default_factory=deque)
    on_request: Callable[[int], None] = lambda number: None
    clock: Callable[[], float] = time.monotonic
    seen: list[Seen] = field(default_factory=list)
    most_at_once: int = 0

    def __enter__(self) -> "ChatServer":
        self._lock, self._now = threading.Lock(), 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    server.handle(self, json.loads(body))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def handle(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.seen.append(Seen(body, {name.lower(): value for name, value in handler.headers.items()}, self.clock()))
            number = len(self.seen)
            fault = self.faults.popleft() if self.faults else None
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            self.on_request(number)
        finally:
            with self._lock:
                self._now -= 1
        if fault == "slow":
            time.sleep(0.6)
        if isinstance(fault, tuple):
            status, headers, said = fault
            return _send(handler, status, json.dumps({"error": {"message": said}}), headers)
        if fault == "broken":
            return _send(handler, 200, '{"choices": [')
        if handler.path != "/v1/chat/completions":
            return _send(handler, 404, "{}")
        return _send(handler, 200, json.dumps(self.completion(body, number)))

    def completion(self, body: Mapping[str, Any], number: int) -> dict[str, Any]:
        image, text = read_request(body)
        said, tokens = spell(
            colour_scores(image, choices_of(text)), self.tokenise, top=body.get("top_logprobs", 0) or 20
        )
        count = body.get("n", 1)
        texts = [self.say[min(number - 1 + i, len(self.say) - 1)] for i in range(count)] if self.say else [said] * count
        told = {"content": [_token(token) for token in tokens]} if self.logprobs and body.get("logprobs") else None
        made = {
            "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [
                {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": t}, "logprobs": told}
                for i, t in enumerate(texts)
            ],
        }  # fmt: skip
        if self.usage:
            given, out = len(text), len(tokens)
            made["usage"] = {"prompt_tokens": given, "completion_tokens": out, "total_tokens": given + out}
        return made


def read_request(body: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    """Return the picture and the text of a request."""
    picture, question = body["messages"][0]["content"]
    data = base64.b64decode(picture["image_url"]["url"].partition("base64,")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), question["text"]


def _token(token: Token) -> dict[str, Any]:
    text, log_prob, likeliest = token
    return {"token": text, "logprob": log_prob, "top_logprobs": [{"token": t, "logprob": p} for t, p in likeliest]}


def _send(handler: BaseHTTPRequestHandler, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    data = text.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)
