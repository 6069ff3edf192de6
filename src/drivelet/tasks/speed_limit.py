"""Speed-limit recommendation: the posted limit, and the speed that weather, visibility and cones allow."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivelet.core.artifacts import Field, Task
from drivelet.tasks.labels import checked, facts, parser, share

STEP = 5
ANSWERS = ("none", *(str(speed) for speed in range(STEP, 141, STEP)))
UNITS = ("km/h", "mph")
CAPS_VERSION = 1

_LABEL = re.compile(r"(\d{1,3})\s*(?:mph|km/h)", re.ASCII)
_POSTED_QUESTION = "What speed does the speed limit sign show? Answer the number or none."
_RECOMMENDED_QUESTION = "What speed is recommended here? Answer the number or none."


@dataclass(frozen=True, kw_only=True)
class Cap:
    """The highest speed under one condition, in each unit of a sign."""

    name: str
    kmh: int
    mph: int
    applies: Callable[[Mapping[str, Any]], bool]


CAPS = (
    Cap(name="cones narrow the ego path", kmh=40, mph=25, applies=lambda f: f["cones_in_path"]),
    Cap(name="visibility under 50 m", kmh=50, mph=30, applies=lambda f: f["visibility_m"] < 50),
    Cap(name="visibility under 100 m", kmh=60, mph=35, applies=lambda f: f["visibility_m"] < 100),
    Cap(name="visibility under 200 m", kmh=80, mph=50, applies=lambda f: f["visibility_m"] < 200),
    Cap(name="rain", kmh=80, mph=50, applies=lambda f: f["rain"]),
    Cap(name="night", kmh=100, mph=60, applies=lambda f: f["light"] == "night"),
)
"""The caps behind `speed_limit.recommended`; a change of any value is a new `CAPS_VERSION`.

50 km/h under 50 m of visibility is the rule of the German road code (StVO section 3); the others follow its rule of
thumb of one km/h a metre of sight and common wet-road limits. They are gold for a benchmark, no legal advice.
"""


def caps_table() -> list[dict[str, Any]]:
    """Return the caps as rows for the report: version, condition, km/h, mph."""
    return [{"version": CAPS_VERSION, "condition": cap.name, "km/h": cap.kmh, "mph": cap.mph} for cap in CAPS]


def recommended(conditions: Mapping[str, Any]) -> int:
    """Return min(posted limit or region default, every cap that applies) in the sign's unit, down to a step of 5.

    Args:
        conditions: the facts of a scene (see `drivelet.tasks.gold`).

    Raises:
        ValueError: the unit is neither km/h nor mph.
    """
    unit = conditions["unit"]
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}, which is none of {', '.join(UNITS)}")
    posted = conditions["posted"]
    limit = conditions["region_default"] if posted is None else posted
    caps = [cap.mph if unit == "mph" else cap.kmh for cap in CAPS if cap.applies(conditions)]
    return min([limit, *caps]) // STEP * STEP


def _posted_gold(scene: Mapping[str, Any]) -> str:
    posted = facts(scene)["posted"]
    return checked("none" if posted is None else str(posted), ANSWERS, "posted")


def _recommended_gold(scene: Mapping[str, Any]) -> str:
    return checked(str(recommended(facts(scene))), ANSWERS, "recommended speed")


def _convert(label: str) -> str:
    match = _LABEL.fullmatch(label)
    return match.group(1) if match else ""


_parse = parser(ANSWERS, convert=_convert)


def _steps(gold: Sequence[str], predicted: Sequence[str]) -> list[int | None]:
    """Return answer minus gold in steps of 5 for the items whose gold is a number; None where the answer is none."""
    labels = [_convert(label) or label for label in gold]
    pairs = [(label, answer) for label, answer in zip(labels, predicted, strict=True) if label.isdigit()]
    return [(int(answer) - int(label)) // STEP if answer.isdigit() else None for label, answer in pairs]


def _within_one_step(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of the posted numbers answered exactly or one step of 5 away."""
    return share([step is not None and abs(step) <= 1 for step in _steps(gold, predicted)])


def _unsafe_over_rate(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share answered faster than the recommended speed."""
    return share([step is not None and step > 0 for step in _steps(gold, predicted)])


def _over_caution_rate(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share answered slower than the recommended speed."""
    return share([step is not None and step < 0 for step in _steps(gold, predicted)])


POSTED = Field(
    name="speed_limit.posted",
    question=_POSTED_QUESTION,
    wordings=(
        _POSTED_QUESTION,
        "Which limit is on the speed sign? Answer none or the number.",
        "Posted speed limit?",
        "Read the speed limit sign. Which number is on it?",
        "What does the speed sign say? Give the number, or none if no sign is there.",
        "Look at the sign beside the road. What is the speed limit?",
        "Number on the speed limit sign, or none?",
        "Which speed limit applies by sign? If there is no sign, answer none.",
    ),
    held_out_wordings=(
        "State the maximum speed that a sign posts here, or none.",
        "What digits are printed on the limit sign?",
        "Give the signed limit; say none without a sign.",
    ),
    answers=ANSWERS,
    absent="none",
    metric="accuracy",
    parse=_parse,
    gold=_posted_gold,
    hints=(
        "Look at the sign beside the road.",
        "Read both digits of the sign.",
        "Other signs do not count.",
    ),
)

RECOMMENDED = Field(
    name="speed_limit.recommended",
    question=_RECOMMENDED_QUESTION,
    wordings=(
        _RECOMMENDED_QUESTION,
        "How fast should this car go at most? Answer none or the number.",
        "Recommended speed?",
        "Which speed is safe here, given sign, weather and cones?",
        "Think of the sign, rain, visibility and cones. What speed do you advise?",
        "What is the highest safe speed now? Give the number or none.",
        "Advise the driver: which speed?",
        "Safe speed for this scene, as a number or none?",
    ),
    held_out_wordings=(
        "At what speed ought the driver to travel under these conditions?",
        "Suggest a suitable maximum speed, or none.",
        "Taking limit and conditions together, how fast may we drive?",
    ),
    answers=ANSWERS,
    absent="none",
    metric="accuracy",
    parse=_parse,
    gold=_recommended_gold,
    hints=(
        "Read the sign, then mind rain, fog and night.",
        "Cones in the path call for less speed.",
        "Without a sign the usual limit of the region holds.",
    ),
)

TASK = Task(
    name="speed_limit",
    title="Speed-limit recommendation",
    fields=(POSTED, RECOMMENDED),
    measures={
        "speed_limit.posted.within_one_step": _within_one_step,
        "speed_limit.recommended.unsafe_over_rate": _unsafe_over_rate,
        "speed_limit.recommended.over_caution_rate": _over_caution_rate,
    },
)
