"""Checkpoints: parameters and optimiser moments come back exactly, and training goes on as if it had never stopped."""

from pathlib import Path

import pytest
import torch

from drivelet.core.errors import InputError
from drivelet.vlm.checkpoint import load_checkpoint, save_checkpoint


def start(seed: int = 0) -> tuple[torch.nn.Module, dict[str, torch.nn.Parameter], torch.optim.AdamW]:
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 2))
    parameters = dict(module.named_parameters())
    return module, parameters, torch.optim.AdamW(parameters.values(), lr=0.05)


def train(module: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        batch = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
        module(batch).pow(2).mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def test_parameters_moments_and_step_come_back(tmp_path: Path) -> None:
    module, parameters, optimizer = start()
    train(module, optimizer, range(3))
    save_checkpoint(tmp_path / "a" / "c.safetensors", parameters=parameters, optimizers=[optimizer], step=3)
    _, again, fresh = start(seed=9)
    assert load_checkpoint(tmp_path / "a" / "c.safetensors", parameters=again, optimizers=[fresh]) == 3
    for name, value in parameters.items():
        assert torch.equal(value, again[name])
        for key, moment in optimizer.state[value].items():
            assert torch.equal(moment, fresh.state[again[name]][key]), (name, key)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_resumed_run_is_the_undisturbed_one(tmp_path: Path) -> None:
    whole, expected, optimizer = start()
    train(whole, optimizer, range(6))
    first, parameters, optimizer = start()
    train(first, optimizer, range(3))
    save_checkpoint(tmp_path / "c.safetensors", parameters=parameters, optimizers=[optimizer], step=3)
    second, parameters, optimizer = start(seed=9)
    step = load_checkpoint(tmp_path / "c.safetensors", parameters=parameters, optimizers=[optimizer])
    train(second, optimizer, range(step, 6))
    assert all(torch.equal(parameters[name], value) for name, value in expected.items())


def test_no_checkpoint_is_step_zero(tmp_path: Path) -> None:
    _, parameters, optimizer = start()
    before = {name: value.clone() for name, value in parameters.items()}
    assert load_checkpoint(tmp_path / "c.safetensors", parameters=parameters, optimizers=[optimizer]) == 0
    assert all(torch.equal(before[name], value) for name, value in parameters.items()) and not optimizer.state


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, parameters, optimizer = start()
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, parameters=parameters, optimizers=[optimizer], step=1)
    train(module, optimizer, range(1))

    def full_disk(tensors: object, name: Path, metadata: object = None) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("drivelet.vlm.checkpoint.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, parameters=parameters, optimizers=[optimizer], step=2)
    assert load_checkpoint(path, parameters=parameters, optimizers=[optimizer]) == 1


def test_a_checkpoint_of_nan_is_not_written(tmp_path: Path) -> None:
    _, parameters, optimizer = start()
    with torch.no_grad():
        parameters["0.bias"][1] = float("nan")
    with pytest.raises(InputError, match=r"of step 3: NaN or infinite values in p\.0\.bias; nothing is saved"):
        save_checkpoint(tmp_path / "c.safetensors", parameters=parameters, optimizers=[optimizer], step=3)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_is_none_or_of_another_model_is_one_line(tmp_path: Path) -> None:
    _, parameters, optimizer = start()
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, parameters=parameters, optimizers=[optimizer], step=3)
    other = {"0.weight": torch.nn.Parameter(torch.ones(3, 3))}
    whole = path.read_bytes()
    for content, owner in ((whole, other), (whole[:100], parameters), (b"", parameters), (b"{}" * 99, parameters)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no checkpoint of this training; remove it to begin anew") as caught:
            load_checkpoint(path, parameters=owner, optimizers=[torch.optim.AdamW(owner.values())])
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
