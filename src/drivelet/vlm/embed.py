"""Vectors of pictures from a vision-language model's own eye."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.core.flow import digest_text, identify
from drivelet.vlm.load import Loaded, load


class VisionEmbedder:
    """The mean of the merged vision tokens, at unit length: what the language model gets to see of a picture.

    Implements `core.ports.Embedder`. It shares no space with text, so it embeds none.
    """

    embed_texts = None

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.name = f"{loaded.path.name}-{digest_text(str(identify(loaded.path)))[:12]}"

    @classmethod
    def from_pretrained(cls, reference: str | Path) -> "VisionEmbedder":
        """Load a model folder (or hub id) and wrap it.

        Raises:
            InputError: as `vlm.load.load`.
        """
        return cls(load(reference))

    @torch.inference_mode()
    def embed_images(self, images: Sequence[ImageArray]) -> NDArray[np.float32]:
        """Return a unit vector an image, shape (images, hidden size of the language model)."""
        model, processor = self._loaded.model, self._loaded.processor
        parts = [processor.pixels(image) for image in images]
        pixel_values = torch.cat([pixels for pixels, _ in parts]).to(self._loaded.device)
        grid_B3 = torch.cat([grid for _, grid in parts]).to(self._loaded.device)
        tokens = model.model.get_image_features(pixel_values, grid_B3).pooler_output
        means_BD = torch.stack([tokens_TD.float().mean(dim=0) for tokens_TD in tokens])
        return torch.nn.functional.normalize(means_BD, dim=1).cpu().numpy()
