from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from drivelet.adapters.diffusers import DiffusersPainter, quiet
from drivelet.adapters.painter_train import PretrainConfig
from drivelet.core.rng import generator
from drivelet.recipes.painter_card import write_card
from drivelet.recipes.pretrain_painter import (
    JUDGE_PART,
    TEST_PART,
    PainterRecipe,
    default_folder,
    parts,
    stated,
    train_painter,
)
from drivelet.synth.captions import CONES, LAMP, LAMP_WORDS
from painter_toys import toy_scene

SCENES = [toy_scene(number) for number in range(40)]


def test_judges_and_tests_never_see_the_painters_scenes() -> None:
    own, judge, test = (parts(SCENES, wanted) for wanted in (None, JUDGE_PART, TEST_PART))
    names = [{scene.record["id"] for scene in chosen} for chosen in (own, judge, test)]
    assert len(set.union(*names)) == sum(map(len, names)) == len(SCENES)


def test_captions_state_facts_and_never_other_ones() -> None:
    facts = {"view": "near", "light": "night", "weather": "fog", LAMP: "yellow", CONES: "3-5"}
    seen = {stated(facts, generator(0, "stated", i)) for i in range(200)}
    assert "near night fog street, yellow traffic light, several cones" in seen and len(seen) > 5
    assert all(word not in text for text in seen for state, word in LAMP_WORDS.items() if state != "yellow")


def test_pretraining_goes_on_and_writes_a_pipeline_that_paints(tmp_path: Path) -> None:
    recipe = PainterRecipe(pretrain=PretrainConfig(minutes=0.01, batch_size=2, checkpoint_seconds=0.0))
    with quiet():
        first = train_painter(recipe, scenes=SCENES, folder=tmp_path / "run", out=tmp_path / "a")
        saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]
        second = train_painter(recipe, scenes=SCENES, folder=tmp_path / "run", out=tmp_path / "b")
    assert first["steps"] >= 1 and np.isfinite(first["loss"])
    assert saved["steps"] == first["steps"] == second["steps"]  # its minutes were spent
    images = [DiffusersPainter(tmp_path / name, steps=1).paint(["red"], seeds=[0])[0] for name in ("a", "b")]
    assert images[0].shape == (64, 64, 3) and np.array_equal(*images)
    assert max(path.stat().st_size for path in (tmp_path / "a").rglob("*.safetensors")) < 15 * 2**20


def test_checkpoints_lie_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/drivelet/pretrain/painter")


def test_the_card_states_every_figure(tmp_path: Path) -> None:
    def share(value: float) -> dict[str, float]:
        return {"score": value, "low": value - 0.05, "high": value + 0.05, "n": 320}

    found = {LAMP: share(0.81), CONES: share(0.62), "both": share(0.5), "lamp_states": {"red": 0.9, "yellow": 0.41}}
    accuracy = {"accuracy": 0.973, "per_answer": {"red": 0.96}, "n": 1500}
    metrics = {
        "recipe": asdict(PainterRecipe()),
        "frames": 4321,
        "lights": {"day": 4000, "night": 321},
        "training": {"steps": 900.0, "images": 14400.0, "seconds": 5400.0, "loss": 0.05},
        "control": {"near": found},
        "scorers": {"crop-cnn": {LAMP: accuracy, CONES: accuracy}},
    }
    text = write_card(metrics, tmp_path).read_text()
    assert all(part in text for part in ("4321", "4000 day", "14400", "1.50 h", "0.81 [0.76, 0.86]", "0.973"))
    assert "traffic_light.state: reached; cone.count: not reached" in text
    assert "Asked for yellow in near views, only 0.41" in text and "Asked for red" not in text
