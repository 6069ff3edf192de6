"""The mix search with its trainings: a student a mix, scored on the val rows of the pool."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.ranges import Name, ranged
from drivelet.core.rng import derive_seed
from drivelet.dataset.balance import origin_counts, select
from drivelet.dataset.search import Found, SearchConfig, search_mix
from drivelet.distil.soft_labels import SoftLabelConfig
from drivelet.distil.train import DistilConfig
from drivelet.recipes.settings import mini
from drivelet.recipes.steps import answer_rows, only_split
from drivelet.recipes.studies.data_arms import keep_images


@dataclass(frozen=True, kw_only=True)
@ranged
class MixSearchConfig:
    """What the search trains and how far it goes.

    Attributes:
        teacher: chooses among the answers of a coarse label.
        student: what every mix trains, with the steps of `train` at full effort.
    """

    grid: SearchConfig = field(default_factory=SearchConfig)
    teacher: Name = field(default_factory=lambda: mini("teacher-mini"))
    student: Name = field(default_factory=lambda: mini("student-mini"))
    train: DistilConfig = field(default_factory=lambda: DistilConfig(alpha=0.0))


def search_ratio(config: MixSearchConfig, *, pool: Path, max_images: int | None, seed: int, out: Path) -> Found:
    """Search the shares of the sources of a pool; stages lie in `out/stages`, so that a second call goes on.

    Args:
        config: the search and its trainings.
        pool: manifest of a mix with everything; its val rows score, its test rows are never read.
        max_images: most training images of a mix.
        seed: which images of a source enter.
        out: where stages lie.

    Raises:
        InputError: the pool has no val rows, or train rows of one source alone.
    """
    from drivelet.recipes.making import soft_label_rows
    from drivelet.vlm.load import resolve, set_threads

    set_threads()
    store = out / "stages"
    sources = sorted({origin_of(row) for row in train_rows(pool)})
    if len(sources) < 2:
        raise InputError(f"mix --search: all train rows are of the source {sources[0]}; give another to mix with")
    val = flow.run(only_split, {"split": "val"}, store=store, inputs={"manifest": pool})
    asked = {"teacher": resolve(config.teacher), "manifest": pool, "prompts": None}
    labels = flow.run(soft_label_rows, SoftLabelConfig(), store=store, inputs=asked)
    student = resolve(config.student)

    def evaluate(mix: Mapping[str, float], effort: float) -> float:
        chosen = {"shares": dict(mix), "max_images": max_images, "seed": seed}
        part = flow.run(mix_labels, chosen, store=store, inputs={"soft_labels": labels, "manifest": pool})
        training = _training(config.train, effort, seed)
        return _score(training, student, part, val / "manifest.csv", store)

    return search_mix(config.grid, sources=sources, evaluate=evaluate)


def _training(config: DistilConfig, effort: float, seed: int) -> DistilConfig:
    steps = max(1, round(config.steps * effort))
    return replace(config, steps=steps, epochs=config.epochs * effort, seed=derive_seed(seed, "mix search") % 2**31)


def _score(training: DistilConfig, student: Path, labels: Path, val: Path, store: Path) -> float:
    from drivelet.distil.train import distil
    from drivelet.evaluate.predictions import labelled, match, read_predictions
    from drivelet.evaluate.scores import sample_scores

    trained = flow.run(distil, training, store=store, inputs={"student": student, "soft_labels": labels})
    folder = flow.run(answer_rows, {}, store=store, inputs={"model": trained / "model", "manifest": val})
    rows = labelled(read_manifest(val, tasks=tasks.fields()))
    answers = [str(said["answer"]) for said in match(read_predictions(folder / "preds.jsonl"), rows)]
    return sample_scores(answers, rows, tasks.load(), resamples=1).average.value


@flow.stage()
def mix_labels(config: Mapping[str, Any], *, soft_labels: Path, manifest: Path, out: Path) -> Path:
    """Write the soft labels of the images that a mix of the pool holds; `config`: shares, max_images, seed."""
    rows: dict[str, list[Row]] = {}
    for row in train_rows(manifest):
        rows.setdefault(origin_of(row), []).append(row)
    there = {name: len({row.path for row in found}) for name, found in rows.items()}
    counts = origin_counts(there, shares=config["shares"], budget=config["max_images"])
    images = {path for name, count in counts.items() for path in select(rows[name], count, config["seed"])}
    return keep_images(images, soft_labels, out)


def train_rows(manifest: Path) -> list[Row]:
    """Return the train rows of a manifest."""
    return [row for row in read_manifest(manifest, tasks=tasks.fields()) if row.split == "train"]


def origin_of(row: Row) -> str:
    """Return real, drive, render or paint for a row of a mix."""
    return row.source.split(":")[0]
