"""`report.html`: one file with tables, plots and sample frames inside, readable without a network."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from PIL import Image

from drivelet.core.errors import InputError
from drivelet.core.images import read_image
from drivelet.core.outside import check_file
from drivelet.report.given import read_summary
from drivelet.report.headline import headline
from drivelet.report.plots import inline, rejections_plot, scores_plot, trade_off_plot
from drivelet.report.sections import Section, load_sections, sections
from drivelet.report.tables import Table, field_table, measure_table, paired_table, summary_table

SAMPLE_WIDTH = 420


@dataclass(frozen=True, kw_only=True)
class SampleView:
    """A sample frame ready for the page."""

    image: str
    caption: str
    answers: Sequence[Mapping[str, Any]]


def write_report(
    summary: Mapping[str, Any],
    out: Path,
    samples: Sequence[Mapping[str, Any]] = (),
    extras: Mapping[str, Any] | None = None,
) -> Path:
    """Write one self-contained page and return its path.

    Args:
        summary: the content of `summary.json`.
        out: the folder (the page is `report.html` in it), or a path that ends in `.html`.
        samples: {"image": path, "caption": text, "answers": [{"task", "answer", "gold", "prob", "right"}]}; all but
            `image`, `task` and `answer` may be absent; `right` says whether the gold label allows the answer.
        extras: optional parts of the page by name (see `drivelet.report.sections`).

    Raises:
        InputError: the summary lacks `rows`.
    """
    if "rows" not in summary:
        raise InputError("summary.json has no `rows`; write it again with `drivelet run`")
    page = out if out.suffix == ".html" else out / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    template = files("drivelet.report").joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(template).render(_context(summary, samples, extras or {}))
    partial = page.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(page)
    return page


def report_folder(folder: Path) -> Path:
    """Write `folder/report.html` from `folder/summary.json` and the optional sections beside it.

    Raises:
        InputError: there is no summary, or a file does not hold what the page shows of it.
    """
    summary = read_summary(folder / "summary.json")
    extras = load_sections(folder)
    return write_report(summary, folder, samples=extras.pop("samples", ()), extras=extras)


def _context(
    summary: Mapping[str, Any], samples: Sequence[Mapping[str, Any]], extras: Mapping[str, Any]
) -> dict[str, Any]:
    rows, tests = summary["rows"], summary.get("tests", [])
    return {
        "recipe": str(summary.get("recipe", "")),
        "data": _data(summary.get("data") or ""),
        "headline": headline(summary),
        "alarms": [str(alarm["message"]) for alarm in summary.get("alarms", [])],
        "summary": summary_table(rows),
        "plots": _plots(rows),
        "tests": _unless_empty(paired_table(tests)),
        "fields": _unless_empty(field_table(rows)),
        "measures": _unless_empty(measure_table(rows)),
        "samples": [_sample(sample) for sample in samples],
        "sections": _with_plots(sections(extras)),
    }


def _data(data: Any) -> str:
    """Say in words what was scored: text as it is, or {"test", "images", "rows", "kind"}."""
    if not isinstance(data, Mapping):
        return str(data)
    if not {"test", "images", "rows", "kind"} <= data.keys():
        return json.dumps(data, ensure_ascii=False, default=str)
    return f"{data['images']} {data['kind']} images, {data['rows']} questions ({data['test']})"


def _unless_empty(table: Table) -> Table | None:
    return table if table.rows else None


def _plots(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return (data address, description) of the plots that the rows allow."""
    plots: list[tuple[str, str]] = []
    if rows:
        plots.append((inline(scores_plot(rows)), "Score of every model by task and on average, with 95% intervals"))
    if any(row.get("fps") is not None for row in rows):
        plots.append((inline(trade_off_plot(rows)), "Average score against frames a second"))
    return plots


def _with_plots(parts: Sequence[Section]) -> list[dict[str, Any]]:
    return [{"part": part, "plot": inline(rejections_plot(part.rounds)) if part.rounds else ""} for part in parts]


def _sample(sample: Mapping[str, Any]) -> SampleView:
    path = Path(sample["image"])
    answers = [{"gold": None, "prob": None} | dict(answer) for answer in sample.get("answers", [])]
    image = _picture(path)
    return SampleView(image=image, caption=str(sample.get("caption") or path.name), answers=answers)


def _picture(path: Path) -> str:
    """Return the picture as a data address, no wider than `SAMPLE_WIDTH`; empty where it is gone or damaged."""
    try:
        check_file(path, remedy="")
        picture = Image.fromarray(read_image(path))
    except InputError:
        return ""
    stream = io.BytesIO()
    picture.thumbnail((SAMPLE_WIDTH, SAMPLE_WIDTH))
    picture.save(stream, format="PNG")
    return inline(stream.getvalue())
