"""Tables and texts that people and other programs write, damaged in every way: read, or refused in one clear line."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from drive_files import HEADER as SENSORS
from drive_files import write_images, write_sensors
from drivelet import tasks
from drivelet.adapters.chat_answers import Reply, scored
from drivelet.core.artifacts import Question
from drivelet.core.boxes import read_boxes
from drivelet.core.manifest import read_manifest
from drivelet.dataset.sources import read_source
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.sensor_csv import csv_streams
from drivelet.drives.sensors import choose
from drivelet.evaluate.predictions import match, read_predictions
from drivelet.mining.query import parse
from drivelet.prompts.library import canonical, save_library
from drivelet.prompts.router import load_router
from drivelet.prompts.signals import image_signals
from drivelet.recipes.mini import mini
from drivelet.recipes.settings import apply_settings, flatten
from drivelet.recipes.tiny import tiny
from drivelet.review.decisions import read_journal
from drivelet.synth.domain import full
from drivelet.synth.given import open_scenes
from drivelet.synth.records import rendered_frames
from drivelet.synth.scene import sample_scene
from mutations import as_text, damaged, damaged_json, damaged_lines, damaged_text, fuzz, reading, runs

FIELDS = tasks.fields()
GREY = np.full((48, 64, 3), 90, np.uint8)

MANIFEST = """path,task,label,split,group,boxes,weight,sensor
a.png,traffic_light.state,red,train,g1,"[[1, 2, 30, 40]]",0.5,speed 3 m/s
a.png,cone.count,3-5,val,g2,"[[""cone"", 0.5, 0.5, 0.1, 0.2]]",1,
a.png,speed_limit.posted,25 mph,test,g3,,,
"""


@runs(60, 2000)
@pytest.mark.parametrize("labels", [True, False])
def test_a_manifest(tmp_path: Path, examples: int, labels: bool) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    path = tmp_path / "manifest.csv"

    def read() -> None:
        rows = read_manifest(path, tasks=FIELDS, need_labels=labels)
        assert rows and all(0 < row.weight <= 1 and Path(row.path).is_file() for row in rows)

    fuzz(damaged(MANIFEST.encode()), examples, reading(path, read))


@runs(60, 2000)
def test_boxes_of_a_manifest(examples: int) -> None:
    cells = st.one_of(
        damaged_json([[1, 2, 30, 40], ["cone", 0.5, 0.5, 0.1, 0.2]]).map(as_text),
        st.text(),
    )

    def read(text: str) -> None:
        try:
            boxes = read_boxes(text, width=64, height=48)
        except ValueError:
            return
        assert all(math.isfinite(side) for box in boxes for side in box)

    fuzz(cells, examples, read)


@runs(60, 2000)
def test_a_sensor_log(tmp_path: Path, examples: int) -> None:
    path = write_sensors(tmp_path / "sensors.csv", seconds=0.5)

    def read() -> None:
        for samples in choose(csv_streams(path), end=0.5, max_gap_s=0.5).log.channels.values():
            assert np.isfinite(samples.time_N).all() and np.isfinite(samples.value_N).all()
            assert (np.diff(samples.time_N) > 0).all()

    assert path.read_text().startswith(SENSORS)
    fuzz(damaged(path.read_bytes()), examples, reading(path, read))


@runs(8, 300)
def test_times_beside_images(tmp_path: Path, examples: int) -> None:
    names = [f"{n}.png" for n in range(3)]
    folder = write_images(tmp_path / "drive", names)
    text = "file,timestamp_s\n" + "".join(f"{name},{n / 10}\n" for n, name in enumerate(names))
    read = reading(folder / "timestamps.csv", lambda: ingest(IngestConfig(), source=folder, out=tmp_path / "out"))
    fuzz(damaged(text.encode()), examples, read)


def finished_scene() -> dict[str, Any]:
    lamp = {"id": 1, "kind": "lamp", "box": [1, 2, 9, 9], "pixels": 30, "visible": True, "facing": True, "state": "red"}
    return {"image": "a.png", "size": [64, 48], "objects": [lamp], "setting": {"light": "day", "weather": "clear"}}


@runs(60, 2000)
def test_records_of_a_render(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "scenes.jsonl"

    def read() -> None:
        assert all(isinstance(record, dict) for _, record in rendered_frames(tmp_path))

    fuzz(damaged_lines([finished_scene(), finished_scene()]), examples, reading(path, read))


@runs(40, 1500)
def test_scenes_that_are_given(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "plan.jsonl"
    scenes = [sample_scene(0, number, full()) for number in range(2)]

    def read() -> None:
        found = open_scenes(path)
        assert all(found.at(place)["parts"] for place in range(len(found.offsets)))

    fuzz(damaged_lines(json.loads(json.dumps(scenes))), examples, reading(path, read))


ROUTER = {
    "rules": {"cone.count": {"signal": "orange", "threshold": 0.1}},
    "elements": {"night": ["luma", "below", 0.3]},
}


@runs(40, 1500)
@pytest.mark.parametrize("name", ["prompts.json", "router.json"])
def test_prompts_and_their_router(tmp_path: Path, examples: int, name: str) -> None:
    save_library(tmp_path, canonical(FIELDS))
    (tmp_path / "router.json").write_text(json.dumps(ROUTER))
    path = tmp_path / name

    def read() -> None:
        chosen = load_router(tmp_path, FIELDS).route(image_signals(GREY))
        assert set(chosen) <= set(FIELDS)

    fuzz(damaged_json(json.loads(path.read_text())), examples, reading(path, read))


LABEL = {"drive": "d", "file": "d.mp4", "frame": 3, "task": "cone.count", "answer": "0", "prob": 0.9}
LABEL |= {"accepted": True, "reason": ""}
REVIEW = {"review": "accepted", "drive": "d", "frame": 3, "task": "cone.count", "answer": "0", "by": "a", "at": "now"}
ANSWER = {"image": "a.png", "frame": None, "task": "cone.count", "answer": "0", "prob": 0.9, "probs": {"0": 0.9}}


@runs(60, 2000)
def test_labels_of_a_drive(tmp_path: Path, examples: int) -> None:
    def read() -> None:
        source = read_source(tmp_path, position=0, fields=FIELDS, frames=tmp_path / "frames", min_prob=0.5)
        assert all(0 < found.row.weight <= 1 for found in source.candidates)

    lines = [LABEL, LABEL | {"frame": 4, "accepted": False, "reason": "x"}]
    fuzz(damaged_lines(lines), examples, reading(tmp_path / "labels.jsonl", read))


@runs(60, 2000)
def test_decisions_of_a_review(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "reviews.jsonl"

    def read() -> None:
        before = path.read_bytes()
        records = read_journal(path)
        assert all(type(record.frame) is int and type(record.drive) is str for record in records)
        assert before.startswith(path.read_bytes()) and b"\n" not in before[path.stat().st_size :]

    fuzz(damaged_lines([REVIEW, REVIEW | {"review": "undo"}]), examples, reading(path, read))


@runs(60, 2000)
def test_predictions(tmp_path: Path, examples: int) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("path,task,label,split,group\na.png,cone.count,0,test,g\n")
    rows = read_manifest(tmp_path / "manifest.csv", tasks=FIELDS)
    path = tmp_path / "preds.jsonl"
    answer = ANSWER | {"image": str(tmp_path / "a.png")}
    fuzz(damaged_lines([answer, answer]), examples, reading(path, lambda: match(read_predictions(path), rows)))


@runs(100, 3000)
def test_queries(examples: int) -> None:
    text = "traffic_light.state=yellow and cone.count>=3-5 and not (speed_mps<1 or turning)"
    queries = damaged_text(text)

    def read(query: str) -> None:
        found = parse(query, FIELDS)
        assert parse(str(found), FIELDS) == found

    fuzz(queries, examples, read)


@runs(100, 3000)
@pytest.mark.parametrize("recipe", [mini, tiny])
def test_settings(examples: int, recipe: Any) -> None:
    config = recipe()
    settings = [f"{key}={json.dumps(value, default=str)}" for key, value in flatten(config)]
    values = st.one_of(st.sampled_from(("nan", "-1", "1e999", "[]", "None", "()", "9" * 5000, "[" * 500)), st.text())
    texts = st.one_of(
        st.sampled_from(settings).flatmap(damaged_text),
        st.sampled_from(settings).flatmap(lambda text: values.map(lambda value: f"{text.split('=')[0]}={value}")),
    )

    def read(text: str) -> None:
        assert dataclasses.is_dataclass(apply_settings(config, [text]))

    fuzz(texts, examples, read)


@runs(100, 3000)
def test_labels_that_people_write(examples: int) -> None:
    labels = [answer for field in FIELDS.values() for answer in (*field.answers, "some", "25 mph", "3-5", "7")]
    texts = st.one_of(
        st.sampled_from(labels).flatmap(
            lambda label: damaged(label.encode(), most=2).map(lambda c: c.decode("utf-8", "replace"))
        ),
        st.text(),
    )

    def read(text: str) -> None:
        for field in FIELDS.values():
            assert field.parse(text) <= frozenset(field.choices)

    fuzz(texts, examples, read)


@runs(100, 3000)
def test_replies_of_a_chat_server(examples: int) -> None:
    question = Question(field="lamp", text="Lamp?", choices=("red", "green", "none", "unknown"))
    words = st.sampled_from(
        ("red", "re", "d", "green", "none", " ", "", '"', "**red**", "\ud800", "R\u0130", "<think>")
    )
    pieces = st.one_of(words, st.text(max_size=4))
    logs = st.one_of(st.floats(-9999.0, 0.0), st.sampled_from((0.0, -0.1, -9999.0)))
    token = st.tuples(pieces, logs, st.lists(st.tuples(pieces, logs), max_size=4).map(tuple))
    replies = st.builds(
        lambda texts, tokens, spelt: Reply(
            texts=("".join(t for t, _, _ in tokens), *texts) if spelt else tuple(texts), tokens=tuple(tokens)
        ),
        st.lists(st.text(max_size=30) | words, min_size=1, max_size=4),
        st.lists(token, max_size=4),
        st.booleans(),
    )

    def read(reply: Reply) -> None:
        found, _ = scored(question, reply)
        assert found.answer in question.choices and set(found.probs) <= set(question.choices)
        assert math.isclose(sum(found.probs.values()), 1, abs_tol=1e-6) and math.isfinite(found.log_mass)
        assert all(0 <= prob <= 1 + 1e-9 for prob in found.probs.values())

    fuzz(replies, examples, read)
