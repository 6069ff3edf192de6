"""Pixels and tokens for a Qwen-style chat model, with or without torchvision.

`AutoProcessor` needs torchvision for this model family. Where torchvision is missing, the same tokenizer and the same
image arithmetic are put together here from the parts that do not need it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils.import_utils import is_torchvision_available

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.model_folder import told

IMAGE_TOKEN = "<|image_pad|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
MAX_ASPECT = 190
"""Qwen's image processors refuse 200 and more."""
MARK = "\N{OBJECT REPLACEMENT CHARACTER}"


@dataclass(frozen=True, kw_only=True)
class ChatProcessor:
    """A tokenizer with a chat template, and an image processor.

    `prefix` and `suffix` are what the template puts before the image and after the user's text: a question is
    `prefix + image + text + suffix`, and the answer ends with `end_id`.
    """

    tokenizer: Any
    image_processor: Any
    prefix_ids: tuple[int, ...]
    suffix_ids: tuple[int, ...]
    end_id: int
    image_token_id: int

    def pixels(self, image: ImageArray, *, resize: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `pixel_values`, shape (patches, channels * 2 * patch * patch), and `image_grid_thw`, shape (1, 3).

        Without `resize` the image keeps its size, whose sides are multiples of the merged patch. An image too thin for
        the model gets its own edge repeated.
        """
        height, width = allowed_size(*image.shape[:2])
        if (height, width) != image.shape[:2]:
            image = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)), mode="edge")
        # Said, not guessed: a picture of one or three rows would be taken for one of so many channels.
        batch = self.image_processor(
            images=[np.ascontiguousarray(image)],
            return_tensors="pt",
            do_resize=resize,
            input_data_format="channels_last",
        )
        return batch["pixel_values"], batch["image_grid_thw"]

    def tokens(self, text: str) -> tuple[int, ...]:
        """Return the ids of `text`, no special tokens added."""
        return _tokens(self.tokenizer, text)

    def num_image_tokens(self, grid_thw: torch.Tensor) -> int:
        """Return how many merged vision tokens an image with this grid takes."""
        return int(grid_thw.prod()) // self.image_processor.merge_size**2

    def num_tokens_of_size(self, height: int, width: int) -> int:
        """Return how many merged vision tokens an image of this size takes."""
        patches = self.image_processor.get_number_of_image_patches(*allowed_size(height, width))
        return patches // self.image_processor.merge_size**2


def allowed_size(height: int, width: int) -> tuple[int, int]:
    """Return the size that an image is padded to: the same but for images more than `MAX_ASPECT` times as long as wide.

    Units: pixels.
    """
    return max(height, -(-width // MAX_ASPECT)), max(width, -(-height // MAX_ASPECT))


@lru_cache(maxsize=65536)
def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def load_processor(path: Path) -> ChatProcessor:
    """Load the tokenizer and image processor that a model folder carries.

    Raises:
        InputError: the folder lacks tokenizer, chat template or image processor files.
    """
    for name, options in _NEEDED.items():
        if not any((path / option).is_file() for option in options):
            raise InputError(
                f"{path}: the model folder has no {name} ({' or '.join(options)}); save the processor there"
            )
    with told(path, "its tokenizer, chat template or image processor cannot be read"):
        tokenizer, image_processor = _parts(path)
        prefix, suffix = _template_parts(tokenizer)
        processor = ChatProcessor(
            tokenizer=tokenizer,
            image_processor=image_processor,
            prefix_ids=_tokens(tokenizer, prefix),
            suffix_ids=_tokens(tokenizer, suffix),
            end_id=tokenizer.eos_token_id,
            image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        )
    if processor.end_id is None or processor.image_token_id in (None, tokenizer.unk_token_id):
        raise InputError(f"{path}: the tokenizer lacks its end token or {IMAGE_TOKEN}; save the model's own there")
    return processor


def _parts(path: Path) -> tuple[Any, Any]:
    """Load tokenizer and image processor; code that a folder brings is never run."""
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if is_torchvision_available():
        from transformers import AutoProcessor

        processor = AutoProcessor.from_pretrained(path, **local)
        tokenizer, image_processor = processor.tokenizer, processor.image_processor
        tokenizer.chat_template = tokenizer.chat_template or processor.chat_template
    else:
        tokenizer = AutoTokenizer.from_pretrained(path, **local)
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(path, **local)
    return tokenizer, image_processor


_NEEDED = {
    "tokenizer": ("tokenizer.json",),
    "image processor": ("preprocessor_config.json", "processor_config.json"),
    "chat template": ("chat_template.jinja", "tokenizer_config.json"),
}


def _template_parts(tokenizer: Any) -> tuple[str, str]:
    """Split the rendered chat template around the image and the user's text."""
    if not tokenizer.chat_template:
        raise InputError(f"{tokenizer.name_or_path}: the tokenizer has no chat template; add chat_template.jinja there")
    content = [{"type": "image"}, {"type": "text", "text": MARK}]
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    head, _, tail = chat.partition(IMAGE_TOKEN)
    between, mark, suffix = tail.partition(MARK)
    if not mark or between != VISION_END:
        raise InputError(
            f"{tokenizer.name_or_path}: the chat template does not put the image before the text; "
            "use a Qwen-VL style template"
        )
    return head, suffix
