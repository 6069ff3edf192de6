"""The optimiser: edits proposed on train, accepted on val by an exact test, within a budget of calls."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from drivelet.core import flow
from drivelet.core.artifacts import Field, ImageArray, Prompt
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.core.ports import VisionLanguageModel
from drivelet.core.progress import track
from drivelet.prompts.ask import Asker
from drivelet.prompts.gap import gap_report
from drivelet.prompts.library import base_entries, compose, form_of, save_library
from drivelet.prompts.router import AllSignals, SignalRouter, calibrate, routing_report, save_router
from drivelet.prompts.search import OptimiseConfig, Search, flat, requests_of, run_rounds, start, try_variants
from drivelet.prompts.signals import image_signals


@flow.stage()
def optimise(
    config: OptimiseConfig,
    *,
    model: VisionLanguageModel,
    library: Sequence[Prompt],
    fields: Mapping[str, Field],
    train: Sequence[Row],
    val: Sequence[Row],
    read_image: Callable[[str], ImageArray],
    out: Path,
    signals_of: Callable[[ImageArray], Mapping[str, float]] = image_signals,
) -> Path:
    """Search the library's edits for a better prompt a field, and calibrate the router.

    Each round proposes, for every field, single edits of its current prompt (wording, hint, options and their order,
    sensor text) and the library's own entries, scores them on train by the mean probability of the allowed answers, and
    tries the best one on val: it is accepted if it is right more often and McNemar's exact test says so. Then one
    variant a scene element is tried in the same way on the frames that show it, and the router is calibrated. The
    search is deterministic, and goes on where a killed run left its answers (`calls.jsonl`).

    Args:
        config: rounds, budget, level.
        model: answers questions about images.
        library: entries to start from: a field's first untriggered entry is its start.
        fields: every field by name.
        train: rows to propose on.
        val: rows to accept on; of other drives than train.
        read_image: reads an image by path.
        out: folder to write to: `prompts.json`, `router.json`, `search.json`, `gaps.json`.
        signals_of: what the router will know of an image; a detector's scores may be added to the image statistics.

    Returns:
        The path of `out/prompts.json`.

    Raises:
        InputError: train or val has no rows.
    """
    if not train or not val:
        raise InputError(
            "prompts optimise: the data needs rows of both train and val; run `drivelet mix` with val_share"
        )
    out.mkdir(parents=True, exist_ok=True)
    search = start(
        config, library, fields, train, val, Asker(model, read_image, out / "calls.jsonl", budget=config.budget_calls)
    )
    run_rounds(search, library)
    both = [replace(row, split=split) for split, rows in (("train", train), ("val", val)) for row in rows]
    paths = sorted({row.path for row in both})
    signals = {path: signals_of(read_image(path)) for path in track(paths, total=len(paths), what="signals")}
    base = [compose(form, fields[name]) for name, form in search.forms.items()]
    variants = try_variants(search, library, signals)
    prompts = [*base, *variants]
    rules = calibrate(config.router, rows=both, signals=signals, fields=fields)
    router = SignalRouter(prompts, fields=fields, rules=rules)
    save_router(out, router)
    _write(out / "search.json", _summary(search, router, signals, prompts))
    _write(out / "gaps.json", _gaps(search, library))
    return save_library(out, prompts)


def _summary(search: Search, router: SignalRouter, signals: AllSignals, prompts: Sequence[Prompt]) -> dict[str, Any]:
    val = flat(search.val)
    return {
        "config": asdict(search.config),
        "stopped_by": search.stop,
        "calls": search.asker.calls,
        "words": sum(len(entry["text"].split()) for entry in search.log),
        "val_tests": sum("p" in entry for entry in search.log),
        "accepted": sum(entry["accepted"] for entry in search.log),
        "prompts": {prompt.version: prompt.text for prompt in prompts},
        "routing": routing_report(
            router, rows=val, signals=signals, fields=search.fields, count_tokens=lambda text: len(text.split())
        ),
        "candidates": search.log,
    }


def _gaps(search: Search, library: Sequence[Prompt]) -> dict[str, Any]:
    """Val gaps of the start and of the chosen prompts, from answers that the search has asked for where it has them."""
    base = base_entries(library, search.fields)
    first = {name: form_of(base[name], one) for name, one in search.fields.items()}
    rows = flat(search.val)
    report: dict[str, Any] = {}
    for title, forms in (("before", first), ("after", search.forms)):
        requests = [requests_of(forms[row.task], search.fields[row.task], [row])[0] for row in rows]
        if search.asker.affordable(requests):
            report[title] = gap_report(rows, search.asker.ask(requests), search.fields)
    return report


def _write(path: Path, body: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
