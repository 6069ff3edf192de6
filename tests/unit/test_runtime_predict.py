"""Predictions: one line a picture and field, what the router leaves out, the blind control, and costs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivelet.core.artifacts import Field, ImageArray, Question, Scored
from drivelet.core.damage import LeftOut
from drivelet.core.errors import InputError
from drivelet.runtime.engine import Engine
from drivelet.runtime.partial import SKIPPED, Picture, open_partial
from drivelet.runtime.predict import cost_path, predict, write_predictions
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


def answering(model: Any, **how: Any) -> Callable[[Iterable[Picture]], Iterator[dict[str, Any]]]:
    return partial(predict, model, fields=FIELDS, ask=both, **how)


def damaged(name: str = "bad.png") -> Picture:
    def read() -> ImageArray:
        raise InputError(f"{name}: no readable image")

    return Picture(path=name, frame=None, fields=("sign", "lamp"), read=read)


def written(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_predictions_are_written_whole_with_their_costs(tmp_path: Path) -> None:
    out = tmp_path / "a" / "preds.jsonl"
    assert write_predictions(answering(Watched()), pictures(), out, weight_mb=1.5) == out
    lines = written(out)
    assert [(line["image"], line["task"]) for line in lines] == [
        (f"{n}.png", task) for n in range(4) for task in ("sign", "lamp")
    ]
    cost = json.loads(cost_path(out).read_text())
    assert cost["images"] == 4 and cost["skipped"] == 0 and cost["weight_mb"] == 1.5 and cost["peak_rss_mb"] > 0
    assert cost["fps"] == pytest.approx(4000 / sum(line["ms"] for line in lines[::2]), rel=0.01)
    assert sorted(path.name for path in out.parent.iterdir()) == ["preds.cost.json", "preds.jsonl"]


def test_pictures_of_one_name_count_each(tmp_path: Path) -> None:
    twice = [replace(picture, path="same.png", frame=None) for picture in pictures()]
    write_predictions(answering(Watched()), twice, tmp_path / "p.jsonl", weight_mb=1.0)
    assert json.loads((tmp_path / "p.cost.json").read_text())["images"] == 4


@pytest.mark.parametrize("blind", [False, True])
def test_a_damaged_picture_is_left_out_named_and_counted(tmp_path: Path, capfd: Any, blind: bool) -> None:
    out = tmp_path / "preds.jsonl"
    shown = pictures()
    write_predictions(answering(Watched(), blind=blind), [damaged(), *shown, damaged("x.png")], out, weight_mb=1.0)
    assert [line["image"] for line in written(out)[::2]] == [picture.path for picture in shown]
    cost = json.loads(cost_path(out).read_text())
    assert (cost["images"], cost["skipped"]) == (4, 2)
    said = capfd.readouterr().err
    assert said.count("left out: bad.png") == 1 and said.count("left out: x.png") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preds.cost.json", "preds.jsonl"]


def test_strict_stops_at_the_first_damaged_picture(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    answered = answering(Watched(), left_out=LeftOut(strict=True))
    with pytest.raises(InputError, match=r"bad\.png: no readable image"):
        write_predictions(answered, [*pictures(), damaged()], out, weight_mb=1.0)
    assert not out.exists()


def test_nothing_readable_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with pytest.raises(InputError, match=r"none of 2 pictures can be read; the first: bad\.png"):
        write_predictions(answering(Watched()), [damaged(), damaged("x.png")], out, weight_mb=1.0, identity="i")
    assert list(tmp_path.iterdir()) == []


def test_many_damaged_pictures_are_counted_after_the_first_lines(tmp_path: Path, capfd: Any) -> None:
    many = [*pictures(), *(damaged(f"{n}.jpg") for n in range(100))]
    write_predictions(answering(Watched()), many, tmp_path / "p.jsonl", weight_mb=1.0)
    assert capfd.readouterr().err.count("left out: ") == 20
    assert json.loads((tmp_path / "p.cost.json").read_text())["skipped"] == 100


def stopped_after(count: int, shown: Sequence[Picture]) -> Iterator[Picture]:
    for place, picture in enumerate(shown):
        if place == count:
            raise KeyboardInterrupt
        yield picture


@pytest.mark.parametrize("spoil", ["", "cut", "junk", "half a picture"])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_second_call_goes_on_after_the_last_whole_picture(tmp_path: Path, count: int, spoil: str) -> None:
    out = tmp_path / "preds.jsonl"
    shown = [*pictures()[:2], damaged(), *pictures()[2:], damaged("x.png")]
    write_predictions(answering(Watched()), shown, tmp_path / "whole.jsonl", weight_mb=1.0)
    with pytest.raises(KeyboardInterrupt):
        write_predictions(answering(Watched()), stopped_after(count, shown), out, weight_mb=1.0, identity="i")
    part = tmp_path / "preds.jsonl.partial"
    before = part.read_bytes()
    lines = before.splitlines(keepends=True)
    spoilt = {"cut": before[:-3], "junk": before + b"\x00\xff{", "half a picture": b"".join(lines[:-1])}
    part.write_bytes(spoilt.get(spoil, before))
    model = Watched()
    write_predictions(answering(model), shown, out, weight_mb=1.0, identity="i")
    again = {"": 0, "junk": 0}.get(spoil, int(SKIPPED.encode() not in lines[-1]))
    assert (
        len(model.seen) == 4 - sum(line["task"] == "lamp" for line in map(json.loads, lines) if "task" in line) + again
    )

    def plain(path: Path) -> list[dict[str, Any]]:
        return [{**line, "ms": 0} for line in written(path)]

    assert plain(out) == plain(tmp_path / "whole.jsonl")
    cost = json.loads(cost_path(out).read_text())
    assert (cost["images"], cost["skipped"]) == (4, 2) and not part.exists()


@pytest.mark.parametrize("identity", ["", "other"])
def test_lines_of_another_identity_are_not_gone_on_with(tmp_path: Path, identity: str) -> None:
    out = tmp_path / "preds.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write_predictions(answering(Watched()), stopped_after(3, pictures()), out, weight_mb=1.0, identity="i")
    model = Watched()
    write_predictions(answering(model), pictures(), out, weight_mb=1.0, identity=identity)
    assert len(model.seen) == 4 and len(written(out)) == 8


def test_lines_are_there_as_they_come(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    found: list[int] = []

    def watched() -> Iterator[Picture]:
        for picture in pictures():
            found.append(len((tmp_path / "preds.jsonl.partial").read_text().splitlines()))
            yield picture

    write_predictions(answering(Watched()), watched(), out, weight_mb=1.0)
    assert found == [0, 2, 4, 6]


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with open_partial(out, "i"), pytest.raises(InputError, match="another process is writing it"):
        write_predictions(answering(Watched()), pictures(), out, weight_mb=1.0, identity="i")
    write_predictions(answering(Watched()), pictures(), out, weight_mb=1.0, identity="i")
    assert len(written(out)) == 8


def test_an_interrupted_prediction_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    out.write_text("old\n")
    with pytest.raises(KeyboardInterrupt):
        write_predictions(answering(Watched()), stopped_after(1, pictures()), out, weight_mb=1.0)
    assert out.read_text() == "old\n"
