"""The label stage: votes of all labelers on a drive, calibrated, fused, smoothed and judged."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from drivelet.core.artifacts import UNKNOWN, Field, ImageArray, PseudoLabel, Vote
from drivelet.core.errors import InputError
from drivelet.core.flow import chunks_on_disk, digest_text, plain, read_json, write_json
from drivelet.core.ports import Labeler
from drivelet.core.progress import track
from drivelet.core.tables import read_rows, write_table
from drivelet.labels.calibrate import Calibration
from drivelet.labels.fuse import FuseConfig, Fused, fuse
from drivelet.labels.ledger import LedgerConfig, judge, summarise
from drivelet.labels.smooth import smooth, stability

ReadFrames = Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]]
"""Reads frames of a video or image folder by ascending index, as (index, RGB image); damaged frames are left out."""

VOTES = pa.schema(
    [
        ("drive", pa.string()),
        ("frame", pa.int64()),
        ("field", pa.string()),
        ("labeler", pa.string()),
        ("family", pa.string()),
        ("probs", pa.string()),
    ]
)
LABELS = pa.schema(
    [
        ("drive", pa.string()),
        ("file", pa.string()),
        ("frame", pa.int64()),
        ("t", pa.float64()),
        ("task", pa.string()),
        ("answer", pa.string()),
        ("prob", pa.float64()),
        ("accepted", pa.bool_()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """Settings of `label_drive`.

    Attributes:
        hz: labelled frames a second.
        window_s: width of the sliding window.
        chunk: frames between two points at which a killed run goes on.
        fuse: pooling of votes.
        ledger: what an accepted label must pass.
    """

    hz: float = 5.0
    window_s: float = 1.5
    chunk: int = 50
    fuse: FuseConfig = default(default_factory=FuseConfig)
    ledger: LedgerConfig = default(default_factory=LedgerConfig)


def label_drive(
    config: LabelConfig,
    *,
    drive: Path,
    labelers: Sequence[Labeler],
    fields: Mapping[str, Field],
    calibration: Calibration | None,
    read_frames: ReadFrames,
    out: Path,
) -> Path:
    """Label an ingested drive: `votes.lance`, `labels.lance`, `labels.jsonl`, `summary.json` and `calibration.json`.

    Args:
        drive: a folder that ingestion wrote (`frames.lance`).
        labelers: sources of votes.
        fields: what to label; every frame gets a line for each of them.
        calibration: corrections of the labelers; None takes votes as they are.
        read_frames: reads frames of the source file.

    Votes are kept in chunks beneath `out/chunks`: after a crash the same call goes on at the first missing one.
    """
    frames = _select(read_rows(drive / "frames.lance"), config.hz)
    if not frames:
        raise InputError(f"{drive}: the drive has no frames; run `drivelet ingest` on the source again")
    out.mkdir(parents=True, exist_ok=True)
    votes = _collect(config, frames, labelers, fields, read_frames, out)
    labels = decide(config, frames, votes, fields, calibration or Calibration())
    write_table(out / "votes.lance", _vote_table(votes))
    write_table(out / "labels.lance", pa.Table.from_pylist([asdict(label) for label in labels], schema=LABELS))
    write_json(out / "calibration.json", (calibration or Calibration()).as_json())
    summary = {"drives": [frames[0]["drive"]], "frames": len(frames), "fields": summarise(labels)}
    write_json(out / "summary.json", summary)
    _write_lines(out / "labels.jsonl", map(asdict, labels))
    return out


def join_labels(folders: Sequence[Path], *, out: Path) -> Path:
    """Join the labels, votes and summaries of several labelled drives into one folder."""
    out.mkdir(parents=True, exist_ok=True)
    labels = [row for folder in folders for row in read_rows(folder / "labels.lance")]
    votes = [row for folder in folders for row in read_rows(folder / "votes.lance")]
    write_table(out / "labels.lance", pa.Table.from_pylist(labels, schema=LABELS))
    write_table(out / "votes.lance", pa.Table.from_pylist(votes, schema=VOTES))
    summaries = [read_json(folder / "summary.json") for folder in folders]
    whole = {
        "drives": [name for summary in summaries for name in summary["drives"]],
        "frames": sum(summary["frames"] for summary in summaries),
        "fields": summarise(PseudoLabel(**row) for row in labels),
    }
    write_json(out / "summary.json", whole)
    _write_lines(out / "labels.jsonl", labels)
    return out


def _select(rows: Sequence[dict[str, Any]], hz: float) -> list[dict[str, Any]]:
    """Return the first frame at or after every tick of 1 / hz seconds."""
    chosen: dict[int, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["t"]):
        # A millisecond of slack: timestamps are rounded to the container's clock.
        chosen.setdefault(int((row["t"] + 1e-3) * hz), row)
    return list(chosen.values())


def _collect(
    config: LabelConfig,
    frames: Sequence[dict[str, Any]],
    labelers: Sequence[Labeler],
    fields: Mapping[str, Field],
    read_frames: ReadFrames,
    out: Path,
) -> list[Vote]:
    """Ask all labelers about all frames, chunk by chunk; a finished chunk is read back instead."""
    # Chunks of another drive, rate or set of labelers in the same folder must not be taken for these.
    identity = [[(f["file"], f["frame"]) for f in frames], [labeler.name for labeler in labelers], sorted(fields)]
    folder = out / "chunks" / digest_text(json.dumps([plain(identity), config.chunk]))[:12]

    def work(chunk: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        by_index = {frame["frame"]: frame["drive"] for frame in chunk}
        return [
            asdict(vote)
            for index, image in read_frames(chunk[0]["file"], list(by_index))
            for vote in _ask(labelers, fields, image, drive=by_index[index], frame=index)
        ]

    total = -(-len(frames) // config.chunk)
    chunks = chunks_on_disk(folder, frames, work, size=config.chunk)
    return [Vote(**row) for rows in track(chunks, total=total, what=f"label {frames[0]['drive']}") for row in rows]


def _ask(
    labelers: Sequence[Labeler], fields: Mapping[str, Field], image: ImageArray, *, drive: str, frame: int
) -> Iterator[Vote]:
    for labeler in labelers:
        for name, probs in labeler.label(image).items():
            if name in fields:
                yield Vote(
                    drive=drive,
                    frame=frame,
                    field=name,
                    labeler=labeler.name,
                    family=labeler.family,
                    probs={choice: round(float(p), 6) for choice, p in probs.items()},
                )


def decide(
    config: LabelConfig,
    frames: Sequence[Mapping[str, Any]],
    votes: Sequence[Vote],
    fields: Mapping[str, Field],
    calibration: Calibration,
) -> list[PseudoLabel]:
    """Return one label for every frame and field, in the order of frames, then fields.

    Args:
        frames: rows of one drive with `drive`, `file`, `frame` and `t`, in order of time.
        votes: of that drive.
    """
    fused = fuse(votes, calibration, fields, config.fuse)
    columns = [_decide_field(config, frames, fused, spec) for spec in fields.values()]
    return [label for row in zip(*columns, strict=True) for label in row]


def _decide_field(
    config: LabelConfig,
    frames: Sequence[Mapping[str, Any]],
    fused: Mapping[tuple[str, int, str], Fused],
    spec: Field,
) -> list[PseudoLabel]:
    cells = [fused.get((frame["drive"], frame["frame"], spec.name)) for frame in frames]
    times = [float(frame["t"]) for frame in frames]
    empty_C = np.full(len(spec.choices), np.nan)
    probs_FC = smooth(np.stack([cell.probs if cell else empty_C for cell in cells]), times, window_s=config.window_s)
    best_F = np.where(np.isnan(probs_FC).any(axis=1), -1, np.nan_to_num(probs_FC).argmax(axis=1))
    own = [int(cell.probs.argmax()) if cell else -1 for cell in cells]
    stability_F = stability(own, [int(b) for b in best_F], times, window_s=config.window_s)
    labels: list[PseudoLabel] = []
    for place, (frame, cell) in enumerate(zip(frames, cells, strict=True)):
        best = int(best_F[place])
        answer = spec.choices[best] if best >= 0 else UNKNOWN
        prob = float(probs_FC[place, best]) if best >= 0 else 0.0
        reason = judge(
            config.ledger,
            answer=answer,
            prob=prob,
            votes=cell.votes if cell else 0,
            dissent=cell.dissent if cell else 0.0,
            stability=float(stability_F[place]),
        )
        labels.append(_label(frame, spec.name, answer, prob, reason))
    return labels


def _label(frame: Mapping[str, Any], name: str, answer: str, prob: float, reason: str) -> PseudoLabel:
    return PseudoLabel(
        drive=frame["drive"],
        file=frame["file"],
        frame=int(frame["frame"]),
        t=float(frame["t"]),
        task=name,
        answer=answer,
        prob=round(prob, 6),
        accepted=not reason,
        reason=reason,
    )


def _vote_table(votes: Sequence[Vote]) -> pa.Table:
    rows = [{**asdict(vote), "probs": json.dumps(dict(vote.probs))} for vote in votes]
    return pa.Table.from_pylist(rows, schema=VOTES)


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.replace(path)
