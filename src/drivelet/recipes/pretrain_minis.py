"""How the shipped minis are made: renders, a tokenizer, and dense pretraining. Hours on two cores; it resumes.

`drivelet run pretrain_minis --out out/minis` renders into the cache, trains `teacher-mini` on everything and
`student-mini` on a part of the world, the town, and writes both beneath `--out`. The painter has a recipe of its own
(`python -m drivelet.recipes.pretrain_painter`).
"""

import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from drivelet import tasks
from drivelet.core.artifacts import Field
from drivelet.core.ranges import Count, Workers, ranged
from drivelet.distil.pretrain import PretrainConfig, pretrain, read_frames
from drivelet.recipes.minis_card import measure_mini, write_card
from drivelet.recipes.settings import apply_settings, cache_root, mini
from drivelet.synth.domain import DomainConfig, full, narrow, town, world
from drivelet.synth.render import RenderConfig, render_frames
from drivelet.vlm.fresh import ModelShape, save_fresh_model, write_processor_files

SHARD = 500
TEACHER = ModelShape(
    vision_hidden=192, vision_depth=5, vision_heads=3, vision_intermediate=512,
    text_hidden=192, text_layers=4, text_heads=3, text_kv_heads=1, text_intermediate=512,
    min_pixels=120_000, max_pixels=448 * 280,
)  # fmt: skip
"""It sees every image enlarged to about 448x280: digits on signs that are 15 pixels high on a frame need it."""
STUDENT = ModelShape(
    vision_hidden=128, vision_depth=4, vision_heads=2, vision_intermediate=384,
    text_hidden=128, text_layers=3, text_heads=2, text_kv_heads=1, text_intermediate=384,
)  # fmt: skip


TRAINING: dict[str, tuple[Callable[[], DomainConfig], int]] = {
    "full": (full, 1000), "narrow": (narrow, 2000), "world": (world, 3000), "town": (town, 4000),
}  # fmt: skip
"""Domain -> what it is drawn from, and the seed of its first shard."""
TESTS: dict[str, tuple[str, Callable[[], DomainConfig], int, int]] = {
    "full domain": ("test", full, 9000, 300),
    "narrow domain": ("narrow_test", narrow, 9100, 100),
    "world": ("world_test", world, 9200, 1500),
    "town": ("town_test", town, 9300, 300),
}
"""Test -> its folder, domain, seed (never trained on) and number of frames."""
SIZED = ("world", "town")
"""Tests that ask only for objects of at least `LEAST_PX`."""
LEAST_PX = 10.0
"""Height in pixels of the smallest object that is asked for."""


@dataclass(frozen=True, kw_only=True)
@ranged
class MinisConfig:
    """What the minis are trained on and for how long.

    Attributes:
        full_shards, narrow_shards, world_shards, town_shards: shards of 500 frames of each domain, with seeds
            from `TRAINING` on.
        workers: Blender processes.
        start: `nothing` trains random weights, `shipped` goes on from those of the package.
        teacher, student: training of each; the teacher sees all domains, the student the town alone.
    """

    full_shards: Count = 5
    narrow_shards: Count = 2
    world_shards: Count = 17
    town_shards: Count = 2
    workers: Workers = 2
    start: Literal["nothing", "shipped"] = "nothing"
    teacher: PretrainConfig = field(
        default_factory=lambda: PretrainConfig(
            steps=9000, vision_steps=2500, vision_share=0.25, zoom_share=0.4, seed=7, grid=(16, 10)
        )
    )
    student: PretrainConfig = field(
        default_factory=lambda: PretrainConfig(
            steps=8000, vision_steps=1200, vision_share=0.3, seed=7, sign_styles=("ring",)
        )
    )


def pretrain_minis() -> MinisConfig:
    """Return the configuration of the next edition."""
    return MinisConfig()


