"""Rows, paired tests and slices on a small synthetic benchmark."""

import json
import math
import random
from pathlib import Path

import pytest

from drivelet import tasks as registry
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.evaluate.predictions import match, read_predictions
from drivelet.evaluate.slices import CONE_METRES, bin_name, slice_scores
from drivelet.evaluate.table import evaluate_row, paired_tests

TASKS = registry.load()
FIELDS = registry.fields()


def benchmark(frames: int, *, seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    return [
        Row(path=f"/data/{i}.png", task=name, label=rng.choice(field.answers), split="test", group=f"g{i // 2}")
        for i in range(frames)
        for name, field in FIELDS.items()
    ]


def predict(rows: list[Row], share_right: float, *, seed: int = 1) -> list[dict]:
    rng = random.Random(seed)
    return [
        {
            "image": row.path,
            "frame": None,
            "task": row.task,
            "answer": row.label if rng.random() < share_right else rng.choice(FIELDS[row.task].answers),
            "prob": 0.9,
        }
        for row in rows
    ]


ROWS = benchmark(60)


def test_row_of_the_summary():
    row = evaluate_row(
        "awq",
        predict(ROWS, 0.9),
        ROWS,
        TASKS,
        model="m",
        blind=predict(ROWS, 0.0),
        fps=3.5,
        weight_mb=1.0,
        peak_rss_mb=2.0,
    )
    json.dumps(row, allow_nan=False)
    assert list(row["fields"]) == list(FIELDS)
    assert list(row["tasks"]) == list(TASKS)
    for facts in row["fields"].values():
        assert facts["low"] <= facts["score"] <= facts["high"]
        assert facts["n"] == 60
        assert facts["blind"] < facts["score"] > facts["majority"]
        assert facts["invalid"] == facts["abstained"] == 0
    cone = [row["fields"][name]["score"] for name in ("cone.count", "cone.in_path")]
    assert row["tasks"]["cone"]["score"] == pytest.approx(sum(cone) / 2, abs=1e-5)
    mean = sum(task["score"] for task in row["tasks"].values()) / 4
    assert row["average"]["score"] == pytest.approx(mean, abs=1e-5)
    assert row["average"]["low"] < row["average"]["score"] < row["average"]["high"]
    assert {"traffic_light.state.red_to_green", "cone.count.quadratic_kappa"} <= set(row["measures"])
    assert (row["name"], row["model"], row["prompts"], row["fps"]) == ("awq", "m", None, 3.5)


def test_perfect_answers_and_determinism():
    row = evaluate_row("teacher", predict(ROWS, 1.0), ROWS, TASKS, model="m")
    assert row["average"] == {"score": 1.0, "low": 1.0, "high": 1.0}
    assert row["fields"]["cone.count"]["blind"] is None
    noisy = [evaluate_row("a", predict(ROWS, 0.5), ROWS, TASKS, model="m") for _ in range(2)]
    assert noisy[0] == noisy[1]


def test_only_fields_with_items_count():
    rows = [row for row in ROWS if row.task in ("cone.in_path", "intersection.alert")]
    row = evaluate_row("base", predict(rows, 1.0), rows, TASKS, model="m")
    assert list(row["tasks"]) == ["cone", "intersection"]
    assert row["average"]["score"] == 1.0


def test_coarse_labels_invalid_and_unknown_answers():
    rows = [
        Row(path=f"/data/{i}.png", task="cone.count", label=label, split="test", group="")
        for i, label in enumerate(["some", "some", "7", "0"])
    ]
    answers = ["3-5", "unknown", "6-10", "many"]
    predictions = [
        {"image": row.path, "frame": None, "task": row.task, "answer": answer}
        for row, answer in zip(rows, answers, strict=True)
    ]
    facts = evaluate_row("base", predictions, rows, TASKS, model="m")["fields"]["cone.count"]
    assert facts["score"] == pytest.approx((2 / 3 + 1 + 0) / 3, abs=1e-6)
    assert (facts["invalid"], facts["abstained"], facts["ece"]) == (1, 1, None)


def test_paired_tests():
    good, bad = predict(ROWS, 0.95), predict(ROWS, 0.3, seed=2)
    tests = paired_tests("awq", good, "base", bad, ROWS, TASKS)
    assert [test["task"] for test in tests] == [*TASKS, "average"]
    for test in tests:
        assert (test["a"], test["b"]) == ("awq", "base")
        assert 0 < test["low"] <= test["difference"] <= test["high"]
        assert test["p"] < 0.01
    row_a, row_b = (evaluate_row("x", p, ROWS, TASKS, model="m") for p in (good, bad))
    gap = row_a["average"]["score"] - row_b["average"]["score"]
    assert tests[-1]["difference"] == pytest.approx(gap, abs=1e-5)


def test_a_model_does_not_differ_from_itself():
    predictions = predict(ROWS, 0.7)
    for test in paired_tests("a", predictions, "b", predictions, ROWS, TASKS):
        assert (test["difference"], test["low"], test["high"], test["p"]) == (0, 0, 0, 1)


def test_matching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    row = Row(path=str(tmp_path / "a.png"), task="cone.count", label="0", split="test", group="g")
    relative = {"image": "a.png", "frame": None, "task": "cone.count", "answer": "0"}
    assert match([relative], [row]) == [relative]
    with pytest.raises(InputError, match=r"no prediction for cone\.count"):
        match([relative | {"frame": 3}], [row])
    with pytest.raises(InputError, match="no labelled rows"):
        evaluate_row("a", [relative], [Row(path="a", task="", label="", split="", group="")], TASKS, model="m")
    with pytest.raises(InputError, match="none of"):
        stray = Row(path=str(tmp_path / "a.png"), task="x", label="0", split="test", group="g")
        evaluate_row("a", [relative | {"task": "x"}], [stray], TASKS, model="m")


def test_read_predictions(tmp_path: Path):
    path = tmp_path / "preds.jsonl"
    path.write_text('{"image": "a.png", "task": "cone.count", "answer": "0"}\n')
    assert read_predictions(path) == [{"image": "a.png", "task": "cone.count", "answer": "0"}]
    with pytest.raises(InputError, match="no such predictions"):
        read_predictions(tmp_path / "none.jsonl")
    for wrong in ("{", "3", "{}", '{"image": 1, "task": "t", "answer": "a"}', "[" * 5000):
        path.write_text(wrong)
        with pytest.raises(InputError, match="line 1"):
            read_predictions(path)


def test_slices():
    predictions = predict(ROWS, 1.0)
    by_half = slice_scores(predictions, ROWS, FIELDS, key=lambda row: "odd" if row.path[-5] in "13579" else None)
    assert [(s["field"], s["slice"], s["n"], s["accuracy"]) for s in by_half] == [(f, "odd", 30, 1.0) for f in FIELDS]
    assert {s["slice"] for s in slice_scores(predictions, ROWS, FIELDS)} == {"(no source)"}


@pytest.mark.parametrize(
    ("metres", "name"), [(3, "<10"), (10, "10-20"), (49, "30-50"), (50, ">=50"), (math.inf, ">=50")]
)
def test_bin_name(metres, name):
    assert bin_name(metres, CONE_METRES) == name
