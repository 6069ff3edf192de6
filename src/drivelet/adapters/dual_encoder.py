"""Pictures and text in one space, by any CLIP- or SigLIP-like model of transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging
from transformers.utils.import_utils import is_torchvision_available

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite
from drivelet.core.flow import digest_text, identify
from drivelet.core.model_folder import check_folder, check_loaded, read_settings, told

TOWERS = ("get_image_features", "get_text_features")


class DualEncoder:
    """An image tower and a text tower with one space (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023).

    Implements `core.ports.Embedder`.

    Args:
        path: a folder saved by `save_pretrained`: model, tokenizer and image processor.

    Raises:
        InputError: the folder lacks one of them, or holds a model without the two towers.
    """

    def __init__(self, path: Path) -> None:
        logging.disable_progress_bar()
        check_folder(path)
        if not (path / "tokenizer.json").is_file():
            # Without it transformers makes a tokenizer that knows no word, and says nothing.
            raise InputError(f"{path}: the model folder has no tokenizer.json; save the tokenizer there")
        self._pixels = _image_processor(path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with told(path, "this is no model that transformers can load"):
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
            model: Any
            model, info = AutoModel.from_pretrained(
                path,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
            check_loaded(path, info)
        check_finite(path, model.state_dict().items())
        if not all(hasattr(model, tower) for tower in TOWERS):
            raise InputError(
                f"{path}: {type(model).__name__} has no image and text towers; give a CLIP or SigLIP model"
            )
        self._model = model.to(device).eval()
        self.name = f"{path.name}-{digest_text(str(identify(path)))[:12]}"

    @torch.inference_mode()
    def embed_images(self, images: Sequence[ImageArray]) -> NDArray[np.float32]:
        """Return a unit vector an image, shape (images, D)."""
        batch = self._pixels(images=[np.ascontiguousarray(image) for image in images], return_tensors="pt")
        return _unit(self._model.get_image_features(**batch.to(self._model.device)))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a unit vector a text, shape (texts, D); what is beyond the tower's length is cut off."""
        longest = self._model.config.text_config.max_position_embeddings
        # SigLIP learned on texts padded to the full length; CLIP masks the padding and is indifferent to it.
        batch = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt"
        )
        return _unit(self._model.get_text_features(**batch.to(self._model.device)))


def _unit(features: Any) -> NDArray[np.float32]:
    values_BD = getattr(features, "pooler_output", features)
    return torch.nn.functional.normalize(values_BD.float(), dim=1).cpu().numpy()


def _image_processor(path: Path) -> Any:
    """Load the image processor; where torchvision is missing, the class of the same arithmetic on PIL.

    transformers' `AutoImageProcessor` cannot be used at all without torchvision.
    """
    found = [path / name for name in ("preprocessor_config.json", "processor_config.json") if (path / name).is_file()]
    if not found:
        raise InputError(f"{path}: the model folder has no preprocessor_config.json; save the image processor there")
    if is_torchvision_available():
        return transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    settings = read_settings(found[0])
    kind = str(settings.get("image_processor", settings).get("image_processor_type", ""))
    name = kind.removesuffix("Fast").removesuffix("Pil") + "Pil"
    if not kind or not hasattr(transformers, name):
        raise InputError(f"{found[0]}: image processor {kind or '(none named)'} needs torchvision; install torchvision")
    return getattr(transformers, name).from_pretrained(path, local_files_only=True, trust_remote_code=False)
