"""Pretraining of a small pipeline's UNet and text encoder from random weights, in sittings."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivelet.adapters.denoise import colour_weight, denoising_loss, pixels
from drivelet.adapters.diffusers import save_pipeline
from drivelet.adapters.painter_parts import FOLD, fold
from drivelet.core.artifacts import ImageArray
from drivelet.core.finite import check_step
from drivelet.core.ranges import Amount, Count, Positive, Seed, Several, Share, Signed, ranged
from drivelet.core.rng import derive_seed

Batch = tuple[list[ImageArray], list[str]]


@dataclass(frozen=True, kw_only=True)
@ranged
class PretrainConfig:
    """Optimiser of the painter's pretraining.

    Attributes:
        minutes: processor time of this process in all sittings, so that a busy machine does not cut the training.
        cool: share of `minutes`, at the end, over which the learning rate falls linearly.
        colour_weight: how much more a fully saturated pixel weighs than a grey one.
        noise_shift: mean of the noise level's logit.
    """

    minutes: Positive = 60.0
    batch_size: Several = 16
    learning_rate: Positive = 8e-4
    warmup_steps: Count = 200
    cool: Share = 0.35
    ema: Share = 0.995
    drop_caption: Share = 0.1
    colour_weight: Amount = 8.0
    noise_shift: Signed = 0.8
    checkpoint_seconds: Amount = 120.0
    seed: Seed = 0


def pretrain(
    pipeline: Any,
    config: PretrainConfig,
    *,
    batch: Callable[[int], Batch],
    folder: Path,
    note: Callable[[str], None],
) -> dict[str, float]:
    """Train until `minutes` of processor time are spent, then put the averaged weights into `pipeline`.

    Args:
        pipeline: of `small_pipeline`; its UNet and text encoder are trained.
        batch: step -> (uint8 images, captions); the batch of a step depends on the step alone.
        folder: keeps `checkpoint.pt`; a later call with the same folder goes on.
        note: gets one line at every checkpoint.

    Returns:
        `steps`, `images`, `seconds` in all sittings, and the running `loss`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    models = torch.nn.ModuleDict({"unet": pipeline.unet, "text": pipeline.text_encoder}).train()
    averaged = copy.deepcopy(models).requires_grad_(False)
    optimizer = torch.optim.AdamW(models.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
    checkpoint = folder / "checkpoint.pt"
    state = _resume(checkpoint, models, averaged, optimizer)
    saved = time.monotonic()
    started, before = time.process_time(), state["seconds"]
    while state["seconds"] < config.minutes * 60:
        rate = _rate(config, int(state["steps"]), state["seconds"])
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = _step(pipeline, models, optimizer, config, int(state["steps"]), batch)
        _average(averaged, models, min(config.ema, (1 + state["steps"]) / (10 + state["steps"])))
        state["steps"] += 1
        state["loss"] = 0.99 * state["loss"] + 0.01 * loss if state["steps"] > 1 else loss
        state["seconds"] = before + time.process_time() - started
        if time.monotonic() - saved > config.checkpoint_seconds:
            _save(checkpoint, models, averaged, optimizer, state)
            minutes = state["seconds"] / 60
            note(f"step {state['steps']:.0f} loss {state['loss']:.4f} minutes {minutes:.1f} rate {rate:.1e}")
            saved = time.monotonic()
    _save(checkpoint, models, averaged, optimizer, state)
    models.load_state_dict(averaged.state_dict())
    models.eval()
    return {**state, "images": state["steps"] * config.batch_size}


def finished_pipeline(pipeline: Any, checkpoint: Path, out: Path) -> Path:
    """Write the averaged weights of a checkpoint as a pipeline folder in 16 bit."""
    models = torch.nn.ModuleDict({"unet": pipeline.unet, "text": pipeline.text_encoder})
    models.load_state_dict(torch.load(checkpoint, weights_only=True)["averaged"])
    return save_pipeline(pipeline, out, half=True)


def _rate(config: PretrainConfig, step: int, seconds: float) -> float:
    left = 1 - seconds / (config.minutes * 60)
    return config.learning_rate * min(1.0, (step + 1) / config.warmup_steps, max(left / config.cool, 0.02))


def _step(
    pipeline: Any, models: Any, optimizer: Any, config: PretrainConfig, step: int, batch: Callable[[int], Batch]
) -> float:
    images, captions = batch(step)
    noise = torch.Generator().manual_seed(derive_seed(config.seed, "noise", step))
    dropped = torch.rand(len(captions), generator=noise) < config.drop_caption
    captions = ["" if drop else text for text, drop in zip(captions, dropped.tolist(), strict=True)]
    ids: Tensor = pipeline.tokenizer(
        captions, padding="max_length", max_length=pipeline.tokenizer.model_max_length, truncation=True,
        return_tensors="pt",
    ).input_ids  # fmt: skip
    device = pipeline.device
    with torch.autocast(device.type, torch.bfloat16):
        text_BTD = models["text"](ids.to(device)).last_hidden_state
    shown = pixels(np.stack(images)).to(device)
    weight = torch.nn.functional.pixel_unshuffle(colour_weight(shown, config.colour_weight), FOLD)
    loss = denoising_loss(
        lambda noisy, timesteps: models["unet"](noisy, timesteps, encoder_hidden_states=text_BTD).sample,
        pipeline.scheduler,
        fold(shown),
        generator=noise,
        weight_BCHW=weight,
        shift=config.noise_shift,
    )
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(models.parameters(), 1.0)
    check_step("painter", step + 1, loss=loss.detach(), gradient=norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


@torch.no_grad()
def _average(averaged: Any, models: Any, keep: float) -> None:
    for mean, current in zip(averaged.parameters(), models.parameters(), strict=True):
        mean.lerp_(current, 1 - keep)


def _save(path: Path, models: Any, averaged: Any, optimizer: Any, state: dict[str, float]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(
        {"models": models.state_dict(), "averaged": averaged.state_dict(), "optimizer": optimizer.state_dict(),
         "state": state},
        partial,
    )  # fmt: skip
    partial.replace(path)


def _resume(path: Path, models: Any, averaged: Any, optimizer: Any) -> dict[str, float]:
    if not path.is_file():
        return {"steps": 0, "seconds": 0.0, "loss": 0.0}
    saved = torch.load(path, weights_only=True)
    models.load_state_dict(saved["models"])
    averaged.load_state_dict(saved["averaged"])
    optimizer.load_state_dict(saved["optimizer"])
    return dict(saved["state"])
