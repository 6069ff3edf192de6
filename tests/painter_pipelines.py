"""Tiny random pipelines of the large families, with text encoders and tokenizers made here: no hub, no network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from transformers import (
    CLIPConfig,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from drivelet.adapters.diffusers import quiet, save_pipeline
from drivelet.adapters.painter_parts import word_tokenizer
from drivelet.synth.painting.captions import vocabulary

SIDE, WIDTH = 16, 32
"""Pixels a side of what these pipelines paint, and the width of their text encoders."""


def _words() -> Any:
    return word_tokenizer(vocabulary(), max_length=16)


def _clip(kind: type[Any]) -> Any:
    tokens = len(_words())
    return kind(
        CLIPTextConfig(
            vocab_size=tokens, hidden_size=WIDTH, intermediate_size=WIDTH, projection_dim=WIDTH, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip


def _t5() -> tuple[T5EncoderModel, T5Tokenizer]:
    pieces = ["<pad>", "</s>", "<unk>", *(f"▁{word}" for word in sorted({w for t in vocabulary() for w in t.split()}))]
    tokenizer = T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=1, num_heads=4, pad_token_id=0,
    )  # fmt: skip
    return T5EncoderModel(config), tokenizer


def _vae(channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels, norm_num_groups=4, sample_size=SIDE, shift_factor=0.1, scaling_factor=0.5,
        use_quant_conv=channels == 4, use_post_quant_conv=channels == 4,
    )  # fmt: skip


def _unet(**more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIDE // 2, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, **more,
    )  # fmt: skip


def stable_diffusion(prediction: str = "epsilon", *, refuses: bool = False) -> StableDiffusionPipeline:
    """Return SD 1.5's class (2.1's with `v_prediction`); `refuses` adds a safety checker that refuses everything."""
    checker = features = None
    if refuses:
        tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        vision = {**tower, "image_size": 32, "patch_size": 16}
        checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=tower, vision_config=vision, projection_dim=16))
        torch.nn.init.constant_(checker.concept_embeds_weights, -2.0)
        features = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return StableDiffusionPipeline(
        vae=_vae(4), text_encoder=_clip(CLIPTextModel), tokenizer=_words(), unet=_unet(cross_attention_dim=WIDTH),
        scheduler=DDIMScheduler(prediction_type=prediction, steps_offset=1, clip_sample=False),
        safety_checker=checker, feature_extractor=features, requires_safety_checker=refuses,
    )  # pyright: ignore[reportArgumentType]  # fmt: skip


def stable_diffusion_xl() -> StableDiffusionXLPipeline:
    """Return SDXL's class: two text encoders, pooled text and six added sizes."""
    unet = _unet(
        cross_attention_dim=2 * WIDTH, addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=1, projection_class_embeddings_input_dim=WIDTH + 6 * 8, use_linear_projection=True,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        vae=_vae(4), text_encoder=_clip(CLIPTextModel), text_encoder_2=_clip(CLIPTextModelWithProjection),
        tokenizer=_words(), tokenizer_2=_words(), unet=unet, scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
    )  # pyright: ignore[reportArgumentType]  # fmt: skip


def stable_diffusion_3() -> StableDiffusion3Pipeline:
    """Return SD3's class: joint attention, flow matching, three text encoders."""
    encoder, pieces = _t5()
    transformer = SD3Transformer2DModel(
        sample_size=SIDE // 2, patch_size=1, in_channels=16, out_channels=16, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=WIDTH, caption_projection_dim=32, pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=SIDE,
    )  # fmt: skip
    return StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=_vae(16),
        text_encoder=_clip(CLIPTextModelWithProjection), tokenizer=_words(),
        text_encoder_2=_clip(CLIPTextModelWithProjection), tokenizer_2=_words(), text_encoder_3=encoder,
        tokenizer_3=pieces,
    )  # pyright: ignore[reportArgumentType]  # fmt: skip


def flux() -> FluxPipeline:
    """Return FLUX's class: packed latents, positions, a guidance embedding."""
    encoder, pieces = _t5()
    transformer = FluxTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=True, axes_dims_rope=(2, 2, 4),
    )  # fmt: skip
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), vae=_vae(16),
        text_encoder=_clip(CLIPTextModel), tokenizer=_words(), text_encoder_2=encoder, tokenizer_2=pieces,
        transformer=transformer,
    )  # pyright: ignore[reportArgumentType]  # fmt: skip


CLASSES: dict[str, Callable[[], Any]] = {
    "sd-epsilon": stable_diffusion,
    "sd-v": lambda: stable_diffusion("v_prediction"),
    "sdxl": stable_diffusion_xl,
    "sd3": stable_diffusion_3,
    "flux": flux,
}


def saved(name: str, out: Path) -> Path:
    """Write a tiny pipeline of a class with random weights."""
    torch.manual_seed(0)
    with quiet():
        return save_pipeline(CLASSES[name](), out / name)
