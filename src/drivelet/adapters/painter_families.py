"""The families of text-to-image pipelines that a LoRA can be trained on: how each is conditioned and called.

Facts about a family come from diffusers' pipeline of that name. What a caption becomes is kept per caption, as named
tensors without a batch axis; the pipelines' own encoders make it, so that training and painting condition alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drivelet.core.errors import InputError

Conditions = dict[str, Tensor]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
JOINT_ATTENTION = (*ATTENTION, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""Attention that also projects the text beside the picture (Esser et al. 2024)."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of pipelines.

    Attributes:
        denoiser: the pipeline's part that is trained, `unet` or `transformer`.
        targets: endings of the names of its attention projections.
        encode: (pipeline, caption) -> conditions.
        predict: (pipeline, noisy latents, timesteps in the scheduler's range, batch of conditions, guidance) ->
            prediction of the latents' shape.
    """

    denoiser: str
    targets: tuple[str, ...]
    encode: Callable[[Any, str], Conditions]
    predict: Callable[[Any, Tensor, Tensor, Conditions, float], Tensor]


def family(pipeline: Any) -> Family:
    """Return the family of a pipeline.

    Raises:
        InputError: its class is none that can be trained here.
    """
    name = type(pipeline).__name__
    if name not in FAMILIES:
        raise InputError(f"{name}: LoRA training knows no such pipeline class; known are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _encode_sd(pipeline: Any, caption: str) -> Conditions:
    states_BTD, _ = pipeline.encode_prompt(caption, pipeline.device, 1, False)
    return {"states": states_BTD[0]}


def _predict_sd(pipeline: Any, noisy: Tensor, timesteps: Tensor, given: Conditions, guidance: float) -> Tensor:
    return pipeline.unet(noisy, timesteps, encoder_hidden_states=given["states"]).sample


def _encode_sdxl(pipeline: Any, caption: str) -> Conditions:
    states_BTD, _, pooled_BD, _ = pipeline.encode_prompt(
        caption, device=pipeline.device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    # What guidance pushes away from is all zeros in such a pipeline, and not the states of an empty caption.
    known = 0.0 if not caption and pipeline.config.force_zeros_for_empty_prompt else 1.0
    return {"states": states_BTD[0] * known, "pooled": pooled_BD[0] * known}


def _predict_sdxl(pipeline: Any, noisy: Tensor, timesteps: Tensor, given: Conditions, guidance: float) -> Tensor:
    height, width = (side * pipeline.vae_scale_factor for side in noisy.shape[-2:])
    # Original size, left upper corner of the crop, and target size (Podell et al. 2023, section 2.2).
    ids_B6 = torch.tensor([[height, width, 0, 0, height, width]] * len(noisy)).to(noisy)
    added = {"text_embeds": given["pooled"], "time_ids": ids_B6}
    return pipeline.unet(noisy, timesteps, encoder_hidden_states=given["states"], added_cond_kwargs=added).sample


def _encode_sd3(pipeline: Any, caption: str) -> Conditions:
    states_BTD, _, pooled_BD, _ = pipeline.encode_prompt(
        caption, None, None, device=pipeline.device, do_classifier_free_guidance=False
    )
    return {"states": states_BTD[0], "pooled": pooled_BD[0]}


def _predict_sd3(pipeline: Any, noisy: Tensor, timesteps: Tensor, given: Conditions, guidance: float) -> Tensor:
    return pipeline.transformer(
        hidden_states=noisy,
        timestep=timesteps,
        encoder_hidden_states=given["states"],
        pooled_projections=given["pooled"],
    ).sample


def _encode_flux(pipeline: Any, caption: str) -> Conditions:
    states_BTD, pooled_BD, _ = pipeline.encode_prompt(caption, None, device=pipeline.device)
    return {"states": states_BTD[0], "pooled": pooled_BD[0]}


def _predict_flux(pipeline: Any, noisy: Tensor, timesteps: Tensor, given: Conditions, guidance: float) -> Tensor:
    """Call the transformer on latents of which 2x2 are one token; positions are (0, row, column), zero for text."""
    count, height, width = len(noisy), noisy.shape[-2] // 2, noisy.shape[-1] // 2
    tokens_BLC = torch.nn.functional.pixel_unshuffle(noisy, 2).flatten(2).transpose(1, 2)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places_L3 = torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).to(noisy)
    embedded = pipeline.transformer.config.guidance_embeds
    predicted_BLC = pipeline.transformer(
        hidden_states=tokens_BLC,
        timestep=timesteps / pipeline.scheduler.config.num_train_timesteps,
        guidance=torch.full((count,), guidance).to(noisy) if embedded else None,
        encoder_hidden_states=given["states"],
        pooled_projections=given["pooled"],
        txt_ids=torch.zeros(given["states"].shape[1], 3).to(noisy),
        img_ids=places_L3,
    ).sample
    folded = predicted_BLC.transpose(1, 2).unflatten(2, (height, width))
    return torch.nn.functional.pixel_shuffle(folded, 2)


FAMILIES = {
    "StableDiffusionPipeline": Family(
        denoiser="unet", targets=ATTENTION, encode=_encode_sd, predict=_predict_sd
    ),
    "StableDiffusionXLPipeline": Family(
        denoiser="unet", targets=ATTENTION, encode=_encode_sdxl, predict=_predict_sdxl
    ),
    "StableDiffusion3Pipeline": Family(
        denoiser="transformer", targets=JOINT_ATTENTION, encode=_encode_sd3, predict=_predict_sd3
    ),
    "FluxPipeline": Family(
        denoiser="transformer", targets=JOINT_ATTENTION, encode=_encode_flux, predict=_predict_flux
    ),
}  # fmt: skip
"""Class of the pipeline -> its family."""
