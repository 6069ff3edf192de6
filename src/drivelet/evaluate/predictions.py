"""Match the predictions of a model to the labelled rows of a manifest."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.core.errors import InputError
from drivelet.core.manifest import Row

Prediction = Mapping[str, Any]
"""One line of `preds.jsonl`: image, frame, task (a field), answer, prob, probs, abstained, prompt, active, ms."""
NAMED = ("image", "task", "answer")


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Read a `preds.jsonl`.

    Raises:
        InputError: the file is missing or a line is no prediction.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such predictions; write them with `drivelet predict`")
    predictions: list[dict[str, Any]] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                prediction = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path} line {number}: no JSON ({error}); write it again") from error
            if not isinstance(prediction, dict) or not all(isinstance(prediction.get(n), str) for n in NAMED):
                raise InputError(f"{path} line {number}: no prediction with {', '.join(NAMED)}; write it again")
            predictions.append(prediction)
    return predictions


def labelled(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that can be scored.

    Raises:
        InputError: there is none.
    """
    scored = [row for row in rows if row.task and row.label]
    if not scored:
        raise InputError("the manifest has no labelled rows; fill in `task` and `label` to score a model")
    return scored


def match(predictions: Sequence[Prediction], rows: Sequence[Row]) -> list[Prediction]:
    """Return the prediction for every row, in order: same image and field, no video frame.

    Relative image paths count from the working folder; where an image and field was predicted twice, the last holds.

    Raises:
        InputError: a row has no prediction.
    """
    stills = (p for p in predictions if p.get("frame") is None)
    found = {(os.path.abspath(p["image"]), p["task"]): p for p in stills}  # noqa: PTH100 - must not follow links
    keys = [(os.path.abspath(row.path), row.task) for row in rows]  # noqa: PTH100
    missing = [key for key in keys if key not in found]
    if missing:
        image, task = missing[0]
        raise InputError(f"{image}: no prediction for {task} ({len(missing)} missing); predict the same manifest again")
    return [found[key] for key in keys]
