"""Answer pictures field by field and write `preds.jsonl`, with what it cost beside it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.core import flow
from drivelet.core.artifacts import UNKNOWN, Field, ImageArray, Question
from drivelet.core.damage import LeftOut
from drivelet.core.errors import InputError
from drivelet.core.flow import write_json
from drivelet.core.images import grey_like
from drivelet.core.memory import Baseline, peak_rss_mb, peaks
from drivelet.core.ports import VisionLanguageModel
from drivelet.runtime.partial import SKIPPED, Picture, open_partial

Ask = Callable[[ImageArray, Sequence[str], str], Mapping[str, Question | None]]
"""(image, field names, sensor text) -> the question for each field, or None where the router leaves it out."""
KEPT = 64
"""Answers about grey images that are kept to be given again."""


@flow.stage(2)
def predict(
    model: VisionLanguageModel,
    pictures: Iterable[Picture],
    *,
    fields: Mapping[str, Field],
    ask: Ask,
    blind: bool = False,
    left_out: LeftOut | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one prediction a picture and field, in the form of `preds.jsonl`.

    A field that the router leaves out gets its absent answer with `active` false. `ms` is the time of the picture's one
    forward, routing and image processing included, shared by its fields. `blind` replaces every image by grey. A
    picture that cannot be read gives one line with `skipped`, the reason, and goes to `left_out`.
    """
    seen: dict[Any, list[dict[str, Any]]] = {}
    left_out = left_out or LeftOut()
    for picture in pictures:
        try:
            image = picture.read()
        except InputError as error:
            left_out.add(error)
            yield {"image": picture.path, "frame": picture.frame, SKIPPED: str(error)}
            continue
        if not blind:
            yield from _answer(model, picture, image, fields, ask)
            continue
        grey = grey_like(image)
        asked = tuple(ask(grey, picture.fields, picture.sensor).values())
        key = (image.shape, picture.fields, asked)
        if key not in seen:  # most grey images are asked the same
            if len(seen) == KEPT:  # but not where every picture has a sensor text of its own
                seen.clear()
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
    answered: Callable[[Iterable[Picture]], Iterable[Mapping[str, Any]]],
    pictures: Iterable[Picture],
    out: Path,
    *,
    weight_mb: float,
    identity: str = "",
    dtype: str | None = None,
    baseline: Baseline | None = None,
) -> Path:
    """Write `preds.jsonl` whole or not at all, and `<name>.cost.json` beside it.

    Lines are delivered into `OUT.partial` as they come. The costs are images, skipped, fps (the forward of each
    picture, not the reading of files), weight_mb, dtype, peak_rss_mb and model_mb: the part of the peak above
    `baseline`, None without it.

    Args:
        answered: `predict` with all but its pictures given.
        pictures: what to answer.
        out: the file.
        weight_mb: of the model.
        identity: digest of all that the lines depend on: an interrupted file of the same identity is gone on with,
            without one it is begun anew.
        dtype: of the weights as loaded.
        baseline: memory before the model was loaded.

    Raises:
        InputError: no picture can be read, or another process writes this file.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_partial(out, identity) as partial:
        try:
            for line in answered(partial.left(pictures)):
                partial.write(line)
        finally:
            if not partial.images:
                partial.discard()
        if not partial.images:
            raise InputError(f"none of {partial.skipped} pictures can be read; the first: {partial.first_skipped}")
        partial.finish()
    seconds = partial.ms / 1000
    peak_mb, model_mb = peaks(baseline) if baseline else (peak_rss_mb(), None)
    write_json(
        cost_path(out),
        {
            "images": partial.images,
            "skipped": partial.skipped,
            "fps": round(partial.images / seconds, 3) if seconds else None,
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
