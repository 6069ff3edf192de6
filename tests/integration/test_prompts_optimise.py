import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.core.artifacts import ImageArray, Question, Scored
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.core.rng import generator
from drivelet.prompts.holdout import report_on_test
from drivelet.prompts.library import default_library, load_library
from drivelet.prompts.optimise import optimise
from drivelet.prompts.router import load_router
from drivelet.prompts.search import OptimiseConfig

NAME = "traffic_light.state"
FIELDS = {NAME: tasks.fields()[NAME]}
FIELD = FIELDS[NAME]
LABELS = ("red", "green", "off")
GOOD = FIELD.wordings[3]
HINT = FIELD.hints[1]


class Reader:
    """A deterministic model whose skill depends on the wording; pixel (0, 0) holds what the image shows.

    `skill` maps a part of a text to what it adds to the chance of a right answer; each image is a fixed draw.
    """

    name = "reader"

    def __init__(self, skill: dict[str, float], base: float = 0.4) -> None:
        self.skill, self.base, self.calls, self.limit = skill, base, 0, 10**9

    def score(self, image: ImageArray, questions: Sequence[Question]) -> list[Scored]:
        self.calls += len(questions)
        if self.calls > self.limit:
            raise KeyboardInterrupt
        shown, number = LABELS[int(image[0, 0, 0])], int(image[0, 0, 1])
        luck = generator(7, number).random()
        return [self._answer(question, shown, luck) for question in questions]

    def _answer(self, question: Question, shown: str, luck: float) -> Scored:
        chance = self.base + sum(gain for part, gain in self.skill.items() if part in question.text)
        answer = shown if luck < chance else "yellow"
        rest = 0.3 / (len(question.choices) - 1)
        return Scored(field=NAME, answer=answer, probs={c: 0.7 if c == answer else rest for c in question.choices})


def read_image(path: str) -> ImageArray:
    number = int(path)
    return np.full((16, 16, 3), (number % 3, number % 200, 90), np.uint8)


def rows(split: str, count: int, start: int) -> list[Row]:
    return [
        Row(path=str(n), task=NAME, label=LABELS[n % 3], split=split, group=str(n)) for n in range(start, start + count)
    ]


TRAIN, VAL, TEST = rows("train", 48, 0), rows("val", 48, 48), rows("test", 48, 96)


def run(model: Reader, out: Path, **options: float) -> dict:
    config = OptimiseConfig(rounds=4, candidates_per_field=40, **options)  # type: ignore[arg-type]
    optimise(
        config,
        model=model,
        library=default_library(FIELDS),
        fields=FIELDS,
        train=TRAIN,
        val=VAL,
        read_image=read_image,
        out=out,
    )
    return json.loads((out / "search.json").read_text())


def chosen(out: Path) -> str:
    return load_library(out, FIELDS)[0].text


def test_it_finds_the_wording_and_the_hint_that_the_model_answers_to(tmp_path: Path) -> None:
    search = run(Reader({GOOD: 0.3, HINT: 0.25}), tmp_path)
    assert GOOD in chosen(tmp_path)
    assert HINT in chosen(tmp_path)
    assert search["accepted"] == 2
    gaps = json.loads((tmp_path / "gaps.json").read_text())
    assert gaps["after"][NAME]["right"] > gaps["before"][NAME]["right"] + 0.3
    assert {gap["got"] for gap in gaps["before"][NAME]["gaps"]} == {"yellow"}
    assert load_router(tmp_path, FIELDS).route({"brightness": 100.0})[NAME] == load_library(tmp_path, FIELDS)[0]


@given(st.dictionaries(st.sampled_from([*FIELD.wordings, *FIELD.hints, "Options:"]), st.floats(-0.4, 0.4), max_size=6))
@settings(max_examples=12, deadline=None)
def test_nothing_worse_on_val_and_nothing_by_chance_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, skill: dict
) -> None:
    search = run(Reader(skill), tmp_path_factory.mktemp("search"))
    for entry in search["candidates"]:
        assert entry["why"]
        if entry["accepted"]:
            assert entry["val"] > entry["val_before"]
            assert entry["train"] > entry["before"]
            assert entry["p"] <= 0.05


def test_a_gain_that_val_does_not_show_is_refused(tmp_path: Path) -> None:
    class Overfit(Reader):
        def _answer(self, question: Question, shown: str, luck: float) -> Scored:
            return super()._answer(question, shown, luck if luck else 0.0)

        def score(self, image: ImageArray, questions: Sequence[Question]) -> list[Scored]:
            seen = int(image[0, 0, 1]) < 48
            self.skill = {GOOD: 0.5 if seen else -0.1}
            return super().score(image, questions)

    search = run(Overfit({}), tmp_path)
    assert search["accepted"] == 0
    tried = [entry for entry in search["candidates"] if "p" in entry]
    assert GOOD in tried[0]["text"]
    assert tried[0]["why"] == "no better on val"
    assert GOOD not in chosen(tmp_path)


def test_a_killed_search_goes_on_to_the_same_end_without_asking_twice(tmp_path: Path) -> None:
    skill = {GOOD: 0.3, HINT: 0.25}
    whole = Reader(skill)
    run(whole, tmp_path / "whole")
    killed = Reader(skill)
    killed.limit = whole.calls // 2
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path / "killed")
    with (tmp_path / "killed" / "calls.jsonl").open("a") as stream:
        stream.write('{"key": "cut sho')
    rest = Reader(skill)
    run(rest, tmp_path / "killed")
    assert rest.calls < whole.calls
    for name in ("prompts.json", "search.json", "router.json", "gaps.json"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()


@pytest.mark.parametrize("budget", [10, 900, 1300])
def test_the_budget_holds(tmp_path: Path, budget: int) -> None:
    model = Reader({GOOD: 0.3, HINT: 0.25})
    search = run(model, tmp_path, budget_calls=budget)
    assert model.calls == search["calls"] <= budget
    assert search["stopped_by"] == "budget"


def test_a_model_deaf_to_wording_stops_by_patience(tmp_path: Path) -> None:
    config = OptimiseConfig(rounds=9, candidates_per_field=2, patience=2)
    options = {"fields": FIELDS, "train": TRAIN, "val": VAL, "read_image": read_image}
    optimise(config, model=Reader({}), library=default_library(FIELDS), out=tmp_path, **options)  # type: ignore[arg-type]
    search = json.loads((tmp_path / "search.json").read_text())
    assert search["stopped_by"] == "patience"
    assert {entry["round"] for entry in search["candidates"]} <= {0, 1, None}


def test_the_test_split_is_touched_once(tmp_path: Path) -> None:
    model = Reader({GOOD: 0.3, HINT: 0.25})
    run(model, tmp_path)
    options = {"prompts": tmp_path, "library": default_library(FIELDS), "fields": FIELDS, "read_image": read_image}
    report = json.loads(report_on_test(model=model, test=TEST, **options).read_text())  # type: ignore[arg-type]
    assert report[NAME]["n"] == 48
    assert report[NAME]["after"] > report[NAME]["before"]
    with pytest.raises(InputError, match="used already"):
        report_on_test(model=model, test=TEST, **options)  # type: ignore[arg-type]


def test_data_without_val_is_an_input_error(tmp_path: Path) -> None:
    options = {"fields": FIELDS, "train": TRAIN, "val": [], "read_image": read_image, "out": tmp_path}
    with pytest.raises(InputError, match="val"):
        optimise(OptimiseConfig(), model=Reader({}), library=[], **options)  # type: ignore[arg-type]
