from pathlib import Path

import numpy as np
import pytest

from drivelet.adapters.crop_classifier import CropClassifier
from drivelet.core.errors import InputError

RNG = np.random.default_rng(0)
LABELS = [{"colour": ("red", "blue")[int(v)]} for v in RNG.integers(0, 2, 64)]
IMAGES = [RNG.integers(0, 80, (32, 32, 3), dtype=np.uint8) for _ in LABELS]
for _image, _label in zip(IMAGES, LABELS, strict=True):
    _image[8:20, 8:20, 0 if _label["colour"] == "red" else 2] = 250


def test_it_learns_and_survives_saving(tmp_path: Path) -> None:
    classifier = CropClassifier({"colour": ("red", "blue")}).fit(IMAGES, LABELS, steps=25, seed=0, batch=16)
    found = classifier.probs(IMAGES)
    assert np.mean([probs["colour"][label["colour"]] > 0.5 for probs, label in zip(found, LABELS, strict=True)]) > 0.95
    again = CropClassifier.load(classifier.save(tmp_path / "judge.safetensors")).probs(IMAGES[:3])
    assert again[0]["colour"]["red"] == pytest.approx(found[0]["colour"]["red"], abs=0.02)
    assert sum(again[0]["colour"].values()) == pytest.approx(1)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no classifier"):
        CropClassifier.load(tmp_path / "judge.safetensors")
