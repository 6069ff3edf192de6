"""The tables of a labelled drive: votes, boxes and labels; written, read back, and joined over drives."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from drivelet.core.artifacts import PseudoLabel, Vote
from drivelet.core.flow import read_json, write_json
from drivelet.core.tables import has_table, read_rows, read_table, write_table
from drivelet.labels.ledger import summarise

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
        ("state", pa.string()),
        ("hidden", pa.float64()),
        ("drive_id", pa.string()),
    ]
)
BOXES = pa.schema(
    [("drive", pa.string()), ("frame", pa.int64()), ("detector", pa.string()), ("kind", pa.string())]
    + [(name, pa.float64()) for name in ("x0", "y0", "x1", "y1", "score")]
    + [("answer", pa.string()), ("track", pa.int64()), ("reason", pa.string())]
)


def write_labelled(
    out: Path, *, votes: Sequence[Vote], boxes: Sequence[Mapping[str, Any]], labels: Sequence[PseudoLabel]
) -> None:
    """Write the tables of one drive, and its labels as JSON lines."""
    rows = [{**asdict(vote), "probs": json.dumps(dict(vote.probs))} for vote in votes]
    write_table(out / "votes.lance", pa.Table.from_pylist(rows, schema=VOTES))
    write_table(out / "boxes.lance", pa.Table.from_pylist(list(boxes), schema=BOXES))
    write_table(out / "labels.lance", pa.Table.from_pylist([asdict(label) for label in labels], schema=LABELS))
    _write_lines(out / "labels.jsonl", map(asdict, labels))


def join_labels(folders: Sequence[Path], *, out: Path) -> Path:
    """Join the labels, votes and summaries of several labelled drives into one folder."""
    out.mkdir(parents=True, exist_ok=True)
    # A reviewed drive has more columns; the others' rows are empty there.
    joined = pa.concat_tables([read_table(folder / "labels.lance") for folder in folders], promote_options="default")
    labels = joined.to_pylist()
    write_table(out / "labels.lance", joined)
    for name in ("votes.lance", "boxes.lance"):
        parts = [read_table(folder / name) for folder in folders if has_table(folder / name)]
        if parts:
            write_table(out / name, pa.concat_tables(parts))
    summaries = [read_json(folder / "summary.json") for folder in folders]
    whole = {
        "drives": [name for summary in summaries for name in summary["drives"]],
        "frames": sum(summary["frames"] for summary in summaries),
        "fields": summarise(PseudoLabel(**{name: row[name] for name in LABELS.names}) for row in labels),
        "drift": {name: found for summary in summaries for name, found in summary.get("drift", {}).items()},
    }
    write_json(out / "summary.json", whole)
    _write_lines(out / "labels.jsonl", labels)
    return out


def read_votes(folder: Path) -> list[Vote]:
    """Return the votes of a labelled folder."""
    return [Vote(**{**row, "probs": json.loads(row["probs"])}) for row in read_rows(folder / "votes.lance")]


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.replace(path)
