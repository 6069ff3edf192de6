"""Data-parallel training on CPUs in a torch.distributed group (gloo); without one every function does nothing."""

import os
from collections.abc import Sequence

import torch
from torch import distributed


def join_group() -> None:
    """Join the process group that torchrun's environment names, if it names one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        distributed.init_process_group("gloo")


def process_rank() -> int:
    """Return the number of this process in its group, 0 without one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def average_gradients(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Give every process the mean gradient; a parameter that no process reached keeps None."""
    if not distributed.is_initialized():
        return
    reached = torch.tensor([float(p.grad is not None) for p in parameters])
    distributed.all_reduce(reached)
    chosen = [p for p, count in zip(parameters, reached.tolist(), strict=True) if count]
    flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in chosen])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for p, part in zip(chosen, flat.split([p.numel() for p in chosen]), strict=True):
        p.grad = part.view_as(p)
