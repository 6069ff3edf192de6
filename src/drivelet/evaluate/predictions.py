"""Match the predictions of a model to the labelled rows of a manifest."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.core.errors import InputError
from drivelet.core.manifest import Row

SKIPPED = "skipped"
"""Key of a line that has no answer: why its picture was left out."""

Prediction = Mapping[str, Any]
"""One line of `preds.jsonl`: image, frame, task (a field), answer, prob, probs, abstained, prompt, active, ms."""


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Read a `preds.jsonl`.

    Raises:
        InputError: the file is missing, or a line is no prediction: no JSON object, without its names, or with a `prob`
            that is no probability.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such predictions; write them with `drivelet predict`")
    predictions = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            prediction = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} line {number}: no JSON ({error}); write it again") from error
        wrong = _wrong(prediction)
        if wrong:
            raise InputError(f"{path} line {number}: {wrong}; write it again")
        predictions.append(prediction)
    return predictions


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text ({error.reason}); write it again") from error


def _wrong(prediction: Any) -> str:
    """Return what is wrong with a line, nothing where it can be scored; a picture that was left out has no answer."""
    if not isinstance(prediction, dict):
        return "no JSON object"
    needed = ("image",) if SKIPPED in prediction else ("image", "task", "answer")
    lacking = [name for name in needed if not isinstance(prediction.get(name), str)]
    if lacking:
        return f"no text in {', '.join(lacking)}"
    prob = prediction.get("prob")
    if prob is not None and not (isinstance(prob, int | float) and 0 <= prob <= 1):
        return f"prob {prob} is no probability"
    return ""


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
    stills = (p for p in predictions if p.get("frame") is None and SKIPPED not in p)
    found = {(os.path.abspath(p["image"]), p["task"]): p for p in stills}  # noqa: PTH100 - must not follow links
    keys = [(os.path.abspath(row.path), row.task) for row in rows]  # noqa: PTH100
    missing = [key for key in keys if key not in found]
    if missing:
        image, task = missing[0]
        raise InputError(f"{image}: no prediction for {task} ({len(missing)} missing); predict the same manifest again")
    return [found[key] for key in keys]
