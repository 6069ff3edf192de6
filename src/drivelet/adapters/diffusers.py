"""Text-to-image through diffusers: any local pipeline that `AutoPipelineForText2Image` loads, and LoRA training."""

import contextlib
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.rng import generator as numpy_generator

ADAPTER = "drivelet"


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """How a LoRA is trained on the UNet of a text-to-image pipeline.

    Attributes:
        rank: rank of the updates; `alpha` scales them by alpha / rank.
        steps: optimiser steps.
        drop_caption: share of captions emptied, for classifier-free guidance.
        checkpoint_seconds: time between checkpoints.
    """

    rank: int = 8
    alpha: int = 16
    steps: int = 200
    batch_size: int = 16
    learning_rate: float = 1e-3
    drop_caption: float = 0.1
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2")
    checkpoint_seconds: float = 60.0
    seed: int = 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the loaders' bars and notes: they speak of optional image libraries that are not used here."""
    import diffusers
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diffusers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        yield


def load_pipeline(path: Path) -> Any:
    """Load a text-to-image pipeline from a folder of safetensors, with no remote code and no network.

    Raises:
        InputError: the folder is no diffusers pipeline.
    """
    if not (path / "model_index.json").is_file():
        raise InputError(f"{path}: no diffusers pipeline (model_index.json is missing); give a pipeline folder")
    with quiet():
        import torch
        from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image

        try:
            pipeline = AutoPipelineForText2Image.from_pretrained(
                str(path), local_files_only=True, use_safetensors=True, torch_dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as problem:
            first = str(problem).splitlines()[0]
            raise InputError(f"{path}: the pipeline cannot be loaded ({first}); give a whole pipeline folder") from None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")


def save_pipeline(pipeline: Any, out: Path, *, half: bool = False) -> Path:
    """Write a pipeline folder; `half` stores 16-bit weights. Loading gives 32-bit weights either way."""
    import torch

    with quiet():
        pipeline.to(dtype=torch.float16 if half else torch.float32).save_pretrained(out, safe_serialization=True)
        pipeline.to(dtype=torch.float32)
    return out


class DiffusersPainter:
    """A `Painter` over a local diffusers pipeline, optionally with a LoRA folder written by `train_lora`.

    Args:
        path: the pipeline folder.
        lora: a LoRA folder, or None.
        steps: sampler steps.
        guidance: classifier-free guidance scale.
        batch_size: images a forward; part of what makes equal seeds give equal images.
    """

    def __init__(
        self, path: Path, *, lora: Path | None = None, steps: int = 10, guidance: float = 2.0, batch_size: int = 16
    ) -> None:
        self.path = path
        self.steps, self.guidance, self.batch_size = steps, guidance, batch_size
        self._pipeline = load_pipeline(path)
        if lora is not None:
            load_lora(self._pipeline, lora)

    def paint(self, captions: Sequence[str], *, seeds: Sequence[int]) -> list[ImageArray]:
        """Return one uint8 RGB image a caption; every image has a noise stream of its own seed."""
        import torch

        images: list[ImageArray] = []
        for start in range(0, len(captions), self.batch_size):
            part = slice(start, start + self.batch_size)
            streams = [torch.Generator().manual_seed(int(seed) % 2**63) for seed in seeds[part]]
            with torch.inference_mode(), quiet():
                made = self._pipeline(
                    list(captions[part]),
                    num_inference_steps=self.steps,
                    guidance_scale=self.guidance,
                    generator=streams,
                    output_type="np",
                ).images
            images += list((np.clip(made, 0, 1) * 255).round().astype(np.uint8))
        return images


def load_lora(pipeline: Any, folder: Path) -> None:
    """Put the LoRA weights of `folder` onto the pipeline's UNet.

    Raises:
        InputError: there are no LoRA weights in `folder`.
    """
    if not (folder / "pytorch_lora_weights.safetensors").is_file():
        raise InputError(f"{folder}: no LoRA weights here; give a folder that the paint loop wrote")
    with quiet():
        pipeline.load_lora_weights(str(folder), weight_name="pytorch_lora_weights.safetensors", adapter_name=ADAPTER)


def train_lora(
    path: Path,
    *,
    images: Sequence[ImageArray],
    captions: Sequence[str],
    config: LoraConfig,
    out: Path,
    start: Path | None = None,
    weights: Sequence[float] | None = None,
) -> Path:
    """Train a LoRA on the UNet of the pipeline at `path` and write it as diffusers LoRA weights.

    Args:
        path: the pipeline folder; its UNet stays untouched.
        images: uint8 RGB images, all of the pipeline's size.
        start: a LoRA folder to go on from, of the same rank and targets.
        weights: sampling weight of each image; equal if None.
        out: gets the LoRA, and `checkpoint.pt` while it is being trained: a killed run goes on from it.

    Raises:
        InputError: the pipeline has no UNet, or there is nothing to train on.
    """
    import torch

    if (out / "pytorch_lora_weights.safetensors").is_file():
        return out
    if not images:
        raise InputError(f"{out}: no images to train a LoRA on; give at least one")
    pipeline = load_pipeline(path)
    unet = getattr(pipeline, "unet", None)
    if unet is None:
        raise InputError(f"{path}: {type(pipeline).__name__} has no UNet; LoRA training supports UNet pipelines")
    out.mkdir(parents=True, exist_ok=True)
    _add_adapter(pipeline, config, start)
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.0)
    first = _resume(out / "checkpoint.pt", trained, optimizer)
    latents, texts, empty = _encoded(pipeline, images, captions)
    odds = None if weights is None else np.asarray(weights, dtype=float) / float(np.sum(weights))
    _steps(pipeline, config, (trained, optimizer), (latents, texts, empty), odds, first, out / "checkpoint.pt")
    _write_lora(pipeline, unet, out)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return out


