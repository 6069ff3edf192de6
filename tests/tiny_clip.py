"""A tiny CLIP with random weights, saved as any checkpoint is."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

WORDS = ("red", "green", "lamp", "cone")
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


def save_clip(path: Path, *, seed: int = 0) -> Path:
    """Save model, tokenizer (whole words) and image processor; vectors have 16 dimensions."""
    torch.manual_seed(seed)
    marks = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    text = {**SHAPE, **marks, "vocab_size": 3 + len(WORDS), "max_position_embeddings": 8}
    vision = {**SHAPE, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(path)
    vocabulary = {word: index for index, word in enumerate(("<pad>", "<s>", "</s>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<pad>"
    ).save_pretrained(path)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    transformers.CLIPImageProcessorPil(**size).save_pretrained(path)
    return path
