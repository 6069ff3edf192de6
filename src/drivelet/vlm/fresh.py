"""New small models of a published architecture, with their own tokenizer, saved as any other checkpoint is."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from drivelet.core.model_folder import give_usual_mode
from drivelet.core.ranges import Several, ranged

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The Qwen2.5-VL chat format, without its default system message: twenty tokens that a small model can spare."""

# Words, numbers of up to three digits (so that every speed is one token), runs of other signs, and line breaks.
_PIECES = r"\s*[\r\n]+| ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+"


@dataclass(frozen=True, kw_only=True)
@ranged
class ModelShape:
    """Sizes of a small Qwen2.5-VL.

    `text_hidden` and `text_intermediate` should be multiples of the quantisation group. Images are resized to between
    `min_pixels` and `max_pixels` with sides of a multiple of 28.
    """

    vision_hidden: Several
    vision_depth: Several
    vision_heads: Several
    vision_intermediate: Several
    text_hidden: Several
    text_layers: Several
    text_heads: Several
    text_kv_heads: Several
    text_intermediate: Several
    vocab_size: Several = 2048
    min_pixels: Several = 112 * 112
    max_pixels: Several = 308 * 196

    def config(self, ids: dict[str, int], vocab_size: int) -> Qwen2_5_VLConfig:
        """Return the transformers config of this shape for a tokenizer's special ids."""
        head = self.text_hidden // self.text_heads
        third = head // 2 // 4
        return Qwen2_5_VLConfig(
            text_config={
                "vocab_size": vocab_size,
                "hidden_size": self.text_hidden,
                "intermediate_size": self.text_intermediate,
                "num_hidden_layers": self.text_layers,
                "num_attention_heads": self.text_heads,
                "num_key_value_heads": self.text_kv_heads,
                "max_position_embeddings": 4096,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10000.0,
                    "mrope_section": [head // 2 - 2 * (third + third // 2), third + third // 2, third + third // 2],
                },
                "bos_token_id": ids["<|endoftext|>"],
                "eos_token_id": ids["<|im_end|>"],
                "pad_token_id": ids["<|endoftext|>"],
            },
            vision_config={
                "depth": self.vision_depth,
                "hidden_size": self.vision_hidden,
                "intermediate_size": self.vision_intermediate,
                "num_heads": self.vision_heads,
                "out_hidden_size": self.text_hidden,
                "fullatt_block_indexes": list(range(1, self.vision_depth, 2)),
            },
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
            tie_word_embeddings=True,
        )


def train_tokenizer(corpus: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with Qwen's special tokens and chat format on `corpus`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=4096
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def save_fresh_model(path: Path, shape: ModelShape, *, corpus: Iterable[str], seed: int) -> Path:
    """Save a randomly initialised model with tokenizer and image processor; equal arguments give equal files."""
    tokenizer = train_tokenizer(corpus, vocab_size=shape.vocab_size)
    vocabulary = tokenizer.get_vocab()
    ids = {token: vocabulary[token] for token in SPECIAL_TOKENS}
    vocab_size = -(-len(tokenizer) // 64) * 64
    config = shape.config(ids, vocab_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(path)
    give_usual_mode(path)
    tokenizer.save_pretrained(path)
    write_processor_files(path, shape)
    return path


def write_processor_files(path: Path, shape: ModelShape) -> None:
    """Write the image processor's files in the form that both `AutoProcessor` and the torchvision-free path read."""
    image: dict[str, Any] = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "size": {"shortest_edge": shape.min_pixels, "longest_edge": shape.max_pixels},
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (path / "preprocessor_config.json").write_text(json.dumps(image, indent=2) + "\n")
    tokenizer_config = json.loads((path / "tokenizer_config.json").read_text())
    tokenizer_config["processor_class"] = "Qwen2_5_VLProcessor"
    (path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n")
