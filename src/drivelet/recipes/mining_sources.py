"""What `mine` searches: the frames of ingested drives, labelled drives and manifests, with what is known of them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.artifacts import UNKNOWN, Field, Frame, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.images import SUFFIXES, read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.outside import read_as
from drivelet.core.progress import say
from drivelet.core.tables import has_table, read_rows
from drivelet.drives.frames import frames_at, select
from drivelet.drives.ingest import ingested
from drivelet.labels.calibrate import Calibration, CalibrationMap, vector
from drivelet.labels.label import LabelConfig
from drivelet.labels.smooth import stability
from drivelet.mining.evidence import Evidence

At = tuple[str, int]
"""(file, frame): where a frame lies."""


@dataclass(frozen=True, kw_only=True)
class Stock:
    """The frames to choose from, the evidence on them by field, and the manifest rows of single images by file."""

    frames: list[Frame]
    evidence: dict[str, Evidence]
    rows: dict[str, list[Row]]


@dataclass(kw_only=True)
class _Found:
    """What reading the sources has gathered so far."""

    frames: dict[At, Frame]
    measured: dict[At, Frame]
    labels: dict[At, dict[str, dict[str, Any]]]
    votes: dict[At, dict[str, dict[str, Any]]]
    rows: dict[str, list[Row]]


def read_stock(sources: Sequence[Path], *, hz: float, specs: Mapping[str, Field]) -> Stock:
    """Read labelled drives, ingested drives and image manifests.

    Of a labelled drive the labelled frames count, with the sensor values of its ingested form where that is among the
    sources too (or was ingested by `label` itself); of a drive that is only ingested, `hz` frames a second.

    Raises:
        InputError: a source is none of these.
    """
    found = _Found(frames={}, measured={}, labels=defaultdict(dict), votes=defaultdict(dict), rows={})
    for source in sources:
        if source.is_file():
            _add_manifest(found, source, specs)
        elif has_table(source / "labels.lance"):
            _add_labelled(found, source, specs)
        else:
            _add_ingested(found, ingested(source))
    labelled_files = {file for file, _ in found.labels}
    for at in _thinned((f for f in found.measured.values() if f.file not in labelled_files), hz):
        found.frames.setdefault(at, found.measured[at])
    frames = [found.measured.get(at, frame) for at, frame in found.frames.items()]
    return Stock(frames=frames, evidence=_evidence(found, frames, specs), rows=found.rows)


def read_any(file: str, indices: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
    """Yield (index, RGB image) of a video, a folder of images, or one image (index 0); damaged ones are left out."""
    if Path(file).suffix.lower() in SUFFIXES and Path(file).is_file():
        try:
            yield 0, read_image(file)
        except InputError as error:
            say(f"left out: {error}")
    else:
        yield from frames_at(file, indices)


def _thinned(frames: Iterable[Frame], hz: float) -> Iterator[At]:
    by_file: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_file[frame.file].append(frame)
    for file, drive in by_file.items():
        drive.sort(key=lambda frame: frame.t)
        yield from ((file, drive[place].frame) for place in select([frame.t for frame in drive], hz))


def _add_ingested(found: _Found, folders: Sequence[Path]) -> None:
    known = {f.name for f in fields(Frame)}
    for folder in folders:
        for row in read_rows(folder / "frames.lance"):
            found.measured[row["file"], row["frame"]] = Frame(**{k: v for k, v in row.items() if k in known})


def _add_manifest(found: _Found, manifest: Path, specs: Mapping[str, Field]) -> None:
    for row in read_manifest(manifest, tasks=specs, need_labels=False):
        at = (row.path, 0)
        found.frames[at] = Frame(drive=row.group or row.path, file=row.path, frame=0, t=float("nan"))
        found.rows.setdefault(row.path, []).append(row)


def _add_labelled(found: _Found, folder: Path, specs: Mapping[str, Field]) -> None:
    """Read the drives of a labelled folder one by one: votes name no file, and two drives may share a name."""
    _add_ingested(found, [path.parent for path in sorted(folder.glob("ingested/**/drive.json"))])
    joined = {(row["drive"], row["file"]) for row in read_rows(folder / "labels.lance", columns=["drive", "file"])}
    parts = sorted(path.parent for path in folder.glob("drives/*/labels.lance")) or [folder]
    for part in parts:
        labels = read_rows(part / "labels.lance")
        # A folder of an earlier run with other drives may lie beside them.
        labels = [row for row in labels if (row["drive"], row["file"]) in joined and row["task"] in specs]
        calibration = part / "calibration.json"
        maps = _calibration(calibration) if calibration.exists() else Calibration()
        files = {row["drive"]: row["file"] for row in labels}
        for row in labels:
            at = (row["file"], row["frame"])
            found.frames[at] = Frame(drive=row["drive"], file=row["file"], frame=row["frame"], t=row["t"])
            found.labels[at][row["task"]] = row
        for vote in read_rows(part / "votes.lance"):
            if vote["drive"] in files and vote["field"] in specs:
                probs = vector(json.loads(vote["probs"]), specs[vote["field"]].choices)
                mapped = maps.of(vote["labeler"], vote["field"]).apply(probs)
                at = (files[vote["drive"]], vote["frame"])
                found.votes[at].setdefault(vote["field"], {})[vote["labeler"]] = mapped


def _calibration(path: Path) -> Calibration:
    maps = dict[str, dict[str, CalibrationMap]]
    return Calibration(maps=read_as(path, maps, remedy="run `drivelet label` again"))


def _evidence(found: _Found, frames: Sequence[Frame], specs: Mapping[str, Field]) -> dict[str, Evidence]:
    evidence = {name: _of_field(found, frames, spec) for name, spec in specs.items()}
    return {name: seen for name, seen in evidence.items() if seen.labelled().any()}


def _of_field(found: _Found, frames: Sequence[Frame], spec: Field) -> Evidence:
    here = [(f.file, f.frame) for f in frames]
    said = [found.votes[at].get(spec.name, {}) if at in found.votes else {} for at in here]
    labelers = tuple(sorted({labeler for votes in said for labeler in votes}))
    votes_FLC = np.full((len(frames), len(labelers), len(spec.choices)), np.nan)
    probs_FC = np.full((len(frames), len(spec.choices)), np.nan)
    reasons = [""] * len(frames)
    best = np.full(len(frames), -1)
    for place, (at, votes) in enumerate(zip(here, said, strict=True)):
        for labeler, probs in votes.items():
            votes_FLC[place, labelers.index(labeler)] = probs
        label = found.labels[at].get(spec.name) if at in found.labels else None
        if label is not None:
            reasons[place] = label["reason"]
            if not (label["answer"] == UNKNOWN and label["prob"] == 0):
                best[place] = spec.choices.index(label["answer"])
                probs_FC[place] = _spread(votes_FLC[place], int(best[place]), label["prob"])
        elif at[0] in found.rows:
            probs_FC[place] = _from_rows(found.rows[at[0]], spec)
    stability_F = _stability(frames, votes_FLC, best)
    return Evidence(
        choices=spec.choices, labelers=labelers, votes_FLC=votes_FLC, probs_FC=probs_FC, stability_F=stability_F,
        reasons=reasons,
    )  # fmt: skip


def _spread(votes_LC: np.ndarray, best: int, prob: float) -> np.ndarray:
    """The label table keeps one answer's probability; the rest goes to the others as the votes share it."""
    heard_LC = votes_LC[~np.isnan(votes_LC).any(axis=1)]
    rest_C = heard_LC.mean(axis=0) if len(heard_LC) else np.ones(votes_LC.shape[1])
    rest_C[best] = 0.0
    probs_C = (1.0 - prob) * rest_C / rest_C.sum()
    probs_C[best] = prob
    return probs_C


