"""Teachers of the label stage: how they are written, what they are known by, and labelling through an endpoint."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from chat_server import ChatServer
from cli_calls import call, done, refused
from drive_files import write_images
from drivelet import tasks
from drivelet.adapters.chat_settings import Asking, Endpoint, Limits
from drivelet.core.errors import InputError
from drivelet.core.flow import identify
from drivelet.core.manifest import Row
from drivelet.core.tables import read_rows
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.labels.label import LabelConfig
from drivelet.labels.vlm import VlmLabeler
from drivelet.recipes.labelling import label_drives
from drivelet.recipes.teachers import Teacher, ahead, open_teachers, read_teacher
from tiny_detectors import save_owl

FIELDS = list(tasks.fields())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("one")
    return tmp_path / "model"


def test_a_folder_and_an_endpoint_are_read_with_their_families(folder):
    assert read_teacher(str(folder), Asking()) == Teacher(folder, "vlm")
    assert read_teacher(f"{folder}#gemma", Asking()) == Teacher(folder, "gemma")
    assert read_teacher(f"detector:{folder}", Asking()) == Teacher(folder, "detector", detector=True)
    assert read_teacher(f"detector:{folder}#owl", Asking()).family == "owl"
    where = Endpoint(model="Qwen/Qwen2.5-VL", base_url="http://gpu:8000/v1", asking=Asking(samples=3))
    assert read_teacher("openai:Qwen/Qwen2.5-VL@http://gpu:8000/v1", Asking(samples=3)) == Teacher(where, "vlm")
    assert read_teacher("openai:a@b@https://host/v1/#gpt", Asking()).where.base_url == "https://host/v1"
    assert read_teacher("openai:a@b@https://host/v1/#gpt", Asking()).family == "gpt"


def test_a_folder_whose_name_holds_the_sign_is_still_found(tmp_path):
    (tmp_path / "a#b").mkdir()
    assert read_teacher(str(tmp_path / "a#b"), Asking()) == Teacher(tmp_path / "a#b", "vlm")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("openai:model", "write it as openai:MODEL@http://HOST:PORT/v1"),
        ("openai:@http://host/v1", "write it as"),
        ("openai:m@http:///v1", "write it as"),
        ("openai:m@http://host:port/v1", "write it as"),
        ("openai:m@http://user:secret@host/v1", "holds a user name, password or query"),
        ("openai:m@http://host/v1?api-key=secret", "holds a user name, password or query"),
        ("no/such/folder", "no such model folder"),
    ],
)
def test_a_teacher_that_is_none_is_one_line(text, said):
    with pytest.raises(InputError, match=said) as caught:
        read_teacher(text, Asking())
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_what_changes_answers_changes_the_key_and_nothing_else_does(folder, tmp_path):
    endpoint = Endpoint(model="m", base_url="http://host/v1")
    known = [Teacher(folder), Teacher(endpoint)]
    key = json.dumps(identify(known))
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "weights").write_text("one")
    assert json.dumps(identify([Teacher(tmp_path / "copy"), Teacher(endpoint)])) == key
    asking = dataclasses.replace(endpoint, asking=Asking(samples=2))
    address = dataclasses.replace(endpoint, base_url="http://other/v1")
    others = [[Teacher(folder)], known[::-1], [Teacher(folder, "x"), known[1]]]
    others += [[known[0], Teacher(where)] for where in (asking, address, dataclasses.replace(endpoint, model="n"))]
    keys = {json.dumps(identify(other)) for other in others}
    (folder / "weights").write_text("two")
    assert len({key, *keys, json.dumps(identify(known))}) == len(others) + 2


def test_a_folder_may_hold_a_detector(tmp_path):
    teacher = Teacher(save_owl(tmp_path / "owl"), "detector", detector=True)
    with open_teachers([teacher], limits=Limits(), answers=tmp_path / "a.sqlite") as (labeler,):
        votes = labeler.label(np.zeros((48, 64, 3), np.uint8))
    assert (labeler.name, labeler.family) == ("owl", "detector") and list(votes) == ["cone.count", "cone.in_path"]
    assert not (tmp_path / "a.sqlite").exists()


def test_teachers_of_one_name_go_by_their_whole_place(tmp_path):
    places = [Endpoint(model="m", base_url=f"http://host/{part}") for part in ("a", "b")]
    with open_teachers([Teacher(p) for p in places], limits=Limits(), answers=tmp_path / "a.sqlite") as found:
        assert [labeler.name for labeler in found] == ["m@http://host/a", "m@http://host/b"]
    twice = [Teacher(places[0]), Teacher(places[0])]
    with pytest.raises(InputError, match="given twice"), open_teachers(twice, limits=Limits(), answers=tmp_path / "a"):
        pass


def test_images_are_asked_about_in_groups_and_handed_on_in_order():
    class Model:
        name = "toy"

        def __init__(self):
            self.groups = []

        def score(self, image, questions):
            return []

        def score_many(self, pairs):
            self.groups.append(len(pairs))

    model = Model()
    images = [(number, np.full((2, 2, 3), number, np.uint8)) for number in range(70)]
    speakers = [VlmLabeler(model, list(tasks.fields().values()))]
    assert list(ahead(iter(images), speakers)) == images
    assert model.groups == [32 * len(FIELDS), 32 * len(FIELDS), 6 * len(FIELDS)]
    assert list(ahead(iter(images), [])) == images


def test_a_drive_is_labelled_by_two_endpoints_and_paid_for_once(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    drive = write_images(tmp_path / "drive", ["0000.png", "0001.png"])
    limits = ["--set", "limits.concurrent=4", "--set", "hz=10"]
    with ChatServer() as one, ChatServer() as two:
        teachers = ["--teacher", f"openai:m@{one.url}", "--teacher", f"openai:m@{two.url}#other"]
        done(capfd, "label", drive, "--out", tmp_path / "out", *teachers, *limits)
        assert len(one.seen) == len(two.seen) == 2 * len(FIELDS)
        votes = read_rows(tmp_path / "out" / "votes.lance")
        assert {(v["labeler"], v["family"]) for v in votes if v["labeler"].startswith("m@")} == {
            (f"m@{one.url.removeprefix('http://').removesuffix('/v1')}", "vlm"),
            (f"m@{two.url.removeprefix('http://').removesuffix('/v1')}", "other"),
        }
        outcome = call(capfd, "label", drive, "--out", tmp_path / "out", *teachers, *limits, "--set", "chunk=3")
        assert outcome.code == 0 and "0 requests answered" in outcome.err
        assert len(one.seen) == 2 * len(FIELDS)


def test_workers_find_the_images_that_all_calibrate_on_already_paid(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = write_images(tmp_path / "gold", ["0.png", "1.png", "2.png"])
    gold = [
        Row(path=str(image), task="cone.count", label="0", split="train", group="")
        for image in sorted(folder.iterdir())
    ]
    drives = []
    for name in ("a", "b"):
        ingest(IngestConfig(), source=write_images(tmp_path / name, ["0.png"]), out=tmp_path / f"{name}-ready")
        drives.append(tmp_path / f"{name}-ready")

    class Reached(Exception):
        pass

    class Executor:
        workers = 2

        def map(self, function, items):
            raise Reached(len(items))

    with ChatServer() as server, pytest.raises(Reached, match="2"):
        teacher = [Teacher(Endpoint(model="m", base_url=server.url))]
        label_drives(
            LabelConfig(), drives=drives, teacher=teacher, gold=gold, executor=Executor(),
            out=tmp_path / "out",
        )  # fmt: skip
    assert len(server.seen) == len(gold) * len(FIELDS) and (tmp_path / "out" / "answers.sqlite").is_file()


def test_a_dead_endpoint_and_a_wrong_setting_are_refused_in_one_line(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer() as server:
        teacher = f"openai:m@{server.url}"
    drive = write_images(tmp_path / "drive", ["0000.png", "0001.png"])
    label = ("label", drive, "--out", tmp_path / "out", "--teacher", teacher, "--set")
    assert "cannot be reached" in refused(capfd, *label, "limits.retries=0")
    assert "limits.max_cst" in refused(capfd, *label, "limits.max_cst=1")
    assert "needs prices" in refused(capfd, *label, "limits.max_cost=1")
