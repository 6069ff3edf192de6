"""Two processes on loopback hold the gradient of their common batch."""

import socket
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from drivelet.vlm.parallel import average_gradients, process_rank

BATCH = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def model() -> torch.nn.ModuleDict:
    torch.manual_seed(1)
    return torch.nn.ModuleDict({name: torch.nn.Linear(3, 2) for name in ("both", "first", "neither")})


def loss(layers: torch.nn.ModuleDict, rows: torch.Tensor, *, first: bool) -> torch.Tensor:
    found = layers["both"](rows).square().mean()
    return found + layers["first"](rows).square().mean() if first else found


def work(rank: int, port: int, out: str) -> None:
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    layers = model()
    loss(layers, BATCH[2 * rank : 2 * rank + 2], first=rank == 0).backward()
    average_gradients(list(layers.parameters()))
    assert process_rank() == rank and layers["neither"].weight.grad is None
    torch.save({name: p.grad for name, p in layers.named_parameters() if p.grad is not None}, f"{out}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_average(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(work, args=(port, str(tmp_path)), nprocs=2)
    layers = model()
    (0.5 * (loss(layers, BATCH[:2], first=True) + loss(layers, BATCH[2:], first=False))).backward()
    for rank in range(2):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert set(shared) == {f"{n}.{k}" for n in ("both", "first") for k in ("weight", "bias")}
        for name, parameter in layers.named_parameters():
            if name in shared:
                torch.testing.assert_close(shared[name], parameter.grad)


def test_alone_nothing_changes() -> None:
    layers = model()
    loss(layers, BATCH, first=True).backward()
    before = layers["both"].weight.grad.clone()
    average_gradients(list(layers.parameters()))
    assert process_rank() == 0 and torch.equal(layers["both"].weight.grad, before)
