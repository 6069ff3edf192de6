"""What `drivelet render` does: frames of a domain or recipe, given scenes or drives; exports and pictures of them."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core import outputs
from drivelet.core.errors import InputError
from drivelet.core.rng import generator
from drivelet.recipes.steps import GOLD_VERSION
from drivelet.synth.coco import to_coco
from drivelet.synth.domain import DOMAINS
from drivelet.synth.driving.course import RulesConfig, TrialConfig, everyday_rules
from drivelet.synth.driving.drive_sim import DriveConfig, render_drives
from drivelet.synth.driving.imu import ImuConfig, cheap_imu
from drivelet.synth.given import open_scenes
from drivelet.synth.longtail import find_recipe, sample_recipe
from drivelet.synth.overlay import contact_sheet, draw_overlays
from drivelet.synth.render import RenderConfig, render_scenes, split_of
from drivelet.synth.scene import sample_scene

PLAN = "plan.jsonl"
DOMAIN = "world"
"""What is drawn where nothing else is asked for."""


TABLES = ("manifest.csv", "scenes.jsonl", "coco.json", "overlay", "drives/*/overlay", "sheet.jpg")
"""What is written and drawn from the frames. Frames themselves are known by their scenes and kept where they are right.
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to render: exactly one of frames, drives or a file of scenes; a recipe draws frames of its own."""

    num_frames: int | None = None
    num_drives: int | None = None
    scenes: Path | None = None
    domain: str | None = None
    recipe: str | None = None
    seed: int = 0
    workers: int = 1


def render_command(wanted: Wanted, *, out: Path, plan: bool, coco: bool, overlay: bool, sheet: bool) -> Iterator[str]:
    """Render, and yield a line for each thing that is written.

    Raises:
        InputError: the options contradict each other, a scene is wrong, or Blender is missing.
    """
    _check(wanted, plan, pictures=coco or overlay or sheet)
    if plan:
        scene_at, count, _ = _scenes(wanted)
        yield str(_write_plan(scene_at, count, out))
        return
    yield str(_rendered(wanted, out))
    if coco:
        yield str(to_coco(out))
    if overlay:
        yield f"{out}: {draw_overlays(out)} overlays beside the frames"
    if sheet:
        path, names = contact_sheet(out, seed=wanted.seed)
        yield f"{path}: {len(names)} frames drawn with seed {wanted.seed}: {' '.join(names)}"


def _rendered(wanted: Wanted, out: Path) -> Path:
    """Render in place; what a call that asked for something else left is taken away."""
    scene_at, count, split_at = _scenes(wanted) if wanted.num_drives is None else (None, 0, None)
    given = {**GOLD_VERSION, **({"scenes": wanted.scenes} if wanted.scenes else {})}
    known = replace(wanted, workers=1)  # workers change no pixel
    with outputs.locked(out), outputs.described(out, config=known, inputs=given) as other:
        if other:
            _clear(out, count)
        if scene_at is None or split_at is None:
            return render_drives(_drives(wanted), gold=tasks.gold, out=out)
        return render_scenes(
            scene_at, count, split_at=split_at, workers=wanted.workers, gold=tasks.gold, out=out
        )  # fmt: skip


def _clear(out: Path, count: int) -> None:
    """Remove tables, and frames past the last; `count` 0 stands for drives, beside which no frames lie."""
    stale = [path for name in TABLES for path in out.glob(name)]
    frames = [path for name in ("frames/*.png", "labels/*.json") for path in out.glob(name) if path.stem.isdecimal()]
    stale += [path for path in frames if int(path.stem) >= count]
    stale += [out / "drives"] if count and (out / "drives").is_dir() else []
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _check(wanted: Wanted, plan: bool, *, pictures: bool) -> None:
    given = (wanted.num_frames, wanted.num_drives, wanted.scenes)
    if sum(value is not None for value in given) != 1:
        raise InputError("render: give either --num-frames N or --num-drives N or --scenes FILE")
    if wanted.recipe is not None and (wanted.num_frames is None or wanted.domain not in (None, DOMAIN)):
        raise InputError(
            "render: --recipe draws frames of the world domain; give it --num-frames N and no other --domain"
        )
    if wanted.scenes is not None and wanted.domain is not None:
        raise InputError("render: --scenes names every scene itself; leave --domain out")
    if plan and wanted.num_frames is None:
        raise InputError("render: --plan writes the scenes of --num-frames N; give that")
    if plan and pictures:
        raise InputError("render: --plan renders nothing that --coco, --overlay or --sheet could show; leave them out")


def _drives(wanted: Wanted) -> DriveConfig:
    """Drives on the world's roads keep more rules, and their sensors err as a car's do."""
    domain = DOMAINS[wanted.domain or DOMAIN]()
    new = "street" not in domain.roads
    return DriveConfig(
        num_drives=wanted.num_drives or 1,
        seed=wanted.seed,
        workers=wanted.workers,
        domain=domain,
        trials=TrialConfig(blinks=0.2, clock_offset_s=(0.0, 0.8)) if new else TrialConfig(),
        rules=everyday_rules() if new else RulesConfig(),
        imu=cheap_imu() if new else ImuConfig(),
    )


def _scenes(wanted: Wanted) -> tuple[Callable[[int], dict[str, Any]], int, Callable[[int], str]]:
    """Return the scene of every number, how many there are, and the split of every number."""
    seed = wanted.seed
    if wanted.scenes is not None:
        file = open_scenes(wanted.scenes)
        return file.at, len(file.offsets), lambda i: _split_by_name(seed, file.at(i)["id"])
    count = wanted.num_frames or 1
    config = RenderConfig(num_frames=count, seed=seed, domain=DOMAINS[wanted.domain or DOMAIN]())
    name = wanted.recipe
    if name is not None:
        find_recipe(name)
        return lambda i: sample_recipe(seed, i, name), count, lambda i: split_of(config, i)
    return lambda i: sample_scene(seed, i, config.domain), count, lambda i: split_of(config, i)


def _split_by_name(seed: int, name: str) -> str:
    """The same scene stays in the same split, wherever it stands in a file."""
    draw = float(generator(seed, "split", name).random())
    return "test" if draw < 0.1 else "val" if draw < 0.2 else "train"


def _write_plan(scene_at: Callable[[int], dict[str, Any]], count: int, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f"{PLAN}.partial"
    with partial.open("w", encoding="utf-8") as stream:
        for index in range(count):
            stream.write(json.dumps(scene_at(index)) + "\n")
    return partial.replace(out / PLAN)
