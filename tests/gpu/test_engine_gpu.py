"""The engine gives the same answers on a GPU as on a CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from drivelet import tasks
from drivelet.core.artifacts import Question
from drivelet.runtime.engine import Engine
from drivelet.vlm.load import load
from tiny_vlm import save_tiny

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_a_gpu_scores_as_a_cpu_does(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "model")
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    questions = [Question(field=f.name, text=f.question, choices=f.choices) for f in tasks.fields().values()]
    both = [
        Engine(load(model, dtype=torch.float32, device=device)).score(image, questions) for device in ("cpu", "cuda")
    ]
    for on_cpu, on_gpu in zip(*both, strict=True):
        assert on_gpu.probs == pytest.approx(dict(on_cpu.probs), abs=1e-3)
