"""What an endpoint is, how it is asked, and what asking it may take."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from drivelet.core.errors import InputError
from drivelet.core.ranges import MAY_BE_EMPTY, Amount, Count, Name, Positive, Several, Workers, ranged

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
@ranged
class Asking:
    """How an endpoint is asked: all that changes its answers, and so enters their keys.

    Attributes:
        logprobs: whether token log-probabilities are asked for.
        top_logprobs: how many at each place.
        samples: answers a question; with more than one each is a vote, without log-probabilities.
        choice_field: extra field of the request that takes the closed set, to keep the answer inside it:
            `structured_outputs.choice` (vLLM from 0.12 on), `guided_choice` (vLLM before), `regex` (SGLang); empty:
            none.
        max_tokens: longest answer; `length_field` is the request's name for it (`max_completion_tokens` with some).
        temperature: of sampling; empty (or None) is not sent, as reasoning models want it. Several samples at 0 would
            be one: they are asked for at 1.
        extra: further fields of the request, as JSON: {"chat_template_kwargs": {"enable_thinking": false}}.
        longest_side: pixels to which larger images are shrunk; 0 sends them as they are.
        image_format: `jpeg` (quality 92) or `png`.
    """

    logprobs: bool = True
    top_logprobs: Count = 20
    samples: Several = 1
    choice_field: str = ""
    max_tokens: Several = 16
    length_field: Name = "max_tokens"
    temperature: Annotated[Amount | None, MAY_BE_EMPTY] = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    longest_side: Count = 0
    image_format: Literal["jpeg", "png"] = "jpeg"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A model behind an address such as `http://host:8000/v1`, and how it is asked."""

    model: str
    base_url: str
    asking: Asking = field(default_factory=Asking)

    @property
    def name(self) -> str:
        """What its votes are filed under; asking in another way is another name."""
        name = f"{self.model}@{urlsplit(self.base_url).netloc}"
        plain = self.asking == Asking()
        return name if plain else f"{name}+{digest_of(json.dumps(asdict(self.asking), sort_keys=True))[:6]}"


@dataclass(frozen=True, kw_only=True)
@ranged
class Limits:
    """What asking may take; none of it changes an answer.

    Attributes:
        key_variable: environment variable that holds the API key.
        requests_per_minute: 0 sets no limit; retries count.
        concurrent: requests under way at once.
        retries: further tries after 429, 5xx and timeouts, with growing pauses or as the server's Retry-After says.
        timeout_s: seconds until a try counts as lost, from connecting to the reply's last byte.
        price_in, price_out: price of a million input and output tokens.
        max_cost: all that the answers kept for this model may cost, earlier runs included; 0 sets no cap.
        answers: file that keeps the answers; empty: `answers.sqlite` in the output folder.
        workers: processes that share these limits evenly; set by the command.
    """

    key_variable: Name = "OPENAI_API_KEY"
    requests_per_minute: Amount = 0.0
    concurrent: Several = 8
    retries: Count = 5
    timeout_s: Positive = 120.0
    price_in: Amount = 0.0
    price_out: Amount = 0.0
    max_cost: Amount = 0.0
    answers: str = ""
    workers: Workers = 1

    def check(self) -> None:
        """Raise InputError where the limits contradict themselves."""
        if self.max_cost and not (self.price_in or self.price_out):
            raise InputError(
                "limits.max_cost needs prices: set limits.price_in and limits.price_out, for a million tokens each"
            )

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return the price of so many tokens."""
        return (input_tokens * self.price_in + output_tokens * self.price_out) / MILLION


def digest_of(text: str, data: bytes = b"") -> str:
    """Return a hash of a text and the bytes after it."""
    return blake2b(text.encode() + data, digest_size=20).hexdigest()
