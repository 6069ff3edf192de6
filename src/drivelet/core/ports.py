"""The Protocols through which rooms meet: a recipe hands one room's object to another."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Box, ImageArray, Painted, Prompt, Question, Scored

T = TypeVar("T")
R = TypeVar("R")


class VisionLanguageModel(Protocol):
    """Anything that answers closed questions about an image with probabilities."""

    name: str

    def score(self, image: ImageArray, questions: Sequence[Question]) -> list[Scored]:
        """Answer all questions about one image; one result a question, in order."""
        ...


class Labeler(Protocol):
    """A source of votes."""

    @property
    def name(self) -> str:
        """Unique among the labelers of a run."""
        ...

    @property
    def family(self) -> str:
        """What it shares mistakes with."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it can vote on."""
        ...

    def label(self, image: ImageArray) -> Mapping[str, Mapping[str, float]]:
        """Return, for each field it can speak of on this image, probabilities over the field's choices."""
        ...


class Detector(Protocol):
    """A source of boxes."""

    @property
    def name(self) -> str:
        """Unique among the detectors of a run."""
        ...

    def detect(self, image: ImageArray) -> Sequence[Box]:
        """Return what it sees on an RGB image (H, W, 3)."""
        ...


class Embedder(Protocol):
    """Turns pictures, and text where it can, into vectors of one space."""

    @property
    def name(self) -> str:
        """Unique for its weights: vectors of two embedders of one name may stand in one table."""
        ...

    @property
    def embed_texts(self) -> "Callable[[Sequence[str]], NDArray[np.float32]] | None":
        """A function from texts to unit vectors, shape (texts, D), or None where it cannot take text."""
        ...

    def embed_images(self, images: Sequence[ImageArray]) -> NDArray[np.float32]:
        """Return a unit vector an image, shape (images, D)."""
        ...


class Router(Protocol):
    """Chooses the prompts that a frame activates."""

    def route(self, signals: Mapping[str, float]) -> Mapping[str, Prompt | None]:
        """Return for every field the prompt to ask, or None where the field is left out."""
        ...


class Scorer(Protocol):
    """Judges whether a painted image shows what its caption says."""

    name: str

    def score(self, image: ImageArray, facts: Mapping[str, str]) -> Mapping[str, float]:
        """Return for each field named in `facts` the probability that the image shows that answer."""
        ...


class Painter(Protocol):
    """A text-to-image model."""

    def paint(self, captions: Sequence[str], *, seeds: Sequence[int]) -> list[Painted]:
        """Return one picture a caption; equal seeds give equal pictures."""
        ...


class Renderer(Protocol):
    """Turns scene records into images and finished scene records."""

    def render(self, scenes: Iterable[Mapping[str, Any]]) -> Iterator[tuple[ImageArray, Mapping[str, Any]]]:
        """Yield (image, finished scene) in the order of `scenes`."""
        ...


class Executor(Protocol):
    """Maps a function over partitions, on processes or on a Ray cluster."""

    @property
    def workers(self) -> int:
        """How many partitions are worked on at a time."""
        ...

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return the results in the order of `items`."""
        ...
