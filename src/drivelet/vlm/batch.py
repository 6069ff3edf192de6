"""Pack one image and many questions into one sequence: a shared prefix with independent branches.

Layout of a sequence: the chat prefix and the image's tokens, then each branch (question text, template suffix and,
under it, answer tokens) side by side. A branch sees the prefix and itself, never its neighbours, and its positions go
on from the prefix as if it stood there alone; so one forward equals one conversation per question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from drivelet.core.artifacts import ImageArray
from drivelet.vlm.load import Loaded


@dataclass(frozen=True, kw_only=True)
class Node:
    """A token of a branch: its id and the index of its parent in the branch (-1 hangs on the prefix)."""

    token: int
    parent: int


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Model inputs for B images.

    Shapes: `input_ids_BL`, `positions_3BL`, `mask_B1LL` (True where a row may look), `branch_BL` (index of the branch,
    -1 in the prefix, -2 in padding), `node_BL` (index inside its branch), `pixel_values`, `grid_thw` (B, 3).
    """

    input_ids_BL: torch.Tensor
    positions_3BL: torch.Tensor
    mask_B1LL: torch.Tensor
    branch_BL: torch.Tensor
    node_BL: torch.Tensor
    pixel_values: torch.Tensor
    grid_thw: torch.Tensor

    def model_inputs(self) -> dict[str, torch.Tensor]:
        """Return the keyword arguments of the model's forward."""
        return {
            "input_ids": self.input_ids_BL,
            "position_ids": self.positions_3BL,
            "attention_mask": self.mask_B1LL,
            "pixel_values": self.pixel_values,
            "image_grid_thw": self.grid_thw,
        }

    def to(self, device: torch.device) -> "Packed":
        """Return the same batch on `device`."""
        return Packed(**{name: value.to(device) for name, value in vars(self).items()})


def chain(tokens: Sequence[int]) -> list[Node]:
    """Return the tokens as one path of nodes."""
    return [Node(token=token, parent=index - 1) for index, token in enumerate(tokens)]


def pack(loaded: Loaded, image: ImageArray, branches: Sequence[Sequence[Node]]) -> Packed:
    """Pack one image with its branches."""
    pixel_values, grid_thw = loaded.processor.pixels(image)
    return pack_pixels(loaded, pixel_values, grid_thw, branches)


def pack_pixels(
    loaded: Loaded, pixel_values: torch.Tensor, grid_thw: torch.Tensor, branches: Sequence[Sequence[Node]]
) -> Packed:
    """Pack an already processed image (`pixel_values` (patches, dim), `grid_thw` (1, 3)) with its branches."""
    processor = loaded.processor
    num_image = processor.num_image_tokens(grid_thw[0])
    vision_end = processor.tokens("<|vision_end|>")
    prefix = [*processor.prefix_ids, *[processor.image_token_id] * num_image, *vision_end]
    prefix_positions_3P = _prefix_positions(loaded.model, prefix, grid_thw, processor.image_token_id)
    start = int(prefix_positions_3P.max()) + 1

    ids, branch_of, node_of, depth = list(prefix), [-1] * len(prefix), [0] * len(prefix), []
    length = len(prefix) + sum(len(branch) for branch in branches)
    mask_LL = np.zeros((length, length), dtype=np.bool_)
    mask_LL[: len(prefix), : len(prefix)] = np.tri(len(prefix), dtype=np.bool_)
    for index, branch in enumerate(branches):
        base, depths = len(ids), []
        for number, node in enumerate(branch):
            row = base + number
            if node.parent < 0:
                mask_LL[row, : len(prefix)] = True
            else:
                mask_LL[row] = mask_LL[base + node.parent]
            mask_LL[row, row] = True
            depths.append(depths[node.parent] + 1 if node.parent >= 0 else 0)
        ids += [node.token for node in branch]
        branch_of += [index] * len(branch)
        node_of += range(len(branch))
        depth += depths
    positions_3L = torch.cat([prefix_positions_3P, (start + torch.tensor(depth, dtype=torch.long)).expand(3, -1)], 1)
    return Packed(
        input_ids_BL=torch.tensor([ids]),
        positions_3BL=positions_3L[:, None],
        mask_B1LL=torch.from_numpy(mask_LL)[None, None],
        branch_BL=torch.tensor([branch_of]),
        node_BL=torch.tensor([node_of]),
        pixel_values=pixel_values,
        grid_thw=grid_thw,
    )


def _prefix_positions(model: Any, prefix: Sequence[int], grid_thw: torch.Tensor, image_token: int) -> torch.Tensor:
    """Return the prefix's positions, shape (3, P): the model's own multimodal ones where it has them."""
    ids_1P = torch.tensor([list(prefix)])
    inner = getattr(model, "model", model)
    inner = inner if hasattr(inner, "get_rope_index") else getattr(inner, "model", inner)
    if not hasattr(inner, "get_rope_index"):
        return torch.arange(len(prefix)).expand(3, -1)
    types_1P = (ids_1P == image_token).int()
    positions_31P, _ = inner.get_rope_index(ids_1P, mm_token_type_ids=types_1P, image_grid_thw=grid_thw.cpu())
    return positions_31P[:, 0]


def collate(items: Sequence[Packed], *, pad_id: int = 0, multiple: int = 1) -> Packed:
    """Pad on the right to a length that `multiple` divides, and stack; padding looks only at itself."""
    longest = max(item.input_ids_BL.shape[1] for item in items)
    length = -(-longest // multiple) * multiple
    mask = torch.eye(length, dtype=torch.bool).repeat(len(items), 1, 1)[:, None]
    for row, item in enumerate(items):
        size = item.input_ids_BL.shape[1]
        mask[row, 0, :size, :size] = item.mask_B1LL[0, 0]
    return Packed(
        input_ids_BL=_pad([item.input_ids_BL for item in items], length, pad_id),
        positions_3BL=torch.cat([_pad([item.positions_3BL], length, 0) for item in items], 1),
        mask_B1LL=mask,
        branch_BL=_pad([item.branch_BL for item in items], length, -2),
        node_BL=_pad([item.node_BL for item in items], length, 0),
        pixel_values=torch.cat([item.pixel_values for item in items]),
        grid_thw=torch.cat([item.grid_thw for item in items]),
    )


def _pad(tensors: Sequence[torch.Tensor], length: int, value: int) -> torch.Tensor:
    padded = [torch.nn.functional.pad(t, (0, length - t.shape[-1]), value=value) for t in tensors]
    return padded[0] if len(padded) == 1 else torch.cat(padded)


def hidden_states(model: Any, packed: Packed) -> torch.Tensor:
    """Return the last hidden states, shape (B, L, D), without applying the language head."""
    return base_model(model)(**packed.model_inputs(), use_cache=False).last_hidden_state


def base_model(model: Any) -> Any:
    """Return the multimodal body beneath the language head, through a PEFT wrapper where there is one."""
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    return model.model


def head(model: Any) -> Any:
    """Return the language head."""
    return model.get_output_embeddings()
