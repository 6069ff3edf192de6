"""A mini on held-out renders of the world, on objects of at least 10 pixels, beside the goals; by size; and its errors.

`python benchmarks/minis.py [--model DIR] [--frames 1500] [--workers 2] [--errors errors.png]`. The frames (seed 9200)
are rendered into the cache when they are missing. `--errors` draws 50 wrong answers, chosen at random, for eyes.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from rich.console import Console

from drivelet import tasks
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.rng import generator
from drivelet.evaluate.long_tail import of_size
from drivelet.evaluate.metrics import right
from drivelet.evaluate.predictions import Prediction, labelled, match
from drivelet.evaluate.table import evaluate_row
from drivelet.recipes.pretrain_minis import LEAST_PX, held_out
from drivelet.recipes.settings import cache_root, mini
from drivelet.recipes.steps import asker, pictures
from drivelet.recipes.studies.data_arms import scenes_of
from drivelet.report.tables import records_table, rich_table
from drivelet.runtime.engine import Engine
from drivelet.runtime.predict import predict
from drivelet.vlm.load import set_threads

GOALS = {
    "traffic_light.state": 0.95, "cone.count": 0.85, "speed_limit.posted": 0.90, "intersection.alert": 0.92,
    "average": 0.93,
}  # fmt: skip
FLOOR = 0.05
SIZES_PX = (0.0, 10.0, 14.0, 20.0, 30.0)
SHOWN, COLUMNS, LINE = 50, 5, 14


def main() -> None:
    """Answer the test and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(mini("teacher-mini")))
    parser.add_argument("--frames", type=int, default=1500, help="how many of the test's frames")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--errors", type=Path, help="draw wrong answers into this picture")
    options = parser.parse_args()
    set_threads()
    manifest = held_out(cache_root() / "pretrain", options.workers, ["world"])["world"]
    fields = tasks.fields()
    asked = list(pictures(manifest, fields, list(fields)))[: options.frames]
    found = list(predict(Engine.from_pretrained(options.model), asked, fields=fields, ask=asker(fields, None)))
    chosen = {picture.path for picture in asked}
    rows = labelled([row for row in read_manifest(manifest, tasks=fields) if row.path in chosen])
    scenes = scenes_of(rows)
    large = of_size(rows, scenes, LEAST_PX)
    row = evaluate_row(options.model.name, found, large, tasks.load(), model=str(options.model))
    measures = {**{name: one["score"] for name, one in row["fields"].items()}, "average": row["average"]["score"]}
    table = [{"": name, "score": value, **goal(name, value)} for name, value in measures.items()]
    console = Console(width=120)
    console.print(
        rich_table(records_table(table), title=f"{options.model.name}, objects of at least {LEAST_PX:.0f} px")
    )
    sizes = [by_size(name, rows, scenes, found) for name in fields]
    console.print(rich_table(records_table(sizes), title="Share right by the height of the smallest object"))
    if options.errors:
        print(f"{draw_errors(large, match(found, large), options.errors)} of the wrong answers: {options.errors}")


def goal(name: str, value: float) -> dict[str, str]:
    """Return the goal of a measure, and whether it or its floor holds."""
    if name not in GOALS:
        return {"goal": "", "holds": ""}
    wanted = GOALS[name]
    return {
        "goal": f"{wanted:.2f}",
        "holds": "yes" if value >= wanted else "floor" if value >= wanted - FLOOR else "no",
    }


def by_size(field: str, rows: Sequence[Row], scenes: Mapping[str, Any], found: Sequence[Prediction]) -> dict[str, str]:
    """Return the share of right answers of a field, with their number, for every range of sizes."""
    own, cells = [row for row in rows if row.task == field], {"field": field}
    large = [{id(row) for row in of_size(own, scenes, low)} for low in (*SIZES_PX, math.inf)]
    names = [f"{low:.0f}-{high:.0f} px" for low, high in pairwise(SIZES_PX)] + [f"{SIZES_PX[-1]:.0f} px", "none seen"]
    for number, name in enumerate(names):
        smaller = large[number + 1] if number + 1 < len(large) else set()
        here = [row for row in own if id(row) in large[number] - smaller]
        said = [str(each["answer"]) for each in match(found, here)]
        hits = right(tasks.fields()[field], [row.label for row in here], said)
        cells[name] = f"{sum(hits) / len(hits):.2f} of {len(hits)}" if hits else ""
    return cells


def draw_errors(rows: Sequence[Row], answers: Sequence[Prediction], path: Path) -> int:
    """Draw wrong answers chosen at random, each frame above its field, label and answer; return how many."""
    fields = tasks.fields()
    wrong = [
        (row, str(said["answer"]))
        for row, said in zip(rows, answers, strict=True)
        if not right(fields[row.task], [row.label], [str(said["answer"])])[0]
    ]
    order = generator(0, "errors").permutation(len(wrong))[:SHOWN]
    with Image.open(wrong[0][0].path) as first:
        width, height = first.size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(order) // COLUMNS) * (height + LINE)))
    pen = ImageDraw.Draw(sheet)
    for place, (row, said) in enumerate(wrong[int(k)] for k in order):
        left, top = place % COLUMNS * width, place // COLUMNS * (height + LINE)
        with Image.open(row.path) as picture:
            sheet.paste(picture.convert("RGB"), (left, top))
        pen.text((left + 2, top + height + 1), f"{place + 1}: {row.task} is {row.label}, answer {said}", fill="white")
    sheet.save(path)
    return len(order)


if __name__ == "__main__":
    main()
