"""The result tables as plain cells, and as terminal, Markdown or HTML tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

NOTHING = "–"
AVERAGE = "average"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells ready to print; `text_columns` counts the leading columns that hold words, the others hold numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1


def number(value: Any, digits: int = 3) -> str:
    """Return a number with fixed digits, a dash for None, and anything else as text."""
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def with_interval(score: Mapping[str, Any] | None, key: str = "score") -> str:
    """Return `0.873 [0.850, 0.894]`, or the bare score where no interval is known."""
    if not score or score.get(key) is None:
        return NOTHING
    if score.get("low") is None or score.get("high") is None:
        return number(score[key])
    return f"{number(score[key])} [{number(score['low'])}, {number(score['high'])}]"


def task_scores(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return score (with interval where the row has one) by task, in the row's order of fields."""
    if row.get("tasks"):
        return dict(row["tasks"])
    by_task: dict[str, list[float]] = {}
    for field, facts in row["fields"].items():
        if facts.get("score") is not None:
            by_task.setdefault(field.partition(".")[0], []).append(facts["score"])
    return {task: {"score": sum(scores) / len(scores)} for task, scores in by_task.items()}


def task_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tasks of all rows in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in task_scores(row)))


def summary_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the paper's table: every task, the average with its 95% interval, frames/s, weight and peak memory."""
    tasks = task_names(rows)
    cells = []
    for row in rows:
        scores = task_scores(row)
        measured = [number(scores.get(task, {}).get("score")) for task in tasks]
        costs = [NOTHING if row.get(key) is None else f"{row[key]:.1f}" for key in ("fps", "weight_mb", "peak_rss_mb")]
        cells.append((row["name"], *measured, with_interval(row["average"]), *costs))
    header = ("model", *tasks, "average [95% interval]", "frames/s", "weights MB", "peak RSS MB")
    return Table(header=header, rows=tuple(cells))


def field_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return every field of every row beside the majority answer and the blind model."""
    names = list(dict.fromkeys(field for row in rows for field in row["fields"]))
    cells = [
        (
            field,
            row["name"],
            with_interval(facts),
            *(number(facts.get(key)) for key in ("majority", "blind", "ece")),
            *(number(facts.get(key)) for key in ("n", "invalid", "abstained")),
        )
        for field in names
        for row in rows
        if (facts := row["fields"].get(field))
    ]
    header = ("field", "model", "score [95% interval]", "majority", "blind", "ECE", "items", "invalid", "abstained")
    return Table(header=header, rows=tuple(cells), text_columns=2)


def paired_table(tests: Sequence[Mapping[str, Any]]) -> Table:
    """Return the paired tests; the difference is a minus b."""
    cells = tuple(
        (test["a"], test["b"], test["task"], with_interval(test, "difference"), _p_value(test.get("p")))
        for test in tests
    )
    return Table(header=("a", "b", "task", "a - b [95% interval]", "p"), rows=cells, text_columns=3)


def _p_value(p: float | None) -> str:
    return "<0.001" if p is not None and p < 0.001 else number(p)


def measure_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the measures beside the primary metrics, one column a model."""
    names = list(dict.fromkeys(name for row in rows for name in row.get("measures", {})))
    cells = tuple((name, *(number(row.get("measures", {}).get(name)) for row in rows)) for name in names)
    return Table(header=("measure", *(row["name"] for row in rows)), rows=cells)


def records_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Return any list of records as a table whose columns are their keys in order of first appearance."""
    header = tuple(dict.fromkeys(key for record in records for key in record))
    cells = tuple(tuple(number(record.get(key)) for key in header) for record in records)
    words = [any(isinstance(record.get(key), str) for record in records) for key in header]
    return Table(header=header, rows=cells, text_columns=words.index(False) if False in words else len(words))


def tree_table(tree: Mapping[str, Any]) -> Table:
    """Return nested settings as dotted names and values."""
    return Table(header=("setting", "value"), rows=tuple(_leaves(tree, "")), text_columns=2)


def _leaves(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    leaves: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves += _leaves(value, f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str)))
    return leaves


def markdown(table: Table) -> str:
    """Return the table in Markdown, numbers aligned right."""
    rule = ["---" if column < table.text_columns else "---:" for column in range(len(table.header))]
    lines = [table.header, rule, *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def rich_table(table: Table, *, title: str = "") -> RichTable:
    """Return the table for the terminal, every cell as it is: what looks like markup in it is a name or an interval."""
    printed = RichTable(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left")
    for column, name in enumerate(table.header):
        printed.add_column(Text(name), justify="left" if column < table.text_columns else "right", overflow="fold")
    for row in table.rows:
        printed.add_row(*map(Text, row))
    return printed
