"""Intersection alerts: whether an intersection lies ahead, and whether the car must stop for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from drivelet.core.artifacts import Field, Task
from drivelet.tasks.labels import checked, facts, parser, share

ALERTS = ("none", "ahead", "stop_required")
_QUESTION = "Is an intersection ahead? Answer none, ahead or stop_required."


def _gold(scene: Mapping[str, Any]) -> str:
    return checked(facts(scene)["intersection"], ALERTS, "intersection")


def _missed_alert_rate(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of frames with an intersection that got no alert."""
    there = ("some", *ALERTS[1:])
    return share([answer not in ALERTS[1:] for label, answer in zip(gold, predicted, strict=True) if label in there])


def _false_alert_rate(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of frames without an intersection that got an alert."""
    return share([answer in ALERTS[1:] for label, answer in zip(gold, predicted, strict=True) if label == "none"])


ALERT = Field(
    name="intersection.alert",
    question=_QUESTION,
    wordings=(
        _QUESTION,
        "Which intersection alert fits? Choose stop_required, ahead or none.",
        "Intersection alert for this frame?",
        "Does this car come to an intersection? Answer ahead, none or stop_required.",
        "Look for a stop line, crosswalk or crossing road. Which alert fits?",
        "Is there a junction in front, and must we stop? Answer none, stop_required or ahead.",
        "Should the driver be warned of an intersection?",
        "Intersection: ahead, stop_required or none?",
    ),
    held_out_wordings=(
        "Are we nearing a crossroads? Reply stop_required, none or ahead.",
        "Pick the junction warning that the driver needs.",
        "What is the crossing status: ahead, none or stop_required?",
    ),
    answers=ALERTS,
    absent="none",
    metric="macro_f1",
    parse=parser(ALERTS, coarse={"some": frozenset(ALERTS[1:])}),
    gold=_gold,
    hints=(
        "Look for a stop line, crosswalk or crossing road.",
        "A red light at the stop line requires a stop.",
        "Check where the side roads meet.",
    ),
)

TASK = Task(
    name="intersection",
    title="Intersection alerts",
    fields=(ALERT,),
    measures={
        "intersection.alert.missed_alert_rate": _missed_alert_rate,
        "intersection.alert.false_alert_rate": _false_alert_rate,
    },
)
