"""A second teacher for sign values: text recognition, pooled with the vision-language teacher's soft labels."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drivelet import tasks
from drivelet.adapters.rapidocr import TextReader
from drivelet.core import flow
from drivelet.core.artifacts import Vote
from drivelet.core.images import read_image
from drivelet.core.manifest import read_manifest
from drivelet.core.ports import Labeler
from drivelet.core.progress import track
from drivelet.core.ranges import ranged
from drivelet.core.tables import read_rows, write_table
from drivelet.distil.soft_labels import SCHEMA, TABLE, TEMPERATURES
from drivelet.labels.calibrate import Gold, calibrate
from drivelet.labels.fuse import FuseConfig, fuse
from drivelet.labels.ocr import FIELD, OcrLabeler

VOTES = "sign_votes.jsonl"


@dataclass(frozen=True, kw_only=True)
@ranged
class SecondTeacherConfig:
    """How the two teachers are pooled."""

    fuse: FuseConfig = field(default_factory=FuseConfig)


@flow.stage()
def read_signs(config: Mapping[str, Any], *, images: Path, out: Path, reader: Labeler | None = None) -> Path:
    """Let a text reader answer every `speed_limit.posted` image of a manifest; write `out/sign_votes.jsonl`.

    A line: `{"image", "probs": {answer: p}}`, empty where the reader abstains. A second call goes on where the last
    one stopped.

    Args:
        images: manifest of hand-checked images.
        reader: a labeler of sign values; by default RapidOCR.
    """
    fields = tasks.fields()
    reader = reader or OcrLabeler(TextReader(threads=os.cpu_count() or 1), fields[FIELD].choices)
    wanted = dict.fromkeys(row.path for row in read_manifest(images, tasks=fields) if row.task == FIELD)
    known = _votes(out / VOTES)
    missing = [image for image in wanted if image not in known]
    with (out / VOTES).open("a", encoding="utf-8") as stream:
        for image in track(missing, total=len(missing), what="reading signs"):
            probs = dict(reader.label(read_image(image)).get(FIELD, {}))
            stream.write(json.dumps({"image": image, "probs": probs}) + "\n")
            stream.flush()
    return out


def _votes(path: Path) -> dict[str, dict[str, float]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    if lines and not lines[-1].endswith("\n"):  # a killed run may leave half a line
        path.write_text("".join(lines := lines[:-1]), encoding="utf-8")
    return {record["image"]: record["probs"] for record in map(json.loads, lines)}


@flow.stage()
def pool_teachers(config: SecondTeacherConfig, *, soft_labels: Path, images: Path, read: Path, out: Path) -> Path:
    """Write the soft labels again, with sign values as the teacher and a text reader together see them.

    Both are calibrated on the hand-checked rows of `images` and pooled as votes of two families. Only answer-set
    distributions of hand-checked `speed_limit.posted` images change; the top-k tokens stay the teacher's own.

    Args:
        soft_labels: a folder of `cache_soft_labels`.
        images: manifest of hand-checked images.
        read: a folder of `read_signs`.
    """
    fields = tasks.fields()
    rows = [row for row in read_manifest(images, tasks=fields) if row.task == FIELD]
    told = read_rows(soft_labels / TABLE)
    known = {row.path for row in rows}
    mine = [record for record in told if record["field"] == FIELD and record["image"] in known]
    votes = [_vote(r["image"], "teacher", dict(zip(r["choices"], np.exp(r["set_logp"]), strict=True))) for r in mine]
    votes += [_vote(image, "ocr", probs) for image, probs in _votes(read / VOTES).items() if probs]
    gold = [Gold(item=row.path, field=FIELD, label=row.label, group=row.group) for row in rows]
    pooled = fuse(votes, calibrate(votes, gold, fields), fields, config.fuse)
    for record in mine:
        order = [fields[FIELD].choices.index(choice) for choice in record["choices"]]
        record["set_logp"] = np.log(pooled[record["image"], 0, FIELD].probs[order]).tolist()
    write_table(out / TABLE, told, schema=SCHEMA)
    shutil.copyfile(soft_labels / TEMPERATURES, out / TEMPERATURES)
    return out


def _vote(image: str, name: str, probs: Mapping[str, float]) -> Vote:
    return Vote(drive=image, frame=0, field=FIELD, labeler=name, family=name, probs=dict(probs))
