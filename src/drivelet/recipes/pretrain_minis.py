"""How the shipped minis are made: renders, a tokenizer, and dense pretraining. Hours on two cores; it resumes.

`drivelet run pretrain_minis --out out/minis` renders into the cache, trains `teacher-mini` on everything and
`student-mini` on the narrow domain, and writes both beneath `--out`. The painter has a recipe of its own
(`python -m drivelet.recipes.pretrain_painter`).
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drivelet import tasks
from drivelet.core.artifacts import Field
from drivelet.distil.pretrain import PretrainConfig, pretrain, read_frames
from drivelet.recipes.minis_card import measure_mini, write_card
from drivelet.recipes.settings import cache_root
from drivelet.synth.domain import DomainConfig, full, narrow
from drivelet.synth.render import RenderConfig, render_frames
from drivelet.vlm.fresh import ModelShape, save_fresh_model

SHARD = 500
TEACHER = ModelShape(
    vision_hidden=192, vision_depth=5, vision_heads=3, vision_intermediate=512,
    text_hidden=192, text_layers=4, text_heads=3, text_kv_heads=1, text_intermediate=512,
)  # fmt: skip
STUDENT = ModelShape(
    vision_hidden=128, vision_depth=4, vision_heads=2, vision_intermediate=384,
    text_hidden=128, text_layers=3, text_heads=2, text_kv_heads=1, text_intermediate=384,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MinisConfig:
    """What the minis are trained on and for how long.

    Attributes:
        full_shards, narrow_shards: shards of 500 frames; shard k of the full domain has seed 1000 + k, of
            the narrow one 2000 + k. The seeds 9000 and 9100 are never trained on.
        workers: Blender processes.
        teacher, student: training of each; the teacher sees both domains, the student the narrow one alone.
    """

    full_shards: int = 5
    narrow_shards: int = 2
    workers: int = 2
    teacher: PretrainConfig = field(
        default_factory=lambda: PretrainConfig(steps=6500, vision_steps=2500, vision_share=0.35, seed=7)
    )
    student: PretrainConfig = field(
        default_factory=lambda: PretrainConfig(
            steps=6500, vision_steps=1200, vision_share=0.3, seed=7, sign_styles=("ring",)
        )
    )


def pretrain_minis() -> MinisConfig:
    """Return the configuration of the next edition."""
    return MinisConfig()


def run_pretraining(config: MinisConfig, *, out: Path) -> Path:
    """Render and train; renders and checkpoints lie in the cache and survive, so a second call goes on."""
    cache = cache_root() / "pretrain"
    wide = [_shard(cache / "full", full(), 1000, k, config.workers) for k in range(config.full_shards)]
    near = [_shard(cache / "narrow", narrow(), 2000, k, config.workers) for k in range(config.narrow_shards)]
    teacher = train_mini("teacher-mini", TEACHER, config.teacher, [*wide, *near], out, cache)
    student = train_mini("student-mini", STUDENT, config.student, near, out, cache)
    tests = held_out(cache, config.workers)
    for model, training, folders in ((teacher, config.teacher, [*wide, *near]), (student, config.student, near)):
        rows = {name: measure_mini(model, manifest, name=model.name) for name, manifest in tests.items()}
        domains = "both domains" if model == teacher else "the narrow domain"
        write_card(model, rows, training, frames=SHARD * len(folders), domains=domains)
    return out


def held_out(cache: Path, workers: int) -> dict[str, Path]:
    """Return the manifests of the two test sets, rendered where they are missing."""
    tests = (("full domain", "test", full(), 9000, 300), ("narrow domain", "narrow_test", narrow(), 9100, 100))
    for _, folder, domain, seed, frames in tests:
        out = cache / folder / "000"
        if not (out / "manifest.csv").is_file():
            config = RenderConfig(num_frames=frames, seed=seed, workers=workers, domain=domain, val=0.0, test=1.0)
            render_frames(config, gold=tasks.gold, out=out)
    return {name: cache / folder / "000" / "manifest.csv" for name, folder, *_ in tests}


def _shard(folder: Path, domain: DomainConfig, first_seed: int, number: int, workers: int) -> Path:
    out = folder / f"{number:03d}"
    if not (out / "manifest.csv").is_file():
        config = RenderConfig(
            num_frames=SHARD, seed=first_seed + number, workers=workers, domain=domain, val=0.04, test=0.0
        )
        render_frames(config, gold=tasks.gold, out=out)
    return out


def train_mini(
    name: str, shape: ModelShape, config: PretrainConfig, folders: Sequence[Path], out: Path, cache: Path
) -> Path:
    """Train one mini on render folders and write it to `out / name`."""
    fields = tasks.fields()
    fresh = cache / name / "fresh"
    if not (fresh / "preprocessor_config.json").is_file():
        save_fresh_model(fresh, shape, corpus=corpus(fields.values()), seed=1)
    return pretrain(
        config,
        model=fresh,
        frames=lambda: read_frames(folders, gold=tasks.gold),
        fields=fields,
        out=out / name,
        checkpoint=cache / name / "checkpoint.safetensors",
    )


def train_from_cache(name: str) -> Path:
    """Train one mini on the renders that lie in the cache; under torchrun on several processes.

    `torchrun --nproc-per-node 2 -m drivelet.recipes.pretrain_minis teacher-mini` goes on where it was stopped.
    """
    from drivelet.vlm.parallel import join_group

    join_group()
    cache, config = cache_root() / "pretrain", pretrain_minis()
    near = sorted(found.parent for found in (cache / "narrow").glob("*/manifest.csv"))
    wide = sorted(found.parent for found in (cache / "full").glob("*/manifest.csv"))
    shape, training, folders = {
        "teacher-mini": (TEACHER, config.teacher, [*wide, *near]),
        "student-mini": (STUDENT, config.student, near),
    }[name]
    return train_mini(name, shape, training, folders, cache / "minis", cache)


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
    train_from_cache(sys.argv[1])
