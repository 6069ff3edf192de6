"""Recordings of labelled drives: the label tables of a folder joined with the drives that they speak of."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.adapters.rerun import record_drive
from drivelet.core.progress import track
from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import ingested
from drivelet.review.queue import Votes, mean_vote, read_boxes

EGO = ("drive", "file", "frame", "t", "speed_mps", "yaw_rate_radps")


def record_labels(folder: Path, *, drives: Sequence[Path]) -> list[Path]:
    """Write `folder/<drive>.rrd` for every labelled drive and return the paths.

    The probability of an answer is the mean of the labelers' votes. Of two drives of one name the second file gets a
    number behind it.

    Args:
        folder: what `drivelet label` wrote.
        drives: the ingested drives, or folders of them; they hold speed and yaw rate.

    Raises:
        MissingBackendError: Rerun is not installed.
    """
    labels: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in read_rows(folder / "labels.lance"):
        labels[row["drive"], row["file"]].append(row)
    motion = _motion(drives)
    votes, boxes = Votes(folder), read_boxes(folder)
    written: list[Path] = []
    for (drive, file), rows in track(labels.items(), total=len(labels), what="record"):
        rows.sort(key=lambda row: row["t"])
        keys = [(drive, row["frame"], row["task"]) for row in rows]
        path = record_drive(
            _free(folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', drive)}.rrd", written),
            drive=drive,
            pictures=frames_at(str(folder / file), sorted({row["frame"] for row in rows})),
            labels=rows,
            probs={key[1:]: mean_vote(votes.of(key)) for key in keys},
            boxes={frame: found for (name, frame), found in boxes.items() if name == drive},
            ego=motion.get(file, []),
        )
        written.append(path)
    return written


def _motion(drives: Sequence[Path]) -> Mapping[str, list[dict[str, Any]]]:
    """Return the frames of ingested drives by their file: labels may call a drive by another name."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for drive in (drive for root in drives for drive in ingested(root)):
        for row in read_rows(drive / "frames.lance", columns=EGO):
            rows[row["file"]].append(row)
    return rows


def _free(path: Path, taken: Sequence[Path]) -> Path:
    names: Iterator[Path] = (path.with_stem(f"{path.stem}-{number}") for number in range(2, len(taken) + 3))
    return next(name for name in (path, *names) if name not in taken)
