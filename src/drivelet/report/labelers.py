"""What gold says of each labeler (reliability, calibration error, confusions), and what labels yield."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from drivelet.report.plots import colour, plain, png
from drivelet.report.tables import Table, markdown, number

Calibrations = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Labeler -> field -> a calibration map as plain data."""


def write_labelers(calibration: Calibrations, choices: Mapping[str, Sequence[str]], *, out: Path) -> None:
    """Write `labelers.md` and `labelers.png` to `out`; nothing where no labeler met gold.

    Args:
        calibration: what `calibration.json` holds.
        choices: of every field, in the order of the confusions.
    """
    met = [(name, field, found) for name, fields in calibration.items() for field, found in fields.items()]
    if not met:
        return
    parts = ["# Labelers on gold\n", markdown(_summary(met))]
    for name, field, found in met:
        parts.append(f"## {name}, {field}: true answer (row), said (column)\n")
        parts.append(markdown(_confusion(found["confusion"], choices[field])))
    (out / "labelers.md").write_text("\n".join(parts), encoding="utf-8")
    (out / "labelers.png").write_bytes(reliability_plot(met))


def _summary(met: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    header = ("labeler", "field", "correction", "rows", "right", "ECE before", "ECE after")
    cells = tuple(
        (name, field, found["method"], number(found["count"]), *(_share(found[key]) for key in SHARES))
        for name, field, found in met
    )
    return Table(header=header, rows=cells, text_columns=3)


SHARES = ("accuracy", "ece_before", "ece_after")


def _share(value: float | None) -> str:
    return number(None if value is None or value != value else value)


def _confusion(counts: Sequence[Sequence[int]], choices: Sequence[str]) -> Table:
    """The rows and columns that any gold row touches."""
    shown = [i for i, row in enumerate(counts) if sum(row) or sum(other[i] for other in counts)]
    cells = tuple((choices[i], *(str(counts[i][j]) for j in shown)) for i in shown)
    return Table(header=("", *(choices[j] for j in shown)), rows=cells)


@plain
def reliability_plot(met: Sequence[tuple[str, str, Mapping[str, Any]]]) -> bytes:
    """Draw the share right against the corrected probability, held out, one panel a field (Murphy & Winkler 1977)."""
    fields = list(dict.fromkeys(field for _, field, _ in met))
    figure = Figure(figsize=(2.5 * len(fields), 2.9), layout="constrained")
    panels = figure.subplots(1, len(fields), sharey=True, squeeze=False)[0]
    for panel, field in zip(panels, fields, strict=True):
        panel.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
        for index, (name, _, found) in enumerate([row for row in met if row[1] == field]):
            points = found["reliability"]
            sizes = [10 + 2 * rows for _, _, rows in points]
            panel.scatter(
                [p for p, _, _ in points], [r for _, r, _ in points], s=sizes, label=name, color=colour(index)
            )
        panel.set_title(field, fontsize=8)
        panel.set_xlim(0, 1.02)
        panel.set_ylim(0, 1.02)
        panel.tick_params(labelsize=7)
        if panel.collections:
            panel.legend(fontsize=6, frameon=False, loc="lower right")
    panels[0].set_ylabel("share right")
    return png(figure)


@plain
def yield_plot(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw precision against the share of labels kept, one line a field."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    panel = figure.subplots()
    for index, record in enumerate(records):
        points = record["yield"]
        panel.plot(
            [p["kept"] for p in points], [p["precision"] for p in points], "o-", markersize=3, color=colour(index),
            label=f"{record['task']} ({record['frames']} frames)",
        )  # fmt: skip
    panel.set_xlabel("share of labels kept")
    panel.set_ylabel("share of these right")
    panel.set_ylim(0, 1.02)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7, frameon=False)
    return png(figure)
