"""A second teacher for sign values: text recognition, pooled with the vision-language teacher's soft labels."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drivelet import tasks
from drivelet.adapters.rapidocr import TextReader
from drivelet.core.artifacts import Vote
from drivelet.core.images import read_image
from drivelet.core.manifest import read_manifest
from drivelet.core.ports import Labeler
from drivelet.core.progress import track
from drivelet.core.tables import read_rows, write_table
from drivelet.distil.soft_labels import SCHEMA, TABLE, TEMPERATURES
from drivelet.labels.calibrate import Gold, calibrate
from drivelet.labels.fuse import FuseConfig, fuse
from drivelet.labels.ocr import FIELD, OcrLabeler

VOTES = "ocr_votes.jsonl"


@dataclass(frozen=True, kw_only=True)
class SecondTeacherConfig:
    """How the two teachers are pooled."""

    fuse: FuseConfig = field(default_factory=FuseConfig)


def add_reader(
    config: SecondTeacherConfig, *, soft_labels: Path, images: Path, out: Path, reader: Labeler | None = None
) -> Path:
    """Write the soft labels again, with sign values as the teacher and a text reader together see them.

    Both are calibrated on the hand-checked rows of `images` and pooled as votes of two families. Only answer-set
    distributions of hand-checked `speed_limit.posted` images change; the top-k tokens stay the teacher's own. What was
    read before a crash is read from `ocr_votes.jsonl`.

    Args:
        soft_labels: a folder of `cache_soft_labels`.
        images: manifest of hand-checked images.
        reader: a labeler of sign values; by default RapidOCR.
    """
    fields = tasks.fields()
    rows = [row for row in read_manifest(images, tasks=fields) if row.task == FIELD]
    told = read_rows(soft_labels / TABLE)
    known = {row.path: row for row in rows}
    mine = [record for record in told if record["field"] == FIELD and record["image"] in known]
    reader = reader or OcrLabeler(TextReader(threads=os.cpu_count() or 1), fields[FIELD].choices)
    read = _read(reader, [record["image"] for record in mine], out / VOTES)
    votes = [_vote(r["image"], "teacher", dict(zip(r["choices"], np.exp(r["set_logp"]), strict=True))) for r in mine]
    votes += [_vote(image, "ocr", probs) for image, probs in read.items() if probs]
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


def _read(reader: Labeler, images: Sequence[str], cache: Path) -> dict[str, dict[str, float]]:
    """Ask the reader about every image, going on after those that the cache holds."""
    lines = cache.read_text(encoding="utf-8").splitlines() if cache.is_file() else []
    found: dict[str, Any] = {record["image"]: record["probs"] for record in map(json.loads, lines)}
    missing = [image for image in dict.fromkeys(images) if image not in found]
    with cache.open("a", encoding="utf-8") as stream:
        for image in track(missing, total=len(missing), what="reading signs"):
            found[image] = dict(reader.label(read_image(image)).get(FIELD, {}))
            stream.write(json.dumps({"image": image, "probs": found[image]}) + "\n")
            stream.flush()
    return found
