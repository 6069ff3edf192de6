"""Study `temporal`: do labels drift from frame to frame, and what do window, chain and IMU each mend?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import field as default
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.ports import Executor
from drivelet.core.progress import say
from drivelet.core.ranges import Name, Positive, Several, ranged
from drivelet.core.stats import Interval, bootstrap, mean_interval, percentile_interval, ratio
from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest_tables
from drivelet.evaluate.temporal import Track, measures
from drivelet.labels.colour import ColourLabeler
from drivelet.labels.label import LabelConfig, label_drive, motion_over, selected
from drivelet.labels.place import boxes_by_frame
from drivelet.labels.tables import read_votes
from drivelet.labels.tracks import associate, jitter
from drivelet.labels.vlm import VlmLabeler
from drivelet.recipes.labelling import closer
from drivelet.recipes.settings import mini
from drivelet.recipes.steps import GOLD, GOLD_VERSION, place_of
from drivelet.recipes.studies.temporal_methods import LAMP, LabelledDrive, methods, only, oracles, tracks, true_states
from drivelet.report.study import interval_table, measures_plot, write_study
from drivelet.report.tables import rich_table
from drivelet.synth.driving.course import TrialConfig
from drivelet.synth.driving.drive_sim import DriveConfig, render_drives

CLAIM = (
    "On rendered drives the full method (HMM + IMU) has at most a fifth of the single frame's error, at most one "
    "excess flip a minute and a yellow recall of at least 0.95, and the IMU takes at least 30% off the error on frames "
    "whose light is hidden while the car stands."
)
HARD = TrialConfig(
    far_side=0.85, crossing=1.0, blinks=0.4, swings=1.0, slow_phases=1.5, clock_offset_s=(0.0, 1.0), imu_noise=1.5
)


@dataclass(frozen=True, kw_only=True)
@ranged
class TemporalConfig:
    """Settings of the study.

    Attributes:
        drives: simulated drives, with trucks, blinking lights, swings, noise and a sensor clock that is off.
        ingest, hz: how they are read, and how many frames a second are labelled.
        teacher: the labeler whose single frames are the base line.
        resamples: of the drives, for the intervals.
    """

    drives: DriveConfig = default(
        default_factory=lambda: DriveConfig(
            num_drives=24, seed=23, seconds=16.0, hz=10, workers=2, trials=HARD, val=0.0, test=1.0
        )
    )
    ingest: IngestConfig = default(default_factory=IngestConfig)
    hz: Positive = 5.0
    teacher: Name = default(default_factory=lambda: mini("teacher-mini"))
    resamples: Several = 1000


def temporal(config: TemporalConfig, *, out: Path, executor: Executor) -> Path:
    """Run the study; write `study.json` and return its path. Renders, tables and votes are kept in `out/stages`."""
    stages = voted_stages(config, out=out, executor=executor)
    drives = [_labelled(*folders, hz=config.hz) for folders in stages]
    spec = tasks.fields()[LAMP]
    teacher = Path(config.teacher).name
    found = {method.name: tracks(method, drives, spec) for method in methods(teacher)}
    rows = [{"name": name, **_row(given, drives, config.resamples)} for name, given in found.items()]
    links = [
        {"name": method.name, **_row(tracks(method, drives, spec), drives, config.resamples)} for method in oracles()
    ]
    gain = imu_gain(found["HMM"], found["HMM + IMU"], drives, resamples=config.resamples)
    minutes = sum(track.minutes for track in found["vote"])
    study = {
        "study": "temporal",
        "claim": CLAIM,
        "holds": _holds(rows, gain),
        "rows": rows,
        "links": links,
        "imu_gain": asdict(gain),
        "drives": len(drives),
        "minutes": round(minutes, 2),
        "box_jitter_px": {name: asdict(value) for name, value in jitters(stages, config).items()},
        "hidden_while_standing": sum(sum(drive.hidden_while_standing) for drive in drives),
    }
    tables = {"Methods": interval_table(rows), "Which link costs what": interval_table(links)}
    plot = measures_plot(rows, ("error", "excess_flips_pm", "yellow_recall", "error_hidden_standing"))
    sentence = _sentence(rows, gain, len(drives))
    for heading, table in tables.items():
        Console(width=200).print(rich_table(table, title=heading))
    say(sentence)
    return write_study(study, tables, plot, sentence, out=out)


def voted_stages(config: TemporalConfig, *, out: Path, executor: Executor) -> list[tuple[Path, Path, Path]]:
    """Render, ingest and vote, each as a stage; return the folders of every drive: truth, tables, votes."""
    store = out / "stages"
    drives = flow.run(
        render_drives, config.drives, store=store, inputs={}, also=GOLD_VERSION, context=GOLD, name="drives"
    )  # fmt: skip
    folders = sorted((drives / "drives").iterdir())
    voted = executor.map(partial(_vote, config, store), folders)
    return [(folder, *found) for folder, found in zip(folders, voted, strict=True)]


def _vote(config: TemporalConfig, store: Path, folder: Path) -> tuple[Path, Path]:
    """Ingest a drive and collect votes on its light, in whatever process an executor puts it; return both folders."""
    ready = flow.run(
        ingest_tables, config.ingest, store=store, inputs={"source": folder}, also=place_of(folder), name="ingest"
    )  # fmt: skip
    teacher = Path(config.teacher)
    return ready, flow.run(
        votes_on_light, LabelConfig(hz=config.hz), store=store, inputs={"drive": ready, "teacher": teacher},
        also={"shown_as": teacher.name}, name="votes",
    )  # fmt: skip


@flow.stage(4, parts=(label_drive,))
def votes_on_light(config: LabelConfig, *, drive: Path, teacher: Path, out: Path) -> Path:
    """Let the teacher, at a glance and with a closer look, and the colour labeler vote on the light of a drive."""
    from drivelet.runtime.engine import Engine

    fields = {LAMP: tasks.fields()[LAMP]}
    colour = ColourLabeler(fields)
    vlm = VlmLabeler(Engine.from_pretrained(teacher), list(fields.values()))
    speakers = [vlm, closer(vlm), colour]
    return label_drive(
        config, drive=drive, labelers=speakers, detectors=[colour], fields=fields, calibration=None,
        read_frames=frames_at, out=out,
    )  # fmt: skip


def _labelled(folder: Path, ready: Path, voted: Path, *, hz: float) -> LabelledDrive:
    # Every drive's video bears the same name; the folder's tells them apart.
    frames = [{**row, "drive": folder.name} for row in selected(read_rows(ready / "frames.lance"), hz)]
    votes = [replace(vote, drive=folder.name) for vote in read_votes(voted)]
    state, shown, standing = true_states(folder, [int(frame["frame"]) for frame in frames])
    return LabelledDrive(name=folder.name, frames=frames, votes=votes, state=state, shown=shown, standing=standing)


def _row(given: Sequence[Track], drives: Sequence[LabelledDrive], resamples: int) -> dict[str, Any]:
    row = {name: asdict(value) for name, value in measures(given, resamples=resamples).items()}
    parts = {
        "error_shown": [[s == g for s, g in zip(d.shown, d.state, strict=True)] for d in drives],
        "error_hidden_standing": [d.hidden_while_standing for d in drives],
    }
    for name, masks in parts.items():
        masked = [only(track, mask) for track, mask in zip(given, masks, strict=True)]
        row[name] = asdict(measures(masked, resamples=resamples)["error"])
    return row


def jitters(stages: Sequence[tuple[Path, Path, Path]], config: TemporalConfig) -> dict[str, Interval]:
    """Return the jitter of lamp and cone boxes over drives in pixels: as they lie, and warped by the car's turn."""
    found: dict[str, list[float]] = {"as they lie": [], "warped": []}
    for _, ready, voted in stages:
        described = flow.read_json(ready / "drive.json")
        size = {"width": described["width"], "height": described["height"]}
        rows = sorted(read_rows(ready / "frames.lance"), key=lambda row: row["t"])
        frames = selected(rows, config.hz)
        motion = motion_over(rows, frames, described)
        boxes = boxes_by_frame(read_rows(voted / "boxes.lance"), frames)
        if motion is None or not boxes:
            continue
        straight = replace(motion, steps=tuple(replace(step, yaw_rad=0.0) for step in motion.steps))
        for name, turned in (("as they lie", straight), ("warped", motion)):
            found[name].append(jitter(associate(boxes, turned, **size)))
    return {name: _mean_of_drives(values, config.resamples) for name, values in found.items()}


