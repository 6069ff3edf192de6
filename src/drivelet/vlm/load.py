"""Load a vision-language model from a local folder (or a hub id) through the Auto classes."""

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils import logging

from drivelet.core.errors import InputError
from drivelet.vlm import attention
from drivelet.vlm.processor import ChatProcessor, load_processor
from drivelet.vlm.vision import accelerate_vision

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
    """Load model and processor; float32 on a CPU and bfloat16 on a GPU unless `dtype` says otherwise.

    Raises:
        InputError: the folder is missing, is no vision-language model, lacks safetensors weights or a processor.
    """
    path = resolve(reference)
    if not (path / "config.json").is_file():
        raise InputError(f"{path}: no config.json; give a folder saved by save_pretrained")
    if not any(path.glob("*.safetensors")):
        raise InputError(f"{path}: no .safetensors weights; other formats are not read, convert the model first")
    processor = load_processor(path)
    logging.disable_progress_bar()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32)
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            path, config=config, dtype=dtype, local_files_only=True, attn_implementation=attention.NAME
        )
    except (ValueError, OSError, KeyError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: this is no vision-language model that transformers can load ({first})") from error
    _unpack(model)
    accelerate_vision(model)
    return Loaded(model=model.to(device).eval(), processor=processor, path=path)


def _unpack(model: Any) -> None:
    """Unpack compressed weights now: the hook that would do so sits on a forward that the engine goes around."""
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None:
        quantizer.compressor.decompress_model(model)


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
