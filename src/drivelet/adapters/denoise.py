"""The denoising objective of a diffusers pipeline, as its own scheduler's config states it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from drivelet.core.errors import InputError


def is_flow(scheduler: Any) -> bool:
    """Return whether a scheduler noises along straight lines: flow matching, or a solver with `use_flow_sigmas`.

    Raises:
        InputError: it does neither that nor the variance-preserving noise of Ho et al. 2020.
    """
    flow = scheduler.config.get("use_flow_sigmas", False) or type(scheduler).__name__.startswith("FlowMatch")
    if not flow and not hasattr(scheduler, "alphas_cumprod"):
        raise InputError(f"{type(scheduler).__name__}: LoRA training does not know this scheduler's noise")
    return bool(flow)


def random_levels(scheduler: Any, count: int, *, generator: torch.Generator, shift: float = 0.0) -> Tensor:
    """Draw noise levels in (0, 1), shares of the scheduler's training range, shape (count,).

    Even ones for variance-preserving noise (Ho et al. 2020, algorithm 1). For straight lines their logit is normal with
    mean `shift`, and the scheduler's own static shift moves them as it moves its sigmas (Esser et al. 2024, sections
    3.1 and 5.3.2).
    """
    if not is_flow(scheduler):
        return torch.rand(count, generator=generator)
    level_B = torch.sigmoid(torch.randn(count, generator=generator) + shift).clamp(1e-3, 0.999)
    config = scheduler.config
    factor = 1.0 if config.get("use_dynamic_shifting", False) else float(config.get("shift", None) or 1.0)
    return factor * level_B / (1 + (factor - 1) * level_B)


def noised(scheduler: Any, clean_BCHW: Tensor, noise_BCHW: Tensor, level_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mix noise into clean latents.

    Args:
        scheduler: a diffusers scheduler.
        level_B: noise levels in (0, 1), the share of the scheduler's training range.

    Returns:
        (noisy latents, timesteps, target) where the target follows `prediction_type`: the clean latents (`sample`),
        the noise (`epsilon`), the velocity (`v_prediction`, Salimans & Ho 2022) or noise - clean (`flow_prediction`,
        what flow matching schedulers mean without saying so).

    Raises:
        InputError: the scheduler's noise or prediction is another one.
    """
    config = scheduler.config
    steps = int(config.num_train_timesteps)
    shape = (-1, *([1] * (clean_BCHW.ndim - 1)))
    if is_flow(scheduler):
        timesteps_B = level_B * steps
        keep, add = (1 - level_B).view(shape), level_B.view(shape)
    else:
        timesteps_B = (level_B * steps).long().clamp(0, steps - 1)
        alpha_B = scheduler.alphas_cumprod.to(clean_BCHW.device)[timesteps_B]
        keep, add = alpha_B.sqrt().view(shape), (1 - alpha_B).sqrt().view(shape)
    targets = {
        "sample": clean_BCHW,
        "epsilon": noise_BCHW,
        "v_prediction": keep * noise_BCHW - add * clean_BCHW,
        "flow_prediction": noise_BCHW - clean_BCHW,
    }
    prediction = config.get("prediction_type", "flow_prediction")
    if prediction not in targets:
        raise InputError(f"{type(scheduler).__name__}: prediction type {prediction}; known are {', '.join(targets)}")
    return keep * clean_BCHW + add * noise_BCHW, timesteps_B, targets[prediction]


def denoising_loss(
    predict: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    clean_BCHW: Tensor,
    *,
    generator: torch.Generator,
    weight_BCHW: Tensor | None = None,
    shift: float = 0.0,
) -> Tensor:
    """Return the mean squared error of a denoiser's prediction at random noise levels.

    Args:
        predict: (noisy latents, timesteps) -> prediction.
        weight_BCHW: weighs the squared errors; equal weights if None.
        shift: see `random_levels`: the higher, the more often only the caption can tell what the picture shows.
    """
    level_B = random_levels(scheduler, len(clean_BCHW), generator=generator, shift=shift).to(clean_BCHW.device)
    noise_BCHW = torch.randn(clean_BCHW.shape, generator=generator).to(clean_BCHW)
    noisy, timesteps_B, target = noised(scheduler, clean_BCHW, noise_BCHW, level_B)
    with torch.autocast(clean_BCHW.device.type, torch.bfloat16):
        predicted = predict(noisy, timesteps_B)
    squared = (predicted.float() - target) ** 2
    return squared.mean() if weight_BCHW is None else (squared * weight_BCHW).mean()


def colour_weight(pixels_BCHW: Tensor, strength: float) -> Tensor:
    """Return 1 + strength * chroma of each pixel, over all channels, scaled to a mean of 1.

    A lit lamp is about thirty pixels of a picture: without more weight the loss hardly notices which colour it has.
    """
    chroma = (pixels_BCHW.amax(dim=1, keepdim=True) - pixels_BCHW.amin(dim=1, keepdim=True)) / 2
    weight = (1 + strength * chroma).expand_as(pixels_BCHW)
    return weight / weight.mean()


def pixels(images_BHWC: Any) -> Tensor:
    """Turn uint8 images (B, H, W, 3) into floats (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(images_BHWC).permute(0, 3, 1, 2).float() / 127.5 - 1
