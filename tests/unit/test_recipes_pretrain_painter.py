import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from drivelet.adapters.crop_classifier import CropClassifier
from drivelet.adapters.diffusers import DiffusersPainter, quiet
from drivelet.adapters.painter_train import PretrainConfig
from drivelet.core.rng import generator
from drivelet.recipes import painter_card
from drivelet.recipes.painter_card import control_table, write_card
from drivelet.recipes.painter_control import measure_control
from drivelet.recipes.pretrain_painter import (
    JUDGE,
    JUDGE_PART,
    TEST_PART,
    PainterRecipe,
    default_folder,
    frames_key,
    parts,
    stated,
    train_judge,
    train_painter,
)
from drivelet.synth.painting.captions import CONES, LAMP, LAMP_WORDS, LIGHT, LIGHTS, presence
from drivelet.synth.painting.score import JUDGED
from painter_toys import toy_pipeline, toy_scene

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
    images = [DiffusersPainter(tmp_path / name, steps=1).images(["red"], seeds=[0])[0] for name in ("a", "b")]
    assert images[0].shape == (64, 64, 3) and np.array_equal(*images)
    assert max(path.stat().st_size for path in (tmp_path / "a").rglob("*.safetensors")) < 15 * 2**20


def test_another_set_of_frames_has_checkpoints_of_its_own() -> None:
    assert frames_key(SCENES) == frames_key(list(SCENES)) != frames_key(SCENES[1:])


def test_the_judge_learns_all_three_facts(tmp_path: Path) -> None:
    small = PainterRecipe(judge_steps=2, judge_crops=20, own_crops=40, test_crops=12)
    found = train_judge(small, scenes=SCENES, out=tmp_path / "judge.safetensors")
    assert set(found) == {"crop-cnn", "colour-shape"}
    assert set(found) == {"crop-cnn", "colour-shape"}
    for scores in found.values():
        assert set(scores) == {LAMP, CONES, LIGHT}
        assert all(0 <= each["accuracy"] <= 1 and each["n"] == 12 for each in scores.values())


def test_control_asks_for_every_stratum_and_light_equally_often(tmp_path: Path) -> None:
    with quiet():
        painter = DiffusersPainter(toy_pipeline(tmp_path / "painter"), steps=1)
    seen: list[dict[str, str]] = []

    class Notes:
        name = "notes"

        def score(self, image: np.ndarray, facts: Mapping[str, str]) -> Mapping[str, float]:
            seen.append(dict(facts))
            return {LAMP: float(facts[LAMP] == "red"), CONES: 1.0, LIGHT: 0.0}

    found = measure_control(painter, Notes(), images=24, seed=0, out=tmp_path, views=("near",))
    asked = seen[:24]
    assert Counter(facts[LIGHT] for facts in asked) == dict.fromkeys(LIGHTS, 8)
    assert len({(facts[LAMP], presence(facts[CONES]), facts[LIGHT]) for facts in asked}) == 24
    shares = {name: found["near"][name]["score"] for name in (LAMP, CONES, LIGHT, "both", "all")}
    assert shares == {LAMP: 0.25, CONES: 1.0, LIGHT: 0.0, "both": 0.25, "all": 0.0}
    assert found["near"]["lamp_states"] == {"red": 1.0, "yellow": 0.0, "green": 0.0, "none": 0.0}
    assert (tmp_path / "control-near.png").is_file()
    table = control_table(found)
    assert "time of day" in table and "1.00 [1.00, 1.00] | 0.00" in table


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        painter = toy_pipeline(tmp_path / "painter")
    CropClassifier(JUDGED).save(painter / JUDGE)
    given = ["--painter", str(painter), "--images", "8", "--view", "near", "--out", str(tmp_path / "out")]
    painter_card.main(given, standalone_mode=False)
    printed = capsys.readouterr().out
    assert printed.startswith("| view | lamp | cones | time of day | lamp and cones | n |")
    assert json.loads((tmp_path / "out" / "control.json").read_text())["near"][LAMP]["n"] == 8


def test_checkpoints_lie_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/drivelet/pretrain/painter")


def test_the_card_states_every_figure(tmp_path: Path) -> None:
    def share(value: float) -> dict[str, float]:
        return {"score": value, "low": value - 0.05, "high": value + 0.05, "n": 320}

    found = {
        LAMP: share(0.91),
        CONES: share(0.62),
        LIGHT: share(0.87),
        "both": share(0.5),
        "lamp_states": {"red": 0.9, "yellow": 0.41},
    }
    accuracy = {"accuracy": 0.973, "per_answer": {"red": 0.96}, "n": 1500}
    metrics = {
        "recipe": asdict(PainterRecipe()),
        "frames": 4321,
        "domains": {"world": 4321},
        "lights": {"day": 4000, "night": 321},
        "training": {"steps": 900.0, "images": 14400.0, "seconds": 5400.0, "loss": 0.05},
        "control": {"near": found},
        "scorers": {"crop-cnn": {LAMP: accuracy, CONES: accuracy, LIGHT: accuracy}},
    }
    text = write_card(metrics, tmp_path).read_text()
    assert all(
        part in text for part in ("4321", "4000 day", "14400", "1.50 h", "0.91 [0.86, 0.96]", "domain world", "0.973")
    )
    assert "lamp: reached; cones: not reached; time of day: reached" in text
    assert "Asked for yellow in near views, only 0.41" in text and "Asked for red" not in text