def _add_adapter(pipeline: Any, config: LoraConfig, start: Path | None) -> None:
    import torch
    from peft import LoraConfig as PeftConfig

    pipeline.unet.requires_grad_(False)
    if start is not None:
        load_lora(pipeline, start)
        for name, parameter in pipeline.unet.named_parameters():
            parameter.requires_grad_("lora_" in name)
    else:
        torch.manual_seed(config.seed)
        pipeline.unet.add_adapter(
            PeftConfig(r=config.rank, lora_alpha=config.alpha, target_modules=list(config.targets)), ADAPTER
        )
    pipeline.unet.train()


def _encoded(pipeline: Any, images: Sequence[ImageArray], captions: Sequence[str]) -> tuple[Any, Any, Any]:
    """Return model latents of the images, text states of the captions, and the state of the empty caption."""
    import torch

    from drivelet.adapters.denoise import pixels

    vae, device = pipeline.vae, pipeline.device
    latents, texts = [], []
    with torch.no_grad():
        for start in range(0, len(images), 64):
            coded = vae.encode(pixels(np.stack(images[start : start + 64])).to(device))
            latent = coded.latents if hasattr(coded, "latents") else coded.latent_dist.mode()
            shift = getattr(vae.config, "shift_factor", None) or 0.0
            latents.append((latent - shift) * vae.config.scaling_factor)
        known: dict[str, Any] = {}
        for caption in (*captions, ""):
            if caption not in known:
                known[caption] = pipeline.encode_prompt(caption, device, 1, False)[0][0]
            texts.append(known[caption])
    return torch.cat(latents), torch.stack(texts[:-1]), texts[-1]


def _steps(
    pipeline: Any, config: LoraConfig, learner: tuple[Any, Any], data: tuple[Any, Any, Any], odds: Any, first: int,
    checkpoint: Path,
) -> None:  # fmt: skip
    import torch

    from drivelet.adapters.denoise import denoising_loss

    (trained, optimizer), (latents, texts, empty) = learner, data
    saved = time.monotonic()
    for step in range(first, config.steps):
        draw = numpy_generator(config.seed, "lora", step)
        chosen = draw.choice(len(latents), size=config.batch_size, p=odds)
        text = texts[chosen].clone()
        text[torch.from_numpy(draw.random(config.batch_size) < config.drop_caption)] = empty
        noise = torch.Generator().manual_seed(int(draw.integers(2**62)))
        loss = denoising_loss(pipeline.unet, pipeline.scheduler, latents[chosen], text, generator=noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
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


def _write_lora(pipeline: Any, unet: Any, out: Path) -> None:
    from peft.utils import get_peft_model_state_dict

    name = "pytorch_lora_weights.safetensors"
    partial = out / f".{os.getpid()}"
    with quiet():
        config = {"unet": unet.peft_config[ADAPTER]}
        type(pipeline).save_lora_weights(
            str(partial),
            unet_lora_layers=get_peft_model_state_dict(unet, adapter_name=ADAPTER),
            unet_lora_adapter_metadata=config["unet"].to_dict(),
        )
    (partial / name).replace(out / name)
    partial.rmdir()
