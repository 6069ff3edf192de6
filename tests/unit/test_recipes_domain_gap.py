"""The domain gap of two manifests through a model's eye, down to the alarm."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drivelet import tasks
from drivelet.core.flow import read_json
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.evaluate.domains import AlarmConfig
from drivelet.recipes.domain_gap import DomainGapConfig, gap_of, measure_gap

STATE = "traffic_light.state"
CONFIG = DomainGapConfig(images=30, alarm=AlarmConfig(good=0.6, margin=0.05))


def manifest(folder: Path, *, noise: float, split: str) -> Path:
    folder.mkdir()
    rows = []
    for n in range(40):
        rng = np.random.default_rng(n)
        coarse = rng.integers(60, 190, (6, 6, 3), dtype=np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC), float)
        path = folder / f"{n:02d}.png"
        noisy = np.clip(image + rng.normal(0, noise, image.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(path)
        rows.append(Row(path=str(path), task=STATE, label=("red", "green")[n % 2], split=split, group=f"g{n // 2}"))
    write_manifest(folder / "manifest.csv", rows)
    return folder / "manifest.csv"


def answered(folder: Path, table: Path, *, wrong: int) -> Path:
    folder.mkdir()
    lines = []
    for n, row in enumerate(read_manifest(table, tasks=tasks.fields())):
        said = {"red": "green", "green": "red"}[row.label] if n % 10 < wrong else row.label
        lines.append(json.dumps({"image": row.path, "frame": None, "task": STATE, "answer": said}))
    (folder / "preds.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("split", ["train", "test"])
def test_noisy_real_images_are_told_apart_by_their_noise(tmp_path: Path, tiny_folder: Path, split: str) -> None:
    real = manifest(tmp_path / "real", noise=12, split=split)
    synthetic = manifest(tmp_path / "synthetic", noise=0, split=split)
    gap = read_json(measure_gap(CONFIG, real=real, synthetic=synthetic, embedder=tiny_folder, out=tmp_path))
    assert gap["images"] == {"real": 30, "synthetic": 30}
    assert gap["auc"] > 0.9
    assert gap["features"][0]["difference"] < -3
    assert {"noise", "edge density", "sharpness"} & {each["feature"] for each in gap["features"][:3]}
    tests = {
        "real": (real, answered(tmp_path / "a", real, wrong=4)),
        "synthetic": (synthetic, answered(tmp_path / "b", synthetic, wrong=0)),
    }
    accuracy, alarms = gap_of(CONFIG, model="awq", measured=tests, gap=gap)
    assert accuracy["average"]["gap"]["value"] == pytest.approx(0.4, abs=0.02)
    assert [alarm["name"] for alarm in alarms] == ["domain_gap"]
    assert gap_of(CONFIG, model="awq", measured={**tests, "real": tests["synthetic"]}, gap=gap)[1] == []
