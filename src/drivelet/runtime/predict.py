"""Answer pictures field by field and write `preds.jsonl`, with what it cost beside it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import UNKNOWN, Field, ImageArray, Question
from drivelet.core.flow import write_json
from drivelet.core.images import grey_like
from drivelet.core.memory import Baseline, peak_rss_mb, peaks
from drivelet.core.ports import VisionLanguageModel

Ask = Callable[[ImageArray, Sequence[str], str], Mapping[str, Question | None]]
"""(image, field names, sensor text) -> the question for each field, or None where the router leaves it out."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image to answer: its path as given, its frame number in a video (None for a still), and the fields to ask."""

    path: str
    frame: int | None
    fields: tuple[str, ...]
    read: Callable[[], ImageArray]
    sensor: str = ""


def predict(
    model: VisionLanguageModel,
    pictures: Iterable[Picture],
    *,
    fields: Mapping[str, Field],
    ask: Ask,
    blind: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield one prediction a picture and field, in the form of `preds.jsonl`.

    A field that the router leaves out gets its absent answer with `active` false. `ms` is the time of the picture's one
    forward, routing and image processing included, shared by its fields. `blind` replaces every image by grey.
    """
    seen: dict[Any, list[dict[str, Any]]] = {}
    for picture in pictures:
        image = picture.read()
        if not blind:
            yield from _answer(model, picture, image, fields, ask)
            continue
        grey = grey_like(image)
        asked = tuple(ask(grey, picture.fields, picture.sensor).values())
        key = (image.shape, picture.fields, asked)
        if key not in seen:  # most grey images are asked the same
            seen[key] = list(_answer(model, picture, grey, fields, ask))
        for line in seen[key]:
            yield {**line, "image": picture.path, "frame": picture.frame}


def _answer(
    model: VisionLanguageModel, picture: Picture, image: ImageArray, fields: Mapping[str, Field], ask: Ask
) -> Iterator[dict[str, Any]]:
    started = time.perf_counter()
    questions = ask(image, picture.fields, picture.sensor)
    active = [question for name in picture.fields if (question := questions[name]) is not None]
    scored = {result.field: result for result in model.score(image, active)}
    ms = (time.perf_counter() - started) * 1000
    for name in picture.fields:
        question = questions[name]
        head = {"image": picture.path, "frame": picture.frame, "task": name}
        if question is None:
            absent = fields[name].absent
            said = {"answer": absent, "prob": 1.0, "probs": {absent: 1.0}, "abstained": False, "prompt": None}
        else:
            result = scored[name]
            said = {
                "answer": result.answer,
                "prob": round(result.prob, 6),
                "probs": {choice: round(p, 6) for choice, p in result.probs.items()},
                "abstained": result.answer == UNKNOWN,
                "prompt": question.prompt_id,
            }
        yield {**head, **said, "active": question is not None, "ms": round(ms, 3)}


def write_predictions(
    lines: Iterable[Mapping[str, Any]],
    out: Path,
    *,
    weight_mb: float,
    dtype: str | None = None,
    baseline: Baseline | None = None,
) -> Path:
    """Write `preds.jsonl` whole or not at all, and `<name>.cost.json` beside it.

    The costs are images, fps (the forward of each picture, not the reading of files), weight_mb, dtype, peak_rss_mb and
    model_mb: the part of the peak above `baseline`, None without it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    times: dict[tuple[str, int | None], float] = {}
    with partial.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            times[line["image"], line["frame"]] = line["ms"]
    partial.replace(out)
    seconds = sum(times.values()) / 1000
    peak_mb, model_mb = peaks(baseline) if baseline else (peak_rss_mb(), None)
    write_json(
        cost_path(out),
        {
            "images": len(times),
            "fps": round(len(times) / seconds, 3) if seconds else None,
            "peak_rss_mb": round(peak_mb, 1),
            "model_mb": None if model_mb is None else round(model_mb, 1),
            "weight_mb": round(weight_mb, 3),
            "dtype": dtype,
        },
    )
    return out


def cost_path(predictions: Path) -> Path:
    """Return where the costs of a predictions file lie."""
    return predictions.with_suffix(".cost.json")
