"""The rows of the result table, and the paired tests between them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drivelet.core.artifacts import UNKNOWN, Field, Task
from drivelet.core.manifest import Row
from drivelet.core.stats import (
    Difference,
    difference_interval,
    expected_calibration_error,
    mcnemar,
    percentile_interval,
)
from drivelet.evaluate.metrics import majority_answer, right, score_field
from drivelet.evaluate.predictions import Prediction, labelled, match
from drivelet.evaluate.scores import Sampled, sample_scores

AVERAGE = "average"
COSTS = ("fps", "fps_low", "fps_high", "weight_mb", "peak_rss_mb", "model_mb", "dtype")


def evaluate_row(
    name: str,
    predictions: Sequence[Prediction],
    rows: Sequence[Row],
    tasks: Mapping[str, Task],
    *,
    model: str,
    prompts: str | None = None,
    blind: Sequence[Prediction] | None = None,
    cost: Mapping[str, Any] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return one row of `summary.json`.

    Args:
        name: of the row (teacher, base, ..., awq).
        predictions: lines of `preds.jsonl` that answer every labelled row.
        rows: the manifest; rows without task or label are left out.
        tasks: every task by name.
        model: folder or hub id; `prompts` the library's folder.
        blind: predictions of the same model on grey images.
        cost: what COSTS names, as far as it is known: frames a second (median, slowest and fastest pass), weights, peak
            memory of the process and its part above the imports in MB of 10^6 bytes, and the dtype.

    Returns:
        name, model, prompts, fields (score, low, high, n, majority, blind, ece, invalid, abstained), tasks and
        average (score, low, high: 95% interval clustered by group), measures, and the costs; None where undefined.

    Raises:
        InputError: no labelled row, a row without a prediction, or a label outside its set.
    """
    rows = labelled(rows)
    matched = match(predictions, rows)
    answers = [str(p["answer"]) for p in matched]
    blind_answers = [str(p["answer"]) for p in match(blind, rows)] if blind is not None else None
    scores = sample_scores(answers, rows, tasks, resamples=resamples, seed=seed)
    fields = {field.name: field for task in tasks.values() for field in task.fields if field.name in scores.fields}
    return {
        "name": name,
        "model": model,
        "prompts": prompts,
        "fields": {
            key: _interval(scores.fields[key]) | _field_facts(field, rows, matched, blind_answers)
            for key, field in fields.items()
        },
        "tasks": {key: _interval(sampled) for key, sampled in scores.tasks.items()},
        "average": _interval(scores.average),
        "measures": _measures(tasks, rows, answers),
        **{key: (cost or {}).get(key) for key in COSTS},
    }


def _interval(sampled: Sampled) -> dict[str, float | None]:
    interval = percentile_interval(sampled.value, sampled.samples_R)
    return {"score": _number(interval.value), "low": _number(interval.low), "high": _number(interval.high)}


def _number(value: float) -> float | None:
    """JSON has no NaN; six digits are more than any interval here can tell apart."""
    return None if math.isnan(value) else round(value, 6)


def _field_facts(
    field: Field, rows: Sequence[Row], matched: Sequence[Prediction], blind_answers: Sequence[str] | None
) -> dict[str, Any]:
    chosen = [i for i, row in enumerate(rows) if row.task == field.name]
    labels = [rows[i].label for i in chosen]
    answers = [str(matched[i]["answer"]) for i in chosen]
    always = [majority_answer(field, labels)] * len(labels)
    seen_nothing = [blind_answers[i] for i in chosen] if blind_answers is not None else None
    return {
        "n": len(chosen),
        "majority": _number(score_field(field, labels, always)),
        "blind": None if seen_nothing is None else _number(score_field(field, labels, seen_nothing)),
        "ece": _calibration([matched[i] for i in chosen], right(field, labels, answers)),
        "invalid": sum(answer not in field.choices for answer in answers),
        "abstained": answers.count(UNKNOWN),
    }


def _calibration(matched: Sequence[Prediction], correct: Sequence[bool]) -> float | None:
    probs = [p.get("prob") for p in matched]
    known = [(prob, hit) for prob, hit in zip(probs, correct, strict=True) if prob is not None]
    return _number(expected_calibration_error([prob for prob, _ in known], [hit for _, hit in known]))


def _measures(tasks: Mapping[str, Task], rows: Sequence[Row], answers: Sequence[str]) -> dict[str, float | None]:
    """Compute each task's extra measures; the name before the last dot is the field that it is about."""
    values: dict[str, float | None] = {}
    for name, measure in ((name, f) for task in tasks.values() for name, f in task.measures.items()):
        pairs = [(r.label, a) for r, a in zip(rows, answers, strict=True) if r.task == name.rpartition(".")[0]]
        if pairs:
            values[name] = _number(measure([label for label, _ in pairs], [answer for _, answer in pairs]))
    return values


def paired_tests(
    name_a: str,
    predictions_a: Sequence[Prediction],
    name_b: str,
    predictions_b: Sequence[Prediction],
    rows: Sequence[Row],
    tasks: Mapping[str, Task],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Compare two models on the same rows, by task and on average.

    Returns:
        {"a", "b", "task", "difference", "low", "high", "p"} for every task with items, then for `average`. The
        difference is score(a) - score(b), its 95% interval a clustered paired bootstrap; p is McNemar's exact test on
        right and wrong answers for a task, and the bootstrap's for the average.

    Raises:
        InputError: as `evaluate_row`.
    """
    rows = labelled(rows)
    answers_a = [str(p["answer"]) for p in match(predictions_a, rows)]
    answers_b = [str(p["answer"]) for p in match(predictions_b, rows)]
    a = sample_scores(answers_a, rows, tasks, resamples=resamples, seed=seed)
    b = sample_scores(answers_b, rows, tasks, resamples=resamples, seed=seed)
    head = {"a": name_a, "b": name_b}
    tests = [
        head | {"task": name} | _difference(a.tasks[name], b.tasks[name]) | {"p": p}
        for name, p in _mcnemar_by_task(rows, tasks, answers_a, answers_b).items()
    ]
    return [*tests, head | {"task": AVERAGE} | _difference(a.average, b.average)]


def _difference(a: Sampled, b: Sampled) -> dict[str, float | None]:
    found: Difference = difference_interval(a.value - b.value, a.samples_R - b.samples_R)
    interval = {"difference": _number(found.value), "low": _number(found.low), "high": _number(found.high)}
    return interval | {"p": _number(found.p)}


def _mcnemar_by_task(
    rows: Sequence[Row], tasks: Mapping[str, Task], answers_a: Sequence[str], answers_b: Sequence[str]
) -> dict[str, float]:
    """Pool the items of a task's fields."""
    p_values: dict[str, float] = {}
    for task in tasks.values():
        hits: list[tuple[bool, bool]] = []
        for field in task.fields:
            chosen = [i for i, row in enumerate(rows) if row.task == field.name]
            labels = [rows[i].label for i in chosen]
            right_a = right(field, labels, [answers_a[i] for i in chosen])
            hits += zip(right_a, right(field, labels, [answers_b[i] for i in chosen]), strict=True)
        if hits:
            hits_N2 = np.array(hits)
            p_values[task.name] = mcnemar(hits_N2[:, 0].tolist(), hits_N2[:, 1].tolist())
    return p_values
