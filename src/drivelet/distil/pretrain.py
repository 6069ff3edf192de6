"""Pretraining a small model from nothing: answers, and a dense target for every vision token.

Answers alone leave a small model on a plateau where lamp colour and sign value stay at chance; dense targets from the
exact labels of renders break it (LOG.md). The dense heads are linear and dropped afterwards.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from drivelet.core.artifacts import Field
from drivelet.core.images import read_image
from drivelet.core.progress import say
from drivelet.core.rng import generator
from drivelet.distil.views import CELL_HEADS, FRAME_HEADS, FULL_GRID, ZOOM_GRIDS, View, ask, make_view
from drivelet.vlm.answers import answer_branch
from drivelet.vlm.batch import Packed, base_model, collate, head, pack_pixels
from drivelet.vlm.checkpoint import load_checkpoint, save_checkpoint
from drivelet.vlm.load import Loaded, load
from drivelet.vlm.lora import copy_processor

EMPTY_WEIGHT = 0.15
PAD_MULTIPLE = 32
"""Sequence lengths are padded to it: few shapes, so few compiled kernels and little memory."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """How long and how to pretrain; over the last `decay_share` of the steps `dense_weight` and the rate fade to 0."""

    steps: int = 4000
    batch_size: int = 16
    questions: int = 3
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    warmup: int = 150
    decay_share: float = 0.25
    dense_weight: float = 0.5
    zoom_share: float = 0.55
    checkpoint_every: int = 100
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Rendered frames in memory: images (uint8), finished scene records, and gold answers."""

    images: Sequence[np.ndarray]
    scenes: Sequence[Mapping[str, Any]]
    gold: Sequence[Mapping[str, str]]


def read_frames(folders: Sequence[Path], *, gold: Callable[[Mapping[str, Any]], Mapping[str, str]]) -> Frames:
    """Read finished render folders (`frames/`, `scenes.jsonl`)."""
    parts = [_read_folder(folder) for folder in folders]
    scenes = [scene for _, found in parts for scene in found]
    return Frames(
        images=[image for found, _ in parts for image in found], scenes=scenes, gold=[gold(s) for s in scenes]
    )


@cache
def _read_folder(folder: Path) -> tuple[list[np.ndarray], list[Mapping[str, Any]]]:
    scenes = [json.loads(line) for line in (folder / "scenes.jsonl").read_text().splitlines()]
    return [read_image(folder / "frames" / f"{index:06d}.png") for index in range(len(scenes))], scenes


class DenseHeads(nn.Module):
    """Linear read-outs of the merged vision tokens, shape (cells, D), and of their mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cells = nn.ModuleDict({name: nn.Linear(width, size) for name, size in CELL_HEADS.items()})
        self.frame = nn.ModuleDict({name: nn.Linear(width, size) for name, size in FRAME_HEADS.items()})

    def loss(self, tokens_BCD: torch.Tensor, views: Sequence[View]) -> torch.Tensor:
        """Return the sum of the heads' cross-entropies; the empty class of a cell weighs 0.15."""
        losses, device = [], tokens_BCD.device
        for name, layer in self.cells.items():
            target = torch.from_numpy(np.stack([view.cells[name].ravel() for view in views])).flatten().to(device)
            weight = torch.ones(CELL_HEADS[name], device=device)
            weight[0] = EMPTY_WEIGHT
            losses.append(F.cross_entropy(layer(tokens_BCD).flatten(0, 1).float(), target, weight=weight))
        pooled_BD = tokens_BCD.mean(1)
        for name, layer in self.frame.items():
            target = torch.tensor([view.frame[name] for view in views], device=device)
            if bool((target >= 0).any()):
                losses.append(0.5 * F.cross_entropy(layer(pooled_BD).float(), target, ignore_index=-1))
        return torch.stack(losses).sum()


