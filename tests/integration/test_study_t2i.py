"""Study `t2i` on toy streets and random weights: its path and its files; what it finds there means nothing."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cli_calls import done
from drivelet.recipes.studies import t2i as recipe
from drivelet.recipes.studies.t2i_measures import spread
from painter_toys import toy_pipeline, toy_scene

Capture = pytest.CaptureFixture[str]
SMALL = (
    "seeds=[0,1]", "test_prompts=16", "resamples=20", "paint.rounds=1",
    "paint.prompts_per_round=2", "paint.held_out_prompts=2", "paint.sampler_steps=1", "paint.size=32",
    "paint.lora.steps=1", "paint.lora.batch_size=2", "paint.candidates.per_prompt=2",
    "paint.candidates.reject.least_prob=0.0", "paint.candidates.reject.least_box=1.1",
    "paint.candidates.reject.clipped=1.0",
)  # fmt: skip


def _toy_world(out: Path) -> Path:
    (out / "frames").mkdir(parents=True)
    scenes = [toy_scene(number) for number in range(24)]
    names = [f"frames/{number:06d}.png" for number in range(len(scenes))]
    for name, scene in zip(names, scenes, strict=True):
        cv2.imwrite(str(out / name), cv2.cvtColor(scene.frame, cv2.COLOR_RGB2BGR))
    lines = [json.dumps({"image": name, **scene.record}) for name, scene in zip(names, scenes, strict=True)]
    (out / "scenes.jsonl").write_text("\n".join(lines) + "\n")
    return out


def test_the_study_writes_its_verdict_its_sheets_and_resumes(
    tmp_path: Path, tiny_folder: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = (f"frames={_toy_world(tmp_path / 'world')}", f"painter={toy_pipeline(tmp_path / 'painter')}",
              f"teacher={tiny_folder}")  # fmt: skip
    call = ["study", "t2i", "--out", str(tmp_path / "study")]
    call += [part for setting in (*SMALL, *models) for part in ("--set", setting)]
    done(capfd, *call)
    out = tmp_path / "study"
    study = json.loads((out / "study.json").read_text())
    assert study["study"] == "t2i" and study["holds"] == (study["gain"]["low"] > 0)
    assert [row["name"] for row in study["rows"]] == ["base", "loop, round 0", "control, round 0"]
    for row in study["rows"]:
        assert {"consistent", "lamp", "cones", "hash distance", "embedding distance"} <= row.keys()
        assert {"value", "low", "high"} == row["consistent"].keys()
    assert [(each["seed"], each["round"]) for each in study["rounds"]] == [(0, 0), (1, 0)]
    for each in study["rounds"]:
        assert each["rejection_rate"] == pytest.approx(sum(each["rejected"].values()))
    sheets = {path.name for path in (out / "sheets").iterdir()}
    assert {"seed-0-round-0.png", "seed-1-rejected-0.png", "seed-0-base.png", "seed-1-control-0.png"} <= sheets
    assert "points of consistent pictures" in study["sentence"] and study["sentence"] in (out / "table.md").read_text()
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in ("plot.png", "rejections.png"))
    monkeypatch.setattr(recipe, "paint_pictures", _must_not_run(recipe.paint_pictures))
    monkeypatch.setattr(recipe, "measure_painter", _must_not_run(recipe.measure_painter))
    done(capfd, *call)
    assert json.loads((out / "study.json").read_text()) == study


def _must_not_run(stage: object) -> object:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished stage ran again")

    for name in ("__module__", "__qualname__", "__name__", "stage_version"):
        setattr(never, name, getattr(stage, name))
    return never


def test_spread_is_the_mean_distance_within_a_group() -> None:
    points = np.array([0.0, 1.0, 4.0, 9.0])
    distance = np.abs(points[:, None] - points[None])
    assert spread(distance, ["a", "a", "a", "b"]) == pytest.approx([2.5, 2.0, 3.5])
