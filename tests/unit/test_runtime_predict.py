"""Predictions: one line a picture and field, what the router leaves out, the blind control, and costs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivelet.core.artifacts import Field, ImageArray, Question, Scored
from drivelet.runtime.engine import Engine
from drivelet.runtime.predict import Picture, cost_path, predict, write_predictions
from drivelet.vlm.load import Loaded
from tiny_vlm import LAMP, LESSONS, SIGN, questions, solid


def field(name: str, answers: tuple[str, ...]) -> Field:
    return Field(
        name=name, question="?", wordings=(), held_out_wordings=(), answers=answers, absent="none",
        metric="accuracy", parse=lambda label: frozenset({label}), gold=lambda scene: "none",
    )  # fmt: skip


FIELDS = {"lamp": field("lamp", LAMP[:-1]), "sign": field("sign", SIGN[:-1])}


def pictures() -> list[Picture]:
    return [
        Picture(path=f"{n}.png", frame=n or None, fields=("sign", "lamp"), read=lambda c=colour: solid(c))
        for n, (colour, _, _) in enumerate(LESSONS)
    ]


def both(image: ImageArray, names: Sequence[str], sensor: str) -> Mapping[str, Question | None]:
    return {question.field: question for question in questions()}


def no_sign(image: ImageArray, names: Sequence[str], sensor: str) -> Mapping[str, Question | None]:
    return {**both(image, names, sensor), "sign": None}


def test_every_picture_and_field_gets_the_engines_answer(taught: Loaded) -> None:
    lines = list(predict(Engine(taught), pictures(), fields=FIELDS, ask=both))
    assert [(line["image"], line["frame"], line["task"]) for line in lines] == [
        (f"{n}.png", n or None, task) for n in range(4) for task in ("sign", "lamp")
    ]
    assert [line["answer"] for line in lines] == [answer for _, lamp, sign in LESSONS for answer in (sign, lamp)]
    for line in lines:
        assert line["active"] and line["prob"] == line["probs"][line["answer"]] and line["ms"] > 0
        assert line["abstained"] == (line["answer"] == "unknown") and sum(line["probs"].values()) == pytest.approx(
            1, abs=1e-4
        )


def test_a_field_that_is_left_out_gets_its_absent_answer_and_is_not_asked(taught: Loaded) -> None:
    lines = list(predict(Engine(taught), pictures(), fields=FIELDS, ask=no_sign))
    left_out = [line for line in lines if line["task"] == "sign"]
    assert all(line["answer"] == "none" and not line["active"] and line["prompt"] is None for line in left_out)
    assert [line["answer"] for line in lines if line["task"] == "lamp"] == [lamp for _, lamp, _ in LESSONS]


class Watched:
    """A model that keeps the images it saw."""

    name = "watched"

    def __init__(self) -> None:
        self.seen: list[ImageArray] = []

    def score(self, image: ImageArray, asked: Sequence[Question]) -> list[Scored]:
        self.seen.append(image)
        return [Scored(field=q.field, answer=q.choices[0], probs={q.choices[0]: 1.0}) for q in asked]


def test_the_blind_control_sees_one_grey_image_of_each_size(taught: Loaded) -> None:
    model = Watched()
    wide = Picture(path="wide.png", frame=None, fields=("lamp",), read=lambda: solid((1, 2, 3), width=84))
    lines = list(predict(model, [*pictures(), wide], fields=FIELDS, ask=both, blind=True))
    assert [image.shape for image in model.seen] == [(56, 56, 3), (56, 84, 3)]
    assert all(np.unique(image).tolist() == [128] for image in model.seen)
    assert [line["image"] for line in lines] == [f"{n}.png" for n in range(4) for _ in range(2)] + ["wide.png"]
    assert [line["frame"] for line in lines[:4]] == [None, None, 1, 1]


def test_the_blind_control_answers_equal_questions_once_and_others_anew() -> None:
    told = {f"{n}.png": sensor for n, sensor in enumerate(["", "It rains.", "It rains."])}
    shown = [
        Picture(path=path, frame=None, fields=("lamp",), read=lambda: solid((1, 2, 3)), sensor=sensor)
        for path, sensor in told.items()
    ]

    def with_sensor(image: ImageArray, names: Sequence[str], sensor: str) -> Mapping[str, Question | None]:
        return {"lamp": Question(field="lamp", text=f"{sensor}Which light?", choices=("red", "off"))}

    for ask, forwards in ((both, 1), (with_sensor, 2)):
        model = Watched()
        lines = list(predict(model, shown, fields=FIELDS, ask=ask, blind=True))
        assert len(model.seen) == forwards and [line["image"] for line in lines] == list(told)


def test_predictions_are_written_whole_with_their_costs(tmp_path: Path) -> None:
    out = tmp_path / "a" / "preds.jsonl"
    lines = list(predict(Watched(), pictures(), fields=FIELDS, ask=both))
    assert write_predictions(lines, out, weight_mb=1.5) == out
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines
    cost = json.loads(cost_path(out).read_text())
    assert cost["images"] == 4 and cost["weight_mb"] == 1.5 and cost["peak_rss_mb"] > 0
    assert cost["fps"] == pytest.approx(4000 / sum(line["ms"] for line in lines[::2]), rel=0.01)


def test_an_interrupted_prediction_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    out.write_text("old\n")

    def broken() -> Iterator[dict[str, Any]]:
        yield {"image": "a", "frame": None, "ms": 1.0}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(broken(), out, weight_mb=1.0)
    assert out.read_text() == "old\n"
