"""The shared nouns: what one room hands to the next, as plain frozen data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN = "unknown"

ImageArray = NDArray[np.uint8]
"""An RGB image, shape (height, width, 3), values 0..255."""


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A picture of a text-to-image model; `unsafe` where the model's own safety checker refuses it."""

    image: ImageArray
    unsafe: bool = False


Measure = Callable[[Sequence[str], Sequence[str]], float]
"""(gold answers, predicted answers) -> a number for the report."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One closed question of a task.

    Attributes:
        name: `task.field`, for example `traffic_light.state`.
        question: the canonical wording.
        wordings: paraphrases that models may train on.
        held_out_wordings: paraphrases that no model ever trains on (prompt stress).
        answers: the closed set, without `unknown`.
        absent: the answer given where the router leaves the field out.
        metric: `macro_f1`, `f1` (of `positive`) or `accuracy`.
        positive: the positive answer of a binary `f1` field.
        parse: maps a manifest label to the fine answers that it allows; an empty set means that the label is
            outside the set. A coarse label (`some`, `7`, `25 mph`) allows several.
        gold: computes the answer from a finished scene record of the renderer.
        hints: sentences that point at what matters ("Look at the lamp above your lane.").
    """

    name: str
    question: str
    wordings: tuple[str, ...]
    held_out_wordings: tuple[str, ...]
    answers: tuple[str, ...]
    absent: str
    metric: str
    parse: Callable[[str], frozenset[str]]
    gold: Callable[[Mapping[str, Any]], str]
    positive: str | None = None
    hints: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """The closed set with `unknown`, in the order in which scores are stored."""
        return (*self.answers, UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A driving task: its fields, and extra measures beside each field's primary metric.

    `measures` maps a measure's name to a function of (gold answers, predicted answers).
    """

    name: str
    title: str
    fields: tuple[Field, ...]
    measures: Mapping[str, Measure] = field(default_factory=dict[str, "Measure"])


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question put to a model about one image: the full user text and the closed answers to score."""

    field: str
    text: str
    choices: tuple[str, ...]
    prompt_id: str = "canonical"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A model's answer to one question.

    Attributes:
        answer: the likeliest of `probs`.
        probs: probability of each choice (of its token sequence, normalised over the set).
        log_mass: log of the probability that the model gives to the whole set before normalising; 0 means all of it.
        in_set: whether plain greedy decoding over the whole vocabulary gives `answer` too.
    """

    field: str
    answer: str
    probs: Mapping[str, float]
    log_mass: float = 0.0
    in_set: bool = True

    @property
    def prob(self) -> float:
        """Probability of `answer`."""
        return float(self.probs[self.answer])


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A library entry: the instruction for one field, and the scene elements that trigger it.

    `text` may hold `{question}`; `version` is the hash of the content, so that an edit is a new entry.
    """

    field: str
    text: str
    triggers: tuple[str, ...] = ()
    version: str = ""
    parent: str = ""


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One labeler's distribution over a field's choices for one frame."""

    drive: str
    frame: int
    field: str
    labeler: str
    family: str
    probs: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Box:
    """An object that a detector sees in one frame.

    Attributes:
        kind: `lamp`, `cone`, `speed_sign`, or what a detector was asked for.
        xyxy: left, top, right, bottom in pixels.
        score: probability that it is there.
        answer: the answer that it speaks for, such as a lamp's colour; empty where it has none.
    """

    kind: str
    xyxy: tuple[float, float, float, float]
    score: float
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class PseudoLabel:
    """The fused and smoothed answer for one frame and field, accepted or rejected with its reason.

    Attributes:
        answer: what the frame shows.
        state: what holds, whether or not the frame shows it: the light behind a truck, the limit in force.
        hidden: probability that the thing is there and out of sight.
        drive_id: what the drive is known by (`core.identity.drive_id`); `drive` is what it is called.
    """

    drive: str
    file: str
    frame: int
    t: float
    task: str
    answer: str
    prob: float
    accepted: bool
    reason: str
    state: str = ""
    hidden: float = 0.0
    drive_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A moment of a drive: a reference into the untouched source file.

    Units: `t` seconds from the start of the file, `speed_mps` m/s, `yaw_rate_radps` rad/s, `acceleration_mps2` m/s2;
    NaN where the drive has no such sensor. `standing`, `forward_m`, `left_m` and `yaw_rad` are those of `EgoStep`.
    """

    drive: str
    file: str
    frame: int
    t: float
    speed_mps: float = float("nan")
    yaw_rate_radps: float = float("nan")
    acceleration_mps2: float = float("nan")
    standing: bool | None = None
    forward_m: float = float("nan")
    left_m: float = float("nan")
    yaw_rad: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class EgoStep:
    """How the car moved into one frame of a drive from the frame before, NaN where that is not known.

    Attributes:
        t: the frame's time in seconds.
        standing: whether the car stands; None where nothing tells.
        standing_source: what told: `speed`, `visual`, or empty.
        forward_m, left_m: where the camera went, in the axes that it had in the frame before (x forward, y left).
        yaw_rad: how far it turned, to the left positive.
    """

    t: float
    standing: bool | None = None
    standing_source: str = ""
    forward_m: float = float("nan")
    left_m: float = float("nan")
    yaw_rad: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class EgoMotion:
    """The car's motion over the frames of a drive.

    Attributes:
        steps: one a frame; the first knows nothing of a step.
        focal_px: the camera's focal length in pixels of the full image; NaN where unknown.
        sources: for `standing`, `yaw`, `translation` and `clock`: what was used, and why not something better.
    """

    steps: tuple[EgoStep, ...]
    focal_px: float = float("nan")
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
