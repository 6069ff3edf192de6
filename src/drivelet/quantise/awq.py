"""Activation-aware weight quantisation: search a scale, fold it away, clip, round (AWQ, arXiv 2306.00978).

Channels that carry large activations are scaled up before rounding, so that they lose less, and the layer before is
scaled down by the same factor: the full-precision function stays what it was.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from drivelet.core.errors import InputError
from drivelet.quantise.calibrate import GroupStats
from drivelet.quantise.clip import CHUNK_VALUES, search_clip
from drivelet.quantise.decoder import FusedGroup
from drivelet.quantise.rounding import QuantisedWeight, Rounding, fake_quantise, quantise_weight


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A group after its scale was chosen and folded.

    Attributes:
        outputs: the full-precision parent's output for each recorded call.
        scale_N: what the inputs are now divided by.
        alpha: the exponent behind the scale; None where weights stay unscaled.
        error_rtn: relative output error of plain rounding.
    """

    group: FusedGroup
    stats: GroupStats
    outputs: list[torch.Tensor]
    scale_N: torch.Tensor
    alpha: float | None
    error_rtn: float


@dataclass(frozen=True, kw_only=True)
class RoundedGroup:
    """A group's rounded weights by full name, with the relative output error of plain rounding and of these."""

    group: FusedGroup
    weights: dict[str, QuantisedWeight]
    alpha: float | None
    clipped: bool
    error_rtn: float
    error: float


@torch.no_grad()
def quantise_groups(
    groups: Sequence[FusedGroup],
    stats: Mapping[str, GroupStats],
    rounding: Rounding,
    *,
    grid: int,
    clip: bool,
) -> list[RoundedGroup]:
    """Quantise the fused groups of one decoder layer in place and return their codes.

    All groups are folded before the first is rounded, since a fold changes the weights of the group before it.

    Args:
        grid: how many exponents are tried; 0 leaves every weight unscaled.
        clip: also search how far each range may be clipped.
    """
    folded = [fold_group(group, stats[group.path], rounding, grid=grid) for group in groups]
    return [round_group(item, rounding, clip=clip) for item in folded]


@torch.no_grad()
def fold_group(group: FusedGroup, stats: GroupStats, rounding: Rounding, *, grid: int) -> Folded:
    """Choose the group's scale by the output error of its parent and fold it into the module before.

    Plain rounding (no scale) is one of the candidates, so the choice is never worse on the recorded calls.
    """
    outputs = [_run(group.parent, call.inputs, call.kwargs) for call in stats.calls]
    unscaled_N = torch.ones_like(stats.sum_abs_N)
    error_rtn = _scaled_error(group, stats, outputs, unscaled_N, rounding)
    best, alpha, scale_N = error_rtn, None, unscaled_N
    if group.source is not None:
        for step in range(grid):
            candidate_N = candidate_scale(group, stats.mean_abs_N, step / grid, rounding.group_size)
            error = _scaled_error(group, stats, outputs, candidate_N, rounding)
            if error < best:
                best, alpha, scale_N = error, step / grid, candidate_N
    if group.source is not None and alpha is not None:
        scale_N = fold(group, scale_N)
    return Folded(group=group, stats=stats, outputs=outputs, scale_N=scale_N, alpha=alpha, error_rtn=error_rtn)


def candidate_scale(group: FusedGroup, mean_abs_N: torch.Tensor, alpha: float, group_size: int) -> torch.Tensor:
    """Return x^alpha / w^(1 - alpha) around 1, shape (N,): the duo form of AWQ's scale.

    x is the channel's mean magnitude, w the mean over all rows of |weight| relative to its quantisation group's
    largest. The result is divided by sqrt(max * min).
    """
    weight_ON = torch.cat([linear.weight.float().abs() for linear in group.linears.values()])
    weight_OGK = weight_ON.unflatten(1, (-1, group_size))
    relative_N = (weight_OGK / weight_OGK.amax(-1, keepdim=True).clamp(min=1e-6)).flatten(1).mean(0)
    # A channel that calibration never saw must not swing its weights by orders of magnitude.
    x_N = mean_abs_N.clamp(min=float(mean_abs_N.max()) * 1e-4 + 1e-12)
    scale_N = (x_N.pow(alpha) / (relative_N.pow(1 - alpha) + 1e-4)).clamp(min=1e-4)
    return scale_N / (scale_N.max() * scale_N.min()).sqrt()


def fold(group: FusedGroup, scale_N: torch.Tensor) -> torch.Tensor:
    """Multiply the group's input columns by a scale and divide the source's outputs by it; return the scale applied.

    The returned scale differs from the asked one by the rounding of the source's weight, so that the two cancel.

    Raises:
        InputError: the norm before the group does not simply multiply by its weight.
    """
    source = group.source
    if isinstance(source, nn.Linear):
        source.weight.data = (source.weight.float() / scale_N[:, None]).to(source.weight.dtype)
        if source.bias is not None:
            source.bias.data = (source.bias.float() / scale_N).to(source.bias.dtype)
    elif source is not None:
        scale_N = _fold_norm(source, scale_N, group.path)
    for linear in group.linears.values():
        linear.weight.data = (linear.weight.float() * scale_N).to(linear.weight.dtype)
    return scale_N


