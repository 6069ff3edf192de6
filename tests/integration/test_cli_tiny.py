"""Recipe `tiny` from end to end, and each command alone on the files that the others wrote."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cli_calls import call, done
from drivelet import tasks
from drivelet.core.flow import LOCKS
from drivelet.core.tables import read_rows

Capture = pytest.CaptureFixture[str]
FIELDS = list(tasks.fields())
TASKS = {name.split(".")[0] for name in FIELDS}
PROMISED = ["drive", "file", "frame", "t", "task", "answer", "prob", "accepted", "reason"]
PREDICTION = ["image", "frame", "task", "answer", "prob", "probs", "abstained", "prompt", "active", "ms"]


def stage(run: Path, name: str) -> Path:
    (folder,) = (run / "stages").glob(f"{name}-*")
    return folder


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


# ---------------------------------------------------------------------- the run


def test_the_summary_keeps_its_contract(tiny_run: Path) -> None:
    summary = load(tiny_run / "summary.json")
    assert {"recipe", "data", "rows", "tests"} <= summary.keys()
    assert summary["recipe"] == "tiny"
    assert [row["name"] for row in summary["rows"]] == ["teacher", "base", "prompts", "data", "distilled", "awq"]
    for row in summary["rows"]:
        assert {"name", "model", "prompts", "fields", "average", "fps", "weight_mb", "peak_rss_mb"} <= row.keys()
        assert row["fps_low"] <= row["fps"] <= row["fps_high"]
        assert row["dtype"] in ("float32", "bfloat16")
        assert row["model_mb"] is None or 0 < row["model_mb"] < row["peak_rss_mb"]
        assert (tiny_run / row["model"] / "config.json").is_file()
        assert row["prompts"] is None or (tiny_run / row["prompts"] / "prompts.json").is_file()
        assert list(row["fields"]) == FIELDS
        for field in row["fields"].values():
            assert {"score", "low", "high", "n", "majority", "blind"} <= field.keys()
            assert field["n"] == 6
        assert row["fps"] > 0
        assert row["weight_mb"] > 0
        assert row["peak_rss_mb"] > 50
    assert len({row["dtype"] for row in summary["rows"]}) == 1


def test_the_average_is_the_mean_over_tasks_of_the_mean_over_fields(tiny_run: Path) -> None:
    for row in load(tiny_run / "summary.json")["rows"]:
        means = [
            np.mean([field["score"] for name, field in row["fields"].items() if name.startswith(f"{task}.")])
            for task in TASKS
        ]
        assert row["average"]["score"] == pytest.approx(np.mean(means), abs=1e-4)
        assert row["average"]["low"] <= row["average"]["high"]


def test_models_are_paired_with_tests(tiny_run: Path) -> None:
    tests = load(tiny_run / "summary.json")["tests"]
    assert {(test["a"], test["b"]) for test in tests} >= {("awq", "base"), ("awq", "distilled")}


def test_the_four_bit_model_is_smaller(tiny_run: Path) -> None:
    size = {row["name"]: row["weight_mb"] for row in load(tiny_run / "summary.json")["rows"]}
    assert size["awq"] < size["distilled"]


def test_the_report_needs_no_other_file(tiny_run: Path) -> None:
    page = (tiny_run / "report.html").read_text()
    assert "data:image/png;base64," in page
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    assert "<script" not in page


def test_the_table_is_printed(tiny_run: Path) -> None:
    printed = (tiny_run / "printed.txt").read_text()
    assert all(name in printed for name in ("teacher", "base", "prompts", "data", "distilled", "awq", "95%"))


def test_a_second_run_does_nothing_new(tiny_run: Path, capfd: Capture) -> None:
    before = load(tiny_run / "summary.json")
    stages = [path for path in (tiny_run / "stages").rglob("*") if LOCKS not in path.parts]
    stamps = {path: path.stat().st_mtime_ns for path in stages}
    done(capfd, "run", "tiny", "--out", tiny_run)
    assert {path: path.stat().st_mtime_ns for path in stages} == stamps
    assert load(tiny_run / "summary.json") == before


# ---------------------------------------------------------------------- predict


def check_predictions(path: Path, *, images: int, asked: list[str]) -> list[dict[str, Any]]:
    said = lines(path)
    assert len(said) == images * len(asked)
    for line in said:
        assert list(line) == PREDICTION
        choices = tasks.fields()[line["task"]].choices
        assert line["answer"] in choices
        assert line["abstained"] == (line["answer"] == "unknown")
        assert line["prob"] == pytest.approx(line["probs"][line["answer"]])
        assert line["ms"] >= 0
        if line["active"]:
            assert set(line["probs"]) == set(choices)
            assert sum(line["probs"].values()) == pytest.approx(1, abs=1e-3)
            assert line["prompt"]
        else:
            assert line["answer"] == tasks.fields()[line["task"]].absent
    assert {line["task"] for line in said} == set(asked)
    return said


@pytest.fixture
def model(tiny_run: Path) -> Path:
    return tiny_run / "models" / "student"


def test_predict_an_image(tiny_run: Path, model: Path, tmp_path: Path, capfd: Capture) -> None:
    image = stage(tiny_run, "world") / "frames" / "000000.png"
    done(capfd, "predict", model, image, "--out", tmp_path / "p.jsonl")
    said = check_predictions(tmp_path / "p.jsonl", images=1, asked=FIELDS)
    assert {(line["image"], line["frame"]) for line in said} == {(str(image), None)}


def test_predict_a_folder_with_prompts(tiny_run: Path, model: Path, tmp_path: Path, capfd: Capture) -> None:
    folder = stage(tiny_run, "test") / "frames"
    prompts = stage(tiny_run, "prompts")
    done(capfd, "predict", model, folder, "--out", tmp_path / "p.jsonl", "--prompts", prompts, "--blind")
    said = check_predictions(tmp_path / "p.jsonl", images=6, asked=FIELDS)
    assert {Path(line["image"]).name for line in said} == {f"{i:06d}.png" for i in range(6)}
    blind = check_predictions(tmp_path / "p.blind.jsonl", images=6, asked=FIELDS)
    assert len({line["prob"] for line in blind if line["task"] == "cone.count"}) == 1


def test_predict_a_video_frame_by_frame(tiny_run: Path, model: Path, tmp_path: Path, capfd: Capture) -> None:
    video = stage(tiny_run, "drives") / "drives" / "000" / "video.mp4"
    done(capfd, "predict", model, video, "--out", tmp_path / "p.jsonl", "--tasks", "cone")
    said = check_predictions(tmp_path / "p.jsonl", images=5, asked=["cone.count", "cone.in_path"])
    assert {line["image"] for line in said} == {str(video)}
    assert [line["frame"] for line in said[::2]] == [0, 1, 2, 3, 4]


def test_predict_a_manifest(tiny_run: Path, model: Path, tmp_path: Path, capfd: Capture) -> None:
    frames = stage(tiny_run, "world") / "frames"
    table = tmp_path / "manifest.csv"
    table.write_text(
        f"path,task,label,split,group\n{frames / '000000.png'},,,test,a\n"
        f"{frames / '000001.png'},cone.count,0,test,b\n{frames / '000001.png'},traffic_light.state,,test,b\n"
    )
    done(capfd, "predict", model, table, "--out", tmp_path / "p.jsonl")
    asked = [(Path(line["image"]).name, line["task"]) for line in lines(tmp_path / "p.jsonl")]
    assert sorted(asked) == sorted(
        [("000000.png", name) for name in FIELDS]
        + [("000001.png", "cone.count"), ("000001.png", "traffic_light.state")]
    )
    done(capfd, "predict", model, table, "--out", tmp_path / "q.jsonl", "--tasks", "cone.count,intersection")
    asked = [(Path(line["image"]).name, line["task"]) for line in lines(tmp_path / "q.jsonl")]
    assert sorted(asked) == [
        ("000000.png", "cone.count"), ("000000.png", "intersection.alert"), ("000001.png", "cone.count")
    ]  # fmt: skip


def test_the_four_bit_model_predicts_alone(tiny_run: Path, tmp_path: Path, capfd: Capture) -> None:
    image = stage(tiny_run, "world") / "frames" / "000000.png"
    done(capfd, "predict", stage(tiny_run, "awq"), image, "--out", tmp_path / "p.jsonl")
    check_predictions(tmp_path / "p.jsonl", images=1, asked=FIELDS)


# ---------------------------------------------------------------------- drives, labels, pictures


def test_ingest_then_label(tiny_run: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done(capfd, "ingest", stage(tiny_run, "drives") / "drives" / "000", "--out", "drive")
    frames = read_rows(tmp_path / "drive" / "frames.lance")
    assert len(frames) == 5
    assert all(frame["speed_mps"] == frame["speed_mps"] for frame in frames)
    gold = stage(tiny_run, "world") / "manifest.csv"
    teacher = tiny_run / "models" / "teacher"
    checked = ["path,task,label,split,group"]
    for number in (2, 99):
        picture = tmp_path / f"{frames[0]['drive']}_{number:04d}.png"
        Image.new("RGB", (32, 20)).save(picture)
        checked.append(f"{picture.name},cone.count,some,val,g")
    (tmp_path / "checked.csv").write_text("\n".join(checked) + "\n")
    asked = ["--gold", gold, "--teacher", teacher, "--check", "checked.csv"]
    outcome = call(capfd, "label", "drive", "--out", "labels", *asked)
    assert outcome.code == 0, outcome.err
    assert "1 of 2 hand-checked labels" in re.sub(r"\s+", " ", outcome.err)
    assert [record["frames"] for record in load(tmp_path / "labels" / "check.json")] == [1]
    labels = lines(tmp_path / "labels" / "labels.jsonl")
    assert [(label["frame"], label["task"]) for label in labels] == [(n, name) for n in range(5) for name in FIELDS]
    for label in labels:
        assert list(label) == [*PROMISED, "state", "hidden", "drive_id"]
        assert label["accepted"] == (label["reason"] == "")
        assert label["answer"] in tasks.fields()[label["task"]].choices
        assert 0 <= label["prob"] <= 1
        assert (tmp_path / "labels" / label["file"]).is_file()
        assert label["t"] == pytest.approx(label["frame"] / 5, abs=1e-3)
    assert len(read_rows(tmp_path / "labels" / "labels.lance")) == len(labels)
    assert {vote["family"] for vote in read_rows(tmp_path / "labels" / "votes.lance")} >= {"vlm", "colour"}


def test_frames_are_labelled_at_5_hz_or_more(tiny_run: Path) -> None:
    times = sorted({label["t"] for label in lines(stage(tiny_run, "label") / "labels.jsonl")})
    assert max(np.diff(times)) <= 0.2 + 1e-3


def test_a_rendered_frame_depends_on_seed_and_number_alone(tiny_run: Path, tmp_path: Path, capfd: Capture) -> None:
    del tiny_run  # Blender is there
    done(capfd, "render", "--out", tmp_path / "two", "--num-frames", 2, "--seed", 5)
    done(capfd, "render", "--out", tmp_path / "one", "--num-frames", 1, "--seed", 5)
    first = [np.asarray(Image.open(tmp_path / name / "frames" / "000000.png")) for name in ("one", "two")]
    assert np.array_equal(*first)
    other = np.asarray(Image.open(tmp_path / "two" / "frames" / "000001.png"))
    assert not np.array_equal(first[0], other)
    table = rows(tmp_path / "two" / "manifest.csv")
    assert [(row["path"], row["task"]) for row in table] == [
        (f"frames/{i:06d}.png", name) for i in range(2) for name in FIELDS
    ]
    for record in lines(tmp_path / "two" / "scenes.jsonl"):
        assert {"image", "objects", "sensor"} <= record.keys()


def test_paint_with_a_given_painter(tiny_run: Path, tmp_path: Path, capfd: Capture) -> None:
    small = [
        "rounds=1", "prompts_per_round=4", "candidates.per_prompt=1", "held_out_prompts=4", "sampler_steps=2",
        "lora.steps=1", "lora.rank=2", "lora.batch_size=2",
        *(f"candidates.reject.{name}=0" for name in ("least_prob", "least_sharpness", "least_contrast")),
        "candidates.reject.clipped=1", "candidates.reject.hash_distance=-1", "candidates.reject.least_box=1.1",
    ]  # fmt: skip
    settings = [word for setting in small for word in ("--set", setting)]
    painter, teacher = tiny_run / "models" / "painter", tiny_run / "models" / "teacher"
    world = stage(tiny_run, "world")
    done(capfd, "paint", "--out", tmp_path, "--world", world, "--painter", painter, "--teacher", teacher, *settings)
    rounds = load(tmp_path / "rounds.json")
    assert len(rounds["rounds"]) == 1
    images = {row["path"] for row in rows(tmp_path / "manifest.csv")}
    assert images
    assert all((tmp_path / image).is_file() for image in images)


# ---------------------------------------------------------------------- data, training, measuring


@pytest.fixture(scope="module")
def data(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mix of all kinds of sources, made by the command."""
    from drivelet.cli import main

    out = tmp_path_factory.mktemp("mixed") / "data"
    sources = [str(stage(tiny_run, name)) for name in ("label", "world", "paint")]
    main(["mix", *sources, "--out", str(out), "--set", "real_share=null", "--export", "llava", "--export", "parquet"])
    return out