def _from_rows(rows: Sequence[Row], spec: Field) -> np.ndarray:
    """A hand-checked label is certain; a coarse one allows its answers alike."""
    allowed = next((spec.parse(row.label) for row in rows if row.task == spec.name and row.label), frozenset())
    marks_C = np.array([choice in allowed for choice in spec.choices], float)
    return marks_C / marks_C.sum() if marks_C.any() else np.full(len(spec.choices), np.nan)


def _stability(frames: Sequence[Frame], votes_FLC: np.ndarray, best_F: np.ndarray) -> np.ndarray:
    own_F = np.where(np.isnan(votes_FLC).all(axis=(1, 2)), -1, np.nan_to_num(votes_FLC).sum(axis=1).argmax(axis=1))
    result_F = np.full(len(frames), np.nan)
    by_file: dict[str, list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        if best_F[place] >= 0:
            by_file[frame.file].append(place)
    for places in by_file.values():
        places.sort(key=lambda place: frames[place].t)
        times = [frames[place].t for place in places]
        shares = stability(
            own_F[places].tolist(), best_F[places].tolist(), times, window_s=LabelConfig().smooth.window_s
        )
        result_F[places] = shares
    return result_F


def position_of(reference: str, frames: Sequence[Frame]) -> int | None:
    """Return where the frame `DRIVE:FRAME` stands, None where the text is no such reference.

    Raises:
        InputError: the drive is known but has no such frame, or two drives bear the name.
    """
    drive, colon, number = reference.rpartition(":")
    own = [place for place, frame in enumerate(frames) if frame.drive == drive]
    if not colon or not number.isdecimal() or not own:
        return None
    if len({frames[place].file for place in own}) > 1:
        raise InputError(f"--like {reference}: several files bear the name {drive}; mine them one by one")
    exact = [place for place in own if frames[place].frame == int(number)]
    if exact:
        return exact[0]
    near = min(own, key=lambda place: abs(frames[place].frame - int(number)))
    raise InputError(f"--like {reference}: that frame is not among those mined; the nearest is {frames[near].frame}")
