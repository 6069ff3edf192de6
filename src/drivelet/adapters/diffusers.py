"""Text-to-image through diffusers: any local pipeline that `AutoPipelineForText2Image` loads."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from drivelet.core.artifacts import ImageArray, Painted
from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite
from drivelet.core.model_folder import check_loaded, give_usual_mode, read_settings, told

ADAPTER = "drivelet"
WEIGHTS = "pytorch_lora_weights.safetensors"
Precision = Literal["float32", "bfloat16"]


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


def load_pipeline(path: Path, *, precision: Precision = "float32") -> Any:
    """Load a text-to-image pipeline from a folder of safetensors, with no remote code and no network.

    Args:
        precision: of all weights; FLUX and SD3 fit a card in `bfloat16` only.

    Raises:
        InputError: the folder is no diffusers pipeline, or its weights are missing, unknown, NaN or infinite.
    """
    if not (path / "model_index.json").is_file():
        raise InputError(f"{path}: no diffusers pipeline (model_index.json is missing); give a pipeline folder")
    with quiet():
        import torch
        from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image

        kept: dict[str, Any] = {
            "local_files_only": True,
            "use_safetensors": True,
            "torch_dtype": getattr(torch, precision),
        }
        with told(path, "the pipeline cannot be loaded; give a whole pipeline folder"):
            models = _models(path, kept)
            pipeline = AutoPipelineForText2Image.from_pretrained(str(path), trust_remote_code=False, **kept, **models)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")


def _models(path: Path, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Load the pipeline's networks one by one, so that each says which of its weights are missing or unknown."""
    import torch

    models: dict[str, Any] = {}
    for name, kind in read_settings(path / "model_index.json").items():
        library, what = kind if isinstance(kind, list) and len(kind) == 2 else (None, None)
        made = getattr(import_module(library), str(what), None) if library in ("diffusers", "transformers") else None
        if isinstance(made, type) and issubclass(made, torch.nn.Module):
            loading: Any = made
            model, info = loading.from_pretrained(str(path / name), output_loading_info=True, **kept)
            check_loaded(path / name, info)
            check_finite(path / name, model.state_dict().items())
            models[name] = model
    return models


def save_pipeline(pipeline: Any, out: Path, *, half: bool = False) -> Path:
    """Write a pipeline folder; `half` stores 16-bit weights. Loading gives 32-bit weights either way."""
    import torch

    with quiet():
        pipeline.to(dtype=torch.float16 if half else torch.float32).save_pretrained(out, safe_serialization=True)
        pipeline.to(dtype=torch.float32)
    give_usual_mode(out)
    return out


class DiffusersPainter:
    """A `Painter` over a local diffusers pipeline, optionally with a LoRA folder written by `train_lora`.

    Args:
        path: the pipeline folder.
        lora: a LoRA folder, or None.
        steps: sampler steps.
        guidance: classifier-free guidance scale; for FLUX what its guidance embedding is told.
        size: side of the pictures in pixels; the pipeline's own where None.
        batch_size: images a forward; part of what makes equal seeds give equal images.
    """

    def __init__(
        self,
        path: Path,
        *,
        lora: Path | None = None,
        steps: int = 10,
        guidance: float = 2.0,
        size: int | None = None,
        batch_size: int = 16,
        precision: Precision = "float32",
    ) -> None:
        self.path = path
        self.steps, self.guidance, self.size, self.batch_size = steps, guidance, size, batch_size
        self._pipeline = load_pipeline(path, precision=precision)
        if lora is not None:
            load_lora(self._pipeline, lora)

    def paint(self, captions: Sequence[str], *, seeds: Sequence[int]) -> list[Painted]:
        """Return one picture a caption; every picture has a noise stream of its own seed.

        A pipeline with a safety checker blackens what it refuses; such a picture is marked `unsafe`.
        """
        import torch

        painted: list[Painted] = []
        for start in range(0, len(captions), self.batch_size):
            part = slice(start, start + self.batch_size)
            streams = [torch.Generator().manual_seed(int(seed) % 2**63) for seed in seeds[part]]
            with torch.inference_mode(), quiet():
                made = self._pipeline(
                    list(captions[part]),
                    height=self.size,
                    width=self.size,
                    num_inference_steps=self.steps,
                    guidance_scale=self.guidance,
                    generator=streams,
                    output_type="np",
                )
            images = (np.clip(made.images, 0, 1) * 255).round().astype(np.uint8)
            refused = getattr(made, "nsfw_content_detected", None) or [False] * len(images)
            painted += [Painted(image=i, unsafe=bool(no)) for i, no in zip(images, refused, strict=True)]
        return painted

    def images(self, captions: Sequence[str], *, seeds: Sequence[int]) -> list[ImageArray]:
        """Return what `paint` does as pictures alone."""
        return [painted.image for painted in self.paint(captions, seeds=seeds)]


def load_lora(pipeline: Any, folder: Path) -> None:
    """Put the LoRA weights of `folder` onto the pipeline's denoiser.

    Raises:
        InputError: there are no LoRA weights in `folder`, or they do not fit the pipeline.
    """
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: no LoRA weights here; give a folder that the paint loop wrote")
    with quiet(), told(folder, "the LoRA weights do not fit the pipeline"):
        pipeline.load_lora_weights(str(folder), weight_name=WEIGHTS, adapter_name=ADAPTER)
