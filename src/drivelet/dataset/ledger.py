"""The ledger of a mix: every row that came, whether it stayed, and why not."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drivelet.core.manifest import Row
from drivelet.core.tables import write_table
from drivelet.dataset.clean import Cleaned, Rejection
from drivelet.dataset.looks import Look
from drivelet.dataset.sources import side_of


def write_ledger(result: Cleaned, looks: Mapping[str, Look], origin: Mapping[str, str], out: Path) -> None:
    """Write `items.lance` (every row that came, kept or not) and `rejections.csv` (those that left, for reading)."""
    kept = [Rejection(row=row, stage="", reason="") for row in result.rows]
    items = [_item(entry, looks.get(entry.row.path), origin) for entry in [*kept, *result.rejected]]
    write_table(out / "items.lance", items)
    columns = ("path", "task", "label", "split", "group", "source", "stage", "reason", "detail")
    with (out / "rejections.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([item[name] for name in columns] for item in items if not item["accepted"])


def _item(entry: Rejection, look: Look | None, origin: Mapping[str, str]) -> dict[str, Any]:
    return {
        **asdict(entry.row),
        "origin": origin.get(entry.row.path, "drive"),
        "accepted": not entry.reason,
        "stage": entry.stage,
        "reason": entry.reason,
        "detail": entry.detail,
        "pixels": look.pixels if look else "",
        "perceptual": f"{look.perceptual:016x}" if look else "",
    }


def summary(result: Cleaned, origin: Mapping[str, str], cleaned: Sequence[Row]) -> dict[str, Any]:
    """Return the counts of a mix: images and rows by side, source, field and answer; losses by reason.

    Args:
        result: what was kept and what was lost.
        origin: image path -> real, drive, render or paint.
        cleaned: the rows that cleaning left, before the ratio and the budget.
    """
    train = [row for row in result.rows if row.split == "train"]
    sides = {path: side_of(origin[path]) for path in {row.path for row in train}}
    real = sum(side == "real" for side in sides.values())
    reasons = Counter(f"{entry.stage}: {entry.reason}" for entry in result.rejected)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        answers[row.task][row.label] += 1
    return {
        "real_share": real / len(sides) if sides else None,
        "images": {
            "train": {"real": real, "synthetic": len(sides) - real},
            "val": len({row.path for row in result.rows if row.split == "val"}),
            "test": len({row.path for row in result.rows if row.split == "test"}),
            "available": dict(Counter(origin[p] for p in {row.path for row in cleaned if row.split == "train"})),
        },
        "rows": {
            "split": dict(Counter(row.split for row in result.rows)),
            "source": dict(Counter(origin[row.path] for row in train)),
            "field": dict(Counter(row.task for row in train)),
            "answer": {task: dict(count) for task, count in answers.items()},
        },
        "rejected": dict(reasons),
    }
