"""Speed: the same frames in every pass, the median between the slowest and the fastest, one model after the other."""

from pathlib import Path

import pytest

from drive_files import write_images
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, write_manifest
from drivelet.recipes import speed
from drivelet.recipes.speed import speed_of, speeds, time_model
from drivelet.recipes.steps import PredictConfig
from drivelet.runtime import predict as predicting

CONFIG = PredictConfig(threads=1, dtype="float32", speed_frames=4, speed_passes=3)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    names = [f"{number}.png" for number in range(9)]
    write_images(tmp_path, names)
    rows = [Row(path=str(tmp_path / name), task="cone.count", label="0", split="test", group=name) for name in names]
    write_manifest(tmp_path / "manifest.csv", rows)
    return tmp_path / "manifest.csv"


def test_every_pass_answers_the_same_few_frames(
    tiny_folder: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def watched(model, pictures, **how):
        asked.append([Path(picture.path).name for picture in pictures])
        return predicting.predict(model, pictures, **how)

    monkeypatch.setattr(speed, "predict", watched)
    found = time_model(CONFIG, tiny_folder, None, manifest)
    assert asked == [["0.png", "2.png", "4.png", "6.png"]] * 4
    assert 0 < found["fps_low"] <= found["fps"] <= found["fps_high"]


def test_models_are_timed_by_name(tiny_folder: Path, manifest: Path, tmp_path: Path) -> None:
    models = {"a": tiny_folder, "b": tiny_folder}
    out = speeds(CONFIG, models=models, prompts=dict.fromkeys(models), manifest=manifest, out=tmp_path)
    for name in models:
        found = speed_of(out, name)
        assert 0 < found["fps_low"] <= found["fps"] <= found["fps_high"]


def test_no_pass_is_no_measurement() -> None:
    for wrong in ({"speed_frames": 0}, {"speed_passes": 0}):
        with pytest.raises(InputError, match="at least 1"):
            PredictConfig(**wrong)
