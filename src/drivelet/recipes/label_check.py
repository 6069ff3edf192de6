"""Pseudo-labels against hand-checked frames of the same drives, smoothed and not, beside majority and blind."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.artifacts import UNKNOWN, Field
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.ports import Labeler
from drivelet.core.tables import read_rows
from drivelet.labels.calibrate import Calibration
from drivelet.labels.fuse import fuse
from drivelet.labels.label import LabelConfig
from drivelet.labels.ledger import yield_curve
from drivelet.labels.tables import read_votes

Cell = tuple[str, int, str]
"""(drive, frame, field)."""


def hand_checked(manifest: Path) -> dict[Cell, Row]:
    """Return hand-checked frames by drive, frame and field: pictures are named `<drive>_<frame>.<suffix>`.

    Raises:
        InputError: no picture bears such a name.
    """
    found: dict[Cell, Row] = {}
    for row in read_manifest(manifest, tasks=tasks.fields()):
        drive, underscore, frame = Path(row.path).stem.rpartition("_")
        if underscore and frame.isdecimal():
            found[drive, int(frame), row.task] = row
    if not found:
        raise InputError(f"{manifest}: no picture is named <drive>_<frame>, such as monday_0150.jpg; --check needs it")
    return found


def check(
    config: LabelConfig, *, labelled: Path, gold: Mapping[Cell, Row], blind: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Score a labelled folder on hand-checked frames; write `check.json` beside its tables.

    Args:
        config: how the votes were pooled.
        labelled: what `label_drives` wrote.
        gold: hand-checked frames; those that were not labelled are left out.
        blind: what the labelers say to a grey picture, by field.

    Returns:
        A record a field: frames, the share right of the smoothed label, of the single frame's, of the blind answer and
        of the commonest label, and the yield curve.
    """
    fields = tasks.fields()
    labels = {(row["drive"], row["frame"], row["task"]): row for row in read_rows(labelled / "labels.lance")}
    single = single_frames(config, labelled, fields)
    met: dict[str, list[tuple[Cell, str]]] = defaultdict(list)
    for cell, row in gold.items():
        if cell in labels:
            met[cell[2]].append((cell, row.label))
    if not met:
        raise InputError(f"{labelled}: none of the {len(gold)} hand-checked frames were labelled; check names and hz")
    records = []
    for name, pairs in sorted(met.items()):
        said = {
            "smoothed": [labels[cell]["answer"] for cell, _ in pairs],
            "single frame": [single.get(cell, UNKNOWN) for cell, _ in pairs],
            "blind": [_top(blind.get(name, {}))] * len(pairs),
        }
        probs = [labels[cell]["prob"] for cell, _ in pairs]
        records.append(_record(fields[name], [label for _, label in pairs], said, probs))
    flow.write_json(labelled / "check.json", records)
    return records


def single_frames(config: LabelConfig, labelled: Path, fields: Mapping[str, Field]) -> dict[Cell, str]:
    """Return the fused answer of every frame taken by itself."""
    folder = next(iter(sorted((labelled / "drives").glob("*/calibration.json"))), labelled / "calibration.json")
    calibration = Calibration.from_json(flow.read_json(folder))
    fused = fuse(read_votes(labelled), calibration, fields, config.fuse)
    return {cell: fields[cell[2]].choices[int(found.probs.argmax())] for cell, found in fused.items()}


def blind_votes(speakers: Sequence[Labeler], size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Return the mean vote of labelers on a grey picture of a size (height, width), by field."""
    import numpy as np

    grey = np.full((*size, 3), 128, np.uint8)
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for speaker in speakers:
        for name, probs in speaker.label(grey).items():
            sums[name].update({choice: float(p) for choice, p in probs.items()})
    return {name: dict(total) for name, total in sums.items()}


def _top(probs: Mapping[str, float]) -> str:
    return max(probs, key=lambda choice: probs[choice]) if probs else UNKNOWN


def _record(
    spec: Field, gold: Sequence[str], said: Mapping[str, Sequence[str]], probs: Sequence[float]
) -> dict[str, Any]:
    right = {name: [a in spec.parse(g) for a, g in zip(answers, gold, strict=True)] for name, answers in said.items()}
    record: dict[str, Any] = {"task": spec.name, "frames": len(gold)}
    record |= {name: round(sum(rows) / len(rows), 4) for name, rows in right.items()}
    record["majority"] = round(Counter(gold).most_common(1)[0][1] / len(gold), 4)
    record["yield"] = [asdict(point) for point in yield_curve(probs, right["smoothed"])]
    return record
