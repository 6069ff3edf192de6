"""Save rounded weights as a compressed-tensors `pack-quantized` folder, which transformers and vLLM load."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from compressed_tensors.config import CompressionFormat
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationConfig,
    QuantizationScheme,
    QuantizationStatus,
    QuantizationStrategy,
    QuantizationType,
)
from torch import nn

from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite
from drivelet.core.model_folder import give_usual_mode
from drivelet.quantise.rounding import QuantisedWeight, Rounding

EXPORT_BITS = (4, 8)
PACKED = CompressionFormat.pack_quantized
IGNORE = ("re:.*visual.*", "re:.*lm_head")
PROCESSOR_FILES = (
    "tokenizer*",
    "vocab*",
    "merges*",
    "special_tokens*",
    "added_tokens*",
    "chat_template*",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)


def packed_tensors(name: str, weight: QuantisedWeight) -> dict[str, torch.Tensor]:
    """Return the stored tensors of one module: packed codes, scales, shape, and packed zero points if any."""
    bits = weight.rounding.bits
    tensors = {
        f"{name}.weight_packed": pack_to_int32(weight.codes_ON, bits).contiguous(),
        f"{name}.weight_scale": weight.scale_OG.contiguous(),
        f"{name}.weight_shape": torch.tensor(weight.codes_ON.shape),
    }
    if weight.zero_OG is not None:
        tensors[f"{name}.weight_zero_point"] = pack_to_int32(weight.zero_OG, bits, packed_dim=0).contiguous()
    return tensors


def packed_bytes(weight: QuantisedWeight) -> int:
    """Return the bytes that one module takes on disk."""
    return sum(tensor.numel() * tensor.element_size() for tensor in packed_tensors("", weight).values())


def save_packed(model: Any, weights: Mapping[str, QuantisedWeight], *, source: Path, out: Path) -> None:
    """Write model, configuration and the source folder's processor and tokenizer files to `out`.

    Norms, biases, embeddings, the vision tower and `lm_head` keep their dtype; a tied head stays tied.

    Raises:
        InputError: the width is one that no engine reads, or a scale is NaN or infinite.
    """
    rounding = next(iter(weights.values())).rounding
    if rounding.bits not in EXPORT_BITS:
        raise InputError(f"bits {rounding.bits}: can be studied in memory only; export takes 4 or 8")
    state = dict(model.state_dict())
    for name, weight in weights.items():
        del state[f"{name}.weight"]
        state |= packed_tensors(name, weight)
    check_finite(f"{source} quantised", state.items())
    model.save_pretrained(out, state_dict=state)
    give_usual_mode(out)
    compressor = ModelCompressor(quantization_config=quantization_config(model, frozenset(weights), rounding))
    compressor.update_config(str(out))
    for pattern in PROCESSOR_FILES:
        for file in source.glob(pattern):
            shutil.copyfile(file, out / file.name)


def quantization_config(model: nn.Module, quantised: frozenset[str], rounding: Rounding) -> QuantizationConfig:
    """Return the scheme for all linear layers, ignoring those that stay as they are.

    The patterns match the module names of transformers and of vLLM; what no pattern matches is ignored by full name.
    """
    arguments = QuantizationArgs(
        num_bits=rounding.bits,
        type=QuantizationType.INT,
        symmetric=rounding.symmetric,
        strategy=QuantizationStrategy.GROUP,
        group_size=rounding.group_size,
    )
    others = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name not in quantised and "visual" not in name and "lm_head" not in name
    ]
    return QuantizationConfig(
        config_groups={"group_0": QuantizationScheme(targets=["Linear"], weights=arguments, format=PACKED)},
        format=PACKED.value,
        quantization_status=QuantizationStatus.COMPRESSED,
        ignore=[*IGNORE, *others],
    )
