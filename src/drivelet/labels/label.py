"""The label stage: votes of all labelers on a drive, calibrated, fused, smoothed, checked in space, and judged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core import flow
from drivelet.core.artifacts import UNKNOWN, EgoMotion, EgoStep, Field, PseudoLabel, Vote
from drivelet.core.ego import thin
from drivelet.core.errors import InputError
from drivelet.core.flow import read_json, write_json
from drivelet.core.ports import Detector, Labeler
from drivelet.core.ranges import Positive, Several, ranged
from drivelet.core.tables import read_rows
from drivelet.labels.calibrate import Calibration
from drivelet.labels.collect import ReadFrames, collect
from drivelet.labels.drift import DriftConfig, drift
from drivelet.labels.fuse import FuseConfig, Fused, fuse
from drivelet.labels.hmm import Ride
from drivelet.labels.ledger import LedgerConfig, judge, summarise
from drivelet.labels.phases import ALERT, junctions_passed
from drivelet.labels.place import place_reasons, placed
from drivelet.labels.smooth import FieldTrack, SmoothConfig, smooth_field, stability
from drivelet.labels.spatial import SpatialConfig
from drivelet.labels.tables import write_labelled

STANDING_MPS = 0.3
"""Below this speed the car counts as standing: wheel sensors read no slower."""


@dataclass(frozen=True, kw_only=True)
@ranged
class LabelConfig:
    """Settings of `label_drive`.

    Attributes:
        hz: labelled frames a second.
        smooth: how frames inform each other.
        chunk: frames between two points at which a killed run goes on.
        fuse: pooling of votes.
        spatial: what a box must pass.
        drift: when labels vary too much.
        ledger: what an accepted label must pass.
    """

    hz: Positive = 5.0
    smooth: SmoothConfig = default(default_factory=SmoothConfig)
    chunk: Several = 50
    fuse: FuseConfig = default(default_factory=FuseConfig)
    spatial: SpatialConfig = default(default_factory=SpatialConfig)
    drift: DriftConfig = default(default_factory=DriftConfig)
    ledger: LedgerConfig = default(default_factory=LedgerConfig)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The labels of a drive, in the order of frames, then fields; and what was found of each field's drift."""

    labels: list[PseudoLabel]
    drift: dict[str, dict[str, Any]]


@flow.stage(4)
def label_drive(
    config: LabelConfig,
    *,
    drive: Path,
    labelers: Sequence[Labeler],
    detectors: Sequence[Detector] = (),
    fields: Mapping[str, Field],
    calibration: Calibration | None,
    read_frames: ReadFrames,
    shown_as: str = "",
    out: Path,
) -> Path:
    """Label an ingested drive: votes, boxes and labels as tables, `labels.jsonl`, `summary.json`, `calibration.json`.

    Args:
        drive: a folder that ingestion wrote (`frames.lance`, `drive.json`).
        labelers: sources of votes.
        detectors: sources of boxes, which are checked against the car's motion.
        fields: what to label; every frame gets a line for each of them.
        calibration: corrections of the labelers; None takes votes as they are.
        read_frames: reads frames of the source file.
        shown_as: what the drive is called in the tables; what ingestion called it where empty.

    Votes are kept in chunks beneath `out/chunks`: after a crash the same call goes on at the first missing one.
    """
    described = read_json(drive / "drive.json") if (drive / "drive.json").is_file() else {}
    known = {"drive_id": described.get("drive_id", ""), **({"drive": shown_as} if shown_as else {})}
    rows = [{**row, **known} for row in sorted(read_rows(drive / "frames.lance"), key=lambda row: row["t"])]
    frames = selected(rows, config.hz)
    if not frames:
        raise InputError(f"{drive}: the drive has no frames; run `drivelet ingest` on the source again")
    out.mkdir(parents=True, exist_ok=True)
    votes, boxes = collect(frames, labelers, detectors, fields, read_frames, chunk=config.chunk, out=out / "chunks")
    spatial = placed(config.spatial, frames, boxes, motion_over(rows, frames, described), described)
    reasons = place_reasons(spatial.rows)
    found = decide(config, frames, votes, fields, calibration or Calibration(), reasons)
    write_labelled(out, votes=votes, boxes=spatial.rows, labels=found.labels)
    write_json(out / "calibration.json", (calibration or Calibration()).as_json())
    summary = {
        "drives": [frames[0]["drive"]],
        "frames": len(frames),
        "fields": summarise(found.labels),
        "drift": {frames[0]["drive"]: found.drift},
        "spatial": spatial.counts,
    }
    write_json(out / "summary.json", summary)
    return out


def selected(rows: Sequence[dict[str, Any]], hz: float) -> list[dict[str, Any]]:
    """Return the rows of the first frame at or after every tick of `1 / hz` seconds."""
    chosen: dict[int, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["t"]):
        # A millisecond of slack: timestamps are rounded to the container's clock.
        chosen.setdefault(int((row["t"] + 1e-3) * hz), row)
    return list(chosen.values())


