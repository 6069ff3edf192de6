"""Per-task audit: how far answers move when one kind of layer alone is rounded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from drivelet.core.errors import InputError
from drivelet.core.progress import track
from drivelet.core.ranges import Bits, Several, ranged
from drivelet.quantise.answers import Batch, answer_log_probs, divergence
from drivelet.quantise.awq import swapped_weights
from drivelet.quantise.decoder import GROUP_NAMES, FusedGroup, check_sizes, find_groups
from drivelet.quantise.rounding import Rounding, fake_quantise


@dataclass(frozen=True, kw_only=True)
@ranged
class SensitivityConfig:
    """What is audited: the widths, and whether decoder layers are rounded one by one or all together."""

    bits: tuple[Bits, ...] = (8, 4, 3)
    group_size: Several = 64
    symmetric: bool = True
    per_layer: bool = False


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Answer-token KL(full || rounded) in nats of one task, with one fused group at one width.

    `layer` is the decoder layer, or None where the group is rounded in all of them.
    """

    task: str
    group: str
    layer: int | None
    bits: int
    kl_mean: float
    kl_max: float
    answer_tokens: int


def sensitivity(
    config: SensitivityConfig, *, model: nn.Module, batches: Iterable[tuple[str, Batch]]
) -> list[Sensitivity]:
    """Round one fused group at a time to nearest and measure how far each task's answers move.

    The model is the same afterwards. A batch comes with the task that its answer mask belongs to; a packed sequence of
    several tasks is given once a task. Costs one forward of every batch for each group and width (and layer).

    Raises:
        InputError: no batches, or sizes that the group size does not divide.
    """
    batches = list(batches)
    if not batches:
        raise InputError("sensitivity: no batches; give at least one (task, batch)")
    groups = find_groups(model)
    check_sizes(groups, config.group_size)
    full = [answer_log_probs(model, batch) for _, batch in batches]
    trials = [(name, layer, members, bits) for name, layer, members in _targets(groups, config) for bits in config.bits]
    rows = []
    for name, layer, members, bits in track(trials, total=len(trials), what="sensitivity"):
        rounding = Rounding(bits=bits, group_size=config.group_size, symmetric=config.symmetric)
        kl_by_task = _rounded_divergence(model, members, rounding, batches, full)
        rows += [
            Sensitivity(
                task=task,
                group=name,
                layer=layer,
                bits=bits,
                kl_mean=float(kl_K.mean()),
                kl_max=float(kl_K.max()),
                answer_tokens=len(kl_K),
            )
            for task, kl_K in kl_by_task.items()
        ]
    return rows


def _targets(groups: Sequence[FusedGroup], config: SensitivityConfig) -> list[tuple[str, int | None, list[FusedGroup]]]:
    if config.per_layer:
        return [(group.name, group.layer, [group]) for group in groups]
    return [(name, None, [group for group in groups if group.name == name]) for name in GROUP_NAMES]


@torch.no_grad()
def _rounded_divergence(
    model: nn.Module,
    members: Sequence[FusedGroup],
    rounding: Rounding,
    batches: Sequence[tuple[str, Batch]],
    full: Sequence[torch.Tensor],
) -> dict[str, torch.Tensor]:
    linears = {name: linear for group in members for name, linear in group.linears.items()}
    rounded = {}
    for name, linear in linears.items():
        dtype = linear.weight.dtype
        rounded[name] = fake_quantise(linear.weight, rounding, scale_dtype=dtype).to(dtype)
    kl_by_task: dict[str, list[torch.Tensor]] = {}
    with swapped_weights(linears, rounded):
        for (task, batch), full_KV in zip(batches, full, strict=True):
            kl_by_task.setdefault(task, []).append(divergence(full_KV, answer_log_probs(model, batch)))
    return {task: torch.cat(parts) for task, parts in kl_by_task.items()}
