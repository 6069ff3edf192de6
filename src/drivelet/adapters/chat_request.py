"""What is sent to a chat endpoint: an image, a question, and its closed answers."""

import base64
import io
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from PIL import Image

from drivelet.adapters.chat_settings import Asking, Endpoint, digest_of
from drivelet.core.artifacts import ImageArray, Question


class SentImage:
    """An image as it is sent: shrunk, encoded once, known by its pixels."""

    def __init__(self, image: ImageArray, asking: Asking) -> None:
        self._image, self._asking = image, asking

    @cached_property
    def digest(self) -> str:
        """The hash of shape and pixels."""
        return digest_of(str(self._image.shape), self._image.tobytes())

    @cached_property
    def _sent(self) -> Image.Image:
        image = Image.fromarray(self._image)
        if side := self._asking.longest_side:
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
        return image

    @cached_property
    def url(self) -> str:
        """The image as a data URL."""
        buffer = io.BytesIO()
        self._sent.save(buffer, self._asking.image_format, quality=92)
        return f"data:image/{self._asking.image_format};base64,{base64.b64encode(buffer.getvalue()).decode()}"

    @property
    def expected_tokens(self) -> int:
        """A guess above what common models make of it: a token for every 14 x 14 pixels, and a template."""
        return self._sent.width * self._sent.height // 196 + 100


def stated(question: Question) -> str:
    """Return the user's text: the question, and its closed answers."""
    return f"{question.text}\nAnswer with exactly one of these and nothing else: {', '.join(question.choices)}"


def request_body(endpoint: Endpoint, url: str, question: Question) -> dict[str, Any]:
    """Return the arguments of a chat completion; the image goes first, so that servers may reuse its prefix."""
    asking = endpoint.asking
    image = {"type": "image_url", "image_url": {"url": url}}
    content = [image, {"type": "text", "text": stated(question)}]
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": content}],
        asking.length_field: asking.max_tokens,
    }
    if asking.temperature is not None:
        body["temperature"] = asking.temperature or float(asking.samples > 1)
    if asking.samples > 1:
        body["n"] = asking.samples
    elif asking.logprobs:
        body |= {"logprobs": True, "top_logprobs": asking.top_logprobs}
    extra = {**asking.extra, **(_nested(asking.choice_field, question.choices) if asking.choice_field else {})}
    return {**body, "extra_body": extra} if extra else body


def _nested(name: str, choices: Sequence[str]) -> dict[str, Any]:
    value: Any = "|".join(map(re.escape, choices)) if name.endswith("regex") else list(choices)
    for part in reversed(name.split(".")):
        value = {part: value}
    return value
