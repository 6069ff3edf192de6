"""How the shipped minis are made: renders, a tokenizer, and dense pretraining. Hours on two cores; it resumes."""

import argparse
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from drivelet import tasks
from drivelet.core.artifacts import Field
from drivelet.vlm.fresh import ModelShape, save_fresh_model

TEACHER = ModelShape(
    vision_hidden=192, vision_depth=6, vision_heads=6, vision_intermediate=512,
    text_hidden=256, text_layers=4, text_heads=4, text_kv_heads=2, text_intermediate=640,
)  # fmt: skip
STUDENT = ModelShape(
    vision_hidden=128, vision_depth=4, vision_heads=4, vision_intermediate=384,
    text_hidden=128, text_layers=4, text_heads=4, text_kv_heads=2, text_intermediate=384,
)  # fmt: skip


def cache_folder() -> Path:
    """Return the cache that survives a checkout: `$XDG_CACHE_HOME/drivelet/pretrain`."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "drivelet" / "pretrain"


def corpus(fields: Iterable[Field]) -> list[str]:
    """Return the texts that the minis' tokenizer is trained on: questions, answers, hints, sensor lines, chat words."""
    lines = ["user\n", "assistant\n", "system\n", "You are a helpful assistant."]
    for light in ("bright", "dim", "dark"):
        for rain in ("yes", "no"):
            lines += [f"Sensors: ambient light {light}; rain {rain}; speed {v} km/h. " for v in range(131)]
    for field in fields:
        lines += [field.question, *field.wordings, *field.held_out_wordings, *field.hints]
        lines += [spelled for choice in field.choices for spelled in [choice, f" {choice}"] * 4]
    return lines


def main() -> None:
    """Train one mini on the renders in the cache: `python -m drivelet.recipes.pretrain_minis teacher --steps 6000`."""
    from drivelet.distil.pretrain import PretrainConfig, pretrain, read_frames
    from drivelet.vlm.load import set_threads

    parser = argparse.ArgumentParser()
    parser.add_argument("mini", choices=["teacher", "student"])
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    set_threads(1)
    fields = tasks.fields()
    cache = cache_folder()
    work = cache / f"{options.mini}-mini"
    shape = TEACHER if options.mini == "teacher" else STUDENT
    fresh = work / "fresh"
    if not (fresh / "model.safetensors").is_file():
        save_fresh_model(fresh, shape, corpus=corpus(fields.values()), seed=1)
    domains = ("full", "narrow") if options.mini == "teacher" else ("narrow",)

    def folders() -> list[Path]:
        return [path.parent for domain in domains for path in sorted((cache / domain).glob("[0-9]*/manifest.csv"))]

    config = replace(PretrainConfig(), steps=options.steps, batch_size=options.batch_size, seed=len(options.mini))
    pretrain(
        config,
        model=fresh,
        frames=lambda: read_frames(folders(), gold=partial(tasks.gold)),
        fields=fields,
        out=options.out or work / "final",
        checkpoint=work / "checkpoint.safetensors",
    )


if __name__ == "__main__":
    main()
