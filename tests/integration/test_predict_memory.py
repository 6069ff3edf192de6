"""Many pictures are answered in memory that does not grow with them."""

import csv
import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil

from drive_files import write_images
from drivelet import tasks
from drivelet.core.artifacts import ImageArray, Question, Scored
from drivelet.recipes.steps import asker, pictures
from drivelet.runtime.engine import Engine
from drivelet.runtime.predict import predict, write_predictions
from drivelet.vlm.load import Loaded

FIELDS = tasks.fields()
ASKED = ["traffic_light.state", "cone.count"]


class First:
    """Answers every question with its first choice: what is measured is all but the network."""

    name = "first"

    def score(self, image: ImageArray, questions: Sequence[Question]) -> list[Scored]:
        return [
            Scored(field=q.field, answer=q.choices[0], probs={c: float(c == q.choices[0]) for c in q.choices})
            for q in questions
        ]


def manifest(folder: Path, rows: int) -> Path:
    """Write rows of ten pictures in turn, each row with a sensor text of its own."""
    write_images(folder, [f"{n}.png" for n in range(10)])
    path = folder / f"{rows}.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "task", "label", "split", "group", "sensor"])
        writer.writerows([f"{n % 10}.png", "", "", "", "", f"speed {n} m/s"] for n in range(rows))
    return path


def peak(source: Path, *, blind: bool) -> int:
    """Bytes that answering a manifest takes at its most."""
    found = pictures(source, FIELDS, ASKED)
    tracemalloc.start()
    answered = partial(predict, First(), fields=FIELDS, ask=asker(FIELDS, None), blind=blind)
    write_predictions(answered, found, source.with_suffix(".jsonl"), weight_mb=0.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_long_manifest_is_answered_in_the_memory_of_a_short_one(tmp_path: Path) -> None:
    short, long = manifest(tmp_path, 100), manifest(tmp_path, 1500)
    for blind in (False, True):
        peak(short, blind=blind)  # what is loaded and cached once
        assert peak(long, blind=blind) - peak(short, blind=blind) < 150_000
        assert len((tmp_path / "1500.jsonl").read_text().splitlines()) == 1500 * len(ASKED)


def test_a_model_answers_picture_after_picture_in_the_same_memory(tiny: Loaded, tmp_path: Path) -> None:
    process, held = psutil.Process(), []
    found = pictures(manifest(tmp_path, 240), FIELDS, ASKED[:1])
    for number, _ in enumerate(predict(Engine(tiny), found, fields=FIELDS, ask=asker(FIELDS, None))):
        if number in (79, 239):
            held.append(process.memory_info().rss)
    assert held[1] - held[0] < 24 * 2**20
