"""LoRA training of any text-to-image pipeline of a known family, in steps that a killed run goes on from."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drivelet.adapters.diffusers import ADAPTER, WEIGHTS, Precision, load_lora, load_pipeline, quiet
from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.finite import BROKEN, check_finite, check_step
from drivelet.core.model_folder import give_usual_mode
from drivelet.core.ranges import Amount, Count, Positive, Seed, Several, Share, ranged
from drivelet.core.rng import generator as numpy_generator

if TYPE_CHECKING:
    from drivelet.adapters.painter_families import Conditions, Family


@dataclass(frozen=True, kw_only=True)
@ranged
class LoraConfig:
    """How a LoRA is trained on the denoiser of a text-to-image pipeline.

    Attributes:
        rank: rank of the updates; `alpha` scales them by alpha / rank.
        steps: optimiser steps.
        drop_caption: share of captions emptied, for classifier-free guidance.
        targets: endings of the modules' names; the attention projections of the family where empty.
        convolutions: also the convolutions of a UNet's residual blocks: a small UNet has little attention.
        guidance: what a guidance-distilled transformer (FLUX) is told while it trains.
        checkpoint_seconds: time between checkpoints.
    """

    rank: Several = 8
    alpha: Several = 16
    steps: Count = 200
    batch_size: Several = 16
    learning_rate: Positive = 1e-3
    drop_caption: Share = 0.1
    targets: tuple[str, ...] = ()
    convolutions: bool = False
    guidance: Amount = 3.5
    checkpoint_seconds: Amount = 60.0
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class _Set:
    """What is trained on: latents of the pictures, the number of each one's caption, conditions of every caption.

    The last caption is the empty one. Captions repeat, and one of FLUX is eight megabytes: each is kept once.
    """

    latents_NCHW: Any
    caption_N: Any
    conditions: "Conditions"


def train_lora(
    path: Path,
    *,
    images: Sequence[ImageArray],
    captions: Sequence[str],
    config: LoraConfig,
    out: Path,
    start: Path | None = None,
    weights: Sequence[float] | None = None,
    precision: Precision = "float32",
) -> Path:
    """Train a LoRA on the denoiser of the pipeline at `path` and write it as diffusers LoRA weights.

    Args:
        path: the pipeline folder; its weights stay untouched.
        images: uint8 RGB images of one size, which the pipeline can paint.
        start: a LoRA folder to go on from, of the same rank and targets.
        weights: sampling weight of each image; equal if None.
        out: gets the LoRA, and `checkpoint.pt` while it is being trained: a killed run goes on from it.
        precision: of the frozen weights; the LoRA's are always 32-bit.

    Raises:
        InputError: the pipeline's family or noise is unknown, or there is nothing to train on.
    """
    if (out / WEIGHTS).is_file():
        return out
    if not images:
        raise InputError(f"{out}: no images to train a LoRA on; give at least one")
    import torch

    from drivelet.adapters.painter_families import family

    pipeline = load_pipeline(path, precision=precision)
    kind = family(pipeline)
    denoiser = getattr(pipeline, kind.denoiser)
    out.mkdir(parents=True, exist_ok=True)
    trained = _adapter_weights(pipeline, kind, config, start)
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.0)
    first = _resume(out / "checkpoint.pt", trained, optimizer)
    data = _encoded(pipeline, kind, images, captions)
    odds = None if weights is None else np.asarray(weights, dtype=float) / float(np.sum(weights))
    with quiet():  # FLUX warns that its norms keep 32-bit weights beside 16-bit activations
        _steps(pipeline, kind, config, (trained, optimizer), data, odds, first, out / "checkpoint.pt")
    learned = [(n, p) for n, p in denoiser.named_parameters() if p.requires_grad]
    check_finite(f"{path} after training", learned, advice=BROKEN)
    _write_lora(pipeline, kind.denoiser, denoiser, out)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return out


def _adapter_weights(pipeline: Any, kind: "Family", config: LoraConfig, start: Path | None) -> list[Any]:
    """Put a fresh or a given LoRA onto the denoiser; return its weights, the only ones that are trained."""
    import torch
    from diffusers.training_utils import cast_training_params
    from peft import LoraConfig as PeftConfig

    denoiser = getattr(pipeline, kind.denoiser)
    denoiser.requires_grad_(False)
    if start is not None:
        load_lora(pipeline, start)
        for name, parameter in denoiser.named_parameters():
            parameter.requires_grad_("lora_" in name)
    else:
        torch.manual_seed(config.seed)
        targets = [*(config.targets or kind.targets), *(("conv1", "conv2") if config.convolutions else ())]
        denoiser.add_adapter(PeftConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets), ADAPTER)
    cast_training_params(denoiser, dtype=torch.float32)
    denoiser.train()
    return [parameter for parameter in denoiser.parameters() if parameter.requires_grad]


def _encoded(pipeline: Any, kind: "Family", images: Sequence[ImageArray], captions: Sequence[str]) -> _Set:
    """Encode pictures and captions once: neither the autoencoder nor the text encoders are trained."""
    import torch

    texts = [*dict.fromkeys(text for text in captions if text), ""]
    place = {text: number for number, text in enumerate(texts)}
    with torch.no_grad():
        known = [kind.encode(pipeline, text) for text in texts]
        latents = torch.cat([_latents(pipeline, images[start : start + 16]) for start in range(0, len(images), 16)])
    return _Set(
        latents_NCHW=latents.float(),
        caption_N=np.array([place[text] for text in captions]),
        conditions={name: torch.stack([conditions[name] for conditions in known]) for name in known[0]},
    )


def _latents(pipeline: Any, images: Sequence[ImageArray]) -> Any:
    from drivelet.adapters.denoise import pixels

    vae = pipeline.vae
    coded = vae.encode(pixels(np.stack(images)).to(pipeline.device, vae.dtype))
    latent = coded.latents if hasattr(coded, "latents") else coded.latent_dist.mode()
    return (latent - (getattr(vae.config, "shift_factor", None) or 0.0)) * vae.config.scaling_factor


def _steps(
    pipeline: Any, kind: "Family", config: LoraConfig, learner: tuple[Any, Any], data: _Set, odds: Any, first: int,
    checkpoint: Path,
) -> None:  # fmt: skip
    import torch

    from drivelet.adapters.denoise import denoising_loss

    (trained, optimizer), empty = learner, len(next(iter(data.conditions.values()))) - 1
    saved = time.monotonic()
    for step in range(first, config.steps):
        draw = numpy_generator(config.seed, "lora", step)
        chosen = draw.choice(len(data.latents_NCHW), size=config.batch_size, p=odds)
        texts = np.where(draw.random(config.batch_size) < config.drop_caption, empty, data.caption_N[chosen])
        given = {name: values[texts] for name, values in data.conditions.items()}
        noise = torch.Generator().manual_seed(int(draw.integers(2**62)))
        loss = denoising_loss(
            lambda noisy, timesteps, given=given: kind.predict(pipeline, noisy, timesteps, given, config.guidance),
            pipeline.scheduler,
            data.latents_NCHW[chosen],
            generator=noise,
        )
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        check_step("painter", step + 1, loss=loss.detach(), gradient=norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if time.monotonic() - saved > config.checkpoint_seconds:
            state = {"step": step + 1, "lora": trained, "optimizer": optimizer.state_dict()}
            torch.save(state, checkpoint.with_suffix(".partial"))
            checkpoint.with_suffix(".partial").replace(checkpoint)
            saved = time.monotonic()


def _resume(checkpoint: Path, trained: Sequence[Any], optimizer: Any) -> int:
    import torch

    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    with torch.no_grad():
        for parameter, saved in zip(trained, state["lora"], strict=True):
            parameter.copy_(saved)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _write_lora(pipeline: Any, name: str, denoiser: Any, out: Path) -> None:
    from peft.utils import get_peft_model_state_dict

    partial = out / f".{os.getpid()}"
    weights = {
        f"{name}_lora_layers": get_peft_model_state_dict(denoiser, adapter_name=ADAPTER),
        f"{name}_lora_adapter_metadata": denoiser.peft_config[ADAPTER].to_dict(),
    }
    with quiet():
        type(pipeline).save_lora_weights(str(partial), **weights)
    give_usual_mode(partial)
    (partial / WEIGHTS).replace(out / WEIGHTS)
    partial.rmdir()
