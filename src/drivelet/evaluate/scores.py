"""Scores of fields, tasks and their average, together with their resamples on shared clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Field, Task
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.core.stats import Floats, bootstrap, cluster_ids, cluster_sums, ratio
from drivelet.evaluate.metrics import tally


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A score and its cluster resamples, shape (R,)."""

    value: float
    samples_R: Floats


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A task is the mean of its fields that have items, the average the mean over tasks."""

    fields: Mapping[str, Sampled]
    tasks: Mapping[str, Sampled]
    average: Sampled


def sample_scores(
    answers: Sequence[str], rows: Sequence[Row], tasks: Mapping[str, Task], *, resamples: int = 1000, seed: int = 0
) -> Scores:
    """Score answers to labelled rows, resampling groups (an image without a group is its own).

    All fields are resampled together, and so is any other model's answer to the same rows with the same seed.

    Raises:
        InputError: a row's task is no field of `tasks`.
    """
    ids_N, count = cluster_ids([row.group or f"image\x1f{row.path}" for row in rows])
    _check_tasks(rows, tasks)
    by_field: dict[str, Sampled] = {}
    by_task: dict[str, Sampled] = {}
    for task in tasks.values():
        present = [field for field in task.fields if any(row.task == field.name for row in rows)]
        for field in present:
            chosen = [i for i, row in enumerate(rows) if row.task == field.name]
            labels, replies = [rows[i].label for i in chosen], [answers[i] for i in chosen]
            by_field[field.name] = _sample(field, labels, replies, ids_N[chosen], count, resamples, seed)
        if present:
            by_task[task.name] = mean([by_field[field.name] for field in present])
    return Scores(fields=by_field, tasks=by_task, average=mean(list(by_task.values())))


def _check_tasks(rows: Sequence[Row], tasks: Mapping[str, Task]) -> None:
    known = {field.name for task in tasks.values() for field in task.fields}
    for row in rows:
        if row.task not in known:
            raise InputError(f"{row.path}: task {row.task!r} is none of {', '.join(sorted(known))}")


def _sample(
    field: Field,
    labels: Sequence[str],
    answers: Sequence[str],
    ids_N: NDArray[np.int64],
    count: int,
    resamples: int,
    seed: int,
) -> Sampled:
    counts = tally(field, labels, answers)
    sums_CD = cluster_sums(counts.items_ND, ids_N, count)
    samples_R = bootstrap(counts.metric, sums_CD, resamples=resamples, seed=seed)
    return Sampled(value=counts.score, samples_R=samples_R)


def mean(parts: Sequence[Sampled]) -> Sampled:
    """Return the mean of scores; in each resample, of those that are defined there."""
    samples_PR = np.stack([part.samples_R for part in parts])
    defined_PR = ~np.isnan(samples_PR)
    sums_R2 = np.stack([np.where(defined_PR, samples_PR, 0).sum(axis=0), defined_PR.sum(axis=0)], axis=-1)
    return Sampled(value=float(np.mean([part.value for part in parts])), samples_R=ratio(sums_R2))
