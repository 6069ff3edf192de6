"""From the predictions of study `data` to its rows, its verdict and its sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from drivelet import tasks
from drivelet.core.manifest import Row
from drivelet.core.progress import say
from drivelet.evaluate.long_tail import SLICES, long_tail
from drivelet.evaluate.metrics import right
from drivelet.evaluate.predictions import labelled, match, read_predictions
from drivelet.evaluate.scores import Scores, sample_scores
from drivelet.evaluate.seeds import accuracy_gain, gain, mean_score
from drivelet.recipes.studies.data_arms import BASE, FEW, FEW_SHARE, Arm
from drivelet.report.study import interval_table, measures_plot, write_study
from drivelet.report.tables import records_table, rich_table

FULL = "all"
TASKS_NEEDED = 2
CLAIM = (
    "On the real test, training on all sources (real, painted, rendered) beats training on the real images alone at "
    "equal steps: on at least two tasks the 95% interval of the gain lies above zero."
)


@dataclass(frozen=True, kw_only=True)
class Test:
    """A test's labelled rows, and the scenes of those images that were rendered."""

    __test__ = False

    rows: Sequence[Row]
    scenes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out: a row an arm, its gains by task, and its slices."""

    rows: list[dict[str, Any]]
    gains: list[dict[str, Any]]
    slices: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One trained model on one test."""

    scores: Scores
    hits: list[bool]


def outcome(
    arms: Sequence[Arm],
    measured: Sequence[tuple[Arm, int, str, Path]],
    tests: Mapping[str, Test],
    *,
    resamples: int,
) -> Outcome:
    """Score every model on both tests and compare every arm with its base, paired, over all seeds."""
    runs: dict[tuple[str, str], list[_Run]] = {}
    for arm, _, test, folder in measured:
        runs.setdefault((arm.name, test), []).append(_run(folder, tests[test], resamples))
    rows, gains = [], []
    for arm in arms:
        row: dict[str, Any] = {"name": arm.name}
        for test in tests:
            here, base = runs[arm.name, test], runs[arm.over, test]
            row[test] = mean_score([run.scores.average for run in here])
            gained = asdict(gain([run.scores.average for run in here], [run.scores.average for run in base]))
            itself = arm.name == arm.over
            row[f"gain_{test}"] = {key: 0.0 if itself else gained[key] for key in ("value", "low", "high")}
            if not itself:
                gains += _gains(arm, test, here, base)
        rows.append(row)
    slices = [each for test in tests for each in _slices(test, tests[test], arms, runs, resamples)]
    return Outcome(rows=rows, gains=gains, slices=slices)


def _run(folder: Path, test: Test, resamples: int) -> _Run:
    rows = labelled(test.rows)
    answers = [str(prediction["answer"]) for prediction in match(read_predictions(folder / "preds.jsonl"), rows)]
    fields = tasks.fields()
    hits = [right(fields[row.task], [row.label], [said])[0] for row, said in zip(rows, answers, strict=True)]
    return _Run(scores=sample_scores(answers, rows, tasks.load(), resamples=resamples), hits=hits)


def _gains(arm: Arm, test: str, here: Sequence[_Run], base: Sequence[_Run]) -> list[dict[str, Any]]:
    parts = {
        task: ([run.scores.tasks[task] for run in here], [run.scores.tasks[task] for run in base])
        for task in base[0].scores.tasks
    }
    parts["average"] = ([run.scores.average for run in here], [run.scores.average for run in base])
    told = {"arm": arm.name, "over": arm.over, "test": test}
    return [{**told, "task": name, **asdict(gain(*pair))} for name, pair in parts.items()]


def _slices(
    name: str, test: Test, arms: Sequence[Arm], runs: Mapping[tuple[str, str], Sequence[_Run]], resamples: int
) -> list[dict[str, Any]]:
    """Accuracy of every arm on every long-tail slice, with its paired gain; empty slices are left out."""
    rows = labelled(test.rows)
    belongs = long_tail(rows, test.scenes)
    found = []
    for part in SLICES:
        chosen = [place for place, names in enumerate(belongs) if part in names]
        if not chosen:
            continue
        groups = [rows[place].group or rows[place].path for place in chosen]
        hits = {arm.name: [[run.hits[p] for p in chosen] for run in runs[arm.name, name]] for arm in arms}
        for arm in arms:
            accuracy = sum(map(sum, hits[arm.name])) / (len(chosen) * len(hits[arm.name]))
            gained = accuracy_gain(hits[arm.name], hits[arm.over], groups, resamples=resamples)
            record = {"test": name, "slice": part, "n": len(chosen), "arm": arm.name, "accuracy": accuracy}
            found.append(record | {"gain": gained.value, "low": gained.low, "high": gained.high})
    return found


