"""Exact faster forms of two vision-tower operations of Qwen2.5-VL; other towers are left as they are."""

from types import MethodType
from typing import Any

import torch
from torch.nn import functional as F
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

from drivelet.vlm.attention import trains_on_cpu, two_products


def accelerate_vision(model: Any) -> None:
    """Replace the patch embedding's Conv3d by one matrix product, and window loops by batched attention.

    The weights stay where they are, so checkpoints are unchanged; outputs agree up to rounding.
    """
    for module in model.modules():
        if isinstance(module, qwen.Qwen2_5_VisionPatchEmbed):
            module.forward = MethodType(_embed_patches, module)
        elif isinstance(module, qwen.Qwen2_5_VLVisionAttention):
            module.forward = MethodType(_attend_windows, module)


def _embed_patches(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    weight = self.proj.weight
    return F.linear(hidden_states.to(weight.dtype), weight.flatten(1))


def _attend_windows(
    self: Any, hidden_states: torch.Tensor, cu_seqlens: torch.Tensor, position_embeddings: Any = None, **_: Any
) -> torch.Tensor:
    qkv_S3HD = self.qkv(hidden_states).unflatten(-1, (3, self.num_heads, -1))
    query, key, value = qkv_S3HD.unbind(1)
    query, key = qwen.apply_rotary_pos_emb_vision(query, key, *position_embeddings)
    lengths = cu_seqlens.diff().tolist()
    if len(set(lengths)) == 1:
        shape = (len(lengths), -1)
        mixed = _attend(query.unflatten(0, shape), key.unflatten(0, shape), value.unflatten(0, shape), self.scaling)
        return self.proj(mixed.flatten(0, 1).flatten(1).to(value.dtype))
    mixed = torch.empty_like(value)
    for length in set(lengths):
        starts_W = cu_seqlens[:-1][cu_seqlens.diff() == length]
        index_WL = starts_W[:, None] + torch.arange(length, device=starts_W.device)
        out_WLHD = _attend(query[index_WL], key[index_WL], value[index_WL], self.scaling)
        mixed = mixed.index_copy(0, index_WL.flatten(), out_WLHD.flatten(0, 1).to(mixed.dtype))
    return self.proj(mixed.flatten(1))


def _attend(query_WLHD: torch.Tensor, key_WLHD: torch.Tensor, value_WLHD: torch.Tensor, scale: float) -> torch.Tensor:
    """Attention inside each window, shape (W, L, H, D)."""
    query, key, value = (part.transpose(1, 2) for part in (query_WLHD, key_WLHD, value_WLHD))
    if trains_on_cpu(query):
        return two_products(query, key, value, scale=scale).transpose(1, 2)
    return F.scaled_dot_product_attention(query, key, value, scale=scale).transpose(1, 2)
