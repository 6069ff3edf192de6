"""The parts of a small text-to-image pipeline that only standard diffusers classes make up.

The autoencoder is exact and never trained: its weights are set by hand so that `AutoencoderTiny` folds 4x4 pixels
into 48 channels and back. Folding is two strided convolutions. Unfolding is harder, because nearest upsampling
followed by a convolution treats all positions alike: the decoder therefore first counts the columns and rows from
the zero padding of the border (a ramp 1, 2, 3, ...), and after each upsampling the difference of neighbouring ramp
values tells an even position from an odd one and opens the gate of the matching channel.
"""

import json
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from tokenizers import Tokenizer, models, trainers
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

FOLD = 4
LATENT = 3 * FOLD * FOLD
CELLS = 16
"""Latent cells a side that the decoder can count: images of up to 64 pixels."""
GATE = 8.0
RAW = 1 / 8
"""Raw latents are pixels in [-1, 1] times this, so small that the decoder's built-in tanh clamp is linear."""
SCALING = 16.0
"""Raw to model latents: pixels of driving scenes times 2 have about unit variance."""

ROW, COLUMN, HELD_ROW, HELD_COLUMN, ONE = range(LATENT, LATENT + 5)
WIDTH = LATENT + 5


def fold_autoencoder() -> AutoencoderTiny:
    """Return an `AutoencoderTiny` that folds (3, 4H, 4W) pixels in [-1, 1] into (48, H, W) and back without loss."""
    blocks = (CELLS - 1) // 3
    vae = AutoencoderTiny(
        encoder_block_out_channels=(LATENT,) * 3,
        decoder_block_out_channels=(WIDTH,) * 3,
        num_encoder_blocks=(0, 0, 0),
        num_decoder_blocks=(blocks, 1, 1),
        latent_channels=LATENT,
        scaling_factor=SCALING,
    )
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        _set_encoder([layer for layer in vae.encoder.layers if isinstance(layer, torch.nn.Conv2d)])
        _set_decoder(list(vae.decoder.layers), blocks)
    return vae.requires_grad_(False).eval()


def _folded(colour: int, row: int, column: int, side: int) -> int:
    """Return the channel of a pixel (row, column) of a folded side x side block of one colour."""
    return colour * side * side + row * side + column


def _set_encoder(convolutions: Sequence[Any]) -> None:
    copy, to_2, to_4, out = convolutions
    for colour in range(3):
        copy.weight[colour, colour, 1, 1] = 1
        for row in range(2):
            for column in range(2):
                to_2.weight[_folded(colour, row, column, 2), colour, 1 + row, 1 + column] = 1
    for half in range(12):
        colour, fine_row, fine_column = half // 4, half % 4 // 2, half % 2
        for row in range(2):
            for column in range(2):
                target = _folded(colour, 2 * row + fine_row, 2 * column + fine_column, 4)
                to_4.weight[target, half, 1 + row, 1 + column] = 1
    for channel in range(LATENT):
        out.weight[channel, channel, 1, 1] = 2 * RAW
    out.bias[:] = -RAW


