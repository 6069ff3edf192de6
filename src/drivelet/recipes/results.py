"""From predictions to the table: `summary.json`, `report.html`, and what the person at the keyboard sees last."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.manifest import Row, read_manifest
from drivelet.evaluate.predictions import read_predictions
from drivelet.evaluate.table import evaluate_row, paired_tests
from drivelet.recipes.config import LoopConfig
from drivelet.recipes.settings import flatten
from drivelet.recipes.speed import speed_of
from drivelet.report.html import report_folder
from drivelet.report.tables import rich_table, summary_table
from drivelet.runtime.predict import cost_path

Measured = tuple[str, Path, Path | None, Path]
"""(row name, model folder, prompts folder or None, folder of `preds.jsonl`)."""

PAIRS = (("awq", "base"), ("awq", "distilled"), ("distilled", "data"), ("data", "prompts"), ("prompts", "base"))
SAMPLES = 8


def result_row(
    name: str,
    model: Path,
    prompts: Path | None,
    folder: Path,
    rows: Sequence[Row],
    root: Path,
    *,
    speed: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a model's row of `summary.json` from its predictions and costs, with its speed as `speeds` found it."""
    cost = flow.read_json(cost_path(folder / "preds.jsonl"))
    blind = folder / "preds.blind.jsonl"
    return evaluate_row(
        name,
        read_predictions(folder / "preds.jsonl"),
        rows,
        tasks.load(),
        model=relative(model, root),
        prompts=relative(prompts, root) if prompts else None,
        blind=read_predictions(blind) if blind.is_file() else None,
        cost={**cost, **speed},
    )


def relative(path: Path, root: Path) -> str:
    """Return a path relative to the folder of the summary where it lies in it."""
    path = path.absolute()
    return path.relative_to(root.absolute()).as_posix() if path.is_relative_to(root.absolute()) else str(path)


def write_results(
    config: LoopConfig,
    out: Path,
    test: Path,
    measured: Sequence[Measured],
    speed: Path,
    extras: Mapping[str, Any],
    *,
    real: bool,
    alarms: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write `summary.json`, the report's parts and `report.html`, and print the table and every alarm.

    `speed` is a folder of `speeds`.
    """
    rows = read_manifest(test, tasks=tasks.fields())
    lines = [result_row(*each, rows, out, speed=speed_of(speed, each[0])) for each in measured]
    predictions = {name: read_predictions(folder / "preds.jsonl") for name, _, _, folder in measured}
    tests = [
        test
        for a, b in PAIRS
        if a in predictions and b in predictions
        for test in paired_tests(a, predictions[a], b, predictions[b], rows, tasks.load())
    ]
    images = len({row.path for row in rows})
    data = {"test": relative(test, out), "images": images, "rows": len(rows), "kind": "real" if real else "rendered"}
    summary = {"recipe": config.name, "data": data, "rows": lines, "tests": tests, "alarms": list(alarms)}
    flow.write_json(out / "summary.json", summary)
    flow.write_json(out / "samples.json", samples(rows, predictions[measured[-1][0]]))
    flow.write_json(out / "config.json", dict(flatten(config)))
    for name, content in extras.items():
        flow.write_json(out / f"{name}.json", content)
    page = report_folder(out)
    print_table(lines, title=f"{config.name}: {images} {data['kind']} test images")
    for alarm in alarms:
        Console(width=160).print(f"[bold red]{escape(alarm['message'])}[/bold red]")
    return page


def print_table(lines: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Print the result table on standard output."""
    Console(width=160).print(rich_table(summary_table(lines), title=title))


def samples(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return evenly spaced test images with the last model's answers beside the labels."""
    fields = tasks.fields()
    said = {(p["image"], p["task"]): p for p in predictions}
    by_image: dict[str, list[Row]] = {}
    for row in rows:
        by_image.setdefault(row.path, []).append(row)
    chosen = list(by_image)[:: max(len(by_image) // SAMPLES, 1)][:SAMPLES]
    return [
        {
            "image": image,
            "caption": Path(image).name,
            "answers": [
                {
                    "task": row.task,
                    "answer": (p := said[image, row.task])["answer"],
                    "gold": row.label,
                    "prob": p["prob"],
                    "right": p["answer"] in fields[row.task].parse(row.label),
                }
                for row in by_image[image]
            ],
        }
        for image in chosen
    ]