def motion_over(
    rows: Sequence[Mapping[str, Any]], frames: Sequence[Mapping[str, Any]], described: Mapping[str, Any]
) -> EgoMotion | None:
    """Return the car's motion over the labelled frames; None where ingestion told none.

    Args:
        rows: the frame table in order of time.
        frames: those of its rows that are labelled.
        described: what `drive.json` says.
    """
    if "standing" not in rows[0]:
        return None
    steps = tuple(
        EgoStep(
            t=row["t"], standing=row["standing"], forward_m=row["forward_m"], left_m=row["left_m"],
            yaw_rad=row["yaw_rad"],
        )
        for row in rows
    )  # fmt: skip
    place = {row["frame"]: number for number, row in enumerate(rows)}
    whole = EgoMotion(steps=steps, focal_px=described.get("focal_px") or math.nan)
    return thin(whole, [place[frame["frame"]] for frame in frames])


def decide(
    config: LabelConfig,
    frames: Sequence[Mapping[str, Any]],
    votes: Sequence[Vote],
    fields: Mapping[str, Field],
    calibration: Calibration,
    reasons: Mapping[tuple[int, str, str], str] | None = None,
) -> Decided:
    """Return one label for every frame and field.

    Args:
        config: how.
        frames: rows of one drive with `drive`, `file`, `frame` and `t`, and what is known of its motion, in order of
            time.
        votes: of that drive.
        fields: what to label.
        calibration: of the labelers.
        reasons: (frame, field, answer) -> why no box that speaks for the answer can be true.
    """
    fused = fuse(votes, calibration, fields, config.fuse)
    cells = {name: [fused.get((frame["drive"], frame["frame"], name)) for frame in frames] for name in fields}
    ride = ride_of(config.smooth, frames, cells.get(ALERT), fields.get(ALERT))
    columns: list[list[PseudoLabel]] = []
    alarms: dict[str, dict[str, Any]] = {}
    for name, spec in fields.items():
        probs_FC = fused_table(cells[name], spec)
        track = smooth_field(config.smooth, spec, probs_FC, ride)
        columns.append(_judged(config, frames, cells[name], spec, track, reasons or {}))
        alarms[name] = drift(config.drift, config.smooth, spec, probs_FC, ride).as_json()
    return Decided(labels=[label for row in zip(*columns, strict=True) for label in row], drift=alarms)


def ride_of(
    config: SmoothConfig,
    frames: Sequence[Mapping[str, Any]],
    alerts: Sequence[Fused | None] | None = None,
    spec: Field | None = None,
) -> Ride:
    """Return what is known of the car in each frame; votes on intersections tell which junctions it has passed."""
    ride = Ride(times=[float(frame["t"]) for frame in frames], standing=[car_stands(frame) for frame in frames])
    if alerts is None or spec is None:
        return ride
    shown_FC = np.nan_to_num(smooth_field(config, spec, fused_table(alerts, spec), ride).shown_FC)
    best = [spec.choices[int(row.argmax())] if row.any() else UNKNOWN for row in shown_FC]
    return replace(ride, passed=junctions_passed(best, ride.standing))


def car_stands(frame: Mapping[str, Any]) -> bool | None:
    """Return whether the car stands, from the frame's `standing` or its speed; None where neither is known."""
    standing, speed = frame.get("standing"), frame.get("speed_mps", math.nan)
    if standing is not None:
        return bool(standing)
    return None if speed is None or math.isnan(speed) else abs(speed) < STANDING_MPS


def fused_table(cells: Sequence[Fused | None], spec: Field) -> np.ndarray:
    """Return the distribution of each cell as a row (F, C), NaN where nothing was voted."""
    empty_C = np.full(len(spec.choices), np.nan)
    return np.stack([cell.probs if cell else empty_C for cell in cells])


def _judged(
    config: LabelConfig,
    frames: Sequence[Mapping[str, Any]],
    cells: Sequence[Fused | None],
    spec: Field,
    track: FieldTrack,
    reasons: Mapping[tuple[int, str, str], str],
) -> list[PseudoLabel]:
    times = [float(frame["t"]) for frame in frames]
    best_F = np.where(np.isnan(track.shown_FC).any(axis=1), -1, np.nan_to_num(track.shown_FC).argmax(axis=1))
    own = [int(cell.probs.argmax()) if cell else -1 for cell in cells]
    stability_F = stability(own, [int(b) for b in best_F], times, window_s=config.smooth.window_s)
    labels: list[PseudoLabel] = []
    for place, (frame, cell) in enumerate(zip(frames, cells, strict=True)):
        best = int(best_F[place])
        answer = spec.choices[best] if best >= 0 else UNKNOWN
        prob = float(track.shown_FC[place, best]) if best >= 0 else 0.0
        reason = judge(
            config.ledger,
            answer=answer,
            prob=prob,
            votes=cell.votes if cell else 0,
            dissent=cell.dissent if cell else 0.0,
            stability=float(stability_F[place]),
            misplaced=reasons.get((int(frame["frame"]), spec.name, answer), ""),
        )
        labels.append(_label(frame, spec, answer, prob, reason, track, place))
    return labels


def _label(
    frame: Mapping[str, Any], spec: Field, answer: str, prob: float, reason: str, track: FieldTrack, place: int
) -> PseudoLabel:
    known = not np.isnan(track.meant_FC[place]).any()
    return PseudoLabel(
        drive=frame["drive"],
        file=frame["file"],
        frame=int(frame["frame"]),
        t=float(frame["t"]),
        task=spec.name,
        answer=answer,
        prob=round(prob, 6),
        accepted=not reason,
        reason=reason,
        state=spec.choices[int(track.meant_FC[place].argmax())] if known else UNKNOWN,
        hidden=round(float(track.hidden_F[place]), 6),
        drive_id=frame.get("drive_id", ""),
    )
