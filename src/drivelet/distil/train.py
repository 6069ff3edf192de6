"""Distil a student with LoRA: the teacher's cached soft labels and the hard labels, one loss, answer tokens only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from drivelet.core.errors import InputError
from drivelet.core.flow import read_json, write_json
from drivelet.core.images import read_image
from drivelet.core.progress import track
from drivelet.core.ranges import Amount, Count, Positive, Seed, Several, Share, ranged
from drivelet.core.rng import derive_seed, generator
from drivelet.core.tables import read_rows
from drivelet.distil.loss import answer_set_kl, hybrid_loss, top_k_tail_kl
from drivelet.distil.soft_labels import TABLE, TEMPERATURES
from drivelet.distil.views import shaken
from drivelet.vlm.answers import TrainingBranch, training_branch
from drivelet.vlm.batch import collate, head, hidden_states, pack
from drivelet.vlm.checkpoint import load_checkpoint, save_checkpoint
from drivelet.vlm.load import Loaded, load
from drivelet.vlm.lora import LoraSettings, add_lora, merge_and_save

PAD_MULTIPLE = 32
"""Sequence lengths are padded to it: few shapes, so few compiled kernels and little memory."""


@dataclass(frozen=True, kw_only=True)
@ranged
class DistilConfig:
    """How to train the student.

    Attributes:
        alpha: weight of the soft term; 0 is plain fine-tuning on hard labels.
        temperature: T of the soft term, one of those cached.
        soft_target: `answers` for the exact distribution over the closed set, `tokens` for top-k + tail on the answer
            tokens (teacher and student must share a tokenizer), `both` for their mean.
        steps: optimiser steps; more where `epochs` passes over the images take more.
        images_per_step: images in a batch; all their questions are packed.
        augment: exposure, noise, JPEG and placement vary on the student's side; the labels do not change.
    """

    alpha: Share = 0.7
    temperature: Positive = 2.0
    soft_target: Literal["answers", "tokens", "both"] = "answers"
    steps: Count = 300
    epochs: Amount = 0.0
    images_per_step: Several = 8
    learning_rate: Positive = 2e-3
    warmup: Count = 20
    augment: bool = True
    lora: LoraSettings = field(default_factory=LoraSettings)
    checkpoint_every: Several = 50
    seed: Seed = 0


def distil(config: DistilConfig, *, student: Path, soft_labels: Path, out: Path) -> Path:
    """Train adapters on `soft_labels` (a folder of `cache_soft_labels`), merge them, and save the model in `out/model`.

    Writes a checkpoint every `checkpoint_every` steps and goes on from it; the order of examples follows from the seed
    and the step alone, so a resumed run equals an undisturbed one.

    Raises:
        InputError: the temperature was not cached, or the soft target is unknown.
    """
    groups = _examples(soft_labels / TABLE)
    temperatures = _temperatures(groups, config, soft_labels)
    loaded = load(student, dtype=torch.float32)
    batches = by_length([_length(loaded, group) for group in groups], images=config.images_per_step)
    model = add_lora(loaded, config.lora, seed=derive_seed(config.seed, "lora") % 2**31)
    model.train()
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(list(parameters.values()), lr=config.learning_rate, weight_decay=0.0)
    checkpoint = out / "checkpoint.safetensors"
    start = load_checkpoint(checkpoint, parameters=parameters, optimizers=[optimizer])
    per_epoch = sum(len(batch.members) / batch.images for batch in batches)
    steps = max(config.steps, math.ceil(config.epochs * per_epoch))
    losses = []
    for step in track(range(start, steps), total=steps - start, what="training"):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _rate(step, steps=steps, warmup=config.warmup)
        loss = _step_loss(config, loaded, model, groups, batches, step, temperatures)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if (step + 1) % config.checkpoint_every == 0:
            save_checkpoint(checkpoint, parameters=parameters, optimizers=[optimizer], step=step + 1)
    merge_and_save(model.eval(), loaded.path, out / "model")
    write_json(out / "train.json", {"steps": steps, "images": len(groups), "last_losses": losses[-20:]})
    checkpoint.unlink(missing_ok=True)
    return out / "model"


@dataclass(frozen=True, kw_only=True)
class AlikeLength:
    """Images whose packed sequences are about equally long: `members` by their index, `images` of them a step."""

    members: tuple[int, ...]
    images: int


def by_length(lengths: Sequence[int], *, images: int) -> list[AlikeLength]:
    """Part images by the length of their sequence, doubling from part to part, so that a step pads little.

    The longest take `images` a step, those of half the length or less twice as many, those of a quarter four times; a
    part is drawn as often as makes every image equally frequent.
    """
    parts: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        parts.setdefault(min(int(math.log2(max(lengths) / length)), 2), []).append(index)
    return [AlikeLength(members=tuple(parts[part]), images=images * 2**part) for part in sorted(parts)]


def _length(loaded: Loaded, group: Sequence[Mapping[str, Any]]) -> int:
    """Return how many tokens an image and its questions take."""
    with Image.open(group[0]["image"]) as image:
        width, height = image.size
    processor = loaded.processor
    text = sum(len(processor.tokens(example["text"])) + len(processor.suffix_ids) for example in group)
    return processor.num_tokens_of_size(height, width) + text


def _examples(table: Path) -> list[list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in read_rows(table):
        groups.setdefault(row["image"], []).append(row)
    return list(groups.values())


def _temperatures(groups: Sequence[Sequence[Mapping[str, Any]]], config: DistilConfig, where: Path) -> int:
    """Return the column of the configured temperature among the cached ones."""
    cached = read_json(where / TEMPERATURES)
    if config.soft_target != "answers" and config.temperature not in cached:
        raise InputError(
            f"{where}: no soft labels at T={config.temperature}; cached are {cached}: set soft_labels.temperatures"
        )
    return cached.index(config.temperature) if config.temperature in cached else 0


def _rate(step: int, *, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + float(np.cos(np.pi * progress)))


def _step_loss(
    config: DistilConfig,
    loaded: Loaded,
    model: Any,
    groups: Sequence[Sequence[Mapping[str, Any]]],
    batches: Sequence[AlikeLength],
    step: int,
    temperature_column: int,
) -> torch.Tensor:
    rng = generator(config.seed, "distil", step)
    shares = np.array([len(batch.members) / batch.images for batch in batches])
    alike = batches[rng.choice(len(batches), p=shares / shares.sum())]
    items, asked = [], []
    for row, index in enumerate(rng.choice(alike.members, size=alike.images)):
        image = read_image(groups[index][0]["image"])
        image = shaken(rng, image) if config.augment else image
        branches = [
            training_branch(loaded.processor, e["text"], tuple(e["choices"]), e["answer"]) for e in groups[index]
        ]
        item = pack(loaded, image, [branch.nodes for branch in branches])
        base = int((item.branch_BL == -1).sum())
        for branch, example in zip(branches, groups[index], strict=True):
            asked.append((row, base, branch, example))
            base += len(branch.nodes)
        items.append(item)
    torch.manual_seed(derive_seed(config.seed, "dropout", step) % 2**31)
    with torch.autocast(loaded.device.type, dtype=torch.bfloat16):
        hidden_BLD = hidden_states(model, collate(items, multiple=PAD_MULTIPLE).to(loaded.device))
        rows, positions = _positions(asked)
        logits_NV = head(loaded.model)(hidden_BLD[rows, positions]).float()
    sizes = [len(branch.decisions) + len(branch.path) for _, _, branch, _ in asked]
    total, weights = logits_NV.new_zeros(()), 0.0
    for (_, _, branch, example), block_NV in zip(asked, logits_NV.split(sizes), strict=True):
        total = total + example["weight"] * _example_loss(config, branch, example, block_NV, temperature_column)
        weights += example["weight"]
    return total / weights


def _positions(asked: Sequence[tuple[int, int, TrainingBranch, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows, positions = [], []
    for row, base, branch, _ in asked:
        at = [base + node for node in (*branch.decisions, *branch.path)]
        positions += at
        rows += [row] * len(at)
    return torch.tensor(rows), torch.tensor(positions)


def _example_loss(
    config: DistilConfig, branch: TrainingBranch, example: Mapping[str, Any], logits_NV: torch.Tensor, column: int
) -> torch.Tensor:
    """Return the hybrid loss of one question; `logits_NV` holds the decisions first, then the answer's path."""
    decided_NV, path_NV = logits_NV.split([len(branch.decisions), len(branch.path)])
    device = logits_NV.device
    hard = torch.nn.functional.cross_entropy(path_NV, torch.tensor(branch.tokens, device=device))
    soft = []
    if config.alpha and config.soft_target in ("answers", "both"):
        student_C = branch.trie.log_probs(decided_NV.log_softmax(-1))
        teacher_C = torch.tensor(example["set_logp"], device=device)
        soft.append(answer_set_kl(student_C, teacher_C, temperature=config.temperature))
    if config.alpha and config.soft_target in ("tokens", "both"):
        count = len(branch.tokens)
        kept = [torch.tensor(example[n], device=device).view(count, -1) for n in ("logits", "ids", "logsumexp")]
        token_N = top_k_tail_kl(path_NV, kept[0], kept[1].long(), kept[2][:, column], temperature=config.temperature)
        soft.append(token_N.mean())
    mean_soft = torch.stack(soft).mean() if soft else logits_NV.new_zeros(())
    return hybrid_loss(mean_soft, hard, alpha=config.alpha, temperature=config.temperature)
