"""A study as files: `study.json`, `table.md` and `plot.png`, and the same table for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from drivelet.core.flow import write_json
from drivelet.report.plots import colour, plain, png
from drivelet.report.tables import NOTHING, Table, markdown


def interval_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows whose measures are {value, low, high} as a table, one column a measure."""
    names = list(dict.fromkeys(key for row in rows for key in row if key != "name"))
    cells = tuple((row["name"], *(_cell(row.get(name)) for name in names)) for row in rows)
    return Table(header=("method", *names), rows=cells)


def _cell(measure: Mapping[str, float] | None) -> str:
    if measure is None or measure["value"] != measure["value"]:
        return NOTHING
    digits = 3 if measure["value"] < 10 else 0
    return " ".join([f"{measure['value']:.{digits}f}", f"[{measure['low']:.{digits}f}, {measure['high']:.{digits}f}]"])


@plain
def measures_plot(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bytes:
    """Draw some measures of every row with their intervals, one panel a measure."""
    figure = Figure(figsize=(2.6 * len(names) + 1.6, 0.34 * len(rows) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for y, row in enumerate(rows):
            measure = row[name]
            panel.plot([measure["low"], measure["high"]], [y, y], color=colour(y), linewidth=1.5)
            panel.plot([measure["value"]], [y], "o", color=colour(y), markersize=5)
        panel.set_title(name, fontsize=9)
        panel.set_xlim(left=0)
        panel.grid(axis="x", alpha=0.3)
        panel.tick_params(labelsize=8)
    panels[0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return png(figure)


def write_study(
    study: Mapping[str, Any], tables: Mapping[str, Table], plot: bytes, sentence: str, *, out: Path
) -> Path:
    """Write the study's files to `out`; return the path of `study.json`.

    Args:
        study: `study`, `claim`, `holds`, `rows` and whatever else it found.
        tables: by heading.
        plot: a PNG.
        sentence: what came out, in plain words.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts = [f"# Study: {study['study']}\n", f"Claim: {study['claim']}\n", f"{sentence}\n"]
    parts += [f"## {heading}\n\n{markdown(table)}" for heading, table in tables.items()]
    (out / "table.md").write_text("\n".join(parts), encoding="utf-8")
    (out / "plot.png").write_bytes(plot)
    write_json(out / "study.json", {**study, "sentence": sentence})
    return out / "study.json"
