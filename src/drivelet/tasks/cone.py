"""Cone detection: how many traffic cones are visible, and whether they stand in the ego path."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drivelet.core.artifacts import Field, Task
from drivelet.tasks.labels import facts, parser, share

COUNTS = ("0", "1-2", "3-5", "6-10", ">10")
_UPPER = (0, 2, 5, 10)
_COUNT_QUESTION = "How many traffic cones are visible? Answer 0, 1-2, 3-5, 6-10 or >10."
_PATH_QUESTION = "Do traffic cones stand in this car's path? Answer yes or no."


def _bin(count: int) -> str:
    return COUNTS[sum(count > upper for upper in _UPPER)]


def _convert(label: str) -> str:
    return _bin(int(label)) if label.isascii() and label.isdigit() else ""


_parse_count = parser(COUNTS, coarse={"some": frozenset(COUNTS[1:])}, convert=_convert)


def _count_gold(scene: Mapping[str, Any]) -> str:
    return _bin(facts(scene)["cone_count_visible"])


def _path_gold(scene: Mapping[str, Any]) -> str:
    return "yes" if facts(scene)["cones_in_path"] else "no"


def _presence(gold: Sequence[str], predicted: Sequence[str]) -> list[tuple[bool, str]]:
    """Pair (cones are there, answer) for the items whose label settles it."""
    allowed = [_parse_count(label) for label in gold]
    pairs = zip(allowed, predicted, strict=True)
    return [("0" not in answers, answer) for answers, answer in pairs if answers and answers <= frozenset(COUNTS)]


def _presence_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """F1 of saying that there is any cone."""
    pairs = [(there, answer in COUNTS[1:]) for there, answer in _presence(gold, predicted)]
    hits = sum(there and said for there, said in pairs)
    total = sum(there + said for there, said in pairs)
    return 2 * hits / total if total else float("nan")


def _false_alarm_rate(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of cone-free frames answered with any cone."""
    return share([answer in COUNTS[1:] for there, answer in _presence(gold, predicted) if not there])


def _quadratic_kappa(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Cohen's kappa with quadratic weights over the count bins (Cohen 1968), on items with one exact bin.

    Items answered outside the bins are left out; NaN where no item is left or chance agreement is complete.
    """
    labels = [_parse_count(label) for label in gold]
    pairs = [
        (COUNTS.index(next(iter(label))), COUNTS.index(answer))
        for label, answer in zip(labels, predicted, strict=True)
        if len(label) == 1 and label <= frozenset(COUNTS) and answer in COUNTS
    ]
    if not pairs:
        return float("nan")
    gold_N, answer_N = np.array(pairs).T
    observed = np.mean((gold_N - answer_N) ** 2)
    expected = np.mean((gold_N[:, None] - answer_N[None, :]) ** 2)
    return float(1 - observed / expected) if expected else float("nan")


COUNT = Field(
    name="cone.count",
    question=_COUNT_QUESTION,
    wordings=(
        _COUNT_QUESTION,
        "How many cones do you see? Choose >10, 6-10, 3-5, 1-2 or 0.",
        "Number of traffic cones in the picture?",
        "Count the traffic cones. Answer 3-5, 0, >10, 1-2 or 6-10.",
        "Look along both sides of the lane. How many cones are there?",
        "Traffic cones in view: 1-2, 6-10, 0, >10 or 3-5?",
        "How many cones are on or beside the road?",
        "Give the number of visible cones as 0, 1-2, 3-5, 6-10 or >10.",
        "Count every cone, near and far. How many?",
    ),
    held_out_wordings=(
        "What is the count of road cones in front of us? Use >10, 0, 1-2, 6-10 or 3-5.",
        "Estimate the quantity of orange cones shown.",
        "Cone tally for this frame: 6-10, 3-5, >10, 0 or 1-2?",
    ),
    answers=COUNTS,
    absent="0",
    metric="macro_f1",
    parse=_parse_count,
    gold=_count_gold,
    hints=(
        "Look along both sides of the lane.",
        "Count far cones too.",
        "Posts and barrels are no cones.",
    ),
)

IN_PATH = Field(
    name="cone.in_path",
    question=_PATH_QUESTION,
    wordings=(
        _PATH_QUESTION,
        "Are there cones in our path? Answer no or yes.",
        "Do cones block or narrow this lane?",
        "Is any traffic cone in the way of this car? Answer yes or no.",
        "Look at the lane in front of the car. Are cones in it?",
        "Cones in the ego lane: no or yes?",
        "Would this car meet a cone if it kept its lane?",
        "Is our lane narrowed by cones? Choose yes or no.",
    ),
    held_out_wordings=(
        "Must the driver steer around cones? Reply no or yes.",
        "Does a cone obstruct the way we are heading?",
        "Ego path obstructed by cones, yes or no?",
    ),
    answers=("yes", "no"),
    absent="no",
    metric="f1",
    positive="yes",
    parse=parser(("yes", "no")),
    gold=_path_gold,
    hints=(
        "Look at the lane in front of the car.",
        "Cones on the shoulder do not count.",
        "Judge by the lane markings.",
    ),
)

TASK = Task(
    name="cone",
    title="Cone detection",
    fields=(COUNT, IN_PATH),
    measures={
        "cone.count.presence_f1": _presence_f1,
        "cone.count.false_alarm_rate": _false_alarm_rate,
        "cone.count.quadratic_kappa": _quadratic_kappa,
    },
)
