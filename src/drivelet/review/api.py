"""What the page asks of the desk, and what it is told, as JSON values."""

import os
from collections.abc import Mapping
from typing import Any

from drivelet.review.decisions import SKIPPED
from drivelet.review.desk import Desk

MOST_ITEMS = 100


def start(desk: Desk) -> dict[str, Any]:
    """Return what the page needs once: whose review it is, of what, and where to begin."""
    return {"folder": os.fspath(desk.folder), "reviewer": desk.reviewer, "number": desk.resume(), **desk.progress()}


def items(desk: Desk, query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return consecutive items: `from` and `count` of the query, at most 100."""
    first, count = (int(value) if (value := query.get(name, ["0"])[0]).isdecimal() else 0 for name in ("from", "count"))
    numbers = range(min(first, len(desk.queue)), min(first + min(count, MOST_ITEMS), len(desk.queue)))
    return {"items": [desk.describe(number) for number in numbers]}


def decide(desk: Desk, body: Mapping[str, Any]) -> dict[str, Any]:
    """Keep one decision (`number`, `review`, `answer`) and return the item as it now is, progress and what comes next.

    Raises:
        KeyError, TypeError, ValueError: no such item or verdict.
    """
    number = body["number"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{number!r} is no item's number")
    desk.decide(number, str(body["review"]), str(body.get("answer") or ""))
    return {"item": desk.describe(number), "next": desk.next_open(number), **desk.progress()}


def undo(desk: Desk) -> dict[str, Any]:
    """Take back the last decision and return its item; `number` is null where this queue does not show it."""
    taken = desk.undo()
    if taken is None:
        return {"undone": None, "number": None, "item": None, **desk.progress()}
    decision, number = taken
    undone = {"drive": decision.drive, "frame": decision.frame, "task": decision.task, "review": decision.review}
    item = None if number is None else desk.describe(number)
    return {"undone": undone, "number": number, "item": item, "skipped": decision.review == SKIPPED, **desk.progress()}