def pretrain(
    config: PretrainConfig,
    *,
    model: Path,
    frames: Callable[[], Frames],
    fields: Mapping[str, Field],
    out: Path,
    checkpoint: Path,
) -> Path:
    """Train every weight of `model` on `frames`, resume from `checkpoint`, save to `out`.

    `frames` is called again from time to time, so that training can start while rendering goes on.
    """
    torch.manual_seed(config.seed)
    loaded = load(model, dtype=torch.float32)
    loaded.model.train()
    heads = DenseHeads(loaded.model.config.text_config.hidden_size).to(loaded.device)
    parameters = {**dict(loaded.model.named_parameters()), **{f"dense.{n}": p for n, p in heads.named_parameters()}}
    optimizer = _optimizer(config, parameters)
    step = load_checkpoint(checkpoint, parameters=parameters, optimizer=optimizer)
    pool = frames()
    averages: dict[str, float] = {}
    for number in range(step, config.steps):
        if number % 200 == 0:
            pool = frames()
        rate = _rate(config, number)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate
        packed, targets, views = _batch(config, loaded, pool, fields, number)
        answer, dense = _losses(loaded, heads, packed, targets, views)
        decay_start = config.steps * (1 - config.decay_share)
        fade = min(1.0, (config.steps - number) / (config.steps - decay_start))
        (answer + config.dense_weight * fade * dense).backward()
        nn.utils.clip_grad_norm_(list(parameters.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in (("answer", answer.detach()), ("dense", dense.detach())):
            averages[name] = 0.98 * averages.get(name, float(value)) + 0.02 * float(value)
        if (number + 1) % config.checkpoint_every == 0 or number + 1 == config.steps:
            save_checkpoint(checkpoint, parameters=parameters, optimizer=optimizer, step=number + 1)
            say(f"step {number + 1}/{config.steps}  answer {averages['answer']:.3f}  dense {averages['dense']:.3f}"
                f"  frames {len(pool.images)}")  # fmt: skip
    return save_model(loaded, out)


def save_model(loaded: Loaded, out: Path) -> Path:
    """Save weights in bfloat16 with tokenizer and image processor files beside them."""
    out.mkdir(parents=True, exist_ok=True)
    copy_processor(loaded.path, out)
    loaded.model.to(torch.bfloat16).save_pretrained(out)
    return out


def _optimizer(config: PretrainConfig, parameters: Mapping[str, nn.Parameter]) -> torch.optim.AdamW:
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    vectors = [p for p in parameters.values() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def _rate(config: PretrainConfig, step: int) -> float:
    """Warm-up, a flat stretch, and a linear decay to 2% over the last `decay_share`."""
    decay_steps = max(int(config.steps * config.decay_share), 1)
    return min(1.0, (step + 1) / config.warmup, max(0.02, (config.steps - step) / decay_steps))


def _batch(
    config: PretrainConfig, loaded: Loaded, pool: Frames, fields: Mapping[str, Field], step: int
) -> tuple[Packed, list[tuple[int, int, int]], list[View]]:
    """Return a packed batch of one grid, (row, position, token) of every answer token, and the views."""
    rng = generator(config.seed, "pretrain", step)
    zoom = rng.random() < config.zoom_share
    grid = ZOOM_GRIDS[int(rng.integers(len(ZOOM_GRIDS)))] if zoom else FULL_GRID
    size = config.batch_size * (2 if zoom else 1)
    items, targets, views = [], [], []
    for row, index in enumerate(rng.integers(len(pool.images), size=size)):
        view = make_view(rng, pool.images[index], pool.scenes[index], pool.gold[index], grid=grid)
        other = pool.scenes[int(rng.integers(len(pool.scenes)))]["sensor"]
        asked = ask(rng, view, fields, count=config.questions, sensor=pool.scenes[index]["sensor"], other_sensor=other)
        branches = [answer_branch(loaded.processor, text, answer) for text, answer in asked]
        item = pack_pixels(loaded, *loaded.processor.pixels(view.image), [nodes for nodes, _ in branches])
        start = int((item.branch_BL == -1).sum())
        for nodes, length in branches:
            start += len(nodes)
            targets += [(row, start - k - 1, nodes[-k].token) for k in range(length, 0, -1)]
        items.append(item)
        views.append(view)
    return collate(items, multiple=PAD_MULTIPLE), targets, views


def _losses(
    loaded: Loaded, heads: DenseHeads, packed: Packed, targets: list[tuple[int, int, int]], views: list[View]
) -> tuple[torch.Tensor, torch.Tensor]:
    device = loaded.device
    rows, positions, tokens = (torch.tensor(column, device=device) for column in zip(*targets, strict=True))
    captured: list[torch.Tensor] = []
    body = base_model(loaded.model)
    hook = body.visual.register_forward_hook(lambda module, inputs, output: captured.append(output.pooler_output))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        hidden_BLD = body(**packed.to(device).model_inputs(), use_cache=False).last_hidden_state
        logits_NV = head(loaded.model)(hidden_BLD[rows, positions])
        hook.remove()
        tokens_BCD = captured[0].unflatten(0, (len(views), -1))
        dense = heads.loss(tokens_BCD, views)
    return F.cross_entropy(logits_NV.float(), tokens), dense
