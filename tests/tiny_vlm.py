"""A tiny Qwen2.5-VL with its own tokenizer, saved as any checkpoint is, and the same after learning four pictures."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from drivelet.core.artifacts import ImageArray, Question
from drivelet.vlm.answers import training_branch
from drivelet.vlm.batch import collate, head, hidden_states, pack
from drivelet.vlm.fresh import ModelShape, save_fresh_model
from drivelet.vlm.load import Loaded, load

TINY = ModelShape(
    vision_hidden=32, vision_depth=2, vision_heads=2, vision_intermediate=64,
    text_hidden=64, text_layers=2, text_heads=2, text_kv_heads=1, text_intermediate=128,
    vocab_size=320, min_pixels=56 * 56, max_pixels=308 * 196,
)  # fmt: skip
LAMP = ("red", "green", "none", "unknown")
SIGN = ("5", "50", "none", "unknown")
LAMP_TEXT, SIGN_TEXT = "Lamp?", "Limit?"
CORPUS = ["user\n", "assistant\n", *[f"{word} {LAMP_TEXT} {SIGN_TEXT}" for word in ("red", "green", "none")] * 3]
Lessons = Sequence[tuple[tuple[int, int, int], str, str]]
LESSONS: Lessons = (
    ((220, 20, 20), "red", "5"),
    ((20, 200, 40), "green", "50"),
    ((90, 90, 90), "none", "none"),
    ((20, 20, 220), "unknown", "50"),
)
"""(colour of the picture, its lamp, its sign)."""


def save_tiny(path: Path, *, seed: int = 0) -> Path:
    """Save a tiny model with random weights; its tokenizer knows few words and splits every number into digits."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return save_fresh_model(path, TINY, corpus=CORPUS, seed=seed)


def solid(colour: tuple[int, int, int], *, height: int = 56, width: int = 56) -> ImageArray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def noise(seed: int, *, height: int = 56, width: int = 56) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def questions() -> list[Question]:
    return [
        Question(field="lamp", text=LAMP_TEXT, choices=LAMP),
        Question(field="sign", text=SIGN_TEXT, choices=SIGN),
    ]


def teach(loaded: Loaded, lessons: Lessons = LESSONS) -> Loaded:
    """Overfit the model on solid pictures until it spells every answer greedily."""
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=3e-3, weight_decay=0.0)
    items, rows, positions, tokens = [], [], [], []
    for row, (colour, lamp, sign) in enumerate(lessons):
        branches = [
            training_branch(loaded.processor, LAMP_TEXT, LAMP, lamp),
            training_branch(loaded.processor, SIGN_TEXT, SIGN, sign),
        ]
        item = pack(loaded, solid(colour), [branch.nodes for branch in branches])
        start = int((item.branch_BL == -1).sum())
        for branch in branches:
            positions += [start + node for node in branch.path]
            tokens += branch.tokens
            rows += [row] * len(branch.path)
            start += len(branch.nodes)
        items.append(item)
    packed, target = collate(items), torch.tensor(tokens)
    for _ in range(300):
        logits = head(loaded.model)(hidden_states(loaded.model, packed)[rows, positions])
        F.cross_entropy(logits, target).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if float(logits.detach().softmax(-1)[range(len(tokens)), target].min()) > 0.9:
            return loaded
    raise AssertionError("the tiny model did not learn its four pictures")


def save_taught(source: Path, out: Path, *, lessons: Lessons = LESSONS) -> Path:
    """Save a copy of the tiny model that knows its lessons, in float32."""
    shutil.copytree(source, out)
    model: Any = teach(load(source, dtype=torch.float32), lessons).model
    model.save_pretrained(out)
    return out


def full_logits(loaded: Loaded, image: ImageArray, text: str, answer: Sequence[int] = ()) -> torch.Tensor:
    """Return the logits (L, V) of one ordinary conversation, by the model's own forward and its own positions."""
    processor = loaded.processor
    prefix = pack(loaded, image, []).input_ids_BL[0].tolist()
    ids = torch.tensor([[*prefix, *processor.tokens(text), *processor.suffix_ids, *answer]])
    pixel_values, grid_thw = processor.pixels(image)
    with torch.inference_mode():
        return loaded.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == processor.image_token_id).int(),
            pixel_values=pixel_values,
            image_grid_thw=grid_thw,
        ).logits[0]
