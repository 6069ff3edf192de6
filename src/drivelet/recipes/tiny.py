"""`tiny`: the same loop on random weights and a handful of frames; its answers mean nothing, its path does."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from drivelet import tasks
from drivelet.adapters.painter_lora import LoraConfig
from drivelet.dataset.mix import MixConfig
from drivelet.distil.train import DistilConfig
from drivelet.prompts.search import OptimiseConfig
from drivelet.quantise.quantise import AwqConfig
from drivelet.recipes.config import LoopConfig
from drivelet.synth.driving.drive_sim import DriveConfig
from drivelet.synth.painting.candidates import CandidateConfig
from drivelet.synth.painting.captions import vocabulary
from drivelet.synth.painting.paint import PaintConfig
from drivelet.synth.painting.reject import RejectConfig
from drivelet.synth.render import RenderConfig
from drivelet.vlm.fresh import ModelShape, save_fresh_model

SHAPE = ModelShape(
    vision_hidden=32, vision_depth=1, vision_heads=2, vision_intermediate=64,
    text_hidden=64, text_layers=2, text_heads=4, text_kv_heads=2, text_intermediate=64,
    min_pixels=56 * 56, max_pixels=112 * 84,
)  # fmt: skip

NOTHING = RejectConfig(
    least_prob=0.0,
    least_sharpness=0.0,
    least_contrast=0.0,
    clipped=1.0,
    hash_distance=-1,
    least_box=1.1,
)
"""Random weights paint noise: no check may throw it away, or the loop's path would end there."""


def tiny() -> LoopConfig:
    """Return the smallest configuration of the whole loop; its models are made by `with_random_models`."""
    training = DistilConfig(steps=4, images_per_step=2, warmup=1, checkpoint_every=2)
    return LoopConfig(
        name="tiny",
        teacher="models/teacher",
        student="models/student",
        painter="models/painter",
        world=RenderConfig(num_frames=12, seed=1, workers=2, width=160, height=96, val=0.3, test=0.0),
        test=RenderConfig(num_frames=6, seed=2, workers=2, width=160, height=96, val=0.0, test=1.0),
        drives=DriveConfig(num_drives=1, seed=3, seconds=1.0, hz=5, workers=2, width=160, height=96, val=0.0, test=0.0),
        adapt=replace(training, alpha=0.0),
        gold_rows=2,
        paint=PaintConfig(
            rounds=1, prompts_per_round=4, held_out_prompts=4, sampler_steps=2,
            lora=LoraConfig(rank=2, alpha=2, steps=2, batch_size=2),
            candidates=CandidateConfig(per_prompt=2, reject=NOTHING),
        ),
        mix=MixConfig(real_share=None, min_prob=0.0),
        prompts=OptimiseConfig(rounds=1, candidates_per_field=1, train_rows=4, val_rows=4),
        data=replace(training, alpha=0.0),
        distil=training,
        awq=AwqConfig(bits=4, group_size=32, grid=4, search_tokens=64),
        calibration_images=4,
    )  # fmt: skip


def with_random_models(config: LoopConfig, folder: Path) -> LoopConfig:
    """Save random models in `folder` and return `config` with their paths; the same weights every time."""
    from drivelet.adapters.diffusers import save_pipeline
    from drivelet.adapters.painter_parts import small_pipeline
    from drivelet.recipes.pretrain_minis import corpus

    folder = folder.absolute()
    texts = corpus(tasks.fields().values())
    for seed, name in enumerate(("teacher", "student")):
        _save_whole(folder / name, partial(save_fresh_model, shape=SHAPE, corpus=texts, seed=seed))
    pipeline = partial(small_pipeline, vocabulary(), seed=2, channels=(32, 32), text_width=32)
    _save_whole(folder / "painter", lambda unfinished: save_pipeline(pipeline(), unfinished))
    return replace(
        config, teacher=str(folder / "teacher"), student=str(folder / "student"), painter=str(folder / "painter")
    )


def _save_whole(folder: Path, save: Callable[[Path], object]) -> None:
    """Save a model under another name and rename it, so that a killed run leaves no half of one."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    save(unfinished)
    unfinished.rename(folder)
