"""LoRA through peft, with targets named by module path: bare names would also hit the vision MLPs."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from drivelet.core.errors import InputError
from drivelet.core.model_folder import give_usual_mode, read_settings
from drivelet.core.ranges import Dropout, Positive, Several, ranged
from drivelet.vlm.load import Loaded

LANGUAGE = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
VISION = r".*visual\.(blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)|merger\.mlp\.[02])"


@dataclass(frozen=True, kw_only=True)
@ranged
class LoraSettings:
    """Rank, scale and targets (regular expressions over module paths) of the adapters.

    Source: LoRA, arXiv 2106.09685; adapters in the key Transformer layers, arXiv 2506.02014.
    """

    rank: Several = 16
    alpha: Positive = 32.0
    dropout: Dropout = 0.0
    targets: tuple[str, ...] = (LANGUAGE,)


def add_lora(loaded: Loaded, settings: LoraSettings, *, seed: int) -> Any:
    """Wrap the model with adapters and return the peft model; only the adapters train.

    Raises:
        InputError: no module matches the targets.
    """
    from peft import LoraConfig, get_peft_model

    pattern = "|".join(f"(?:{target})" for target in settings.targets)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType]  # peft says int; any number is right
        lora_dropout=settings.dropout,
        target_modules=pattern,
    )
    try:
        return get_peft_model(loaded.model, config)
    except ValueError as error:
        raise InputError(f"{loaded.path}: no layer matches the LoRA targets {pattern}; set lora.targets") from error


def merge_and_save(model: Any, source: Path, out: Path) -> Path:
    """Merge the adapters into the weights and save them, in the source's dtype, with its processor files."""
    merged = model.merge_and_unload().to(stored_dtype(source))
    out.mkdir(parents=True, exist_ok=True)
    copy_processor(source, out)
    merged.save_pretrained(out)
    give_usual_mode(out)
    return out


def stored_dtype(source: Path) -> torch.dtype:
    """Return the dtype in which a model folder keeps its weights; float32 where its config does not say.

    Raises:
        InputError: the config names another kind of number.
    """
    config = read_settings(source / "config.json")
    name = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InputError(f"{source / 'config.json'}: dtype {name} is no kind of weights; set float32 or bfloat16")
    return dtype


def copy_processor(source: Path, out: Path) -> None:
    """Copy every file of a model folder that is no weight (tokenizer, templates, processor, configs)."""
    for file in source.iterdir():
        if file.is_file() and file.suffix in (".json", ".jinja", ".txt") and not file.name.endswith(".index.json"):
            shutil.copyfile(file, out / file.name)