def _set_decoder(layers: Sequence[Any], blocks: int) -> None:
    first = layers[0]
    for channel in range(LATENT):
        first.weight[channel, channel, 1, 1] = 0.5 / RAW
        first.bias[channel] = 0.5
    first.bias[[ROW, COLUMN, ONE]] = 1
    for block in layers[2 : 2 + blocks]:
        _count_three(block.conv)
    to_32, to_64, out = (layer for layer in layers[1:] if isinstance(layer, torch.nn.Conv2d))
    for colour in range(3):
        for row in range(4):
            for column in range(4):
                channel = _folded(colour, row, column, 4)
                _gate(to_32.weight, channel, [channel], row // 2, column // 2)
    for colour in range(3):
        for row in range(2):
            for column in range(2):
                sources = [_folded(colour, 2 * i + row, 2 * j + column, 4) for i in range(2) for j in range(2)]
                target = _folded(colour, row, column, 2)
                _gate(to_64.weight, target, sources, row, column)
                out.weight[colour, target, 1, 1] = 1
    to_32.weight[ONE, ONE, 1, 1] = 1
    to_32.weight[ROW, ROW, 0:2, 1] = 1
    to_32.weight[COLUMN, COLUMN, 1, 0:2] = 1


def _count_three(convolutions: Any) -> None:
    """Let a residual block advance both ramps by three cells; each convolution reads the neighbour and adds 1."""
    steps = (convolutions[0], convolutions[2], convolutions[4])
    for ramp, held, tap in ((ROW, HELD_ROW, (0, 1)), (COLUMN, HELD_COLUMN, (1, 0))):
        for step in steps:
            step.weight[ramp, ramp, tap[0], tap[1]] = 1
            step.bias[ramp] = 1
        steps[0].weight[held, ramp, 1, 1] = 1
        steps[1].weight[held, held, 1, 1] = 1
        steps[2].weight[ramp, held, 1, 1] = -1


def _gate(weight: Tensor, target: int, sources: Sequence[int], row: int, column: int) -> None:
    """Let `target` be the sum of `sources` at positions of parity (row, column), and far below zero elsewhere.

    The difference of a ramp and its previous neighbour is 1 at even positions and 0 at odd ones.
    """
    for source in sources:
        weight[target, source, 1, 1] = 1
    for ramp, odd, previous in ((ROW, row, (0, 1)), (COLUMN, column, (1, 0))):
        sign = -1 if odd else 1
        weight[target, ramp, 1, 1] += GATE * sign
        weight[target, ramp, previous[0], previous[1]] -= GATE * sign
        weight[target, ONE, 1, 1] -= 0 if odd else GATE


def word_tokenizer(texts: Sequence[str], *, max_length: int) -> CLIPTokenizer:
    """Return a CLIP tokenizer whose merges join every word of `texts` into one token."""
    backend = CLIPTokenizer().backend_tokenizer
    tokenizer: Any = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    # The trainer numbers last letters in the order of a hash table, another one in every process: name them first.
    normal = (backend.normalizer.normalize_str(text) for text in texts)
    last = sorted({f"{word[-1]}</w>" for text in normal for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)})
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=["<|startoftext|>", "<|endoftext|>", *last],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges: Any = [tuple(pair) for pair in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges, model_max_length=max_length)


def text_encoder(tokenizer: Any, *, width: int, layers: int) -> CLIPTextModel:
    """Return a small CLIP text model with random weights for `tokenizer`."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(width // 32, 1),
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def fold(pixels_BCHW: Tensor) -> Tensor:
    """Return what `fold_autoencoder` encodes to, in model latents, without its convolutions: (B, 48, H/4, W/4)."""
    return torch.nn.functional.pixel_unshuffle(pixels_BCHW, FOLD) * (RAW * SCALING)


def _scheduler() -> Any:
    # steps_offset=1 changes nothing under flow sigmas; the pipeline warns about any other value
    return DPMSolverMultistepScheduler(prediction_type="sample", use_flow_sigmas=True, steps_offset=1)


def small_pipeline(
    texts: Sequence[str],
    *,
    seed: int,
    channels: tuple[int, int] = (64, 160),
    size: int = 64,
    text_width: int = 128,
    max_length: int = 16,
) -> StableDiffusionPipeline:
    """Build a `StableDiffusionPipeline` of random weights for `size` x `size` images that predicts clean images.

    Args:
        texts: captions whose words become the vocabulary.
        channels: UNet channels on the folded grid (size / 4) and on half of it, where the attention lies.
        size: image side in pixels, at most 64 and a multiple of 8.
        max_length: tokens a caption, start and end included.
    """
    torch.manual_seed(seed)
    tokenizer = word_tokenizer(texts, max_length=max_length)
    unet = UNet2DConditionModel(
        sample_size=size // FOLD,
        in_channels=LATENT,
        out_channels=LATENT,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=channels[1] // 32,
        cross_attention_dim=text_width,
        # The pooled caption is added to the time embedding and so scales every block: attention alone was ignored.
        addition_embed_type="text",
        addition_embed_type_num_heads=text_width // 32,
        resnet_time_scale_shift="scale_shift",
    )
    pipeline = StableDiffusionPipeline(
        vae=fold_autoencoder(),  # pyright: ignore[reportArgumentType]
        text_encoder=text_encoder(tokenizer, width=text_width, layers=2),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=_scheduler(),
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
