"""A chat completion's JSON as a `Reply`: servers leave out usage, log-probabilities, or the text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from drivelet.adapters.chat_answers import Reply, Token
from drivelet.adapters.chat_client import not_chat
from drivelet.core.errors import InputError

IMPOSSIBLE = -9999.0
"""What OpenAI gives as the log-probability of a token that cannot come."""


def read_reply(completion: Any, *, expected: tuple[int, int], where: str) -> Reply:
    """Read a completion; `expected` are the input and output tokens that are counted where it tells none.

    Raises:
        InputError: it is none.
    """
    try:
        choices = completion["choices"]
        usage = completion.get("usage") or {}
        return Reply(
            texts=tuple(_text(choice) for choice in choices),
            finishes=tuple(str(choice.get("finish_reason") or "") for choice in choices),
            tokens=tuple(_token(item) for item in (choices[0].get("logprobs") or {}).get("content") or ()),
            input_tokens=max(0, int(usage.get("prompt_tokens", expected[0]) or 0)),
            output_tokens=max(0, int(usage.get("completion_tokens", expected[1]) or 0)),
        )
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError):
        raise InputError(not_chat(where)) from None


def _text(choice: Mapping[str, Any]) -> str:
    """The message's text; where a server files the whole of a finished answer under reasoning, that."""
    message = choice["message"]
    text = _joined(message.get("content"))
    if not text.strip() and choice.get("finish_reason") == "stop":
        return _joined(message.get("reasoning_content") or message.get("reasoning"))
    return text


def _joined(content: Any) -> str:
    if isinstance(content, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in cast("Sequence[Any]", content))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _token(item: Mapping[str, Any]) -> Token:
    likeliest = tuple((str(top["token"]), _log_prob(top.get("logprob"))) for top in item.get("top_logprobs") or ())
    return str(item["token"]), _log_prob(item.get("logprob")), likeliest


def _log_prob(value: Any) -> float:
    number = IMPOSSIBLE if value is None else float(value)
    return IMPOSSIBLE if math.isnan(number) else max(IMPOSSIBLE, min(0.0, number))
