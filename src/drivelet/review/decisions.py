"""Decisions: an append-only journal that survives a crash, and the label table that follows from it.

`reviews.jsonl` is the truth: a decision is on the disk there before it is answered, an undo is a record of its own, and
the label table is the machine's table with the standing decisions laid over it.
"""

# pyright: basic
# Arrow ships no types.

import errno
import fcntl
import io
import json
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa

from drivelet.core import flow
from drivelet.core.artifacts import UNKNOWN, PseudoLabel
from drivelet.core.errors import InputError
from drivelet.core.tables import drop_old_versions, has_table, read_table, write_table

JOURNAL = "reviews.jsonl"
LOCK = "review.lock"
ACCEPTED, FIXED, REJECTED, SKIPPED, UNDO = "accepted", "fixed", "rejected", "skipped", "undo"
VERDICTS = (ACCEPTED, FIXED, REJECTED, SKIPPED)
RECORD = b'{"review": '
"""How every line of the journal begins."""
REASON = "rejected_by_reviewer"
START = b'{"review": "'
"""How every record begins in the file."""
LONGEST = 1 << 20
"""Bytes of a line: no record is as long."""

MACHINE = {"answer": "machine_answer", "accepted": "machine_accepted", "reason": "machine_reason"}
"""What a decision may change -> the column that keeps the machine's own."""
MARKS = ("review", "reviewed_by", "reviewed_at")
BASE = tuple(PseudoLabel.__dataclass_fields__)

Summarise = Callable[[Iterable[PseudoLabel]], dict[str, Any]]
"""Counts labels by field and verdict: what `summary.json` holds under `fields`."""
Key = tuple[str, int, str]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One record of the journal.

    Attributes:
        review: `accepted`, `fixed`, `rejected`, `skipped` (looked at, not decided), or `undo` of the last one standing.
        answer: what the label says from now on; for a rejection the answer that was rejected.
        by: who.
        at: when, ISO 8601 in UTC.
        drive_id: what the drive is known by; empty in journals of older versions, which know it by name alone.
    """

    review: str
    drive: str
    frame: int
    task: str
    answer: str
    by: str
    at: str
    drive_id: str = ""

    @property
    def key(self) -> Key:
        """(drive, frame, field)."""
        return self.drive, self.frame, self.task


KINDS = get_type_hints(Decision)


def read_journal(path: Path) -> list[Decision]:
    """Read the journal; a last line that a crash cut short was never answered and is cut off.

    Raises:
        InputError: the journal is no file, or a line is damaged.
    """
    if not os.path.lexists(path):
        return []
    if not path.is_file():
        raise InputError(f"{path}: no file; move it away, or put the journal of the reviews back")
    records: list[Decision] = []
    with path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST), b""), start=1):
            if not line.endswith(b"\n") and len(line) < LONGEST and _is_cut(line):
                os.truncate(path, stream.tell() - len(line))
                break
            records.append(_record(path, number, line))
    return records


def _is_cut(line: bytes) -> bool:
    """Whether a last line is the beginning of a record, or what a crash of the machine leaves in its place.

    Others are damage that a person should see: something wrote over the journal.
    """
    start = line.rstrip(b"\0")
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return START.startswith(start[: len(START)])
    return False


def _record(path: Path, number: int, line: bytes) -> Decision:
    try:
        decision = Decision(**json.loads(line))
        for name, kind in KINDS.items():
            if type(value := getattr(decision, name)) is not kind:
                raise TypeError(f"{name} is {reprlib.repr(value)}")
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} line {number}: no record of a review ({error}); repair or remove the line") from error
    if decision.review not in (*VERDICTS, UNDO):
        raise InputError(f"{path} line {number}: review {decision.review!r} is none of {', '.join((*VERDICTS, UNDO))}")
    return decision


def open_journal(folder: Path) -> io.FileIO:
    """Open the journal to append to, and see to it that a new file's name is on the disk too."""
    journal = io.FileIO(folder / JOURNAL, "ab+")
    if journal.tell() and os.pread(journal.fileno(), 1, journal.tell() - 1) != b"\n":
        journal.write(b"\n")  # an editor left the end of the last line out
    listing = os.open(folder, os.O_RDONLY)
    os.fsync(listing)
    os.close(listing)
    return journal


def append(journal: io.FileIO, decision: Decision) -> None:
    """Write one record and wait until it is on the disk; nothing of it stays where that fails."""
    line = json.dumps(asdict(decision), ensure_ascii=False).encode() + b"\n"
    before = os.fstat(journal.fileno()).st_size
    try:
        if journal.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(journal.name))
        os.fsync(journal.fileno())
    except OSError:
        os.ftruncate(journal.fileno(), before)
        raise


def standing(records: Iterable[Decision]) -> list[Decision]:
    """Return the records that no undo took back, oldest first; an undo with nothing before it does nothing."""
    stack: list[Decision] = []
    for record in records:
        if record.review != UNDO:
            stack.append(record)
        elif stack:
            stack.pop()
    return stack


def in_force(stack: Iterable[Decision]) -> dict[Key, Decision]:
    """Return the last verdict on every label; a skip is none."""
    return {record.key: record for record in stack if record.review != SKIPPED}


def as_named(records: Iterable[Decision], machine: pa.Table) -> list[Decision]:
    """Return records under the names that their recordings bear in a label table.

    A decision about a recording that is not in the table bears a name that no drive has: another recording may have
    taken its name since.
    """
    ids, names = (machine.column(name).to_pylist() for name in ("drive_id", "drive"))
    named = {known: name for known, name in zip(ids, names, strict=True) if known}
    return [
        replace(record, drive=named.get(record.drive_id, f"~{record.drive_id}")) if record.drive_id else record
        for record in records
    ]


