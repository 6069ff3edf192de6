"""Load a vision-language model from a local folder (or a hub id) through the Auto classes."""

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compressed_tensors.compressors  # noqa: F401 - loading a quantised model imports it: no part of its memory
import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import logging

from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite
from drivelet.core.model_folder import check_folder, check_loaded, read_settings, told
from drivelet.vlm import attention
from drivelet.vlm.processor import ChatProcessor, load_processor
from drivelet.vlm.vision import accelerate_vision

PACKED = "compressed-tensors"
"""The one format of quantised weights that is read."""
CODES_IN_A_WORD = 8
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's mallopt(3)."""
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""What mallopt takes at most on 64 bits."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model with its processor. `path` is the folder that both came from."""

    model: Any
    processor: ChatProcessor
    path: Path

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.model.parameters()).device


def resolve(reference: str | Path) -> Path:
    """Return the local folder of a model given by path, or by hub id where a hub can be reached.

    Raises:
        InputError: it is neither.
    """
    path = Path(reference)
    if path.is_dir():
        return path
    if str(reference).count("/") == 1 and not str(reference).startswith((".", "/")):
        return _download(str(reference))
    raise InputError(f"{reference}: no such model folder; give a folder saved by save_pretrained, or a hub id")


def _download(repo: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt"]))
    except Exception as error:
        raise InputError(f"{repo}: no such folder here, and no hub answered ({type(error).__name__})") from error


def load(reference: str | Path, *, dtype: torch.dtype | None = None, device: str | None = None) -> Loaded:
    """Load model and processor, and let it answer once; float32 on a CPU and bfloat16 on a GPU unless `dtype` says so.

    Raises:
        InputError: the folder is missing, is no vision-language model, or its weights or processor files are damaged,
            incomplete or of different models.
    """
    from drivelet.vlm.trial import try_out

    path = resolve(reference)
    config = read_config(path)
    processor = load_processor(path)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(path, config, dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32))
    accelerate_vision(model)
    loaded = Loaded(model=model.to(device).eval(), processor=processor, path=path)
    try_out(loaded)
    return loaded


NO_MODEL = "this is no vision-language model that transformers can load"


def read_config(path: Path) -> Any:
    """Read a model's configuration and check it against the headers of its weights, before anything of its size is
    made.

    Raises:
        InputError: as `core.model_folder.check_folder`, or the model is of another kind.
    """
    weights = check_folder(path)
    logging.set_verbosity_error()
    settings = read_settings(path / "config.json")
    if "auto_map" in settings and settings["model_type"] not in CONFIG_MAPPING:
        raise InputError(f"{path}: the model needs code of its own (auto_map), which is never run; give another")
    with told(path, NO_MODEL):
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            raise InputError(f"{path}: a {config.model_type} model answers no pictures; give a vision-language model")
        method = _quant_method(config)
        if method not in (None, PACKED):
            raise InputError(f"{path}: quantised by {method}, which is not read here; {PACKED} is")
        with torch.device("meta"):
            described = sum(p.numel() for p in AutoModelForImageTextToText.from_config(config).parameters())
    held = sum(weights.sizes.values()) * (1 if method is None else CODES_IN_A_WORD)
    if described > 2 * held:
        raise InputError(f"{path / 'config.json'}: describes {described} values, but the weights hold {held} at most")
    return config


def load_model(path: Path, config: Any, dtype: torch.dtype) -> Any:
    """Load the model alone, every parameter in `dtype`; `config` is that of `read_config`.

    Raises:
        InputError: weights are missing, unknown, of a wrong shape, NaN or infinite.
    """
    logging.disable_progress_bar()
    family: Any = AutoModelForImageTextToText
    with told(path, NO_MODEL):
        model, info = family.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are named below, all at once
            output_loading_info=True,
            attn_implementation=attention.NAME,
        )
        check_loaded(path, info)
        _unpack(model, dtype)
    check_finite(path, model.state_dict().items())
    return model


def _quant_method(config: Any) -> str | None:
    settings = getattr(config, "quantization_config", None)
    return settings.get("quant_method", "nothing") if isinstance(settings, dict) else settings and "nothing"


def need_whole(path: Path) -> None:
    """Refuse a model that is quantised already: its weights would be rounded twice, or saved under a false name.

    Raises:
        InputError: it is.
    """
    if "quantization_config" in read_settings(path / "config.json"):
        raise InputError(f"{path}: the model is quantised already; give the one that it was made from")


def _unpack(model: Any, dtype: torch.dtype) -> None:
    """Unpack compressed weights now: the hook that would do so sits on a forward that the engine goes around.

    They come in the dtype of their scales, and what was not compressed in that of the file.
    """
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is None:
        return
    quantizer.compressor.decompress_model(model)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def native_dtype() -> torch.dtype:
    """Return bfloat16 where the processor multiplies it itself, float32 elsewhere."""
    if torch.cuda.is_available():
        return torch.bfloat16
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16") else torch.float32


def dtype_named(name: str) -> torch.dtype:
    """Return the dtype of a setting: float32, bfloat16, or auto for the machine's own."""
    return native_dtype() if name == "auto" else {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def dtype_name(name: str) -> Any:
    """Return the setting `name` with auto spelled out."""
    return str(dtype_named(name)).removeprefix("torch.")


def weight_megabytes(path: Path) -> float:
    """Return the size of the weight files in MB (10^6 bytes)."""
    return sum(file.stat().st_size for file in path.glob("*.safetensors")) / 1e6


def set_threads(count: int | None = None) -> None:
    """Limit torch to `count` threads, or to what OMP_NUM_THREADS or the machine's cores say, and keep freed memory."""
    torch.set_num_threads(count or int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed: a training step frees and takes hundreds of MB, and each new page costs a fault."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
