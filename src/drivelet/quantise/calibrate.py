"""One pass of real multimodal forwards that records what every fused group sees."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from drivelet.core.errors import InputError
from drivelet.core.progress import track
from drivelet.quantise.answers import Batch, answer_log_probs, token_weights
from drivelet.quantise.decoder import FusedGroup


@dataclass(frozen=True, kw_only=True)
class Call:
    """One recorded call of a parent: its first argument, its keyword arguments, and the weight of each token.

    Shapes: `inputs` (..., N), `weight` (...,).
    """

    inputs: torch.Tensor
    kwargs: dict[str, Any]
    weight: torch.Tensor


@dataclass(kw_only=True)
class GroupStats:
    """What one fused group saw.

    Attributes:
        sum_abs_N: weighted sum of |x| for each input channel, float32.
        sum_weight: the weight behind it.
        gram_GKK: weighted sum of x x^T inside each quantisation group, float32; None where it is not asked for.
        calls: the calls kept for judging the parent's output.
    """

    sum_abs_N: torch.Tensor
    sum_weight: float = 0.0
    gram_GKK: torch.Tensor | None = None
    calls: list[Call] = field(default_factory=list)

    @property
    def mean_abs_N(self) -> torch.Tensor:
        """Mean |x| of each input channel."""
        return self.sum_abs_N / self.sum_weight

    @property
    def outlier_ratio(self) -> float:
        """The loudest channel's mean |x| over the median channel's."""
        mean_abs_N = self.mean_abs_N
        return float(mean_abs_N.max() / mean_abs_N.median().clamp(min=1e-12))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The statistics by the group's path, and the full model's answer log-probabilities of each batch."""

    stats: dict[str, GroupStats]
    log_probs: list[torch.Tensor]


class _Recorder:
    """The hook of one group: adds each forward to the group's statistics."""

    def __init__(self, group: FusedGroup, group_size: int | None) -> None:
        linear = next(iter(group.linears.values()))
        self.stats = GroupStats(sum_abs_N=torch.zeros(linear.in_features, device=linear.weight.device))
        self.mixes_tokens = group.name == "qkv"
        self.group_size = group_size
        self.weight_BL = torch.zeros(0)
        self.keep_tokens = 0
        self.keep_whole = False

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kwargs = dict(kwargs)
        inputs = args[0] if args else kwargs.pop("hidden_states")
        weight_BL = self.weight_BL.to(inputs.device)
        self._add(inputs.flatten(0, -2), weight_BL.flatten())
        if not self.mixes_tokens:
            index_T, weight_T = systematic_sample(weight_BL.flatten(), self.keep_tokens)
            self.stats.calls.append(Call(inputs=inputs.flatten(0, -2)[index_T], kwargs={}, weight=weight_T))
        elif self.keep_whole:
            self.stats.calls.append(Call(inputs=inputs, kwargs=kwargs, weight=weight_BL))

    def _add(self, inputs_TN: torch.Tensor, weight_T: torch.Tensor) -> None:
        inputs_TN = inputs_TN.float()
        self.stats.sum_abs_N += weight_T @ inputs_TN.abs()
        self.stats.sum_weight += float(weight_T.sum())
        if self.group_size is None:
            return
        inputs_GTK = (inputs_TN * weight_T.sqrt()[:, None]).unflatten(1, (-1, self.group_size)).transpose(0, 1)
        gram_GKK = inputs_GTK.mT @ inputs_GTK
        self.stats.gram_GKK = gram_GKK if self.stats.gram_GKK is None else self.stats.gram_GKK + gram_GKK


def systematic_sample(weight_N: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose at most `count` tokens in proportion to their weight, without chance.

    Evenly spaced points are laid on the cumulative weight; a token hit more than once carries that much weight.

    Returns:
        Indices (T,) and weights (T,), the weights summing to those of the input.
    """
    positive_P = weight_N.nonzero()[:, 0]
    if len(positive_P) <= count:
        return positive_P, weight_N[positive_P]
    cumulative_N = weight_N.double().cumsum(0)
    points_C = (torch.arange(count, device=weight_N.device) + 0.5) / count * cumulative_N[-1]
    hits_C = torch.searchsorted(cumulative_N, points_C).clamp(max=len(weight_N) - 1)
    index_T, times_T = hits_C.unique(return_counts=True)
    return index_T, times_T.to(weight_N.dtype) * weight_N.sum() / count


@torch.no_grad()
def calibrate(
    model: nn.Module,
    groups: Sequence[FusedGroup],
    batches: Sequence[Batch],
    *,
    search_tokens: int,
    answer_share: float = 0.5,
    gram_group_size: int | None = None,
) -> Calibration:
    """Run every batch through the full model and record what the groups see.

    Positions, masks and image features are those of the real forward: nothing is rebuilt. Kept inputs take about
    `search_tokens` x (3 x hidden + intermediate) values for each decoder layer, in the model's dtype on its device.

    Args:
        search_tokens: how many tokens are kept to judge a parent's output; attention keeps whole evenly spaced batches.
        answer_share: the weight of answer positions (see `token_weights`).
        gram_group_size: also gather Gram matrices of groups of this size (for the clip search).

    Raises:
        InputError: there is no batch, or a group sees NaN or infinity.
    """
    if not batches:
        raise InputError("calibration: no batches; give at least one image with a question")
    recorders = {group.path: _Recorder(group, gram_group_size) for group in groups}
    whole = _evenly_spaced(len(batches), search_tokens // max(1, batches[0]["input_ids"].numel()))
    log_probs = []
    with ExitStack() as hooks:
        for group in groups:
            handle = group.parent.register_forward_pre_hook(recorders[group.path], with_kwargs=True)
            hooks.callback(handle.remove)
        for number, batch in enumerate(track(batches, total=len(batches), what="calibrate")):
            weight_BL = token_weights(batch, answer_share)
            for recorder in recorders.values():
                recorder.weight_BL = weight_BL
                recorder.keep_tokens = max(1, search_tokens // len(batches))
                recorder.keep_whole = number in whole
            log_probs.append(answer_log_probs(model, batch))
            _check(recorders, log_probs[-1], number + 1)
    return Calibration(stats={path: recorder.stats for path, recorder in recorders.items()}, log_probs=log_probs)


def _check(recorders: Mapping[str, _Recorder], log_probs_KV: torch.Tensor, number: int) -> None:
    """Name the first group that saw NaN or infinity."""
    for path, recorder in recorders.items():
        if not recorder.stats.sum_abs_N.isfinite().all():
            raise InputError(f"{path}: NaN or infinite activations in calibration image {number}; the model is damaged")
    if log_probs_KV.isnan().any():
        raise InputError(f"calibration image {number}: the model's answers are NaN; it is damaged")


def _evenly_spaced(total: int, count: int) -> frozenset[int]:
    count = min(max(1, count), total)
    return frozenset((2 * i + 1) * total // (2 * count) for i in range(count))
