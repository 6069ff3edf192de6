"""What `mix` can take in: manifests, render and paint folders, and labelled drives."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import BaseModel, FiniteFloat, NonNegativeInt

from drivelet.core.artifacts import Field, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.identity import drive_id, split_part
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.outside import parse_as, read_lines
from drivelet.dataset.clean import Rejection

ReadFrames = Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]]
"""Reads frames of a video by ascending index, as (index, RGB image); damaged frames are left out."""

SYNTHETIC = ("render", "paint")


def side_of(origin: str) -> str:
    """Return `real` or `synthetic`."""
    return "synthetic" if origin in SYNTHETIC else "real"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A row that may enter the mix: where it comes from, and for a drive's frame the (video, index) it lies at."""

    row: Row
    origin: str
    video: tuple[str, int] | None = None

    @property
    def side(self) -> str:
        """`real` or `synthetic`."""
        return side_of(self.origin)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The candidates of one source and the rows that it lost on the way in."""

    candidates: list[Candidate]
    rejected: list[Rejection]


def read_source(path: Path, *, position: int, fields: Mapping[str, Field], frames: Path, min_prob: float) -> Source:
    """Read one source.

    Args:
        path: a manifest CSV, or a folder with `manifest.csv` or `labels.jsonl`.
        position: index among the sources; it keeps equal group names of two synthetic folders apart.
        fields: every field by name.
        frames: folder in which a drive's frames will lie once they are written.
        min_prob: pseudo-labels below this probability are rejected.

    Raises:
        InputError: the path is none of these, or its table is damaged.
    """
    if path.is_file():
        return _manifest(path, position, fields)
    if (path / "labels.jsonl").is_file():
        return _drives(path / "labels.jsonl", fields, frames, min_prob)
    if (path / "manifest.csv").is_file():
        return _manifest(path / "manifest.csv", position, fields)
    raise InputError(
        f"{path}: no manifest, labelled drive, render or paint folder; it needs manifest.csv or labels.jsonl"
    )


def _manifest(path: Path, position: int, fields: Mapping[str, Field]) -> Source:
    rendered = (path.parent / "scenes.jsonl").is_file()
    candidates: list[Candidate] = []
    for row in read_manifest(path, tasks=fields):
        source = row.source.removeprefix("drivelet:")
        origin = source.split(":")[0]
        if origin not in (*SYNTHETIC, "drive", "real"):
            origin = "render" if rendered else "real"
        detail = source.removeprefix(origin).removeprefix(":")
        group = row.group or row.path
        if origin in SYNTHETIC:
            group = f"{origin}{position}:{group}"
        row = replace(row, source=f"{origin}:{detail}" if detail else origin, group=group)
        candidates.append(Candidate(row=row, origin=origin))
    return Source(candidates=candidates, rejected=[])


def _drives(path: Path, fields: Mapping[str, Field], frames: Path, min_prob: float) -> Source:
    candidates: list[Candidate] = []
    rejected: list[Rejection] = []
    marks: dict[str, str] = {}
    for record in _lines(path):
        file = str(path.parent / record["file"])
        if file not in marks:
            marks[file] = _recording(path, file, record.get("drive_id") or "")
        if record["task"] not in fields:
            raise InputError(f"{path}: task {record['task']!r} is none of {', '.join(fields)}")
        row = Row(
            path=str(frames / _frame_name(record["drive"], marks[file], record["frame"])),
            task=record["task"],
            label=record["answer"],
            split="train",
            group=f"drive:{record['drive']}-{marks[file]}",
            trust="high" if record.get("review") else "pseudo",
            source="drive",
            weight=1.0 if record.get("review") else min(1.0, max(1e-6, float(record["prob"]))),
        )
        reason = _refusal(record, fields, min_prob)
        if reason:
            rejected.append(Rejection(row=row, stage="label", reason=reason, detail=f"{file} frame {record['frame']}"))
        else:
            candidates.append(Candidate(row=row, origin="drive", video=(file, int(record["frame"]))))
    return Source(candidates=candidates, rejected=rejected)


def _refusal(record: Mapping[str, Any], fields: Mapping[str, Field], min_prob: float) -> str:
    if not record["accepted"]:
        return f"not accepted: {record['reason']}"
    # What a person confirmed or corrected stands, however sure the machine was.
    if record["prob"] < min_prob and not record.get("review"):
        return "probability too low"
    allowed = fields[record["task"]].parse(record["answer"])
    return "" if allowed & frozenset(fields[record["task"]].answers) else "no answer of the set"


class _Label(BaseModel):
    """What `mix` takes from a line of `labels.jsonl`; further keys are allowed."""

    drive: str
    file: str
    frame: NonNegativeInt
    task: str
    answer: str
    prob: FiniteFloat
    accepted: bool
    reason: str
    review: str = ""


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    remedy = "run `drivelet label` again"
    for number, line in read_lines(path, remedy=remedy):
        where = f"{path} line {number}"
        parse_as(line, _Label, where=where, remedy=remedy)
        yield parse_as(line, dict[str, Any], where=where, remedy=remedy)


def _recording(labels: Path, file: str, known: str) -> str:
    """Return what tells a recording from others of its name: its id, or its place where labels bear no id.

    Raises:
        InputError: it is not the recording that was labelled.
    """
    if known and split_part(file)[0].exists() and drive_id(file) != known:
        raise InputError(f"{file}: its content changed after it was labelled; ingest and label it again ({labels})")
    return known[:8] if known else blake2b(os.path.realpath(file).encode(), digest_size=4).hexdigest()


def _frame_name(drive: str, mark: str, frame: int) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', drive)}-{mark}-{int(frame):06d}.jpg"


def by_video(candidates: Iterable[Candidate]) -> dict[str, dict[int, str]]:
    """Return for every video its candidate frames: index -> path at which the frame will lie, ascending."""
    videos: dict[str, dict[int, str]] = defaultdict(dict)
    for candidate in candidates:
        if candidate.video:
            videos[candidate.video[0]][candidate.video[1]] = candidate.row.path
    return {file: dict(sorted(wanted.items())) for file, wanted in sorted(videos.items())}
