import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from drivelet.adapters.painter_lora import LoraConfig
from drivelet.core.manifest import read_manifest
from drivelet.core.ports import Scorer
from drivelet.synth.painting import candidates
from drivelet.synth.painting.candidates import CandidateConfig, PromptConfig
from drivelet.synth.painting.captions import CONES, LAMP
from drivelet.synth.painting.paint import Judges, PaintConfig, paint_loop
from drivelet.synth.painting.reject import RejectConfig
from drivelet.tasks.cone import COUNT
from drivelet.tasks.traffic_light import STATE
from painter_toys import toy_pipeline

LENIENT = RejectConfig(least_sharpness=0.0, least_contrast=0.0, clipped=1.0, hash_distance=-1)
CONFIG = PaintConfig(
    rounds=2,
    patience=3,
    prompts_per_round=3,
    held_out_prompts=2,
    sampler_steps=2,
    lora=LoraConfig(rank=2, steps=2, batch_size=2),
    candidates=CandidateConfig(per_prompt=2, chunk=1, reject=LENIENT),
)


class _Leaning:
    """Likes pictures whose left half is the brighter one: about every second, and rounding changes no verdict."""

    name = "leaning"

    def score(self, image: np.ndarray, facts: Mapping[str, str]) -> Mapping[str, float]:
        left, right = (float(half.mean()) for half in np.array_split(image, 2, axis=1))
        return {LAMP: 0.9, CONES: 0.8 if left > right else 0.2}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("paint")
    pictures = root / "crops"
    (pictures / "images").mkdir(parents=True)
    lines = []
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(pictures / f"images/{number}.png"), image)
        lines.append(json.dumps({"file": f"images/{number}.png", "facts": {LAMP: "red", CONES: "0", "light": "day"}}))
    (pictures / "crops.jsonl").write_text("\n".join(lines))
    return toy_pipeline(root / "pipeline"), pictures


class _Falling:
    """Confirms everything until it has judged `good` pictures, and nothing afterwards."""

    name = "falling"

    def __init__(self, good: int) -> None:
        self.left = good

    def score(self, image: np.ndarray, facts: Mapping[str, str]) -> Mapping[str, float]:
        self.left -= 1
        return {LAMP: float(self.left >= 0), CONES: 1.0}


def _run(inputs: tuple[Path, Path], out: Path, config: PaintConfig = CONFIG, held_out: Scorer | None = None) -> Path:
    judges = Judges(scorer=_Leaning(), held_out=held_out or _Leaning())
    return paint_loop(config, pipeline=inputs[0], judges=judges, round_0=inputs[1], out=out)


def test_the_loop_writes_labels_reasons_and_the_control(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    rows = read_manifest(_run(inputs, tmp_path), tasks={STATE.name: STATE, COUNT.name: COUNT})
    report = json.loads((tmp_path / "rounds.json").read_text())
    assert len(report["rounds"]) == 2 and report["base"]["both"]["n"] == 2
    for number, entry in enumerate(report["rounds"]):
        assert entry["generated"] == 6
        assert entry["kept"] + entry["skipped_prompts"] == entry["prompts"] == 3
        assert entry["rejection_rate"] == pytest.approx(sum(entry["rejected"].values()))
        assert set(entry["rejected"]) <= {"cones_contradict"}
        assert entry["control"]["both"]["n"] == entry["loop"]["both"]["n"] == 2
        for sheet in (f"round-{number}.png", f"rejected-{number}.png", f"held_out/loop-{number}.png"):
            assert cv2.imread(str(tmp_path / sheet)) is not None
    assert report["best_round"] in (0, 1) and not report["stopped"]
    kept = sum(entry["kept"] for entry in report["rounds"])
    assert len(rows) == 2 * kept
    assert {row.trust for row in rows} == {"low"} and {row.split for row in rows} == {"train"}
    assert {row.label for row in rows if row.task == COUNT.name} <= {"0", "some"}
    assert {row.weight for row in rows} == {0.9, 0.8}
    assert {Path(row.path) for row in rows} == set((tmp_path / "images").iterdir())
    _check_rejections(tmp_path, report)


def _check_rejections(out: Path, report: Any) -> None:
    logged = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    for entry in report["rounds"]:
        own = [each for each in logged if each["round"] == entry["round"]]
        assert len(own) == pytest.approx(entry["rejection_rate"] * entry["generated"])
    assert {each["reason"] for each in logged} == {"cones_contradict"}
    assert all(cv2.imread(str(out / each["file"])) is not None and each["caption"] for each in logged)


def test_the_loop_stops_when_the_held_out_scorer_falls(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    long = replace(CONFIG, rounds=4, patience=1)
    _run(inputs, tmp_path / "at_once", long, held_out=_Falling(good=2))  # the base's two prompts alone
    report = json.loads((tmp_path / "at_once" / "rounds.json").read_text())
    assert len(report["rounds"]) == 1 and report["stopped"]
    _run(inputs, tmp_path / "patient", replace(long, patience=2), held_out=_Falling(good=2))
    report = json.loads((tmp_path / "patient" / "rounds.json").read_text())
    assert len(report["rounds"]) == 2 and report["stopped"]


def test_a_banned_word_in_the_style_rejects_every_picture(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = replace(CONFIG, rounds=1, prompts=PromptConfig(style="photo of a naked road"))
    _run(inputs, tmp_path, config)
    report = json.loads((tmp_path / "rounds.json").read_text())
    assert report["rounds"][0]["rejected"] == {"unsafe": 1.0}


def test_pictures_are_painted_and_trained_at_the_size_asked_for(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    _run(inputs, tmp_path, replace(CONFIG, rounds=1, size=16))
    kept = list((tmp_path / "images").iterdir())
    assert kept and all(cv2.imread(str(path)).shape == (16, 16, 3) for path in kept)  # pyright: ignore


def test_a_killed_loop_goes_on_and_ends_alike(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(inputs, tmp_path / "whole")
    painted, original = [], candidates._paint_chunk

    def dies_at_the_fifth(*args: object) -> object:
        painted.append(args)
        if len(painted) == 5:
            raise KeyboardInterrupt
        return original(*args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(candidates, "_paint_chunk", dies_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        _run(inputs, tmp_path / "killed")
    assert not (tmp_path / "killed" / "manifest.csv").exists()
    _run(inputs, tmp_path / "killed")
    assert len(painted) == 5 + 2  # the killed chunk and the one after it
    for name in ("manifest.csv", "rounds.json", "rejected.jsonl"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_loop_that_keeps_nothing_says_so(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picky = CandidateConfig(per_prompt=2, chunk=1, reject=RejectConfig(least_prob=0.95))
    strict = replace(CONFIG, rounds=1, prompts_per_round=1, candidates=picky)
    _run(inputs, tmp_path, strict)
    assert "not one painted picture passed" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "manifest.csv").read_text().count("\n") == 1
    report = json.loads((tmp_path / "rounds.json").read_text())
    assert report["rounds"][0]["rejected"] == {"lamp_contradicts": 1.0}
