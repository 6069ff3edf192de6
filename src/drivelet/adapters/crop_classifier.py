"""A small convolutional classifier of 64x64 pictures with several closed answers, trained from scratch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from drivelet.adapters.denoise import pixels
from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite, check_step
from drivelet.core.model_folder import give_usual_mode, told
from drivelet.core.rng import generator

SIDE = 64


def _network(outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((3, 24), (24, 48), (48, 96)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        layers += [nn.Conv2d(after, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
    # the strongest response anywhere: a lamp is one spot of the picture
    return nn.Sequential(
        *layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, outputs)
    )


class CropClassifier:
    """Gives probabilities over the answers of each field for pictures, which it scales to 64x64.

    Args:
        answers: field -> its closed answers.
    """

    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None:
        self.answers = {name: tuple(values) for name, values in answers.items()}
        self.network = _network(sum(map(len, self.answers.values()))).eval()

    def probs(self, images: Sequence[ImageArray]) -> list[dict[str, dict[str, float]]]:
        """Return for each picture: field -> answer -> probability."""
        results: list[dict[str, dict[str, float]]] = [{} for _ in images]
        for start in range(0, len(images), 128):
            with torch.inference_mode():
                logits_BK: Tensor = self.network(pixels(np.stack([_sized(i) for i in images[start : start + 128]])))
            for name, part in self._split(logits_BK).items():
                for offset, row in enumerate(part.softmax(dim=1).tolist()):
                    results[start + offset][name] = dict(zip(self.answers[name], row, strict=True))
        return results

    def _split(self, logits_BK: Tensor) -> dict[str, Tensor]:
        parts = logits_BK.split([len(values) for values in self.answers.values()], dim=1)
        return dict(zip(self.answers, parts, strict=True))

    def fit(
        self,
        images: Sequence[ImageArray],
        labels: Sequence[Mapping[str, str]],
        *,
        steps: int,
        seed: int,
        batch: int = 64,
    ) -> "CropClassifier":
        """Train on pictures and their answers; random shifts, gains and noise keep it from reading single pixels."""
        targets = {
            name: torch.tensor([values.index(label[name]) for label in labels]) for name, values in self.answers.items()
        }
        torch.manual_seed(seed)
        self.network = _network(sum(map(len, self.answers.values()))).train()
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=2e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(steps, 2), pct_start=0.15)
        for step in range(steps):
            rng = generator(seed, "classifier", step)
            chosen = rng.integers(len(images), size=batch)
            shown = _varied(pixels(np.stack([_sized(images[i]) for i in chosen])), rng)
            with torch.autocast("cpu", torch.bfloat16):
                logits_BK = self.network(shown)
            parts = self._split(logits_BK.float())
            loss = sum(nn.functional.cross_entropy(part, targets[name][chosen]) for name, part in parts.items())
            assert isinstance(loss, Tensor)
            check_step("crop classifier", step + 1, loss=loss.detach())
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
        self.network.eval()
        return self

    def save(self, path: Path) -> Path:
        """Write the weights in 16 bit and the answers as one safetensors file."""
        state = {name: tensor.half().contiguous() for name, tensor in self.network.state_dict().items()}
        save_file(state, str(path), metadata={"answers": json.dumps(self.answers)})
        give_usual_mode(path)
        return path

    @classmethod
    def load(cls, path: Path) -> "CropClassifier":
        """Read a file that `save` wrote.

        Raises:
            InputError: there is no such file, or it is damaged.
        """
        from safetensors import safe_open

        if not path.is_file():
            raise InputError(f"{path}: no classifier here; give the safetensors file that its training wrote")
        with told(path, "no classifier that its training wrote"):
            opened: Any = safe_open(str(path), "pt")
            with opened as stream:
                answers = json.loads(stream.metadata()["answers"])
            classifier = cls(answers)
            classifier.network.load_state_dict(load_file(str(path)))
        check_finite(path, classifier.network.state_dict().items())
        return classifier


def _sized(image: ImageArray) -> ImageArray:
    if image.shape[:2] == (SIDE, SIDE):
        return image
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _varied(images_BCHW: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift, mirror, and vary gain, blur and noise: painted pictures are softer than rendered ones."""
    rows, columns = (int(v) for v in rng.integers(-4, 5, size=2))
    images_BCHW = torch.roll(images_BCHW, (rows, columns), dims=(2, 3))
    if rng.random() < 0.5:
        images_BCHW = images_BCHW.flip(3)
    if rng.random() < 0.4:
        images_BCHW = nn.functional.avg_pool2d(images_BCHW, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.08), images_BCHW.shape).astype(np.float32))
    return images_BCHW * float(rng.uniform(0.85, 1.15)) + noise
