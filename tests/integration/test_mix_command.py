"""`drivelet mix` with models: labels checked, copies found by embedding, and the ratio searched."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli_calls import done, refused
from drivelet import tasks
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.dataset.label_errors import STAGE
from drivelet.recipes import mixing
from drivelet.recipes.tiny import SHAPE
from drivelet.vlm.fresh import save_fresh_model

Capture = pytest.CaptureFixture[str]
STATE = "traffic_light.state"
FIELDS = tasks.fields()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from drivelet.recipes.pretrain_minis import corpus

    texts = corpus(FIELDS.values())
    return save_fresh_model(tmp_path_factory.mktemp("models") / "m", SHAPE, corpus=texts, seed=0)


def images(folder: Path, count: int, *, first: int, source: str = "", val: int = 0) -> Path:
    folder.mkdir()
    rows = []
    for n in range(count):
        path = folder / f"{n:03d}.png"
        coarse = np.random.default_rng(first + n).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 48), Image.Resampling.BILINEAR).save(path)
        label = ("red", "green")[n % 2]
        split = "val" if n < val else "train"
        rows.append(Row(path=str(path), task=STATE, label=label, split=split, group=f"g{n}", source=source))
    write_manifest(folder / "manifest.csv", rows)
    return folder


def test_a_teacher_checks_the_labels_of_real_images_alone(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, render = images(tmp_path / "real", 80, first=0), images(tmp_path / "r", 80, first=500, source="render")
    rows = read_manifest(real / "manifest.csv", tasks=FIELDS)
    truth = {row.path: row.label for row in rows}
    wrong = {row.path for row in rows if int(Path(row.path).stem) in (11, 30)}
    turned = {"red": "green", "green": "red"}
    flipped = [Row(**{**vars(r), "label": turned[r.label]}) if r.path in wrong else r for r in rows]
    write_manifest(real / "manifest.csv", flipped)
    asked: set[str] = set()

    def asking(name: str):
        assert name == str(tmp_path / "MODEL")

        def ask(doubtful):
            asked.update(row.path for row in doubtful)
            choices = FIELDS[STATE].choices
            return {(r.path, STATE): {c: 0.9 if c == truth[r.path] else 0.02 for c in choices} for r in doubtful}

        return ask

    monkeypatch.setattr(mixing, "asking", asking)
    out = tmp_path / "out"
    (tmp_path / "MODEL").mkdir()
    done(capfd, "mix", real, render, "--out", out, "--teacher", tmp_path / "MODEL", "--set", "real_share=null")
    kept = read_manifest(out / "manifest.csv", tasks=FIELDS)
    trained = {row.path for row in flipped if row.split == "train"} & asked
    assert asked <= set(truth)
    with (out / "rejections.csv").open() as stream:
        left = {line["path"]: line for line in csv.DictReader(stream) if line["stage"] == STAGE}
    assert set(left) == wrong & trained and left
    assert not set(left) & {row.path for row in kept}
    assert f"--teacher {tmp_path / 'MODEL'}" in (out / "README.md").read_text()


def test_a_model_answers_and_embeds(model: Path, tmp_path: Path, capfd: Capture) -> None:
    real = images(tmp_path / "real", 8, first=0)
    rows = read_manifest(real / "manifest.csv", tasks=FIELDS)
    answers = mixing.asking(str(model))(rows)
    assert set(answers) == {(row.path, row.task) for row in rows}
    for probs in answers.values():
        assert set(probs) == set(FIELDS[STATE].choices)
        assert sum(probs.values()) == pytest.approx(1, abs=1e-4)
    settings = ["--set", "looks.near_cosine=-1", "--set", "val_share=0"]
    done(capfd, "mix", real, "--out", tmp_path / "out", "--embedder", model, *settings)
    kept = read_manifest(tmp_path / "out" / "manifest.csv", tasks=FIELDS)
    assert sorted(row.label for row in kept) == ["green", "red"]  # all pictures count as one, and labels as two


def test_the_search_picks_a_ratio_on_val_rows_and_mixes_it(model: Path, tmp_path: Path, capfd: Capture) -> None:
    real = images(tmp_path / "real", 10, first=0, val=3)
    render = images(tmp_path / "r", 9, first=500, source="render", val=2)
    settings = ["grid.parts=2", "grid.halving=2", "train.steps=2", "train.images_per_step=2", "train.warmup=1",
                "train.lora.rank=2", f"teacher={model}", f"student={model}"]  # fmt: skip
    words = [word for setting in settings for word in ("--set", f"search.{setting}")]
    exports = ["--export", "coco", "--export", "webdataset", "--export", "sharegpt"]
    printed = done(capfd, "mix", real, render, "--out", tmp_path / "out", "--search", *words, *exports)
    assert "Mixes by their score on val rows" in printed
    found = json.loads((tmp_path / "out" / "search.json").read_text())
    assert [(trial["rung"], trial["real"], trial["render"]) for trial in found["trials"][:3]] == [
        (0, 1.0, 0.0), (0, 0.5, 0.5), (0, 0.0, 1.0),
    ]  # fmt: skip
    assert len(found["trials"]) == 5 and all(0 <= trial["score"] <= 1 for trial in found["trials"])
    kept = read_manifest(tmp_path / "out" / "manifest.csv", tasks=FIELDS)
    sources = {row.source for row in kept if row.split == "train"}
    assert sources == {name for name, share in found["best"].items() if share > 0}
    assert (tmp_path / "out" / "coco" / "annotations" / "train.json").is_file()
    assert list((tmp_path / "out" / "webdataset").glob("train-*.tar"))
    assert (tmp_path / "out" / "sharegpt" / "dataset_info.json").is_file()


def test_a_search_without_what_it_needs_is_one_clear_line(tmp_path: Path, capfd: Capture) -> None:
    real = images(tmp_path / "real", 6, first=0, val=2)
    assert "give another to mix with" in refused(capfd, "mix", real, "--out", tmp_path / "o", "--search")
    said = refused(capfd, "mix", real, "--out", tmp_path / "p", "--set", "search.grid.parts=2")
    assert "add --search" in said
    said = refused(capfd, "mix", real, "--out", tmp_path / "q", "--set", 'shares={"paint": 1}')
    assert "shares ask for paint" in said