def run_pretraining(config: MinisConfig, *, out: Path) -> Path:
    """Render and train; renders and checkpoints lie in the cache and survive, so a second call goes on."""
    cache = cache_root() / "pretrain"
    counts = {name: getattr(config, f"{name}_shards") for name in TRAINING}
    shards = {name: [_shard(cache, name, k, config.workers) for k in range(count)] for name, count in counts.items()}
    everything = [folder for folders in shards.values() for folder in folders]
    teacher = train_mini("teacher-mini", TEACHER, config.teacher, everything, out, cache, start=config.start)
    student = train_mini("student-mini", STUDENT, config.student, shards["town"], out, cache, start=config.start)
    tests = held_out(cache, config.workers)
    for model, training, folders in (
        (teacher, config.teacher, everything), (student, config.student, shards["town"])
    ):  # fmt: skip
        rows = {
            name: measure_mini(model, manifest, name=model.name, least_px=LEAST_PX if name in SIZED else 0.0)
            for name, manifest in tests.items()
        }
        domains = "all domains" if model == teacher else "the town"
        write_card(model, rows, training, frames=SHARD * len(folders), domains=domains)
    return out


def held_out(cache: Path, workers: int, names: Collection[str] = tuple(TESTS)) -> dict[str, Path]:
    """Return the manifests of the test sets, rendered where they are missing."""
    found = {}
    for name in names:
        folder, domain, seed, frames = TESTS[name]
        out = cache / folder / "000"
        config = RenderConfig(num_frames=frames, seed=seed, workers=workers, domain=domain(), val=0.0, test=1.0)
        found[name] = _rendered(config, out) / "manifest.csv"
    return found


def _shard(cache: Path, name: str, number: int, workers: int) -> Path:
    domain, first_seed = TRAINING[name]
    config = RenderConfig(
        num_frames=SHARD, seed=first_seed + number, workers=workers, domain=domain(), val=0.04, test=0.0
    )
    return _rendered(config, cache / name / f"{number:03d}")


def _rendered(config: RenderConfig, out: Path) -> Path:
    if not (out / "manifest.csv").is_file():
        render_frames(config, gold=tasks.gold, out=out)
    return out


def train_mini(
    name: str, shape: ModelShape, config: PretrainConfig, folders: Sequence[Path], out: Path, cache: Path, *,
    start: Literal["nothing", "shipped"] = "nothing",
) -> Path:  # fmt: skip
    """Train one mini on render folders and write it to `out / name`."""
    fields = tasks.fields()
    first = cache / name / start
    if not (first / "preprocessor_config.json").is_file():
        if start == "shipped":
            shutil.copytree(mini(name), first, dirs_exist_ok=True)
            write_processor_files(first, shape)
        else:
            save_fresh_model(first, shape, corpus=corpus(fields.values()), seed=1)
    return pretrain(
        config,
        model=first,
        frames=lambda: read_frames(folders, gold=tasks.gold),
        fields=fields,
        out=out / name,
        checkpoint=cache / name / f"from-{start}.safetensors",
    )


def train_from_cache(name: str, *settings: str) -> Path:
    """Train one mini on the renders that lie in the cache; under torchrun on several processes.

    `torchrun --nproc-per-node 2 -m drivelet.recipes.pretrain_minis teacher-mini teacher.steps=9000 start=shipped` goes
    on where it was stopped.
    """
    from drivelet.vlm.parallel import join_group

    join_group()
    cache, config = cache_root() / "pretrain", apply_settings(pretrain_minis(), settings)
    folders = {kind: sorted(found.parent for found in (cache / kind).glob("*/manifest.csv")) for kind in TRAINING}
    shape, training, seen = {
        "teacher-mini": (TEACHER, config.teacher, [folder for found in folders.values() for folder in found]),
        "student-mini": (STUDENT, config.student, folders["town"]),
    }[name]
    return train_mini(name, shape, training, seen, cache / "minis", cache, start=config.start)


def corpus(fields: Iterable[Field]) -> list[str]:
    """Return the texts that the minis' tokenizer is trained on: questions, answers, hints, sensor lines, chat words."""
    lines = ["user\n", "assistant\n", "system\n", "You are a helpful assistant."]
    for light in ("bright", "dim", "dark"):
        for rain in ("yes", "no"):
            lines += [f"Sensors: ambient light {light}; rain {rain}; speed {v} km/h. " for v in range(131)]
    for spec in fields:
        lines += [spec.question, *spec.wordings, *spec.held_out_wordings, *spec.hints]
        lines += [spelled for choice in spec.choices for spelled in [choice, f" {choice}"] * 4]
    return lines


if __name__ == "__main__":
    train_from_cache(*sys.argv[1:])
