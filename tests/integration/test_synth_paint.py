import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivelet.adapters.diffusers import LoraConfig
from drivelet.core.manifest import read_manifest
from drivelet.synth import paint
from drivelet.synth.captions import CONES, LAMP, STRATA, presence
from drivelet.synth.paint import PaintConfig, paint_loop, prompts
from drivelet.synth.score import RejectConfig
from drivelet.tasks.cone import COUNT
from drivelet.tasks.traffic_light import STATE
from painter_toys import toy_pipeline

CONFIG = PaintConfig(
    rounds=2,
    prompts_per_round=3,
    per_prompt=2,
    held_out_prompts=2,
    sampler_steps=2,
    chunk=1,
    lora=LoraConfig(rank=2, steps=2, batch_size=2),
    reject=RejectConfig(least_sharpness=0.0, least_contrast=0.0, clipped=1.0, hash_distance=-1),
)


class _Brightness:
    """Likes every second picture, by a property that the seed decides."""

    name = "brightness"

    def score(self, image: np.ndarray, facts: Mapping[str, str]) -> Mapping[str, float]:
        odd = int(image.astype(int).sum()) % 2
        return {LAMP: 0.9, CONES: 0.8 if odd else 0.2}


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


def _run(inputs: tuple[Path, Path], out: Path, config: PaintConfig = CONFIG) -> Path:
    judge = _Brightness()
    return paint_loop(config, pipeline=inputs[0], scorer=judge, held_out=judge, round_0=inputs[1], out=out)


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
        assert cv2.imread(str(tmp_path / f"round-{number}.png")) is not None
    kept = sum(entry["kept"] for entry in report["rounds"])
    assert len(rows) == 2 * kept
    assert {row.trust for row in rows} == {"low"} and {row.split for row in rows} == {"train"}
    assert {row.label for row in rows if row.task == COUNT.name} <= {"0", "some"}
    assert {row.weight for row in rows} == {0.9, 0.8}
    assert {Path(row.path) for row in rows} == set((tmp_path / "images").iterdir())


def test_a_killed_loop_goes_on_and_ends_alike(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(inputs, tmp_path / "whole")
    painted, original = [], paint._paint_chunk

    def dies_at_the_fifth(*args: object) -> object:
        painted.append(args)
        if len(painted) == 5:
            raise KeyboardInterrupt
        return original(*args)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(paint, "_paint_chunk", dies_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        _run(inputs, tmp_path / "killed")
    assert not (tmp_path / "killed" / "manifest.csv").exists()
    _run(inputs, tmp_path / "killed")
    assert len(painted) == 5 + 2  # the killed chunk and the one after it
    for name in ("manifest.csv", "rounds.json"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_loop_that_keeps_nothing_says_so(
    inputs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = replace(CONFIG, rounds=1, prompts_per_round=1, reject=RejectConfig(least_prob=0.95))
    _run(inputs, tmp_path, strict)
    assert "not one painted picture passed" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "manifest.csv").read_text().count("\n") == 1
    report = json.loads((tmp_path / "rounds.json").read_text())
    assert report["rounds"][0]["rejected"] == {"lamp_contradicts": 1.0}


def test_prompts_are_spread_evenly_over_the_strata() -> None:
    asked = prompts(CONFIG, 0, 32)
    counts = [sum((f[LAMP], presence(f[CONES])) == stratum for f in asked) for stratum in STRATA]
    assert counts == [4] * 8
    assert asked == prompts(CONFIG, 0, 32) != prompts(CONFIG, 1, 32)
