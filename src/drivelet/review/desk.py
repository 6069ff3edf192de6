"""The desk: queue, journal and label table of one folder, as the server's requests find them."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import Any

from drivelet.core.artifacts import UNKNOWN, Box, Field
from drivelet.core.errors import InputError
from drivelet.review import decisions
from drivelet.review.decisions import ACCEPTED, FIXED, SKIPPED, UNDO, VERDICTS, Decision, Summarise
from drivelet.review.queue import Item, Key, Only, Votes, build_queue, check_labels, choices, is_answer, read_boxes

SAVE_EVERY = 50
"""Records between two writes of the label table; the journal has every one at once."""

REASONS = {
    "no_votes": "no labeler spoke about this frame",
    "labelers_disagree": "a labeler is sure of another answer",
    "unstable_in_window": "the frames around it, each by itself, answer otherwise",
    "low_confidence": "its probability is too low",
}


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Desk:
    """What one reviewer works on; its methods may be called from several threads.

    Make it inside `decisions.locked`. On opening, the journal of earlier work is laid over the table again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fields: Mapping[str, Field],
        summarise: Summarise,
        reviewer: str,
        only: Only = "all",
        wanted: Collection[str] = (),
        now: Callable[[], str] = utc_now,
    ) -> None:
        self.folder, self.fields, self.reviewer = folder, fields, reviewer
        self._summarise, self._now = summarise, now
        self._machine = decisions.machine_table(folder)
        labels = self._machine.to_pylist()
        check_labels(labels, fields, where=folder / "labels.lance")
        self._votes = Votes(folder)
        self._boxes = read_boxes(folder)
        self.queue = build_queue(labels, self._votes.of, fields, only=only, wanted=wanted)
        if not self.queue:
            raise InputError(f"{folder}: no label matches --only {only} {' '.join(wanted)}; ask for others")
        self.drives = list(dict.fromkeys(row["drive"] for row in labels))
        self._numbers: dict[Key, int] = {item.key: number for number, item in enumerate(self.queue)}
        self._upcoming = _frames_by_band(self.queue)
        records = decisions.as_named(decisions.read_journal(folder / decisions.JOURNAL), self._machine)
        self._stack = decisions.standing(records)
        self._last = {record.key: record for record in self._stack}
        self._in_force = decisions.in_force(self._stack)
        self._latest = records[-1] if records else None
        self._lock = RLock()
        self._unsaved = 0
        self._journal = decisions.open_journal(folder)
        if records:
            self.save()

    def resume(self) -> int | None:
        """Return where work goes on: at what was undone last, else after what was decided last; None where all is."""
        number = self._numbers.get(self._latest.key) if self._latest else None
        if number is not None and self._latest and self._latest.review == UNDO:
            return number
        return self.next_open(-1 if number is None else number)

    def next_open(self, after: int) -> int | None:
        """Return the next item without a decision behind `after`, from the front again at the end; skipped ones last.

        None where all are decided.
        """
        order = [range(after + 1, len(self.queue)), range(min(after + 1, len(self.queue)))]
        undecided = (number for number in chain(*order) if self.queue[number].key not in self._in_force)
        skipped: int | None = None
        for number in undecided:
            if self.queue[number].key not in self._last:
                return number
            skipped = number if skipped is None else skipped
        return skipped

    def decide(self, number: int, review: str, answer: str) -> None:
        """Keep a verdict on one item: on the disk when this returns.

        Args:
            number: place in the queue.
            review: `accepted`, `fixed`, `rejected` or `skipped`.
            answer: of a fix: what it is, or `unknown`. Fixing to the machine's answer is accepting it, and accepting
                the machine's `unknown` is fixing to it.

        Raises:
            ValueError: no such item, verdict or answer.
        """
        if not 0 <= number < len(self.queue) or review not in VERDICTS:
            raise ValueError(f"no item {number} or no verdict {review!r}")
        item = self.queue[number]
        if review == FIXED and not is_answer(self.fields[item.task], answer):
            raise ValueError(f"{answer!r} is no answer of {item.task}")
        answer = answer if review == FIXED else item.answer
        if review in (ACCEPTED, FIXED):
            review = ACCEPTED if answer == item.answer != UNKNOWN else FIXED
        key = {"drive": item.drive, "drive_id": item.drive_id, "frame": item.frame, "task": item.task}
        self._append(Decision(review=review, **key, answer=answer, by=self.reviewer, at=self._now()))

    def undo(self) -> tuple[Decision, int | None] | None:
        """Take back the last decision or skip that stands; return it and its place in this queue, None without one."""
        with self._lock:
            if not self._stack:
                return None
            undone = self._stack[-1]
            self._append(replace(undone, review=UNDO, by=self.reviewer, at=self._now()))
            return undone, self._numbers.get(undone.key)

    def _append(self, record: Decision) -> None:
        with self._lock:
            if self._journal.closed:
                raise ValueError("this review has ended; start `drivelet review` again")
            decisions.append(self._journal, record)
            self._latest = record
            if record.review == UNDO:
                self._take_back(self._stack.pop().key)
            else:
                self._stack.append(record)
                self._last[record.key] = record
                if record.review != SKIPPED:
                    self._in_force[record.key] = record
            self._unsaved += 1
            if self._unsaved >= SAVE_EVERY or not self.progress()["left"]:
                self.save()

    def _take_back(self, key: Key) -> None:
        """Let what was decided before about a label, if anything, stand again."""
        before = [record for record in self._stack if record.key == key]
        self._last.pop(key, None)
        self._in_force.pop(key, None)
        self._last |= {record.key: record for record in before}
        self._in_force |= decisions.in_force(before)

    def save(self) -> None:
        """Write the label table from the standing decisions."""
        with self._lock:
            decisions.save(self.folder, decisions.reviewed_table(self._machine, self._stack), self._summarise)
            self._unsaved = 0

    def close(self) -> None:
        """Write the table if decisions came since, and let the journal go; later decisions fail."""
        with self._lock:
            if self._unsaved:
                self.save()
            self._journal.close()

    def progress(self) -> dict[str, int]:
        """Return how many items of the queue are decided and left."""
        done = len(self._in_force.keys() & self._numbers.keys())
        return {"total": len(self.queue), "done": done, "left": len(self.queue) - done}

    def counts(self) -> dict[str, int]:
        """Return how many labels of the folder are accepted, fixed and rejected by reviewers."""
        return dict(decisions.counts(self._in_force))

    def upcoming(self, band: int, drive: int, frame: int) -> tuple[str, list[int]]:
        """Return a drive's file and the frames that the page will want next in this band, from just before `frame`.

        Raises:
            KeyError: the queue shows no such frame.
        """
        file, frames = self._upcoming[band, self.drives[drive]]
        place = bisect_left(frames, frame)
        if place == len(frames) or frames[place] != frame:
            raise KeyError(frame)
        return str(self.folder / file), frames[max(0, place - 1) :]

    def describe(self, number: int) -> dict[str, Any]:
        """Return an item as the page shows it."""
        item = self.queue[number]
        spec = self.fields[item.task]
        ballot = self._votes.of(item.key)
        last = self._last.get(item.key)
        decision = self._in_force.get(item.key)
        return {
            "number": number,
            **{name: getattr(item, name) for name in ("drive", "frame", "t", "task", "answer", "prob", "accepted")},
            **{name: getattr(item, name) for name in ("band", "previous", "following")},
            "margin": round(item.margin, 4),
            "place": self.drives.index(item.drive),
            "reason": REASONS.get(item.reason, item.reason.replace("_", " ")),
            "question": spec.question,
            "choices": choices(spec, ballot, item.answer),
            "answers": list(spec.answers),
            "votes": [{"labeler": labeler, "probs": probs} for labeler, probs in ballot.items()],
            "boxes": [_box(box) for box in self._boxes.get((item.drive, item.frame), [])],
            "review": None if decision is None else {"review": decision.review, "answer": decision.answer},
            "skipped": last is not None and last.review == SKIPPED and decision is None,
        }


def _box(box: Box) -> dict[str, Any]:
    return {"kind": box.kind, "xyxy": list(box.xyxy), "score": box.score, "answer": box.answer}


def _frames_by_band(queue: Sequence[Item]) -> dict[tuple[int, str], tuple[str, list[int]]]:
    """Return, by band and drive, the file and every frame that its items show, neighbours with them, ascending."""
    found: dict[tuple[int, str], tuple[str, set[int]]] = {}
    for item in queue:
        _, frames = found.setdefault((item.band, item.drive), (item.file, set()))
        frames |= {frame for frame in (item.previous, item.frame, item.following) if frame is not None}
    return {key: (file, sorted(frames)) for key, (file, frames) in found.items()}
