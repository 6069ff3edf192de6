"""Pretraining a small model from nothing: answers, and a dense target for every vision token.

Answers alone leave a small model on a plateau where lamp colour and sign value stay at chance; dense targets from the
exact labels of renders break it (LOG.md). The dense heads are linear and dropped afterwards.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from drivelet.core.artifacts import Field
from drivelet.core.finite import BROKEN, check_finite, check_step
from drivelet.core.images import read_image
from drivelet.core.model_folder import give_usual_mode
from drivelet.core.progress import say
from drivelet.core.ranges import Amount, Count, Positive, Seed, Several, Share, ranged
from drivelet.core.rng import generator
from drivelet.distil.views import (
    CELL_HEADS,
    CROP_GRID,
    FRAME_HEADS,
    FULL_GRID,
    ZOOM_GRIDS,
    View,
    ask,
    make_view,
    sign_sheet,
)  # fmt: skip
from drivelet.vlm.answers import answer_branch
from drivelet.vlm.batch import Packed, base_model, collate, head, pack_pixels
from drivelet.vlm.checkpoint import load_checkpoint, save_checkpoint
from drivelet.vlm.load import Loaded, load
from drivelet.vlm.lora import copy_processor
from drivelet.vlm.parallel import average_gradients, process_rank

EMPTY_WEIGHT = 0.15
SIGN = "speed_limit.posted"
EASY_SHARE = 0.7
"""Share of the vision phase over which sign sheets grow from aligned to anywhere."""
SIGN_WEIGHT = 4.0
"""Digits are learned last: among a dozen other losses their gradient would be lost."""
PAD_MULTIPLE = 32
"""Sequence lengths are padded to it: few shapes, so few compiled kernels and little memory."""


@dataclass(frozen=True, kw_only=True)
@ranged
class PretrainConfig:
    """How long and how to pretrain; over the last `decay_share` of the steps `dense_weight` and the rate fade to 0.

    Attributes:
        vision_steps: first steps, which train the vision tower alone, on `batch_size` crops and three times as many
            sign sheets.
        vision_share: share of such steps among the later ones.
        batch_size: whole frames in a batch; of crops, twice as many.
        questions: at most so many an image.
        zoom_share: share of batches of crops.
        sign_styles: styles of the drawn signs.
        grid: columns and rows of cells (28 px) of a whole frame, as the model's image processor makes them.
    """

    steps: Count = 4000
    vision_steps: Count = 1000
    vision_share: Share = 0.2
    batch_size: Several = 16
    questions: Several = 4
    learning_rate: Positive = 2e-3
    weight_decay: Amount = 0.05
    warmup: Count = 100
    decay_share: Share = 0.3
    dense_weight: Amount = 0.5
    zoom_share: Share = 0.5
    sign_styles: tuple[str, ...] = ("ring", "plate")
    grid: tuple[Several, Several] = FULL_GRID
    checkpoint_every: Several = 100
    seed: Seed = 0


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
    """Linear read-outs of the merged vision tokens (cells), of their mean (frame), and of both for every field.

    A field reads the mean of the tokens and a mean weighted by its own attention, so that an object's few tokens can
    answer it as well as a count of many.
    """

    def __init__(self, width: int, fields: Mapping[str, Field]) -> None:
        super().__init__()
        self.choices = {name: field.choices for name, field in fields.items()}
        self.cells = nn.ModuleDict({name: nn.Linear(width, size) for name, size in CELL_HEADS.items()})
        self.frame = nn.ModuleDict({name: nn.Linear(width, size) for name, size in FRAME_HEADS.items()})
        self.look = nn.Linear(width, len(fields))
        self.fields = nn.ModuleList([nn.Linear(2 * width, len(kept)) for kept in self.choices.values()])

    def loss(self, tokens_BCD: torch.Tensor, views: Sequence[View]) -> torch.Tensor:
        """Return the sum of the heads' cross-entropies; the empty class of a cell weighs 0.15."""
        device = tokens_BCD.device
        losses = list(self._field_losses(tokens_BCD, tokens_BCD.mean(1), views))
        for name, layer in self.cells.items():
            target = torch.from_numpy(np.stack([view.cells[name].ravel() for view in views])).flatten().to(device)
            weight = torch.ones(CELL_HEADS[name], device=device)
            weight[0] = EMPTY_WEIGHT
            if bool((target >= 0).any()):
                read = layer(tokens_BCD).flatten(0, 1).float()
                loss = F.cross_entropy(read, target, weight=weight, ignore_index=-1)
                losses.append(SIGN_WEIGHT * loss if name == "sign" else loss)
        for name, layer in self.frame.items():
            target = torch.tensor([view.frame[name] for view in views], device=device)
            if bool((target >= 0).any()):
                losses.append(0.5 * F.cross_entropy(layer(tokens_BCD.mean(1)).float(), target, ignore_index=-1))
        return torch.stack(losses).sum()

    def _field_losses(
        self, tokens_BCD: torch.Tensor, pooled_BD: torch.Tensor, views: Sequence[View]
    ) -> Iterator[torch.Tensor]:
        focus_BFC = self.look(tokens_BCD).float().softmax(1).mT.to(tokens_BCD.dtype)
        focused_BFD = focus_BFC @ tokens_BCD
        for index, (name, choices) in enumerate(self.choices.items()):
            target = [choices.index(view.answers[name]) if name in view.answers else -1 for view in views]
            if max(target) >= 0:
                read = self.fields[index](torch.cat([focused_BFD[:, index], pooled_BD], -1)).float()
                yield F.cross_entropy(read, torch.tensor(target, device=read.device), ignore_index=-1)


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

    The first `vision_steps` train the vision tower alone, on crops and dense targets. `frames` is called again from
    time to time, so that training can start while rendering goes on. In a process group (torchrun) every process takes
    a batch of its own, and the first one writes.
    """
    torch.manual_seed(config.seed)
    loaded = load(model, dtype=torch.float32)
    loaded.model.train()
    heads = DenseHeads(loaded.model.config.text_config.hidden_size, fields).to(loaded.device)
    parameters = {**dict(loaded.model.named_parameters()), **{f"dense.{n}": p for n, p in heads.named_parameters()}}
    optimizers = _optimizers(config, parameters)
    pool = frames()
    averages: dict[str, float] = {}
    for number in range(load_checkpoint(checkpoint, parameters=parameters, optimizers=optimizers), config.steps):
        if number % 100 == 0:
            pool = frames()
        losses = _step_losses(config, loaded, heads, pool, fields, number)
        loss = torch.stack(list(losses.values())).sum()
        loss.backward()
        average_gradients(list(parameters.values()))
        norm = nn.utils.clip_grad_norm_(list(parameters.values()), 1.0)
        check_step(model, number + 1, loss=loss.detach(), gradient=norm)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _rate(config, number)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for name, value in losses.items():
            averages[name] = 0.98 * averages.get(name, float(value.detach())) + 0.02 * float(value.detach())
        if process_rank() == 0 and ((number + 1) % config.checkpoint_every == 0 or number + 1 == config.steps):
            save_checkpoint(checkpoint, parameters=parameters, optimizers=optimizers, step=number + 1)
            told = "  ".join(f"{name} {value:.3f}" for name, value in averages.items())
            say(f"step {number + 1}/{config.steps}  {told}  frames {len(pool.images)}")
    return save_model(loaded, out) if process_rank() == 0 else out


def save_model(loaded: Loaded, out: Path) -> Path:
    """Save weights in bfloat16 with tokenizer and image processor files beside them."""
    check_finite(f"{loaded.path} after training", loaded.model.named_parameters(), advice=BROKEN)
    out.mkdir(parents=True, exist_ok=True)
    copy_processor(loaded.path, out)
    loaded.model.to(torch.bfloat16).save_pretrained(out)
    give_usual_mode(out)
    return out


def _optimizers(config: PretrainConfig, parameters: Mapping[str, nn.Parameter]) -> list[torch.optim.Optimizer]:
    """Muon (K. Jordan et al., 2024) for the matrices inside the layers, AdamW for everything else."""
    inner = [p for name, p in parameters.items() if p.ndim == 2 and (".layers." in name or ".blocks." in name)]
    chosen = {id(p) for p in inner}
    others = [p for p in parameters.values() if id(p) not in chosen]
    return [
        torch.optim.Muon(
            inner, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _rate(config: PretrainConfig, step: int) -> float:
    """Warm-up, a flat stretch, and a linear decay to 2% over the last `decay_share`."""
    decay_steps = max(int(config.steps * config.decay_share), 1)
    return min(1.0, (step + 1) / config.warmup, max(0.02, (config.steps - step) / decay_steps))


def _step_losses(
    config: PretrainConfig, loaded: Loaded, heads: DenseHeads, pool: Frames, fields: Mapping[str, Field], step: int
) -> dict[str, torch.Tensor]:
    """Return the weighted losses of a step by name; a step of the first phase has no answers."""
    rng = generator(config.seed, "pretrain", step)
    own = generator(config.seed, "views", step, process_rank())
    if step < config.vision_steps or rng.random() < config.vision_share:
        ease = max(0.0, 1 - step / (EASY_SHARE * max(config.vision_steps, 1)))
        views = _crops_and_sheets(config, own, pool, ease)
        return {"vision": _fade(config, step) * _vision_loss(loaded, heads, views)}
    zoom = rng.random() < config.zoom_share
    grid = _zoom_grid(rng) if zoom else config.grid
    drawn = _views(config, own, pool, grid=grid, size=config.batch_size * (2 if zoom else 1))
    packed, targets = _pack(config, own, loaded, pool, fields, drawn)
    answer, dense = _losses(loaded, heads, packed, targets, [view for _, view in drawn])
    return {"answer": answer, "dense": config.dense_weight * _fade(config, step) * dense}


def _fade(config: PretrainConfig, step: int) -> float:
    return min(1.0, (config.steps - step) / max(config.steps * config.decay_share, 1))


def _crops_and_sheets(config: PretrainConfig, rng: np.random.Generator, pool: Frames, ease: float) -> list[View]:
    """Return `batch_size` crops and three times as many sign sheets."""
    views = [view for _, view in _views(config, rng, pool, grid=CROP_GRID, size=config.batch_size)]
    bare = [image for image, gold in zip(pool.images, pool.gold, strict=True) if gold[SIGN] == "none"]
    for number in rng.integers(len(bare), size=3 * config.batch_size if bare else 0).tolist():
        views.append(sign_sheet(rng, bare[number], grid=CROP_GRID, styles=config.sign_styles, ease=ease))
    return views


def _zoom_grid(rng: np.random.Generator) -> tuple[int, int]:
    return ZOOM_GRIDS[int(rng.integers(len(ZOOM_GRIDS)))]


def _views(
    config: PretrainConfig, rng: np.random.Generator, pool: Frames, *, grid: tuple[int, int], size: int
) -> list[tuple[int, View]]:
    """Return `size` views of one grid, each with the number of its frame."""
    drawn = []
    for index in rng.integers(len(pool.images), size=size).tolist():
        known = pool.images[index], pool.scenes[index], pool.gold[index]
        drawn.append((index, make_view(rng, *known, grid=grid, full=config.grid, sign_styles=config.sign_styles)))
    return drawn


def _pack(
    config: PretrainConfig,
    rng: np.random.Generator,
    loaded: Loaded,
    pool: Frames,
    fields: Mapping[str, Field],
    drawn: Sequence[tuple[int, View]],
) -> tuple[Packed, list[tuple[int, int, int]]]:
    """Return the views with their questions, packed, and (row, position, token) of every answer token."""
    items, targets = [], []
    for row, (index, view) in enumerate(drawn):
        other = pool.scenes[int(rng.integers(len(pool.scenes)))]["sensor"]
        asked = ask(rng, view, fields, count=config.questions, sensor=pool.scenes[index]["sensor"], other_sensor=other)
        branches = [answer_branch(loaded.processor, text, answer) for text, answer in asked]
        item = pack_pixels(loaded, *loaded.processor.pixels(view.image, resize=False), [nodes for nodes, _ in branches])
        start = int((item.branch_BL == -1).sum())
        for nodes, length in branches:
            start += len(nodes)
            targets += [(row, start - k - 1, nodes[-k].token) for k in range(length, 0, -1)]
        items.append(item)
    return collate(items, multiple=PAD_MULTIPLE), targets


def _vision_loss(loaded: Loaded, heads: DenseHeads, views: Sequence[View]) -> torch.Tensor:
    parts = [loaded.processor.pixels(view.image, resize=False) for view in views]
    pixels, grid_thw = (torch.cat(column).to(loaded.device) for column in zip(*parts, strict=True))
    with torch.autocast(loaded.device.type, dtype=torch.bfloat16):
        tokens = base_model(loaded.model).visual(pixels, grid_thw=grid_thw).pooler_output
        return heads.loss(tokens.unflatten(0, (len(views), -1)), views)


def _losses(
    loaded: Loaded,
    heads: DenseHeads,
    packed: Packed,
    targets: Sequence[tuple[int, int, int]],
    views: Sequence[View],
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
