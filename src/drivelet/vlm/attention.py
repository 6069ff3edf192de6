"""Attention that trains fast on a CPU: two plain products where gradients flow, torch's fused kernel elsewhere."""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "two_products"
"""Name of this attention for transformers' `attn_implementation`."""


def two_products(
    query_BHLD: torch.Tensor,
    key_BGLD: torch.Tensor,
    value_BGLD: torch.Tensor,
    *,
    scale: float,
    mask_B1LL: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention of H query heads on G key heads (H a multiple of G), shape (B, H, L, D), as products and a softmax.

    The backward of torch's fused attention is two to three times slower on a CPU. `mask_B1LL` is True where a row may
    look.
    """
    groups, share = key_BGLD.shape[1], query_BHLD.shape[1] // key_BGLD.shape[1]
    query_BGRD = (query_BHLD * scale).unflatten(1, (groups, share)).flatten(2, 3)
    weights_BHLL = (query_BGRD @ key_BGLD.mT).unflatten(2, (share, -1)).flatten(1, 2)
    if mask_B1LL is not None:
        weights_BHLL = weights_BHLL + torch.zeros_like(mask_B1LL, dtype=query_BHLD.dtype).masked_fill(~mask_B1LL, -1e9)
    weights_BGRL = weights_BHLL.softmax(-1).unflatten(1, (groups, share)).flatten(2, 3)
    mixed_BGRD = weights_BGRL.to(value_BGLD.dtype) @ value_BGLD
    return mixed_BGRD.unflatten(2, (share, -1)).flatten(1, 2)


def trains_on_cpu(tensor: torch.Tensor) -> bool:
    """Return whether gradients flow and the tensor lies on a CPU."""
    return tensor.device.type == "cpu" and torch.is_grad_enabled()


def _forward(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers asks for it; what is no training on a CPU goes to the fused kernel."""
    plain = attention_mask is not None and attention_mask.dtype == torch.bool and not dropout
    if not (plain and trains_on_cpu(query)):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mixed_BHLD = two_products(query, key, value, scale=scale, mask_B1LL=attention_mask)
    return mixed_BHLD.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
