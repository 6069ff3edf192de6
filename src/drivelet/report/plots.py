"""Plots as PNG bytes. Figures are made without pyplot: no global state, no display, no warning."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

from matplotlib import rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from drivelet.report.tables import AVERAGE, task_names, task_scores

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")
"""Paul Tol's bright scheme, safe for colour-blind readers."""
_LONGEST = 24
plain = rc_context(cast("Any", {name: rcParamsDefault[name] for name in rcParamsDefault if name[:7] != "backend"}))
"""Draws with Matplotlib's own settings: it takes others from the working directory, and LaTeX is a program to run."""


def inline(png: bytes) -> str:
    """Return a PNG as a data address for an HTML image."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@plain
def scores_plot(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw every model's score with its 95% interval, one panel a task and one for the average."""
    tasks = task_names(rows)
    figure = Figure(figsize=(2.1 * (len(tasks) + 1) + 1.4, 0.34 * len(rows) + 1.3), layout="constrained")
    panels = figure.subplots(1, len(tasks) + 1, sharey=True, sharex=True, squeeze=False)[0]
    for panel, task in zip(panels, [*tasks, AVERAGE], strict=True):
        scores = [row["average"] if task == AVERAGE else task_scores(row).get(task, {}) for row in rows]
        for y, score in enumerate(scores):
            _point(panel, y, score, colour(y))
        panel.set_title(_short(task), fontsize=9)
        panel.set_xlim(0, 1)
        panel.grid(axis="x", alpha=0.3)
        panel.tick_params(labelsize=8)
    panels[0].set_yticks(range(len(rows)), [_short(row["name"]) for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return png(figure)


def _point(panel: Any, y: int, score: Mapping[str, Any], tone: str) -> None:
    value = score.get("score")
    if value is None:
        return
    if score.get("low") is not None and score.get("high") is not None:
        panel.plot([score["low"], score["high"]], [y, y], color=tone, linewidth=1.5)
    panel.plot([value], [y], "o", color=tone, markersize=5)


@plain
def rejections_plot(rounds: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw the share of candidates rejected in each round of the painter (`rejected`), stacked by reason."""
    reasons = list(dict.fromkeys(reason for each in rounds for reason in each.get("rejected", {})))
    figure = Figure(figsize=(1.1 * len(rounds) + 3.4, 2.8), layout="constrained")
    panel = figure.subplots()
    bottom = [0.0] * len(rounds)
    for index, reason in enumerate(reasons):
        shares = [each.get("rejected", {}).get(reason, 0.0) for each in rounds]
        panel.bar(range(len(rounds)), shares, bottom=bottom, color=colour(index), label=_short(reason), width=0.6)
        bottom = [low + share for low, share in zip(bottom, shares, strict=True)]
    panel.set_xticks(range(len(rounds)), [str(each.get("round", i)) for i, each in enumerate(rounds)])
    panel.set_xlabel("round")
    panel.set_ylabel("share rejected")
    panel.set_ylim(0, 1)
    if reasons:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return png(figure)


@plain
def trade_off_plot(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw average score against frames a second; the area of a point grows with its weights."""
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    panel = figure.subplots()
    for index, row in enumerate(rows):
        if row.get("fps") is None or row["average"].get("score") is None:
            continue
        area = 20 + 8 * float(row.get("weight_mb") or 0) ** 0.5
        label = f"{_short(row['name'])} ({row.get('weight_mb') or 0:.1f} MB)"
        panel.scatter([row["fps"]], [row["average"]["score"]], s=area, label=label, color=colour(index))
    panel.set_xlabel("frames a second")
    panel.set_ylabel("average score")
    panel.set_ylim(0, 1)
    panel.grid(alpha=0.3)
    if panel.collections:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return png(figure)


def _short(name: str) -> str:
    """Cut a name to what fits, and keep `$` from starting a formula."""
    cut = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return cut.replace("$", r"\$")


def colour(number: int) -> str:
    """Return the colour of the n-th series."""
    return _COLOURS[number % len(_COLOURS)]


def png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