def machine_table(folder: Path) -> pa.Table:
    """Return the label table as the machine wrote it, any review taken off again.

    Raises:
        InputError: no label table in the folder, or one that lacks columns.
    """
    path = folder / "labels.lance"
    table = read_table(path)
    if "drive_id" not in table.column_names:  # labels of an older version
        table = table.append_column("drive_id", pa.array([""] * table.num_rows, pa.string()))
    missing = [name for name in BASE if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: lacks the column {missing[0]}; run `drivelet label` again")
    for name, kept in MACHINE.items():
        if kept in table.column_names:
            table = table.set_column(table.column_names.index(name), name, table.column(kept))
    return table.drop_columns([name for name in (*MARKS, *MACHINE.values()) if name in table.column_names])


def reviewed_table(machine: pa.Table, stack: Iterable[Decision]) -> pa.Table:
    """Return the machine's table with the standing decisions laid over it.

    Columns beside the machine's: `review`, `reviewed_by`, `reviewed_at` (empty where nobody decided) and
    `machine_answer`, `machine_accepted`, `machine_reason`. Without a decision that counts it is the machine's table.
    """
    columns = {name: machine.column(name).to_pylist() for name in MACHINE}
    marks = {name: [""] * machine.num_rows for name in MARKS}
    place = {key: row for row, key in enumerate(keys(machine))}
    counted = False
    for key, decision in in_force(stack).items():
        row = place.get(key)
        # A rejection speaks of one answer: labels that were made anew and say something else are to be looked at again.
        if row is None or (decision.review == REJECTED and decision.answer != columns["answer"][row]):
            continue
        counted = True
        columns["answer"][row], columns["accepted"][row], columns["reason"][row] = verdict(decision)
        for name, value in zip(MARKS, (decision.review, decision.by, decision.at), strict=True):
            marks[name][row] = value
    return _columns(machine, columns, marks) if counted else machine


def verdict(decision: Decision) -> tuple[str, bool, str]:
    """Return (answer, accepted, reason) of a label so decided; `unknown` is never accepted."""
    accepted = decision.review != REJECTED and decision.answer != UNKNOWN
    return decision.answer, accepted, "" if accepted else REASON


def keys(table: pa.Table) -> Iterator[Key]:
    """Yield (drive, frame, field) of every row of a label table."""
    return zip(*(table.column(name).to_pylist() for name in ("drive", "frame", "task")), strict=True)


def _columns(machine: pa.Table, columns: Mapping[str, list[Any]], marks: Mapping[str, list[str]]) -> pa.Table:
    table = machine
    for name, values in columns.items():
        place = machine.column_names.index(name)
        table = table.set_column(place, machine.schema.field(name), pa.array(values, machine.schema.field(name).type))
    for name, values in marks.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    for name, kept in MACHINE.items():
        table = table.append_column(kept, machine.column(name))
    return table


def save(folder: Path, table: pa.Table, summarise: Summarise) -> None:
    """Write the label table as `labels.lance`, `labels.jsonl` and the counts in `summary.json`, each atomically."""
    write_table(folder / "labels.lance", table)
    drop_old_versions(folder / "labels.lance")
    rows = table.to_pylist()
    partial = folder / "labels.jsonl.partial"
    with partial.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    partial.replace(folder / "labels.jsonl")
    summary = folder / "summary.json"
    if summary.is_file():
        counts = summarise(PseudoLabel(**{name: row[name] for name in BASE}) for row in rows)
        flow.write_json(summary, {**flow.read_json(summary), "fields": counts})


def refuse_beside_reviewer(folder: Path) -> None:
    """Refuse to write labels anew under a reviewer's hands.

    Raises:
        InputError: a reviewer is at work on the folder.
    """
    if (folder / JOURNAL).is_file() and has_table(folder / "labels.lance"):
        with locked(folder, "drivelet label"):
            pass


def apply_journal(folder: Path, summarise: Summarise) -> int:
    """Lay the journal of a folder over labels that were written anew; return how many decisions stand.

    Raises:
        InputError: a reviewer is at work on the folder, or the journal is damaged.
    """
    if not (folder / JOURNAL).is_file():
        return 0
    with locked(folder, "drivelet label"):
        machine = machine_table(folder)
        stack = standing(as_named(read_journal(folder / JOURNAL), machine))
        save(folder, reviewed_table(machine, stack), summarise)
    return len(in_force(stack).keys() & set(keys(machine)))


@contextmanager
def locked(folder: Path, who: str) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of when the process ends in whatever way.

    Raises:
        InputError: another process holds it, or there are no labels in the folder.
    """
    if not has_table(folder / "labels.lance"):
        raise InputError(f"{folder}: no labels.lance in it; give a folder that `drivelet label` wrote")
    with (folder / LOCK).open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise InputError(f"{folder}: {holder} writes its reviews; end it first") from error
        stream.truncate(0)
        stream.write(f"{who} (process {os.getpid()})\n")
        stream.flush()
        yield


def counts(decisions: Mapping[Key, Decision]) -> Sequence[tuple[str, int]]:
    """Return how many labels were accepted, fixed and rejected."""
    return [(name, sum(d.review == name for d in decisions.values())) for name in (ACCEPTED, FIXED, REJECTED)]
