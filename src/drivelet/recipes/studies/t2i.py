"""Study `t2i`: what does a text-to-image loop that trains on its own best pictures gain over training on renders?"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import field as default
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from drivelet.adapters.painter_lora import LoraConfig
from drivelet.core import flow
from drivelet.core.ports import Executor
from drivelet.core.progress import say
from drivelet.core.ranges import Name, Seeds, Several, ranged
from drivelet.recipes.painting import paint_pictures
from drivelet.recipes.settings import mini
from drivelet.recipes.steps import GOLD, GOLD_VERSION
from drivelet.recipes.studies.t2i_measures import (
    CONFIRMED,
    DISTANCES,
    MEASURED,
    SHEET,
    MeasureConfig,
    SeedResult,
    loop_gain,
    measure_painter,
    measure_rows,
    rejected_share,
)
from drivelet.report.plots import rejections_plot
from drivelet.report.study import interval_table, measures_plot, write_study
from drivelet.report.tables import Table, records_table, rich_table
from drivelet.synth.painting.paint import PaintConfig
from drivelet.synth.render import RenderConfig, render_frames

CLAIM = (
    "On prompts that it never trained on, the loop's pictures show what their captions say more often than those of a "
    "control that was trained for the same steps on rendered pictures alone, by a scorer that the loop never optimises "
    "and with an interval above zero."
)


def studied_loop() -> PaintConfig:
    """Return the loop that is studied: many prompts, half of the draws its own pictures, and steps to learn them.

    It was settled on seeds 0 and 1 (LOG.md, 2026-11-26); the study takes others.
    """
    return PaintConfig(
        rounds=2,
        patience=2,
        prompts_per_round=96,
        held_out_prompts=64,
        replay_share=0.5,
        precision="bfloat16",
        lora=LoraConfig(steps=160, learning_rate=1e-3, convolutions=True),
    )


@dataclass(frozen=True, kw_only=True)
@ranged
class T2iConfig:
    """Settings of the study.

    Attributes:
        world: the rendered frames that round 0 and the control are cut from.
        frames: a render folder to cut from instead; none where empty.
        paint: the loop, which is run once with each of `seeds`.
        painter, teacher: model folders.
        test_prompts: prompts a seed on which loop and control are compared; neither the loop nor its stopping rule
            sees them.
        resamples: of the prompts, for the intervals.
    """

    world: RenderConfig = default(
        default_factory=lambda: RenderConfig(num_frames=600, seed=31, workers=2, val=0.0, test=0.0)
    )
    frames: str = ""
    paint: PaintConfig = default(default_factory=studied_loop)
    seeds: Seeds = (2, 3, 4)
    painter: Name = default(default_factory=lambda: mini("painter-mini"))
    teacher: Name = default(default_factory=lambda: mini("teacher-mini"))
    test_prompts: Several = 384
    resamples: Several = 1000


def t2i(config: T2iConfig, *, out: Path, executor: Executor) -> Path:
    """Run the study; write `study.json` and return its path. Renders, loops and tests are kept in `out/stages`."""
    store = out / "stages"
    world = Path(config.frames) if config.frames else _world(config.world, store)
    seeds = executor.map(partial(_run_seed, config, store, world), config.seeds)
    rows = measure_rows(seeds, config.resamples)
    gain = loop_gain(seeds, config.resamples)
    rounds = [_round(found.seed, each) for found in seeds for each in found.report["rounds"]]
    study = {
        "study": "t2i",
        "claim": CLAIM,
        "holds": gain.low > 0,
        "rows": rows,
        "gain": asdict(gain),
        "gain_over_base": asdict(loop_gain(seeds, config.resamples, over="base")),
        "gain_by_seed": {str(found.seed): asdict(loop_gain([found], config.resamples)) for found in seeds},
        "rounds": rounds,
        "best_round": {str(found.seed): found.report["best_round"] for found in seeds},
        "stopped": {str(found.seed): found.report["stopped"] for found in seeds},
        "scorer": seeds[0].report["scorer"],
        "held_out": seeds[0].report["held_out"],
    }
    _copy_sheets(seeds, out / "sheets")
    (out / "rejections.png").write_bytes(rejections_plot(rounds))
    tables = {"What the held-out scorer confirms": interval_table(rows), "Rounds": _rounds_table(rounds)}
    return _write(study, tables, _sentence(study, config), out)


def _world(config: RenderConfig, store: Path) -> Path:
    return flow.run(render_frames, config, store=store, inputs={}, also=GOLD_VERSION, context=GOLD, name="world")


def _run_seed(config: T2iConfig, store: Path, world: Path, seed: int) -> SeedResult:
    """Run the loop with a seed, then let the base and every LoRA of it paint the fresh prompts."""
    paint = replace(config.paint, seed=seed)
    models = {"painter": Path(config.painter), "teacher": Path(config.teacher)}
    folder = flow.run(paint_pictures, paint, store=store, inputs={**models, "world": world}, name="paint")
    report = flow.read_json(folder / "rounds.json")
    names = [f"{who}-{number}" for number in range(len(report["rounds"])) for who in ("loop", "control")]
    loras: dict[str, Path | None] = {"base": None, **{name: folder / "lora" / name for name in names}}
    measure = MeasureConfig(paint=paint, prompts=config.test_prompts)
    found = {
        name: flow.run(measure_painter, measure, store=store, inputs={**models, "lora": lora}, name=f"measure-{name}")
        for name, lora in loras.items()
    }
    return SeedResult(
        seed=seed,
        folder=folder,
        report=report,
        measured={name: flow.read_json(place / MEASURED) for name, place in found.items()},
        sheets={name: place / SHEET for name, place in found.items()},
    )


def _round(seed: int, each: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one round painted, kept and rejected."""
    names = ("round", "prompts", "generated", "kept", "skipped_prompts", "rejection_rate", "rejected")
    confirmed = each["kept_confirmed"]["all"]
    return {
        "seed": seed,
        **{name: each[name] for name in names},
        "kept_strata": len(each["kept_strata"]),
        "kept_confirmed": confirmed["score"] if confirmed["n"] else None,
    }


