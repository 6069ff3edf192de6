"""Stages that join several rooms: prompts, soft labels, calibration."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.artifacts import Field
from drivelet.core.damage import readable_rows
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.tables import read_rows
from drivelet.distil.soft_labels import TABLE, Example, SoftLabelConfig, cache_soft_labels
from drivelet.prompts.library import canonical, default_library
from drivelet.prompts.optimise import optimise
from drivelet.prompts.router import SignalRouter, load_router
from drivelet.prompts.search import OptimiseConfig
from drivelet.prompts.signals import image_signals
from drivelet.quantise.answers import ANSWER_MASK, Batch
from drivelet.quantise.quantise import REPORT, AwqConfig, quantise
from drivelet.recipes.steps import sample_rows, training_question
from drivelet.runtime.engine import Engine
from drivelet.vlm.answers import training_branch
from drivelet.vlm.batch import pack
from drivelet.vlm.load import load

CALIBRATION_IMAGES = 64
"""Images that a model is calibrated on where nothing else is said."""


@flow.stage(1, parts=(optimise,))
def optimise_prompts(config: OptimiseConfig, *, student: Path, manifest: Path, out: Path) -> Path:
    """Search prompts for a student on the train and val rows of a manifest."""
    fields = tasks.fields()
    rows = readable_rows(read_manifest(manifest, tasks=fields), where=manifest)
    return optimise(
        config,
        model=Engine.from_pretrained(student),
        library=default_library(fields),
        fields=fields,
        train=[row for row in rows if row.split == "train"],
        val=[row for row in rows if row.split == "val"],
        read_image=read_image,
        out=out,
    )


def examples(rows: Sequence[Row], fields: Mapping[str, Field], prompts: Path | None) -> list[Example]:
    """Return the training questions of rows, with the prompts that the router chooses for each image."""
    router = load_router(prompts, fields) if prompts else SignalRouter(canonical(fields), fields=fields)
    signals: dict[str, Mapping[str, float]] = {}
    found = []
    for row in rows:
        if row.path not in signals:
            signals[row.path] = image_signals(read_image(row.path)) if prompts else {}
        field = fields[row.task]
        question = training_question(router, signals[row.path], row, field)
        allowed = tuple(choice for choice in field.choices if choice in field.parse(row.label))
        found.append(
            Example(
                image=row.path, field=row.task, text=question.text, choices=question.choices, allowed=allowed,
                weight=row.weight,
            )
        )  # fmt: skip
    return found


@flow.stage(1, parts=(cache_soft_labels,))
def soft_label_rows(
    config: SoftLabelConfig, *, teacher: Path, manifest: Path, prompts: Path | None, out: Path, strict: bool = False
) -> Path:
    """Cache the teacher's soft labels of the train rows of a manifest.

    Rows whose image cannot be read are left out, or an error where `strict`.
    """
    fields = tasks.fields()
    listed = [row for row in read_manifest(manifest, tasks=fields) if row.split == "train"]
    rows = readable_rows(listed, strict=strict, where=manifest) if listed else []
    return cache_soft_labels(config, teacher=teacher, examples=examples(rows, fields, prompts), out=out)


def calibration_batches(model: Path, soft_labels: Path, count: int) -> Iterator[Batch]:
    """Yield real multimodal forwards (image, question, answer) of `count` images, with the answer positions marked."""
    loaded = load(model)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(soft_labels / TABLE, columns=["image", "text", "choices", "answer"]):
        groups.setdefault(row["image"], []).append(row)
    paths = list(groups)
    for path in paths[:: max(len(paths) // count, 1)][:count]:
        branches = [training_branch(loaded.processor, e["text"], e["choices"], e["answer"]) for e in groups[path]]
        packed = pack(loaded, read_image(path), [branch.nodes for branch in branches])
        mask_BL = packed.input_ids_BL.new_zeros(packed.input_ids_BL.shape).bool()
        start = int((packed.branch_BL[0] == -1).sum())
        for branch in branches:
            mask_BL[0, [start + node for node in branch.path]] = True
            start += len(branch.nodes)
        yield {**packed.model_inputs(), ANSWER_MASK: mask_BL}


@flow.stage(1, parts=(quantise,))
def quantise_model(config: AwqConfig, *, model: Path, soft_labels: Path, count: int, out: Path) -> Path:
    """Quantise a model on driving questions with their images and answers; write the model and `awq.json` to `out`."""
    return quantise(config, model_path=model, batches=calibration_batches(model, soft_labels, count), out=out)


def quantisation_records(folder: Path) -> list[dict[str, Any]]:
    """Return the audit as records: layer, group, exponent, error by rounding and by AWQ, outlier ratio."""
    keys = ("layer", "group", "alpha", "error_rtn", "error", "outlier_ratio")
    return [{key: row[key] for key in keys} for row in flow.read_json(folder / REPORT)["groups"]]


def gold_sample(manifest: Path, *, per_field: int, seed: int, split: str) -> list[Row]:
    """Return hand-checked rows of one split that calibrate the labelers."""
    rows = [row for row in read_manifest(manifest, tasks=tasks.fields()) if row.split == split]
    return sample_rows(rows, per_field, seed=seed)
