"""The render stage: scenes to frames with exact labels."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivelet.adapters import blender
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.progress import track
from drivelet.core.rng import generator
from drivelet.synth.domain import DomainConfig
from drivelet.synth.facts import finish
from drivelet.synth.scene import sample_scene

Gold = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""Finished scene record -> answer for every field."""

SOURCE = "drivelet:render"
LICENCE = "Apache-2.0"
FIELD_KINDS: dict[str, tuple[str, ...]] = {
    "traffic_light": ("lamp", "traffic_light"),
    "cone": ("cone",),
    "speed_limit": ("speed_sign",),
    "intersection": ("stop_sign", "stop_line", "crosswalk", "cross_street"),
}


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How many frames of which domain.

    Attributes:
        num_frames: frames 0 to num_frames - 1 are rendered.
        seed: frame i depends on (seed, i) and the domain alone.
        width, height: size of the picture in pixels.
        workers: Blender processes; they do not change a pixel.
        domain: what scenes are drawn from.
        val, test: shares of scenes that go to these splits, by a hash of seed and frame.
    """

    num_frames: int
    seed: int = 0
    width: int = 320
    height: int = 192
    workers: int = 1
    domain: DomainConfig = field(default_factory=DomainConfig)
    val: float = 0.1
    test: float = 0.1


def render_frames(config: RenderConfig, *, gold: Gold, out: Path) -> Path:
    """Render a set of labelled frames; a second call keeps what is finished and goes on.

    Args:
        config: what to render.
        gold: computes every field's answer from a finished scene record.
        out: gets `frames/000000.png` and on, `manifest.csv` (a row for each frame and field), `scenes.jsonl` (a
            finished scene record for each frame) and `labels/` (what the renderer measured).

    Returns:
        The manifest's path.

    Raises:
        InputError: Blender is missing or refuses a scene.
    """
    size = (config.width, config.height)
    scenes = [sample_scene(config.seed, i, config.domain, size=size) for i in range(config.num_frames)]
    jobs = frame_jobs(scenes, out)
    splits = [split_of(config, i) for i in range(config.num_frames)]
    render_missing(jobs, workers=config.workers, log=out / "blender.log")
    write_manifest(out / "manifest.csv", label_rows(jobs, splits=splits, gold=gold, out=out))
    return out / "manifest.csv"


def render_missing(jobs: Sequence[blender.Job], *, workers: int, log: Path) -> None:
    """Render those jobs whose files are not there yet, beneath a progress bar."""
    missing = [job for job in jobs if not job.done]
    finished = blender.render(missing, workers=workers, log=log)
    for _ in track(finished, total=len(missing), what="render"):
        continue


def frame_jobs(scenes: Sequence[dict[str, Any]], out: Path) -> list[blender.Job]:
    """One job a scene, with its files `frames/000000.png` and `labels/000000.json` below `out`."""
    for name in ("frames", "labels"):
        (out / name).mkdir(parents=True, exist_ok=True)
    return [
        blender.Job(scene=scene, image=out / "frames" / f"{i:06d}.png", labels=out / "labels" / f"{i:06d}.json")
        for i, scene in enumerate(scenes)
    ]


def split_of(config: RenderConfig, index: int) -> str:
    """The split of a frame, from (seed, index) alone."""
    draw = float(generator(config.seed, "split", index).random())
    return "test" if draw < config.test else "val" if draw < config.test + config.val else "train"


def label_rows(
    jobs: Sequence[blender.Job], *, splits: Sequence[str], gold: Gold, out: Path, group: str | None = None
) -> list[Row]:
    """Finish the scenes of rendered jobs, write `out/scenes.jsonl` and return a row for each frame and field.

    `group` names what all frames share (a drive); by default each scene is its own group.
    """
    rows: list[Row] = []
    partial = out / "scenes.jsonl.partial"
    with partial.open("w", encoding="utf-8") as stream:
        for job, split in zip(jobs, splits, strict=True):
            measured = json.loads(job.labels.read_text(encoding="utf-8"))["objects"]
            record = {"image": job.image.relative_to(out).as_posix(), **finish(job.scene, measured)}
            stream.write(json.dumps(record) + "\n")
            rows += _rows(record, gold(record), job.image, split, group or record["id"])
    partial.replace(out / "scenes.jsonl")
    return rows


def _rows(record: Mapping[str, Any], answers: Mapping[str, str], image: Path, split: str, group: str) -> list[Row]:
    rows = []
    for task, label in answers.items():
        kinds = FIELD_KINDS.get(task.split(".")[0], ())
        boxes = [item["box"] for item in record["objects"] if item["kind"] in kinds and item["visible"]]
        rows.append(
            Row(
                path=str(image.absolute()),
                task=task,
                label=label,
                split=split,
                group=group,
                boxes=json.dumps(boxes) if boxes else "",
                trust="high",
                source=SOURCE,
                licence=LICENCE,
                sensor=record["sensor"],
            )
        )
    return rows
