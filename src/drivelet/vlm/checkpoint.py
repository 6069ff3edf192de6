"""Training checkpoints as safetensors: parameters, optimiser moments, and a step, written whole or not at all."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from drivelet.core.finite import BROKEN, check_finite
from drivelet.core.model_folder import give_usual_mode, told


def save_checkpoint(
    path: Path, *, parameters: dict[str, torch.nn.Parameter], optimizers: Sequence[torch.optim.Optimizer], step: int
) -> None:
    """Write parameters and the optimisers' moments to `path` (one file), replacing the last checkpoint only once
    complete; each parameter belongs to one optimiser.

    Raises:
        InputError: one of them is NaN or infinite.
    """
    tensors = {f"p.{name}": value.detach().contiguous().clone() for name, value in parameters.items()}
    for name, value in parameters.items():
        for optimizer in optimizers:
            for key, moment in optimizer.state.get(value, {}).items():
                tensors[f"o.{key}.{name}"] = torch.as_tensor(moment).detach().contiguous().clone()
    check_finite(f"{path} of step {step}", tensors.items(), advice=BROKEN)
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, partial, metadata={"state": json.dumps({"step": step})})
    give_usual_mode(partial)
    partial.replace(path)


def load_checkpoint(
    path: Path, *, parameters: dict[str, torch.nn.Parameter], optimizers: Sequence[torch.optim.Optimizer]
) -> int:
    """Restore parameters and moments in place; return the step, or 0 where there is no checkpoint.

    Raises:
        InputError: the file is damaged, or belongs to another model.
    """
    if not path.is_file():
        return 0
    with told(path, "no checkpoint of this training; remove it to begin anew"):
        return _restore(path, parameters, optimizers)


def _restore(path: Path, parameters: dict[str, torch.nn.Parameter], optimizers: Sequence[torch.optim.Optimizer]) -> int:
    tensors = load_file(path)
    check_finite(path, tensors.items())
    moments: dict[str, dict[str, Any]] = {}
    with torch.no_grad():
        for key, tensor in tensors.items():
            kind, _, rest = key.partition(".")
            if kind == "p":
                parameters[rest].copy_(tensor)
            else:
                slot, _, name = rest.partition(".")
                # AdamW keeps its step count on the CPU, and the moments beside the parameters.
                device = tensor.device if slot == "step" else parameters[name].device
                moments.setdefault(name, {})[slot] = tensor.to(device)
    owner = {id(p): optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    for name, state in moments.items():
        owner[id(parameters[name])].state[parameters[name]] = state
    return _step(path)


def _step(path: Path) -> int:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        return int(json.loads(stream.metadata()["state"])["step"])
