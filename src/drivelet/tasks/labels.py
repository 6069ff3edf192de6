"""How a manifest label maps to answers, and how a fact of a scene becomes one: shared by the tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivelet.core.artifacts import UNKNOWN

NOTHING: frozenset[str] = frozenset()
LONGEST = 60
"""Characters of a label that may hold a number."""


def parser(
    answers: Sequence[str],
    *,
    coarse: Mapping[str, frozenset[str]] | None = None,
    convert: Callable[[str], str] | None = None,
) -> Callable[[str], frozenset[str]]:
    """Return a field's `parse`.

    Args:
        answers: the closed set.
        coarse: label -> the fine answers that it allows.
        convert: turns any other label into one answer (a count, a number with its unit); what it returns outside
            the set makes the label invalid.
    """
    table = {answer: frozenset({answer}) for answer in (*answers, UNKNOWN)} | dict(coarse or {})

    def parse(label: str) -> frozenset[str]:
        text = label.strip().lower()
        if text in table:
            return table[text]
        return table.get(convert(text), NOTHING) if convert and text and len(text) <= LONGEST else NOTHING

    return parse


def facts(scene: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the facts of a finished scene record."""
    return scene["facts"]


def checked(value: str, answers: Sequence[str], what: str) -> str:
    """Return `value` if it is an answer or `unknown`.

    Raises:
        ValueError: it is neither.
    """
    if value not in answers and value != UNKNOWN:
        raise ValueError(f"{what} is {value!r}, which is none of {', '.join(answers)}")
    return value


def share(hits: Sequence[bool]) -> float:
    """Return the share of true values, NaN where there are none to count."""
    return sum(hits) / len(hits) if hits else float("nan")
