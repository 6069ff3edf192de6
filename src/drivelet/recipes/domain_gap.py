"""The domain gap of a run: what separates its real images from its synthetic ones, and the alarm."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.flow import write_json
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.progress import track
from drivelet.core.ranges import Seed, Several, ranged
from drivelet.core.tables import chunked
from drivelet.dataset.gap import Domain, GapConfig, domain_gap
from drivelet.dataset.image_statistics import image_statistics
from drivelet.evaluate.domains import AlarmConfig, Answered, accuracy_gap, domain_alarm
from drivelet.evaluate.predictions import read_predictions

GAP = "gap.json"
CHUNK = 32


@dataclass(frozen=True, kw_only=True)
@ranged
class DomainGapConfig:
    """How the gap is measured: `images` of each domain at most, the classifier, and when it is an alarm."""

    images: Several = 400
    gap: GapConfig = field(default_factory=GapConfig)
    alarm: AlarmConfig = field(default_factory=AlarmConfig)
    seed: Seed = 0


@flow.stage()
def measure_gap(config: DomainGapConfig, *, real: Path, synthetic: Path, embedder: Path, out: Path) -> Path:
    """Compare the images of two manifests as a stage; write `out/gap.json`.

    Raises:
        InputError: a manifest is damaged, or its images are of one group.
    """
    from drivelet.vlm.embed import VisionEmbedder

    eye = VisionEmbedder.from_pretrained(embedder)
    found = {
        name: _domain(read_manifest(manifest, tasks=tasks.fields()), eye, config)
        for name, manifest in (("real", real), ("synthetic", synthetic))
    }
    write_json(out / GAP, domain_gap(config.gap, **found))
    return out / GAP


def _domain(rows: list[Row], eye: Any, config: DomainGapConfig) -> Domain:
    """Embed and measure images drawn at random, without those that nobody trains on."""
    groups = {row.path: row.group or row.path for row in rows if row.split == "train"}
    groups = groups or {row.path: row.group or row.path for row in rows}
    paths = sorted(random.Random(config.seed).sample(sorted(groups), min(config.images, len(groups))))
    statistics, vectors = [], []
    for chunk in chunked(track(paths, total=len(paths), what="domain gap"), CHUNK):
        images = [read_image(path) for path in chunk]
        statistics += [image_statistics(image) for image in images]
        vectors.append(np.asarray(eye.embed_images(images), np.float64))
    return Domain(
        statistics_NS=np.stack(statistics), vectors_ND=np.concatenate(vectors), groups=[groups[p] for p in paths]
    )


def gap_of(
    config: DomainGapConfig, *, model: str, measured: Mapping[str, tuple[Path, Path]], gap: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the accuracy gap of a model and the alarms that it raises.

    Args:
        config: the thresholds.
        model: its name in the table.
        measured: for `real` and `synthetic`: the test's manifest, and the folder of its `preds.jsonl`.
        gap: the content of `gap.json`.
    """
    fields = tasks.fields()
    tested = {
        name: Answered(predictions=read_predictions(folder / "preds.jsonl"), rows=read_manifest(manifest, tasks=fields))
        for name, (manifest, folder) in measured.items()
    }
    accuracy = accuracy_gap(real=tested["real"], synthetic=tested["synthetic"], tasks=tasks.load())
    alarm = domain_alarm(config.alarm, model=model, accuracy=accuracy, gap=gap)
    return accuracy, [alarm] if alarm else []
