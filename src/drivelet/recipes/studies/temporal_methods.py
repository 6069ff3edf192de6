"""The ways of labelling a light over time that the study `temporal` compares, and their links replaced by oracles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.artifacts import Field, Vote
from drivelet.evaluate.temporal import Track
from drivelet.labels.calibrate import Calibration, Gold, calibrate
from drivelet.labels.fuse import FuseConfig, fuse
from drivelet.labels.hmm import Ride
from drivelet.labels.label import car_stands, fused_table
from drivelet.labels.smooth import SmoothConfig, smooth_field

LAMP = "traffic_light.state"
NONE = "none"
STANDING_MPS = 0.3


@dataclass(frozen=True, kw_only=True)
class LabelledDrive:
    """A drive with everything that methods and gold need.

    Attributes:
        name: of the drive.
        frames: rows of the frame table that were labelled, in order of time.
        votes: of all labelers on the light.
        state: the true state of the governing light, from the first frame that shows it to the last.
        shown: what each frame shows.
        standing: whether the car truly stands.
    """

    name: str
    frames: Sequence[Mapping[str, Any]]
    votes: Sequence[Vote]
    state: Sequence[str]
    shown: Sequence[str]
    standing: Sequence[bool]

    @property
    def times(self) -> list[float]:
        """Seconds from the first frame."""
        return [float(frame["t"]) for frame in self.frames]

    @property
    def hidden_while_standing(self) -> list[bool]:
        """Frames in which the light is out of sight of a standing car."""
        rows = zip(self.state, self.shown, self.standing, strict=True)
        return [state != NONE and shown == NONE and standing for state, shown, standing in rows]


def true_states(folder: Path, frames: Sequence[int]) -> tuple[list[str], list[str], list[bool]]:
    """Return (true state, shown state, standing) of the light for some frames of a simulated drive.

    A light's state is known while the drive has seen it and will see it again; before and after, no one could say.
    """
    scenes = [json.loads(line) for line in (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()]
    shown = [scene["facts"]["governing_lamp"] for scene in scenes]
    seen = [i for i, state in enumerate(shown) if state != NONE]
    first, last = (seen[0], seen[-1]) if seen else (len(scenes), -1)
    state = [scene["setting"]["lamp_state"] if first <= i <= last else NONE for i, scene in enumerate(scenes)]
    standing = [scene["setting"]["speed_mps"] < STANDING_MPS for scene in scenes]
    return [state[i] for i in frames], [shown[i] for i in frames], [standing[i] for i in frames]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of labelling.

    Attributes:
        labelers: whose votes count; all where empty.
        fuse: how votes are pooled.
        smooth: how frames inform each other.
        oracles: links replaced by the truth: `labeler`, `calibration`, `imu`.
    """

    name: str
    labelers: tuple[str, ...] = ()
    fuse: FuseConfig = default(default_factory=FuseConfig)
    smooth: SmoothConfig
    oracles: frozenset[str] = frozenset()


FRAME = SmoothConfig(method="none")
CHAIN = SmoothConfig(method="hmm", motion=False)
FULL = SmoothConfig(method="hmm")


def methods(teacher: str) -> list[Method]:
    """Return the methods in the order of the table."""
    return [
        Method(name="single frame", labelers=(teacher,), fuse=FuseConfig(method="pool"), smooth=FRAME),
        Method(name="vote", smooth=FRAME),
        Method(name="vote, pooled", fuse=FuseConfig(method="pool"), smooth=FRAME),
        Method(name="vote, Dawid-Skene", fuse=FuseConfig(method="dawid_skene"), smooth=FRAME),
        Method(name="window 1.5 s", smooth=SmoothConfig(method="window")),
        Method(name="window 6.1 s", smooth=SmoothConfig(method="window", window_s=6.1)),
        Method(name="HMM", smooth=CHAIN),
        Method(name="HMM + IMU", smooth=FULL),
        Method(name="HMM + IMU, no closer look", labelers=(teacher, "colour"), smooth=FULL),
        Method(name="HMM + IMU, pooled votes", fuse=FuseConfig(method="pool"), smooth=FULL),
        Method(name="HMM + IMU, online", smooth=replace(FULL, online=True)),
    ]


def oracles() -> list[Method]:
    """Return the full method with each link replaced by the truth, and with all of them."""
    links = ("calibration", "imu", "labeler")
    rows = [Method(name="full method", smooth=FULL)]
    rows += [Method(name=f"true {link}", smooth=FULL, oracles=frozenset({link})) for link in links]
    return [*rows, Method(name="all true", smooth=FULL, oracles=frozenset(links))]


def tracks(method: Method, drives: Sequence[LabelledDrive], spec: Field, *, folds: int = 2) -> list[Track]:
    """Label all drives with a method; labelers are calibrated on the drives of the other folds."""
    result: list[Track] = []
    for number, drive in enumerate(drives):
        others = [d for i, d in enumerate(drives) if i % folds != number % folds]
        known = drives if "calibration" in method.oracles else others
        result.append(_track(method, drive, _calibrated(method, known, spec), spec))
    return result


def _calibrated(method: Method, drives: Sequence[LabelledDrive], spec: Field) -> Calibration:
    """Calibrate on what frames show, every second of the drives."""
    votes: list[Vote] = []
    gold: list[Gold] = []
    for drive in drives:
        step = max(1, round(1 / max(float(np.median(np.diff(drive.times))), 1e-3)))
        labels = {int(f["frame"]): s for f, s in list(zip(drive.frames, drive.shown, strict=True))[::step]}
        gold += [Gold(item=f"{drive.name}:{f}", field=LAMP, label=s, group=drive.name) for f, s in labels.items()]
        votes += [replace(v, drive=f"{drive.name}:{v.frame}") for v in _votes(method, drive) if v.frame in labels]
    return calibrate(votes, gold, {LAMP: spec})


def _votes(method: Method, drive: LabelledDrive) -> list[Vote]:
    if "labeler" in method.oracles:
        return [
            Vote(drive=drive.name, frame=int(f["frame"]), field=LAMP, labeler="truth", family="truth", probs={s: 1.0})
            for f, s in zip(drive.frames, drive.shown, strict=True)
        ]
    return [vote for vote in drive.votes if not method.labelers or vote.labeler in method.labelers]


def _track(method: Method, drive: LabelledDrive, calibration: Calibration, spec: Field) -> Track:
    fused = fuse(_votes(method, drive), calibration, {LAMP: spec}, method.fuse)
    cells = [fused.get((drive.name, int(frame["frame"]), LAMP)) for frame in drive.frames]
    standing: list[bool | None] = [car_stands(frame) for frame in drive.frames]
    if "imu" in method.oracles:
        standing = list(drive.standing)
    ride = Ride(times=drive.times, standing=standing)
    found = smooth_field(method.smooth, spec, fused_table(cells, spec), ride)
    best_F = np.nan_to_num(found.meant_FC).argmax(axis=1)
    return Track(
        times=drive.times,
        gold=drive.state,
        answers=[spec.choices[int(best)] for best in best_F],
        probs=[float(row[best]) for row, best in zip(np.nan_to_num(found.meant_FC), best_F, strict=True)],
        counted=[True] * len(drive.frames),
    )


def only(track: Track, counted: Sequence[bool]) -> Track:
    """Return a track of which only some frames count."""
    return replace(track, counted=list(counted))
