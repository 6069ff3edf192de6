"""The render stage: scenes to frames with exact labels."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivelet.adapters import blender
from drivelet.core import flow
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.progress import track
from drivelet.core.ranges import Seed, Several, Share, Side, Workers, ranged
from drivelet.core.rng import generator
from drivelet.synth.contrast import with_contrast
from drivelet.synth.domain import DomainConfig
from drivelet.synth.facts import finish
from drivelet.synth.narrate import describe_scene
from drivelet.synth.scene import sample_scene

Gold = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""Finished scene record -> answer for every field."""

SOURCE = "drivelet:render"
LICENCE = "Apache-2.0"
FIELD_KINDS: dict[str, tuple[str, ...]] = {
    "traffic_light": ("lamp", "traffic_light"),
    "cone": ("cone",),
    "speed_limit": ("speed_sign",),
    "intersection": ("stop_sign", "stop_line", "crosswalk", "cross_street", "yield_sign", "yield_line"),
}


@dataclass(frozen=True, kw_only=True)
@ranged
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

    num_frames: Several
    seed: Seed = 0
    width: Side = 320
    height: Side = 192
    workers: Workers = 1
    domain: DomainConfig = field(default_factory=DomainConfig)
    val: Share = 0.1
    test: Share = 0.1


@flow.stage(2)
def label_rows(
    jobs: Iterable[blender.Job], *, splits: Iterable[str], gold: Gold, out: Path, group: str | None = None
) -> Iterator[Row]:
    """Finish the scenes of rendered jobs and yield a row for each frame and field; the last writes `out/scenes.jsonl`.

    `group` names what all frames share (a drive); by default each scene is its own group.
    """
    partial = out / "scenes.jsonl.partial"
    with partial.open("w", encoding="utf-8") as stream:
        for job, split in zip(jobs, splits, strict=True):
            measured = json.loads(job.labels.read_text(encoding="utf-8"))["objects"]
            measured = with_contrast(measured, read_image(job.image))
            record = {"image": job.image.relative_to(out).as_posix(), **finish(job.scene, measured)}
            record["description"] = describe_scene(record)
            record["gold"] = dict(gold(record))
            stream.write(json.dumps(record) + "\n")
            yield from _rows(record, job.image, split, group or record["id"])
    partial.replace(out / "scenes.jsonl")


def _rows(record: Mapping[str, Any], image: Path, split: str, group: str) -> Iterator[Row]:
    for task, label in record["gold"].items():
        kinds = FIELD_KINDS.get(task.split(".")[0], ())
        boxes = [item["box"] for item in record["objects"] if item["kind"] in kinds and item["visible"]]
        yield Row(
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


@flow.stage(2, parts=(label_rows,))
def render_frames(config: RenderConfig, *, gold: Gold, out: Path) -> Path:
    """Render a set of labelled frames; a second call keeps what is finished and goes on.

    Args:
        config: what to render.
        gold: computes every field's answer from a finished scene record.
        out: gets `frames/000000.png` and on, `manifest.csv` (a row for each frame and field), `scenes.jsonl` (a
            finished scene record for each frame, with `description` and `gold`) and `labels/` (what the renderer
            measured).

    Returns:
        The manifest's path.

    Raises:
        InputError: Blender is missing or refuses a scene.
    """
    size = (config.width, config.height)
    return render_scenes(
        lambda i: sample_scene(config.seed, i, config.domain, size=size), config.num_frames,
        split_at=lambda i: split_of(config, i), workers=config.workers, gold=gold, out=out,
    )  # fmt: skip


def render_scenes(
    scene_at: Callable[[int], dict[str, Any]], count: int, *, split_at: Callable[[int], str], workers: int, gold: Gold,
    out: Path,
) -> Path:  # fmt: skip
    """Render the scenes `scene_at(0)` to `scene_at(count - 1)` as `render_frames` does; none is kept in memory."""

    def jobs() -> Iterator[blender.Job]:
        return frame_jobs(map(scene_at, range(count)), out)

    render_missing(jobs(), total=count, workers=workers, out=out)
    rows = label_rows(jobs(), splits=map(split_at, range(count)), gold=gold, out=out)
    write_manifest(out / "manifest.csv", rows)
    return out / "manifest.csv"


def render_missing(jobs: Iterable[blender.Job], *, total: int, workers: int, out: Path) -> None:
    """Render those jobs whose files are not there yet, beneath a progress bar; `out/blender.log` is Blender's."""
    finished = blender.render(_missing(jobs, out), workers=workers, log=out / "blender.log")
    for _ in track(finished, total=total, what="render"):
        continue


def _missing(jobs: Iterable[blender.Job], out: Path) -> Iterator[blender.Job]:
    for job in jobs:
        if job.done:
            continue
        if job.image.exists():  # of another scene: no table may go on naming its answers
            for table in ("manifest.csv", "scenes.jsonl"):
                (out / table).unlink(missing_ok=True)
                (job.image.parent.parent / table).unlink(missing_ok=True)
        yield job


def frame_jobs(scenes: Iterable[dict[str, Any]], out: Path) -> Iterator[blender.Job]:
    """Yield one job a scene, with its files `frames/000000.png` and `labels/000000.json` below `out`."""
    for name in ("frames", "labels"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for i, scene in enumerate(scenes):
        image, labels = out / "frames" / f"{i:06d}.png", out / "labels" / f"{i:06d}.json"
        yield blender.Job(scene=scene, image=image, labels=labels)


def split_of(config: RenderConfig, index: int) -> str:
    """The split of a frame, from (seed, index) alone."""
    draw = float(generator(config.seed, "split", index).random())
    return "test" if draw < config.test else "val" if draw < config.test + config.val else "train"
