"""Traffic-light recognition: the state of the light that governs the ego vehicle."""

from collections.abc import Mapping, Sequence
from typing import Any

from drivelet.core.artifacts import Field, Task
from drivelet.tasks.labels import checked, facts, parser, share

STATES = ("red", "yellow", "green", "off", "none")
_QUESTION = "Which state has the traffic light that governs this car? Answer red, yellow, green, off or none."


def _gold(scene: Mapping[str, Any]) -> str:
    return checked(facts(scene)["governing_lamp"], STATES, "governing_lamp")


def _red_to_green(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of red lights answered `green`: the mistake that kills."""
    return share([answer == "green" for label, answer in zip(gold, predicted, strict=True) if label == "red"])


STATE = Field(
    name="traffic_light.state",
    question=_QUESTION,
    wordings=(
        _QUESTION,
        "What colour is the traffic light for this car? Answer none, off, green, yellow or red.",
        "State of the governing traffic light?",
        "Which lamp is lit for our lane? Choose green, red, yellow, none or off.",
        "Look at the lamp above your lane. What does it show?",
        "What does the signal ahead tell this driver? Answer off, none, red, green or yellow.",
        "Name the state of the light that controls our lane.",
        "Traffic light for the ego vehicle: yellow, red, none, green or off?",
        "Is the light for this car red, yellow, green, off, or is there none?",
    ),
    held_out_wordings=(
        "Tell me the signal colour that applies to the camera car.",
        "If a traffic signal controls us, which of its lamps is on? Use green, off, red, none or yellow.",
        "What phase is our traffic signal in: none, yellow, off, red or green?",
    ),
    answers=STATES,
    absent="none",
    metric="macro_f1",
    parse=parser(STATES),
    gold=_gold,
    hints=(
        "Look at the lamp above your lane.",
        "Ignore lamps of other lanes.",
        "The lamp may be small and far away.",
    ),
)

TASK = Task(
    name="traffic_light",
    title="Traffic-light recognition",
    fields=(STATE,),
    measures={"traffic_light.state.red_to_green": _red_to_green},
)
