"""The plain sentences at the top of a report, drawn from the numbers alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from drivelet.report.tables import AVERAGE, number, task_names, with_interval


def headline(summary: Mapping[str, Any]) -> str:
    """Return what the run shows: the final model's score, its gain over the base, the gap closed, its cost."""
    rows = {row["name"]: row for row in summary.get("rows", [])}
    if not rows:
        return "This run has measured no model."
    final = rows.get("awq") or list(rows.values())[-1]
    count = len(task_names([final]))
    tasks = "1 task" if count == 1 else f"{count} tasks"
    parts = [f"{final['name']} scores {with_interval(final['average'])} on average over {tasks}"]
    base, teacher = rows.get("base"), rows.get("teacher")
    if base and base is not final and _known(base, final):
        parts.append(_gain(summary.get("tests", []), final, base))
        if teacher and _known(teacher):
            parts += _gap_closed(final, base, teacher)
    return "; ".join([*parts, *_costs(final)]) + "."


def _known(*rows: Mapping[str, Any]) -> bool:
    return all(row["average"].get("score") is not None for row in rows)


def _gain(tests: Sequence[Mapping[str, Any]], final: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    gain = final["average"]["score"] - base["average"]["score"]
    side = f"{abs(gain):.3f} {'above' if gain >= 0 else 'below'} base"
    interval = _paired_interval(tests, final["name"], base["name"])
    if interval is None:
        return side
    low, high = interval
    verdict = "" if low > 0 or high < 0 else ", which the data cannot tell from no difference"
    return f"{side} (paired 95% interval of the difference {number(low)} to {number(high)}{verdict})"


def _paired_interval(tests: Sequence[Mapping[str, Any]], a: str, b: str) -> tuple[float, float] | None:
    """Find the average's interval of a - b, whichever way round it was tested."""
    for test in tests:
        if test["task"] != AVERAGE or test.get("low") is None or test.get("high") is None:
            continue
        if (test["a"], test["b"]) == (a, b):
            return test["low"], test["high"]
        if (test["a"], test["b"]) == (b, a):
            return -test["high"], -test["low"]
    return None


def _gap_closed(final: Mapping[str, Any], base: Mapping[str, Any], teacher: Mapping[str, Any]) -> list[str]:
    gap = teacher["average"]["score"] - base["average"]["score"]
    if gap <= 0:
        return ["the teacher is no better than the base here"]
    closed = (final["average"]["score"] - base["average"]["score"]) / gap
    return [f"it closes {closed:.0%} of the gap between base and teacher"]


def _costs(row: Mapping[str, Any]) -> list[str]:
    named = (("fps", "frames/s"), ("weight_mb", "MB of weights"), ("peak_rss_mb", "MB peak memory"))
    costs = [f"{number(float(row[key]), 1)} {unit}" for key, unit in named if row.get(key) is not None]
    return [", ".join(costs)] if costs else []