def _rounds_table(rounds: Sequence[Mapping[str, Any]]) -> Table:
    reasons = list(dict.fromkeys(reason for each in rounds for reason in each["rejected"]))
    spread = [
        {name: value for name, value in each.items() if name != "rejected"}
        | {f"rejected: {reason}": each["rejected"].get(reason, 0.0) for reason in reasons}
        for each in rounds
    ]
    return records_table(spread)


def _copy_sheets(seeds: Sequence[SeedResult], out: Path) -> None:
    """Put the contact sheets together: what every round kept and rejected, and what each painter paints."""
    out.mkdir(parents=True, exist_ok=True)
    for found in seeds:
        for number in range(len(found.report["rounds"])):
            for name in (f"round-{number}.png", f"rejected-{number}.png"):
                shutil.copyfile(found.folder / name, out / f"seed-{found.seed}-{name}")
        for name, sheet in found.sheets.items():
            shutil.copyfile(sheet, out / f"seed-{found.seed}-{name}.png")


def _write(study: Mapping[str, Any], tables: Mapping[str, Table], sentence: str, out: Path) -> Path:
    shown = [name for name in (*CONFIRMED.values(), *DISTANCES) if name in study["rows"][0]]
    for heading, table in tables.items():
        Console(width=220).print(rich_table(table, title=heading))
    say(sentence)
    return write_study(study, tables, measures_plot(study["rows"], shown), sentence, out=out)


def _sentence(study: Mapping[str, Any], config: T2iConfig) -> str:
    gain, by_name = study["gain"], {row["name"]: row for row in study["rows"]}
    numbers = [each["round"] for each in study["rounds"]]
    first, last = (rejected_share(study["rounds"], number) for number in (min(numbers), max(numbers)))
    verdict = "beats" if gain["low"] > 0 else "falls behind" if gain["high"] < 0 else "does not beat"
    return (
        f"On {config.test_prompts} fresh prompts for each of {len(config.seeds)} seeds the loop {verdict} its control "
        f"of rendered pictures alone: {_points(gain)} points of consistent pictures (base "
        f"{100 * by_name['base']['consistent']['value']:.1f}%, the loop over it {_points(study['gain_over_base'])}); "
        f"{100 * first:.0f}% of the first round's pictures are rejected and "
        f"{100 * last:.0f}% of the last one's."
    )


def _points(gain: Mapping[str, float]) -> str:
    return f"{100 * gain['value']:+.1f} [{100 * gain['low']:.1f}, {100 * gain['high']:.1f}]"
