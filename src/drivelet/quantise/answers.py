"""What a calibration batch says about its tokens, and how far the answers move.

A batch is the keyword arguments of the model's forward, tensors only. It may hold `answer_mask_BL` besides: True at the
positions whose logits predict a token of an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from drivelet.core.errors import InputError

ANSWER_MASK = "answer_mask_BL"

Batch = Mapping[str, torch.Tensor]


def forward_inputs(model: nn.Module, batch: Batch) -> dict[str, Any]:
    """Return the batch as keyword arguments of the forward, on the model's device, floats in the model's dtype."""
    if "input_ids" not in batch:
        raise InputError(f"calibration batch with {', '.join(batch)}: has no input_ids; give a whole forward's inputs")
    device = next(model.parameters()).device
    return {name: value.to(device) for name, value in batch.items() if name != ANSWER_MASK}


def valid_tokens(batch: Batch) -> torch.Tensor:
    """Return which tokens are real, bool (B, L).

    A 2D `attention_mask` says so itself. Under a 4D one (bool, or additive), padding is a token that looks at no other
    and that no other looks at.
    """
    mask = batch.get("attention_mask")
    if mask is None:
        return torch.ones_like(batch["input_ids"], dtype=torch.bool)
    if mask.ndim == 2:
        return mask.bool()
    looks_BLL = mask[:, 0] if mask.dtype == torch.bool else mask[:, 0] > -1.0
    length = looks_BLL.shape[-1]
    if length == 1:
        return torch.ones_like(batch["input_ids"], dtype=torch.bool)
    others_BLL = looks_BLL & ~torch.eye(length, dtype=torch.bool, device=looks_BLL.device)
    return others_BLL.any(1) | others_BLL.any(2)


def answer_positions(batch: Batch) -> torch.Tensor:
    """Return the positions that predict answers, bool (B, L); without a mask the last real token of each row.

    Raises:
        InputError: the mask has another shape than the tokens, or marks nothing.
    """
    mask = batch.get(ANSWER_MASK)
    if mask is None:
        valid_BL = valid_tokens(batch)
        return valid_BL & (valid_BL.flip(1).cumsum(1).flip(1) == 1)
    if mask.shape != batch["input_ids"].shape or not mask.any():
        shape = tuple(batch["input_ids"].shape)
        raise InputError(f"{ANSWER_MASK} of shape {tuple(mask.shape)}: must mark some of the tokens of shape {shape}")
    return mask.bool()


def token_weights(batch: Batch, answer_share: float) -> torch.Tensor:
    """Return how much each token counts, float (B, L), summing to B.

    Padding counts nothing. `answer_share` of the weight lies on the positions that predict answers, the rest on the
    other real tokens; without an answer mask all real tokens count alike.
    """
    valid_BL = valid_tokens(batch).float()
    if ANSWER_MASK not in batch:
        return valid_BL * len(valid_BL) / valid_BL.sum()
    answer_BL = answer_positions(batch).to(valid_BL.device).float()
    other_BL = valid_BL * (1 - answer_BL)
    if not other_BL.any():
        return answer_BL * len(answer_BL) / answer_BL.sum()
    weight_BL = answer_share * answer_BL / answer_BL.sum() + (1 - answer_share) * other_BL / other_BL.sum()
    return weight_BL * len(weight_BL)


@torch.no_grad()
def answer_log_probs(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Run the real forward and return next-token log-probabilities at the answer positions, float32 (K, V) on the CPU.

    Only those positions meet the language head.
    """
    answer_BL = answer_positions(batch)
    columns = answer_BL.any(0).nonzero()[:, 0]
    inputs = forward_inputs(model, batch)
    logits_BCV = model(**inputs, use_cache=False, logits_to_keep=columns.to(inputs["input_ids"].device)).logits
    return logits_BCV[answer_BL[:, columns].to(logits_BCV.device)].float().log_softmax(-1).cpu()


def divergence(full_KV: torch.Tensor, other_KV: torch.Tensor) -> torch.Tensor:
    """Return KL(full || other) in nats at each position, shape (K,), from log-probabilities."""
    return (full_KV.exp() * (full_KV - other_KV)).sum(-1)


def compare(full: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> dict[str, float]:
    """Sum up how far answers moved: mean and largest KL in nats, and the share of equal greedy tokens."""
    kl_K = torch.cat([divergence(a, b) for a, b in zip(full, other, strict=True)])
    same_K = torch.cat([a.argmax(-1) == b.argmax(-1) for a, b in zip(full, other, strict=True)])
    return {
        "answer_kl_mean": float(kl_K.mean()),
        "answer_kl_max": float(kl_K.max()),
        "same_greedy_token": float(same_K.float().mean()),
        "answer_tokens": len(kl_K),
    }
