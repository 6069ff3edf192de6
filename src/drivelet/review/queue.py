"""The queue: which pseudo-labels a person looks at, hardest first, in an order that decodes forwards."""

# pyright: basic
# Arrow ships no types.

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from drivelet.core.artifacts import UNKNOWN, Box, Field
from drivelet.core.errors import InputError
from drivelet.core.tables import has_table, read_table

Key = tuple[str, int, str]
"""(drive, frame, field): what one decision is about."""
Only = Literal["rejected", "accepted", "all"]
Ballot = Mapping[str, Mapping[str, float]]
"""Labeler -> its probabilities over the field's answers."""

BANDS = (0.1, 0.25, 0.5)
"""Accepted labels come in bands of margin; within a band drives follow each other and frames ascend."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question to the reviewer: a frame and a field, with what the machine says.

    Attributes:
        row: position in the label table.
        band: 0 rejected, then 1 and on from the lowest margin to the highest.
        margin: the label's probability less the labelers' mean vote for its strongest rival.
        previous: the labelled frame before it in the drive, None at the start.
        following: the labelled frame after it, None at the end.
    """

    row: int
    drive: str
    file: str
    frame: int
    t: float
    task: str
    answer: str
    prob: float
    accepted: bool
    reason: str
    band: int
    margin: float
    previous: int | None
    following: int | None
    drive_id: str = ""

    @property
    def key(self) -> Key:
        """(drive, frame, field)."""
        return self.drive, self.frame, self.task


class Votes:
    """The votes of a folder by (drive, frame, field); the table stays in Arrow and is parsed when asked for."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "votes.lance"
        table = read_table(self._path, columns=["drive", "frame", "field", "labeler", "probs"])
        drives, frames, fields, labelers = (table.column(name).to_pylist() for name in table.column_names[:4])
        self._probs = table.column("probs").combine_chunks() if table.num_rows else []
        self._rows: dict[Key, list[tuple[str, int]]] = defaultdict(list)
        for number, key in enumerate(zip(drives, frames, fields, strict=True)):
            self._rows[key].append((labelers[number], number))

    def of(self, key: Key) -> Ballot:
        """Return every labeler's probabilities on one frame and field; empty where none spoke.

        Raises:
            InputError: a vote is damaged.
        """
        try:
            return {labeler: _vote(self._probs[number].as_py()) for labeler, number in self._rows.get(key, ())}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{self._path}: no readable vote on frame {key[1]} of {key[0]}; label it again") from error


def _vote(text: str) -> dict[str, float]:
    return {str(answer): float(prob) for answer, prob in json.loads(text).items()}


def read_boxes(folder: Path) -> dict[tuple[str, int], list[Box]]:
    """Return the boxes of `boxes.lance` by (drive, frame); none where there is no such table."""
    if not has_table(folder / "boxes.lance"):
        return {}
    boxes: dict[tuple[str, int], list[Box]] = defaultdict(list)
    for row in read_table(folder / "boxes.lance").to_pylist():
        xyxy = (row["x0"], row["y0"], row["x1"], row["y1"])
        box = Box(kind=row["kind"], xyxy=xyxy, score=row["score"], answer=row["answer"] or "")
        boxes[row["drive"], row["frame"]].append(box)
    return dict(boxes)


def mean_vote(ballot: Ballot) -> dict[str, float]:
    """Return the labelers' mean probability of every answer."""
    total: dict[str, float] = defaultdict(float)
    for probs in ballot.values():
        for answer, prob in probs.items():
            total[answer] += prob / len(ballot)
    return dict(total)


