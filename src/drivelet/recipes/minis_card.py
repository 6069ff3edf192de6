"""Measure a mini on held-out renders and write its model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core.manifest import read_manifest
from drivelet.distil.pretrain import PretrainConfig
from drivelet.evaluate.long_tail import of_size
from drivelet.evaluate.table import evaluate_row
from drivelet.recipes.steps import asker, pictures
from drivelet.recipes.studies.data_arms import scenes_of
from drivelet.report.tables import field_table, markdown, with_interval
from drivelet.runtime.engine import Engine
from drivelet.runtime.predict import predict
from drivelet.vlm.load import weight_megabytes

CARD = """# {name}

A small Qwen2.5-VL ({parameters:.2f} M parameters, {megabytes:.1f} MB in bfloat16) that answers Drivelet's driving
questions, trained from nothing by `drivelet run pretrain_minis` on this project's own Blender renders alone: no real
image, no other weights.

## Data and training

{frames} rendered frames ({domains}); {steps} steps. The first {vision_steps}, and {vision_share:.0%} of the
others, train the vision tower alone, on {batch} crops and {sheets} sheets of drawn speed signs ({styles}), with dense
targets. The others see {batch} full views or {zoom} crops, at most {questions} questions an image with varied
wordings, hints, and sensor text that matches, is absent or contradicts; the loss is that of the answers plus {dense} x
the sum of dense cross-entropies over vision tokens, which fades over the last {decay:.0%}. Settings: `PretrainConfig`
in `distil/pretrain.py`.

## Held-out renders

Seeds 9000 (full domain), 9100 (narrow: clear day, near objects, one sign style), 9200 (world) and 9300 (town: European
streets on a clear day, near objects), never trained on; of the last two, objects of at least 10 pixels. Measured by
`drivelet run pretrain_minis`; 95% intervals by bootstrap over scenes.

{tables}
## Known failures

{failures}

Licence: Apache-2.0.
"""


def measure_mini(model: Path, manifest: Path, *, name: str, least_px: float = 0.0) -> dict[str, Any]:
    """Return a result row of a mini on the rendered frames of a manifest, on objects of at least `least_px`."""
    fields = tasks.fields()
    engine = Engine.from_pretrained(model)
    ask = asker(fields, None)
    found, blind = (
        list(predict(engine, pictures(manifest, fields, list(fields)), fields=fields, ask=ask, blind=grey))
        for grey in (False, True)
    )
    rows = read_manifest(manifest, tasks=fields)
    rows = of_size(rows, scenes_of(rows), least_px)
    return evaluate_row(name, found, rows, tasks.load(), model=str(model), blind=blind)


def score_table(row: Mapping[str, Any]) -> str:
    """Return the fields of a result row as a Markdown table, and the average over tasks."""
    return f"{markdown(field_table([row]))}\nAverage over tasks: {with_interval(row['average'])}\n"


def write_card(
    model: Path,
    rows: Mapping[str, Mapping[str, Any]],
    config: PretrainConfig,
    *,
    frames: int,
    domains: str,
) -> Path:
    """Write `model/README.md` from result rows by test name."""
    engine = Engine.from_pretrained(model)
    text = CARD.format(
        name=model.name,
        parameters=sum(p.numel() for p in engine.loaded.model.parameters()) / 1e6,
        megabytes=weight_megabytes(model),
        frames=frames,
        domains=domains,
        steps=config.steps,
        vision_steps=config.vision_steps,
        vision_share=config.vision_share,
        sheets=3 * config.batch_size,
        styles=", ".join(config.sign_styles),
        batch=config.batch_size,
        zoom=2 * config.batch_size,
        questions=config.questions,
        dense=config.dense_weight,
        decay=config.decay_share,
        tables="".join(f"### {test}\n\n{score_table(row)}\n" for test, row in rows.items()),
        failures=weakest(rows),
    )
    (model / "README.md").write_text(text, encoding="utf-8")
    return model / "README.md"


def weakest(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a sentence for every field that stays within 20 points of always giving the most frequent answer."""
    poor = [
        f"- {test}: `{field}` is {one['score']:.2f}, majority {one['majority']:.2f}."
        for test, row in rows.items()
        for field, one in row["fields"].items()
        if one["score"] - one["majority"] < 0.2
    ]
    return "\n".join(poor) or "No field lies within 20 points of its majority answer."