def _fold_norm(norm: nn.Module, scale_N: torch.Tensor, where: str) -> torch.Tensor:
    weight_N = norm.get_parameter("weight")
    probe_N = torch.linspace(-1, 1, len(scale_N), device=weight_N.device, dtype=weight_N.dtype)
    before_N = norm(probe_N).float()
    old_N = weight_N.float()
    new_N = (old_N / scale_N).to(weight_N.dtype)
    applied_N = torch.where(new_N != 0, old_N / new_N.float(), scale_N)
    weight_N.data = new_N
    bias = getattr(norm, "bias", None)
    if bias is not None:
        bias.data = (bias.float() / applied_N).to(bias.dtype)
    if not torch.allclose(norm(probe_N).float() * applied_N, before_N, rtol=0.05, atol=1e-3):
        raise InputError(f"{where}: the {type(norm).__name__} before it does not scale by its weight; use method rtn")
    return applied_N


@torch.no_grad()
def round_group(folded: Folded, rounding: Rounding, *, clip: bool) -> RoundedGroup:
    """Round a folded group in place, with clipped ranges where they lower the parent's output error.

    Raises:
        InputError: the output is NaN or infinite.
    """
    group = folded.group
    inputs = [(call.inputs / folded.scale_N).to(call.inputs.dtype) for call in folded.stats.calls]
    plain = {name: quantise_weight(linear.weight, rounding) for name, linear in group.linears.items()}
    weights, error, clipped = plain, _rounded_error(folded, inputs, plain), False
    if clip and folded.stats.gram_GKK is not None:
        shrunk = dict(plain)
        for name in group.clipped:
            weight_ON = group.linears[name].weight
            shrink_OG = search_clip(weight_ON, scaled_gram(folded), rounding)
            shrunk[name] = quantise_weight(weight_ON, rounding, shrink_OG=shrink_OG)
        shrunk_error = _rounded_error(folded, inputs, shrunk)
        # Each quantisation group's error went down, their sum through the parent need not.
        if shrunk_error < error:
            weights, error, clipped = shrunk, shrunk_error, True
    if not math.isfinite(error):
        raise InputError(
            f"{group.path}: its output is NaN or infinite after rounding; the weights overflow their dtype"
        )
    for name, linear in group.linears.items():
        linear.weight.data = weights[name].dequantise()
    return RoundedGroup(
        group=group,
        weights=weights,
        alpha=folded.alpha,
        clipped=clipped,
        error_rtn=folded.error_rtn,
        error=error,
    )


def scaled_gram(folded: Folded) -> torch.Tensor:
    """Return the Gram matrices of the inputs as they are after folding, shape (G, K, K)."""
    gram_GKK = folded.stats.gram_GKK
    if gram_GKK is None:
        raise ValueError("no Gram matrices were gathered")
    scale_GK = folded.scale_N.unflatten(0, (-1, gram_GKK.shape[-1]))
    return gram_GKK / (scale_GK[:, :, None] * scale_GK[:, None, :])


def _scaled_error(
    group: FusedGroup, stats: GroupStats, outputs: Sequence[torch.Tensor], scale_N: torch.Tensor, rounding: Rounding
) -> float:
    trial = {name: _trial_weight(linear.weight, scale_N, rounding) for name, linear in group.linears.items()}
    with swapped_weights(group.linears, trial):
        return _output_error(group, stats, [call.inputs for call in stats.calls], outputs)


def _trial_weight(weight_ON: torch.Tensor, scale_N: torch.Tensor, rounding: Rounding) -> torch.Tensor:
    """Return the weight rounded under a scale and divided by it again, in the weight's dtype.

    It goes by rows: float32 copies of a whole 7B matrix spend more time in the allocator than in arithmetic.
    """
    trial_ON = torch.empty_like(weight_ON)
    size = max(1, CHUNK_VALUES // weight_ON.shape[1])
    for given_ON, wanted_ON in zip(weight_ON.split(size), trial_ON.split(size), strict=True):
        rounded_ON = fake_quantise(given_ON.float() * scale_N, rounding, scale_dtype=weight_ON.dtype)
        wanted_ON.copy_(rounded_ON.div_(scale_N))
    return trial_ON


def _rounded_error(folded: Folded, inputs: Sequence[torch.Tensor], weights: Mapping[str, QuantisedWeight]) -> float:
    trial = {name: weight.dequantise() for name, weight in weights.items()}
    with swapped_weights(folded.group.linears, trial):
        return _output_error(folded.group, folded.stats, inputs, folded.outputs)


def _output_error(
    group: FusedGroup, stats: GroupStats, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]
) -> float:
    """Weighted squared error of the parent's output over the weighted squared output."""
    wrong, whole = 0.0, 0.0
    for call, given, wanted in zip(stats.calls, inputs, outputs, strict=True):
        got = _run(group.parent, given, call.kwargs).float()
        wrong += float(((got - wanted.float()).square().sum(-1) * call.weight).sum())
        whole += float((wanted.float().square().sum(-1) * call.weight).sum())
    return wrong / max(whole, 1e-30)


def _run(parent: nn.Module, inputs: torch.Tensor, kwargs: Mapping[str, object]) -> torch.Tensor:
    output = parent(inputs, **kwargs)
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def swapped_weights(linears: Mapping[str, nn.Linear], weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Give linears other weights for the duration of the block."""
    kept = {name: linears[name].weight.data for name in weights}
    try:
        for name, weight in weights.items():
            linears[name].weight.data = weight
        yield
    finally:
        for name, weight in kept.items():
            linears[name].weight.data = weight