def build_queue(
    labels: Sequence[Mapping[str, Any]],
    ballot_of: Callable[[Key], Ballot],
    fields: Mapping[str, Field],
    *,
    only: Only = "all",
    wanted: Collection[str] = (),
) -> list[Item]:
    """Return the items in the order of review: rejected first, then by band of margin; drives together, frames rising.

    Args:
        labels: rows of the machine's label table; their place in it is `Item.row`.
        ballot_of: the votes on a frame and field.
        fields: every field by name.
        only: the machine's verdict that is looked at.
        wanted: fields; all where empty.
    """
    nearby = _neighbours(labels)
    rank = {name: place for place, name in enumerate(fields)}
    drives = {name: place for place, name in enumerate(dict.fromkeys(row["drive"] for row in labels))}
    items = [
        _item(number, row, ballot_of, nearby[row["drive"], row["frame"]])
        for number, row in enumerate(labels)
        if (not wanted or row["task"] in wanted) and only in ("all", "accepted" if row["accepted"] else "rejected")
    ]
    return sorted(items, key=lambda item: (item.band, drives[item.drive], item.frame, rank[item.task]))


def _neighbours(labels: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], tuple[int | None, int | None]]:
    """Return the labelled frames before and after each one of its drive."""
    frames: dict[str, set[int]] = defaultdict(set)
    for row in labels:
        frames[row["drive"]].add(row["frame"])
    found: dict[tuple[str, int], tuple[int | None, int | None]] = {}
    for drive, members in frames.items():
        line = [None, *sorted(members), None]
        for before, frame, after in zip(line, line[1:], line[2:], strict=False):
            if frame is not None:
                found[drive, frame] = (before, after)
    return found


def _item(
    number: int,
    row: Mapping[str, Any],
    ballot_of: Callable[[Key], Ballot],
    nearby: tuple[int | None, int | None],
) -> Item:
    rivals = mean_vote(ballot_of((row["drive"], row["frame"], row["task"])))
    rivals.pop(row["answer"], None)
    margin = row["prob"] - max(rivals.values(), default=0.0)
    return Item(
        row=number,
        **{name: row[name] for name in ("drive", "file", "frame", "t", "task", "answer", "prob")},
        accepted=row["accepted"],
        reason=row["reason"],
        band=1 + sum(margin >= edge for edge in BANDS) if row["accepted"] else 0,
        margin=margin,
        previous=nearby[0],
        following=nearby[1],
        drive_id=row.get("drive_id") or "",
    )


def choices(spec: Field, ballot: Ballot, answer: str, *, limit: int = 9) -> list[str]:
    """Return the answers that the number keys stand for.

    The field's own answers in their order; of a field with more than nine, the nine likeliest on this frame (the
    machine's answer, then by mean vote) in the field's order: the others are typed.
    """
    if len(spec.answers) <= limit:
        return list(spec.answers)
    mean = mean_vote(ballot) | {answer: 2.0}
    likely = sorted(spec.answers, key=lambda name: -mean.get(name, 0.0))[:limit]
    return [name for name in spec.answers if name in likely]


def check_labels(labels: Sequence[Mapping[str, Any]], fields: Mapping[str, Field], *, where: Path) -> None:
    """Refuse a table that cannot be reviewed.

    Raises:
        InputError: no labels, a field that no task has, a source file that is gone, or one drive's name for two files.
    """
    if not labels:
        raise InputError(f"{where}: no labels to review; run `drivelet label` first")
    strangers = {row["task"] for row in labels} - {*fields}
    if strangers:
        raise InputError(f"{where}: field {min(strangers)!r} is none of {', '.join(fields)}; label again")
    files: dict[str, str] = {}
    for row in labels:
        if files.setdefault(row["drive"], row["file"]) != row["file"]:
            raise InputError(
                f"{where}: drive {row['drive']!r} stands for {files[row['drive']]} and {row['file']}; "
                "label them into folders of their own"
            )
    for drive, file in files.items():
        if not (where.parent / file).exists():
            raise InputError(f"{where}: drive {drive!r} was labelled from {file}, which is gone; put it back")


def is_answer(spec: Field, answer: str) -> bool:
    """Return whether a person may give this answer."""
    return answer in spec.answers or answer == UNKNOWN
