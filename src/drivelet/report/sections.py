"""The optional parts of a report: JSON files that lie beside `summary.json`.

| file | content |
| --- | --- |
| `samples.json` | [{"image", "caption", "answers": [{"task", "answer", "gold", "prob", "right"}]}], paths from here |
| `painter.json` | {"base": held-out scores, "rounds": [{"round", "generated", "kept", "rejected": {reason: share}, |
| | "loop": held-out scores, "control": the same}]}; held-out scores: {what: {"score", "low", "high"}} |
| `labels.json` | [{"task", "accepted", "rejected": {reason: count}}], or one such record for all |
| `quantisation.json` | records of the audit: one a task, width or module group |
| `domain_gap.json` | {"auc", "frechet", "kid", ..., "features": records, "accuracy": {"average", "tasks"}} |
| `slices.json` | records of `drivelet.evaluate.slices.slice_scores` |
| `caps.json` | the speed caps behind the recommended speed |
| `config.json` | the whole configuration |

Any other `*.json` is shown too, under its own name: a list of records as a table, an object as names and values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivelet.report.given import read_section
from drivelet.report.tables import AVERAGE, Table, number, records_table, tree_table, with_interval

_TITLES = {
    "painter": (
        "Text-to-image loop",
        "Candidates of each round and the share rejected by reason; then what a scorer that the loop never optimised "
        "confirms, beside the control trained on the same real pictures alone.",
    ),
    "labels": ("Pseudo-label ledger", "Every frame and field ends as accepted or rejected with its reason."),
    "quantisation": ("Quantisation audit", "What 4 bits cost, task by task."),
    "domain_gap": (
        "Domain gap",
        "Real against synthetic images: how well a classifier tells them apart, how far their embeddings lie apart "
        "(beside two halves of the real ones), what the final model scores on both tests, and the features that "
        "separate them, by standardised difference.",
    ),
    "slices": ("Slices", "Accuracy on parts of the data; read small counts with their intervals."),
    "caps": ("Speed caps", "The recommended speed is the least of the posted limit and every cap that applies."),
    "config": ("Configuration", "Every setting of the run, defaults included."),
}
_LEFT_OUT = ("summary", "manifest")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One optional part of the page; `rounds` is set where rejections can be drawn."""

    name: str
    title: str
    text: str
    tables: Sequence[Table]
    rounds: Sequence[Mapping[str, Any]] = ()


def load_sections(folder: Path) -> dict[str, Any]:
    """Read every other `*.json` of the folder by its name without the ending; sample images become absolute paths.

    Raises:
        InputError: a file is no JSON, or not what its section shows.
    """
    found = {path.stem: read_section(path) for path in sorted(folder.glob("*.json")) if path.stem not in _LEFT_OUT}
    if "samples" in found:
        found["samples"] = [sample | {"image": str(folder / sample["image"])} for sample in found["samples"]]
    return found


def sections(extras: Mapping[str, Any]) -> list[Section]:
    """Return the parts that have content: the known ones first, the configuration last."""
    known = [name for name in _TITLES if name != "config"]
    others = sorted(name for name in extras if name not in _TITLES)
    return [_section(name, extras[name]) for name in [*known, *others, "config"] if extras.get(name)]


def _section(name: str, content: Any) -> Section:
    title, text = _TITLES.get(name, (name.replace("_", " ").capitalize(), ""))
    if name == "painter":
        tables = [records_table([_round(each) for each in content["rounds"]]), _held_out(content)]
        filled = [table for table in tables if table.rows]
        return Section(name=name, title=title, text=text, tables=filled, rounds=content["rounds"])
    if name == "domain_gap":
        plain = {key: value for key, value in content.items() if key not in ("features", "accuracy")}
        tables = [_accuracy(content["accuracy"]), tree_table(plain), records_table(content["features"])]
        return Section(name=name, title=title, text=text, tables=tables)
    if name == "labels":
        content = [_by_reason(each) for each in ([content] if isinstance(content, Mapping) else content)]
    return Section(name=name, title=title, text=text, tables=[_table(content)])


def _by_reason(record: Mapping[str, Any]) -> dict[str, Any]:
    """Spread what was rejected over one column a reason."""
    spread = {name: value for name, value in record.items() if name != "rejected"}
    return spread | {f"rejected: {reason}": value for reason, value in (record.get("rejected") or {}).items()}


def _round(record: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what one line can hold: the plain numbers and the reasons."""
    return {name: value for name, value in _by_reason(record).items() if not isinstance(value, Mapping)}


def _held_out(painter: Mapping[str, Any]) -> Table:
    """Return the held-out scorer's verdict on the base, and on loop and control after every round."""
    verdicts = [("base", painter.get("base") or {})]
    for each in painter["rounds"]:
        verdicts += [(f"{name}, round {each.get('round')}", each.get(name) or {}) for name in ("loop", "control")]
    shown = [(name, scores) for name, scores in verdicts if scores]
    what = list(dict.fromkeys(key for _, scores in shown for key in scores))
    rows = tuple((name, *(with_interval(scores.get(key)) for key in what)) for name, scores in shown)
    return Table(header=("held-out scorer", *what), rows=rows)


def _accuracy(accuracy: Mapping[str, Any]) -> Table:
    """Return the scores on both tests and what lies between them, task by task and on average."""
    columns = ("real", "synthetic", "gap")
    parts = {**accuracy["tasks"], AVERAGE: accuracy["average"]}
    rows = tuple((name, *(with_interval(part[key], "value") for key in columns)) for name, part in parts.items())
    return Table(header=("task", *columns), rows=rows)


def _table(content: Any) -> Table:
    if isinstance(content, Mapping):
        return tree_table(content)
    if isinstance(content, Sequence) and content and all(isinstance(record, Mapping) for record in content):
        return records_table(content)
    values = content if isinstance(content, list) else [content]
    return Table(header=("value",), rows=tuple((number(value),) for value in values))