def won(found: Outcome, arm: str, test: str = "real") -> list[str]:
    """Return the tasks on which an arm's gain over `real` has an interval above zero."""
    return [
        each["task"]
        for each in found.gains
        if (each["arm"], each["test"]) == (arm, test) and each["task"] != "average" and each["low"] > 0
    ]


def write_outcome(found: Outcome, facts: Mapping[str, Any], *, out: Path) -> Path:
    """Print and write the study; return the path of `study.json`.

    Args:
        found: the scores.
        facts: what else belongs into `study.json`; `real` says what the real images are, `alarms` what was raised.
    """
    study = {
        "study": "data",
        "claim": CLAIM,
        "holds": len(won(found, FULL)) >= TASKS_NEEDED,
        "rows": found.rows,
        "gains": found.gains,
        "slices": found.slices,
        **facts,
    }
    text = sentence(found, facts)
    gains = [each | {"p": round(each["p"], 4)} for each in found.gains]
    tables = {
        "Arms": interval_table(found.rows),
        "Images": records_table([{"part": "train", **facts["images"]}, {"part": "test", **facts["test_images"]}]),
        "Gain at equal steps": records_table(gains),
        "Long-tail slices": records_table(found.slices),
        "What separates real from rendered images": records_table(facts["domain_gap"]["features"]),
    }
    for heading, table in tables.items():
        Console(width=160).print(rich_table(table, title=heading))
    for alarm in facts["alarms"]:
        Console(width=160).print(f"[bold red]{escape(alarm['message'])}[/bold red]")
    say(text)
    tables = {heading: table for heading, table in tables.items() if table.rows}
    return write_study(study, tables, measures_plot(found.rows, ("real", "synthetic")), text, out=out)


def sentence(found: Outcome, facts: Mapping[str, Any]) -> str:
    """Say in plain words what came out, drawn from the numbers alone."""
    by_name = {row["name"]: row for row in found.rows}
    test = "the real test" if facts["real"] == "images" else "the stand-in for a real test"
    tasks_won = won(found, FULL)
    parts = [
        f"After {facts['steps']} steps the student scores {by_name[BASE]['real']['value']:.3f} on {test} when trained "
        f"on real images alone and {by_name[FULL]['real']['value']:.3f} on all sources: a gain of "
        f"{_interval(by_name[FULL]['gain_real'])}, above zero on "
        + (f"{len(tasks_won)} task{'s' * (len(tasks_won) > 1)} ({', '.join(tasks_won)})." if tasks_won else "no task."),
        "Against the same base: "
        + "; ".join(
            f"{name} {_interval(row['gain_real'])}"
            for name, row in by_name.items()
            if name not in (BASE, FULL) and not name.startswith(FEW)
        )
        + ".",
    ]
    if (helped := by_name.get(f"{FEW} + render")) is not None:
        parts.append(
            f"{FEW_SHARE:.0%} of the real images alone gain {_interval(by_name[FEW]['gain_real'])}; renders add "
            f"{_interval(helped['gain_real'])} to these."
        )
    apart = [each["feature"] for each in facts["domain_gap"]["features"][:3]]
    parts.append(
        f"A classifier tells renders from real images with an AUC of {facts['domain_gap']['auc']:.3f}; most apart are "
        f"{', '.join(apart)}."
    )
    if facts["real"] != "images":
        parts.append(
            "No --images was given: `real` are simulated drives of another domain, so this says nothing of real roads."
        )
    if len(facts["seeds"]) < 3:
        parts.append(f"With {len(facts['seeds'])} seed(s) it is a trial run.")
    return " ".join(parts)


def _interval(measure: Mapping[str, float]) -> str:
    return f"{measure['value']:+.3f} [{measure['low']:+.3f}, {measure['high']:+.3f}]"