def test_mix_and_its_exports(data: Path) -> None:
    table = rows(data / "manifest.csv")
    assert {row["split"] for row in table} >= {"train", "val"}
    assert {row["source"].split(":")[0] for row in table} >= {"render", "paint"}
    groups: dict[str, set[str]] = {}
    for row in table:
        groups.setdefault(row["group"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in groups.values())
    talks = load(data / "llava" / "train.json")
    assert all(talk["conversations"][0]["value"].startswith("<image>\n") for talk in talks)
    (parquet,) = (data / "parquet" / "data").glob("train-*.parquet")
    table_train = [row for row in table if row["split"] == "train"]
    assert pq.read_metadata(parquet).num_rows == len(table_train)
    assert load(data / "mix.json")["rows"]["split"]["train"] == len(table_train)


def test_prompts_optimise_then_show(data: Path, model: Path, tmp_path: Path, capfd: Capture) -> None:
    small = ["--set", "rounds=1", "--set", "candidates_per_field=1", "--set", "train_rows=2", "--set", "val_rows=2"]
    done(capfd, "prompts", "optimise", model, "--data", data, "--out", tmp_path, *small)
    assert {"prompts.json", "router.json", "search.json", "gaps.json"} <= {path.name for path in tmp_path.iterdir()}
    shown = done(capfd, "prompts", "show", tmp_path)
    assert all(name in shown for name in FIELDS)
    assert all(name in done(capfd, "prompts", "show") for name in FIELDS)


def test_distil_quantise_bench_and_report(
    tiny_run: Path, data: Path, model: Path, tmp_path: Path, capfd: Capture
) -> None:
    teacher = tiny_run / "models" / "teacher"
    small = ["--set", "steps=2", "--set", "images_per_step=2", "--set", "warmup=1"]
    done(capfd, "distil", "--teacher", teacher, "--student", model, "--data", data, "--out", tmp_path / "d", *small)
    distilled = tmp_path / "d" / "model"
    assert (distilled / "model.safetensors").is_file()
    done(capfd, "quantise", distilled, "--data", data, "--group-size", 32, "--out", tmp_path / "q")
    assert load(tmp_path / "q" / "config.json")["quantization_config"]["quant_method"] == "compressed-tensors"
    printed = done(capfd, "bench", tmp_path / "q", "--data", data / "manifest.csv", "--out", tmp_path / "b")
    assert "frames/s" in printed
    (row,) = load(tmp_path / "b" / "summary.json")["rows"]
    assert row["fields"].keys() == set(FIELDS)
    done(capfd, "report", tmp_path / "b")
    assert "frames/s" in (tmp_path / "b" / "report.html").read_text()


@pytest.mark.parametrize("recipe", ["tiny", "mini", "qwen2_5_vl"])
def test_every_shown_setting_can_be_set(recipe: str, capfd: Capture) -> None:
    shown = done(capfd, "show", recipe)
    settings = [line.replace(" = ", "=", 1) for line in shown.splitlines()]
    assert len(settings) > 80
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert done(capfd, "show", recipe, *arguments) == shown


def test_a_setting_shows(capfd: Capture) -> None:
    assert "distil.steps = 3\n" in done(capfd, "show", "tiny", "--set", "distil.steps=3")


def test_workers_do_not_change_labels(tiny_run: Path, tmp_path: Path, capfd: Capture) -> None:
    drive = stage(tiny_run, "drives") / "drives" / "000" / "video.mp4"
    teacher = tiny_run / "models" / "teacher"
    for name in ("a", "b"):
        shutil.copy(drive, tmp_path / f"{name}.mp4")
    drives = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    done(capfd, "label", *drives, "--teacher", teacher, "--out", tmp_path / "one")
    done(capfd, "label", *drives, "--teacher", teacher, "--out", tmp_path / "two", "--workers", 2)
    alone, together = (lines(tmp_path / name / "labels.jsonl") for name in ("one", "two"))
    assert len(alone) == 2 * 5 * len(FIELDS)
    assert [key(label) for label in alone] == [key(label) for label in together]
    for left, right in zip(alone, together, strict=True):
        assert left["prob"] == pytest.approx(right["prob"], abs=1e-4)


def key(label: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(label[name] for name in ("drive", "frame", "task", "answer", "accepted", "reason"))
