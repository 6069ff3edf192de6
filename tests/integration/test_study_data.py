"""Study `data` on a handful of images and a tiny model: its path and its files; what it finds there means nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli_calls import done, refused
from drivelet.adapters import blender
from drivelet.cli import main
from drivelet.core.errors import MissingBackendError
from drivelet.core.manifest import Row, write_manifest
from drivelet.recipes.tiny import tiny, with_random_models

Capture = pytest.CaptureFixture[str]
SIZE = ("width=160", "height=96")
PAINT = (
    "rounds=1", "prompts_per_round=4", "held_out_prompts=4", "sampler_steps=2", "lora.steps=1", "lora.rank=2",
    "lora.batch_size=2", "candidates.per_prompt=1", "candidates.reject.least_prob=0",
    "candidates.reject.least_sharpness=0", "candidates.reject.least_contrast=0", "candidates.reject.clipped=1",
    "candidates.reject.hash_distance=-1", "candidates.reject.least_box=1.1",
)  # fmt: skip
SHORT = (
    *(f"{part}.{size}" for part in ("drives", "world", "test") for size in SIZE),
    *(f"paint.{each}" for each in PAINT),
    "drives.num_drives=6", "drives.seconds=1", "drives.hz=2", "world.num_frames=8", "test.num_frames=4",
    "train.steps=2", "train.images_per_step=2", "train.warmup=1", "train.lora.rank=2", "seeds=[0, 1]",
    "resamples=20", "domain_gap.images=8",
)  # fmt: skip
ARMS = ["real", "real x2 steps", "real + T2I", "real + render", "all", "tenth of real", "tenth of real + render"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings that name tiny models of random weights."""
    try:
        blender.find_blender()
    except MissingBackendError as error:
        pytest.skip(str(error))
    config = with_random_models(tiny(), tmp_path_factory.mktemp("models"))
    return [f"{name}={getattr(config, name)}" for name in ("teacher", "student", "painter")]


def study(tmp_path: Path, capfd: Capture, settings: list[str], *arguments: object) -> dict[str, Any]:
    words = [part for setting in settings for part in ("--set", setting)]
    done(capfd, "study", "data", "--out", tmp_path / "study", *arguments, *words)
    return json.loads((tmp_path / "study" / "study.json").read_text())


@pytest.fixture(scope="module")
def stages(models: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stages of a finished study without images."""
    out = tmp_path_factory.mktemp("data") / "study"
    main(["study", "data", "--out", str(out), *(p for s in [*SHORT, *models] for p in ("--set", s))])
    return out / "stages"


def test_without_images_drives_of_another_domain_stand_in_and_it_says_so(
    capfd: Capture, models: list[str], stages: Path
) -> None:
    out, made = stages.parent, {path: path.stat().st_mtime_ns for path in stages.glob("*/manifest.json")}
    first = json.loads((out / "study.json").read_text())
    found = study(out.parent, capfd, [*SHORT, *models])
    assert found == first
    assert {path: path.stat().st_mtime_ns for path in stages.glob("*/manifest.json")} == made
    assert {"study", "claim", "holds", "rows", "gains", "slices", "domain_gap", "alarms", "sentence"} <= found.keys()
    assert [row["name"] for row in found["rows"]] == ARMS
    assert found["real"].startswith("stand-in")
    assert "says nothing of real roads" in found["sentence"]
    assert found["rows"][0]["gain_real"]["value"] == 0
    for row in found["rows"]:
        for name in ("real", "synthetic", "gain_real", "gain_synthetic"):
            assert {"value", "low", "high"} == row[name].keys()
        assert 0 <= row["real"]["low"] <= row["real"]["value"] <= row["real"]["high"] <= 1
    assert {(each["arm"], each["test"]) for each in found["gains"]} == {
        (arm, test) for arm in ARMS[1:] for test in ("real", "synthetic")
    }
    assert {each["slice"] for each in found["slices"]} >= {"night"}
    assert set(found["images"]) == {"real", "render", "paint"}
    assert 0 <= found["domain_gap"]["auc"] <= 1
    assert "Arms" in (out / "table.md").read_text()
    assert (out / "plot.png").read_bytes().startswith(b"\x89PNG")
    trained = [json.loads(path.read_text()) for path in stages.glob("train-*/train.json")]
    assert sorted(each["steps"] for each in trained) == [2] * 12 + [4] * 2


def test_a_manifest_of_images_is_the_real_part(tmp_path: Path, capfd: Capture, models: list[str], stages: Path) -> None:
    here = stages.parent.parent  # the renders and paintings of the study above serve this one
    rows = []
    for n in range(12):
        path = tmp_path / f"{n}.png"
        coarse = np.random.default_rng(n).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 48), Image.Resampling.BILINEAR).save(path)
        task, label = [("traffic_light.state", "red"), ("cone.count", "some"), ("cone.count", "0")][n % 3]
        rows.append(Row(path=str(path), task=task, label=label, split="val" if n > 7 else "train", group=f"g{n}"))
    write_manifest(tmp_path / "manifest.csv", rows)
    seen = study(here, capfd, [*SHORT, *models, "seeds=[0]"], "--images", tmp_path / "manifest.csv")
    assert seen["real"] == "images"
    assert seen["images"]["real"] == 8 and seen["test_images"]["real"] == 4
    assert "real roads" not in seen["sentence"]
    assert {each["task"] for each in seen["gains"] if each["test"] == "real"} == {"traffic_light", "cone", "average"}


def test_wrong_images_are_one_clear_line(tmp_path: Path, capfd: Capture) -> None:
    said = refused(capfd, "study", "temporal", "--out", tmp_path / "x", "--images", tmp_path / "none.csv")
    assert "takes no --images" in said
    said = refused(capfd, "study", "data", "--out", tmp_path / "x", "--images", tmp_path / "none.csv")
    assert "none.csv: no such manifest" in said
    assert "seed" in refused(capfd, "study", "data", "--out", tmp_path / "x", "--set", "seeds=[]")
