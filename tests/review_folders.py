"""Labelled folders as `drivelet label` leaves them, small, on a real video, for the tests of reviewing."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from drive_files import write_video
from drivelet import tasks
from drivelet.core.artifacts import PseudoLabel
from drivelet.core.flow import write_json
from drivelet.core.tables import write_table
from drivelet.drives.frames import frames_at
from drivelet.labels.ledger import summarise
from drivelet.labels.tables import LABELS, VOTES
from drivelet.review.desk import Desk
from drivelet.review.server import ReviewServer

STATE, COUNT, POSTED = "traffic_light.state", "cone.count", "speed_limit.posted"
FIELDS = tasks.fields()


def labelled(
    out: Path, *, frames: int = 8, step: int = 2, fields: Sequence[str] = (STATE, COUNT), drives: int = 1
) -> Path:
    """Write labels, votes and a summary over videos of numbered frames; every third label is rejected."""
    out.mkdir(parents=True)
    labels: list[dict[str, Any]] = []
    votes: list[dict[str, Any]] = []
    for drive in (f"d{number}" for number in range(drives)):
        write_video(out / f"{drive}.mp4", frames=frames * step)
        for frame in range(0, frames * step, step):
            for field in fields:
                labels.append(_label(len(labels), drive, frame, field))
                votes += _votes(labels[-1])
    write_table(out / "labels.lance", pa.Table.from_pylist(labels, schema=LABELS))
    write_table(out / "votes.lance", pa.Table.from_pylist(votes, schema=VOTES))
    write_lines(out / "labels.jsonl", labels)
    names = sorted({row["drive"] for row in labels})
    counts = summarise(PseudoLabel(**row) for row in labels)
    write_json(out / "summary.json", {"drives": names, "frames": frames, "fields": counts})
    return out


def _label(number: int, drive: str, frame: int, field: str) -> dict[str, Any]:
    answers = FIELDS[field].answers
    accepted = number % 3 != 0
    return {
        "drive": drive, "file": f"{drive}.mp4", "frame": frame, "t": frame / 10, "task": field,
        "answer": answers[number % len(answers)], "prob": round(0.5 + 0.4 * ((number * 7) % 10) / 10, 6),
        "accepted": accepted, "reason": "" if accepted else "labelers_disagree",
        "state": answers[number % len(answers)], "hidden": 0.0, "drive_id": f"id-{drive}",
    }  # fmt: skip


def _votes(label: dict[str, Any]) -> list[dict[str, Any]]:
    answers = FIELDS[label["task"]].answers
    rival = answers[(answers.index(label["answer"]) + 1) % len(answers)]
    cell = {"drive": label["drive"], "frame": label["frame"], "field": label["task"]}
    return [
        {**cell, "labeler": "teacher", "family": "vlm", "probs": json.dumps({label["answer"]: 0.8, rival: 0.2})},
        {**cell, "labeler": "colour", "family": "colour", "probs": json.dumps({label["answer"]: 0.4, rival: 0.6})},
    ]


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write JSON lines as `drivelet label` does."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def desk(folder: Path, reviewer: str = "ada", **options: Any) -> Desk:
    """Open a folder for review."""
    return Desk(folder, fields=FIELDS, summarise=summarise, reviewer=reviewer, **options)


@contextmanager
def served(folder: Path) -> Iterator[tuple[httpx.Client, ReviewServer]]:
    """Serve a folder in a thread and yield a client of it."""
    work = desk(folder)
    with ReviewServer(work, frames_at, host="127.0.0.1", port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with httpx.Client(base_url=server.address, trust_env=False) as client:
                yield client, server
        finally:
            server.shutdown()
            thread.join()
            work.close()
