"""The denoising objective of a diffusers pipeline, as its own scheduler's config states it."""

from typing import Any

import torch
from torch import Tensor


def noised(scheduler: Any, clean_BCHW: Tensor, noise_BCHW: Tensor, level_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mix noise into clean latents.

    Args:
        scheduler: a diffusers scheduler.
        level_B: noise levels in (0, 1), the share of the scheduler's training range.

    Returns:
        (noisy latents, timesteps, target) where the target follows `prediction_type`: the clean latents (`sample`),
        the noise (`epsilon`), the velocity (`v_prediction`, Salimans & Ho 2022) or noise - clean (`flow_prediction`).
    """
    config = scheduler.config
    steps = int(config.num_train_timesteps)
    shape = (-1, *([1] * (clean_BCHW.ndim - 1)))
    if config.get("use_flow_sigmas", False):
        timesteps_B = level_B * steps
        keep, add = (1 - level_B).view(shape), level_B.view(shape)
    else:
        timesteps_B = (level_B * steps).long().clamp(0, steps - 1)
        alpha_B = scheduler.alphas_cumprod.to(clean_BCHW.device)[timesteps_B]
        keep, add = alpha_B.sqrt().view(shape), (1 - alpha_B).sqrt().view(shape)
    noisy = keep * clean_BCHW + add * noise_BCHW
    targets = {
        "sample": clean_BCHW,
        "epsilon": noise_BCHW,
        "v_prediction": keep * noise_BCHW - add * clean_BCHW,
        "flow_prediction": noise_BCHW - clean_BCHW,
    }
    return noisy, timesteps_B, targets[config.prediction_type]


def denoising_loss(
    unet: Any,
    scheduler: Any,
    clean_BCHW: Tensor,
    text_BTD: Tensor,
    *,
    generator: torch.Generator,
    weight_BCHW: Tensor | None = None,
    shift: float = 0.0,
) -> Tensor:
    """Mean squared error of the UNet's prediction at random noise levels (logit-normal, Esser et al. 2024).

    `weight_BCHW` weighs the squared errors; equal weights if None. `shift` is the mean of the levels' logit: the
    higher, the more often only the caption can tell what the picture shows.
    """
    draws = torch.randn(len(clean_BCHW), generator=generator) + shift
    level_B = torch.sigmoid(draws).clamp(1e-3, 0.999).to(clean_BCHW.device)
    noise_BCHW = torch.randn(clean_BCHW.shape, generator=generator).to(clean_BCHW)
    noisy, timesteps_B, target = noised(scheduler, clean_BCHW, noise_BCHW, level_B)
    with torch.autocast(clean_BCHW.device.type, torch.bfloat16):
        predicted = unet(noisy, timesteps_B, encoder_hidden_states=text_BTD).sample
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
