"""The gap report: expected answers against given ones, field by field."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from drivelet.core.artifacts import Field
from drivelet.core.manifest import Row
from drivelet.prompts.ask import Answer


def is_right(row: Row, answer: Answer, field: Field) -> bool:
    """Return whether the answer is one that the label allows."""
    return answer.answer in field.parse(row.label)


def soft_score(row: Row, answer: Answer, field: Field) -> float:
    """Return the probability that the model gives to the answers that the label allows."""
    return sum(answer.probs.get(allowed, 0.0) for allowed in field.parse(row.label))


def gap_report(
    rows: Sequence[Row], answers: Sequence[Answer], fields: Mapping[str, Field], *, most: int = 5
) -> dict[str, Any]:
    """Return for each field how often the expected answer came, and its most common gaps.

    Returns:
        field -> `n`, `right`, `soft` (mean probability of the allowed answers), and `gaps`: the `most` frequent
        pairs of label and wrong answer with their count, mean probability and up to three image paths.
    """
    of_field: dict[str, list[tuple[Row, Answer]]] = defaultdict(list)
    for row, answer in zip(rows, answers, strict=True):
        of_field[row.task].append((row, answer))
    return {name: _field_gaps(of_field[name], fields[name], most) for name in fields if name in of_field}


def _field_gaps(items: Sequence[tuple[Row, Answer]], field: Field, most: int) -> dict[str, Any]:
    wrong = [(row, answer) for row, answer in items if not is_right(row, answer, field)]
    count = Counter((row.label, answer.answer) for row, answer in wrong)
    gaps: list[dict[str, Any]] = []
    for (label, given), number in sorted(count.items(), key=lambda item: (-item[1], item[0]))[:most]:
        these = [(row, answer) for row, answer in wrong if (row.label, answer.answer) == (label, given)]
        prob = sum(answer.probs.get(given, 0.0) for _, answer in these) / number
        images = [row.path for row, _ in these[:3]]
        gaps.append({"expected": label, "got": given, "count": number, "prob": prob, "images": images})
    soft = sum(soft_score(row, answer, field) for row, answer in items) / len(items)
    return {"n": len(items), "right": (len(items) - len(wrong)) / len(items), "soft": soft, "gaps": gaps}
