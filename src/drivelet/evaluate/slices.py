"""Accuracy on slices of the data: by source, light, distance or any other key of a row."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from drivelet.core.artifacts import Field
from drivelet.core.manifest import Row
from drivelet.core.stats import mean_interval
from drivelet.evaluate.metrics import right
from drivelet.evaluate.predictions import Prediction, labelled, match

CONE_METRES = (10.0, 20.0, 30.0, 50.0)
LAMP_PIXELS = (4.0, 8.0, 16.0)


def bin_name(value: float, edges: Sequence[float]) -> str:
    """Return the bin of a value as text: `<10`, `10-20`, ..., `>=50`."""
    if value < edges[0]:
        return f"<{edges[0]:g}"
    for low, high in pairwise(edges):
        if value < high:
            return f"{low:g}-{high:g}"
    return f">={edges[-1]:g}"


def by_source(row: Row) -> str:
    """Return the manifest's `source` of a row."""
    return row.source or "(no source)"


def slice_scores(
    predictions: Sequence[Prediction],
    rows: Sequence[Row],
    fields: Mapping[str, Field],
    key: Callable[[Row], str | None] = by_source,
) -> list[dict[str, Any]]:
    """Return accuracy for every field and slice, in the order of fields and of names.

    Args:
        key: the slice of a row, or None to leave the row out.

    Returns:
        {"field", "slice", "n", "accuracy", "low", "high"}; 95% interval clustered by group.
    """
    rows = labelled(rows)
    buckets: dict[tuple[str, str], list[tuple[bool, str]]] = {}
    for row, prediction in zip(rows, match(predictions, rows), strict=True):
        name = key(row)
        if name is not None:
            hit = right(fields[row.task], [row.label], [str(prediction["answer"])])[0]
            buckets.setdefault((row.task, name), []).append((hit, row.group or row.path))
    order = list(fields)
    return [
        {"field": field, "slice": name} | _accuracy(buckets[field, name])
        for field, name in sorted(buckets, key=lambda pair: (order.index(pair[0]), pair[1]))
    ]


def _accuracy(items: Sequence[tuple[bool, str]]) -> dict[str, Any]:
    interval = mean_interval([float(hit) for hit, _ in items], [group for _, group in items])
    return {"n": len(items), "accuracy": interval.value, "low": interval.low, "high": interval.high}