def _mean_of_drives(values: Sequence[float], resamples: int) -> Interval:
    known = [value for value in values if value == value]
    return mean_interval(known, [str(i) for i in range(len(known))], resamples=resamples)


def imu_gain(
    without: Sequence[Track], with_imu: Sequence[Track], drives: Sequence[LabelledDrive], *, resamples: int
) -> Interval:
    """Return the share of the error on hidden frames of a standing car that the IMU takes away; drives resampled."""
    wrong_DX = np.array(
        [
            [_wrong(a, drive.hidden_while_standing), _wrong(b, drive.hidden_while_standing)]
            for a, b, drive in zip(without, with_imu, drives, strict=True)
        ],
        float,
    )
    gained_DX = np.stack([wrong_DX[:, 0] - wrong_DX[:, 1], wrong_DX[:, 0]], axis=1)
    samples_R = bootstrap(ratio, gained_DX, resamples=resamples)
    return percentile_interval(float(ratio(gained_DX.sum(axis=0))), samples_R)


def _wrong(track: Track, mask: Sequence[bool]) -> int:
    return sum(a != g for a, g, keep in zip(track.answers, track.gold, mask, strict=True) if keep)


def _holds(rows: Sequence[Mapping[str, Any]], gain: Interval) -> bool:
    by_name = {row["name"]: row for row in rows}
    full, single = by_name["HMM + IMU"], by_name["single frame"]
    return (
        full["error"]["value"] <= single["error"]["value"] / 5
        and full["excess_flips_pm"]["value"] <= 1
        and full["yellow_recall"]["value"] >= 0.95
        and gain.value >= 0.3
    )


def _sentence(rows: Sequence[Mapping[str, Any]], gain: Interval, drives: int) -> str:
    by_name = {row["name"]: row for row in rows}
    full, single = by_name["HMM + IMU"], by_name["single frame"]
    return (
        f"On {drives} rendered drives a single frame is wrong {_percent(single['error'])} of the time and the full "
        f"method {_percent(full['error'])}, with {full['excess_flips_pm']['value']:.1f} excess flips a minute (single "
        f"frame {single['excess_flips_pm']['value']:.0f}) and {_percent(full['yellow_recall'])} of yellow kept; the "
        f"IMU takes {100 * gain.value:.0f}% [{100 * gain.low:.0f}, {100 * gain.high:.0f}] off the error on lights "
        f"hidden from a standing car."
    )


def _percent(measure: Mapping[str, float]) -> str:
    return f"{100 * measure['value']:.1f}%"
