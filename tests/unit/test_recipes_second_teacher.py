"""Text recognition joins the soft labels of hand-checked signs, and of nothing else."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drivelet import tasks
from drivelet.core.artifacts import ImageArray
from drivelet.core.flow import read_json, write_json
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.tables import read_rows, write_table
from drivelet.distil.soft_labels import SCHEMA, TABLE, TEMPERATURES
from drivelet.recipes.second_teacher import VOTES, SecondTeacherConfig, pool_teachers, read_signs

POSTED = "speed_limit.posted"
CHOICES = tasks.fields()[POSTED].choices


class Brightness:
    """Reads 30 on dark signs, 80 on bright ones, and nothing on middling ones."""

    name = family = "ocr"
    fields = (POSTED,)

    def __init__(self) -> None:
        self.asked = 0

    def label(self, image: ImageArray) -> dict[str, dict[str, float]]:
        self.asked += 1
        level = float(image.mean())
        if 100 < level < 150:
            return {}
        value = "30" if level < 100 else "80"
        return {POSTED: {c: 0.95 if c == value else 0.05 / (len(CHOICES) - 1) for c in CHOICES}}


def record(image: Path, field: str, answer: str, sure: float) -> dict[str, Any]:
    choices = tasks.fields()[field].choices
    spread = [sure if choice == answer else (1 - sure) / (len(choices) - 1) for choice in choices]
    return {
        "key": f"{image}{field}", "image": str(image), "field": field, "text": "?", "choices": list(choices),
        "answer": answer, "weight": 1.0, "set_logp": [math.log(p) for p in spread], "ids": [1], "logits": [0.5],
        "logsumexp": [0.1, 0.2],
    }  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Path:
    records, rows = [], []
    for name, level, label in (("dark", 20, "30"), ("bright", 220, "80"), ("middle", 120, "50"), ("other", 30, "30")):
        path = tmp_path / f"{name}.png"
        Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(path)
        records.append(record(path, POSTED, "50", 0.4))
        records.append(record(path, "cone.count", "0", 0.6))
        if name != "other":
            rows.append(Row(path=str(path), task=POSTED, label=label, split="train", group=name))
    write_manifest(tmp_path / "images.csv", rows)
    (tmp_path / "soft").mkdir()
    write_table(tmp_path / "soft" / TABLE, records, schema=SCHEMA)
    write_json(tmp_path / "soft" / TEMPERATURES, [1.0, 2.0])
    (tmp_path / "read").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path


def pooled(work: Path, reader: Brightness) -> dict[tuple[str, str], dict[str, float]]:
    read_signs({}, images=work / "images.csv", out=work / "read", reader=reader)
    known = {"soft_labels": work / "soft", "images": work / "images.csv", "read": work / "read"}
    pool_teachers(SecondTeacherConfig(), **known, out=work / "out")
    return {
        (Path(row["image"]).stem, row["field"]): dict(zip(row["choices"], np.exp(row["set_logp"]), strict=True))
        for row in read_rows(work / "out" / TABLE)
    }


def test_a_sure_reader_outvotes_an_unsure_teacher_on_hand_checked_signs_alone(work: Path) -> None:
    found = pooled(work, Brightness())
    for name, answer in (("dark", "30"), ("bright", "80"), ("middle", "50"), ("other", "50")):
        probs = found[name, POSTED]
        assert max(probs, key=lambda choice: probs[choice]) == answer
        assert sum(probs.values()) == pytest.approx(1.0, abs=1e-4)
    assert found["other", POSTED]["50"] == pytest.approx(0.4, abs=1e-4)
    assert all(found[name, "cone.count"]["0"] == pytest.approx(0.6, abs=1e-4) for name in ("dark", "middle"))
    assert read_json(work / "out" / TEMPERATURES) == [1.0, 2.0]


def test_what_was_read_is_not_read_again(work: Path) -> None:
    first = pooled(work, Brightness())
    whole = (work / "read" / VOTES).read_text()
    (work / "read" / VOTES).write_text(whole[:-9])
    again = Brightness()
    assert pooled(work, again) == first and again.asked == 1
