"""What the study `t2i` measures of a painter: what a held-out scorer confirms, and how alike the pictures are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivelet.core import flow
from drivelet.core.ranges import Several, ranged
from drivelet.core.stats import Difference, mean_interval, paired_difference
from drivelet.recipes.painting import held_out_scorer
from drivelet.synth.painting.candidates import stratum
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT
from drivelet.synth.painting.paint import PaintConfig, fixed_pictures, painter_of
from drivelet.synth.painting.reject import perceptual_hash
from drivelet.synth.painting.sheets import contact_sheet
from drivelet.synth.painting.verdicts import ALL, verdicts
from drivelet.vlm.embed import VisionEmbedder

MEASURED, SHEET = "measured.json", "sheet.png"
SHOWN = 32
"""Pictures on a sheet."""
CONFIRMED = {ALL: "consistent", LAMP: "lamp", CONES: "cones", LIGHT: "time of day"}
"""Verdict -> its name in the tables; a picture is consistent where every fact that the scorer knows is confirmed."""
DISTANCES = ("hash distance", "embedding distance")


@dataclass(frozen=True, kw_only=True)
@ranged
class MeasureConfig:
    """A measurement: whose painter, and how many fresh prompts it is given."""

    paint: PaintConfig
    prompts: Several


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """What one seed of the loop ended with.

    Attributes:
        folder: what `paint_loop` wrote; `report` is its `rounds.json`.
        measured: `base`, `loop-0`, `control-0`, ... -> what `measure_painter` found.
        sheets: the same names -> its sheet.
    """

    seed: int
    folder: Path
    report: Mapping[str, Any]
    measured: Mapping[str, Mapping[str, Any]]
    sheets: Mapping[str, Path]


@flow.stage()
def measure_painter(config: MeasureConfig, *, painter: Path, lora: Path | None, teacher: Path, out: Path) -> Path:
    """Let a painter paint fresh prompts; write what the held-out scorer confirms of each, and distances, to `out`."""
    held_out = held_out_scorer(painter, teacher)
    make = partial(painter_of, config.paint, painter, lora)
    asked, images = fixed_pictures(config.paint, make, "test", config.prompts)
    texts = [f"{facts[LAMP]} {facts[CONES]}" for facts in asked]
    contact_sheet(images[:SHOWN], texts[:SHOWN], out / SHEET)
    vectors_ND = VisionEmbedder.from_pretrained(teacher).embed_images(images)
    bits_NB = np.array([perceptual_hash(image).hash.ravel() for image in images], np.float32)
    # Of two bits that are 0 or 1, a (1 - b) + (1 - a) b says whether they differ.
    differ_NN = (bits_NB @ (1 - bits_NB).T + (1 - bits_NB) @ bits_NB.T) / bits_NB.shape[1]
    groups = ["/".join(stratum(facts)) for facts in asked]
    found = {
        "confirmed": verdicts(images, asked, held_out),
        DISTANCES[0]: spread(differ_NN, groups),
        DISTANCES[1]: spread(1 - vectors_ND @ vectors_ND.T, groups),
    }
    flow.write_json(out / MEASURED, found)
    return out / MEASURED


def spread(distance_NN: NDArray[np.floating[Any]], groups: Sequence[str]) -> list[float]:
    """Return each picture's mean distance from the others of its group; pictures alone in theirs are left out."""
    sizes = Counter(groups)
    alike_NN = np.array(groups)[:, None] == np.array(groups)[None]
    np.fill_diagonal(alike_NN, False)
    return [
        float(distance_NN[i][alike_NN[i]].mean()) for i, group in enumerate(groups) if sizes[group] > 1
    ]  # fmt: skip


def measure_rows(seeds: Sequence[SeedResult], resamples: int) -> list[dict[str, Any]]:
    """Return a row for the base, and for loop and control after every round, over the prompts of all seeds."""
    longest = max(len(found.report["rounds"]) for found in seeds)
    names = {"base": "base"} | {
        f"{who}-{number}": f"{who}, round {number}" for number in range(longest) for who in ("loop", "control")
    }
    rows = []
    for key, name in names.items():
        there = [found.measured[key] for found in seeds if key in found.measured]
        known = [fact for fact in CONFIRMED if fact in there[0]["confirmed"]]
        values = {CONFIRMED[fact]: [v for each in there for v in each["confirmed"][fact]] for fact in known}
        values |= {distance: [v for each in there for v in each[distance]] for distance in DISTANCES}
        rows.append({"name": name, **{measure: _mean(found, resamples) for measure, found in values.items()}})
    return rows


def _mean(values: Sequence[float], resamples: int) -> dict[str, float]:
    return asdict(mean_interval(values, [""] * len(values), resamples=resamples))


def loop_gain(seeds: Sequence[SeedResult], resamples: int, *, over: str = "control") -> Difference:
    """Return by how much more the loop's pictures are consistent than the control's (or the base's), paired by prompt.

    Both are taken after the round that the held-out scorer liked best of the loop, on prompts of its own.
    """
    pairs: list[tuple[float, float]] = []
    for found in seeds:
        best = found.report["best_round"]
        other = over if over == "base" else f"{over}-{best}"
        loop, control = (found.measured[name]["confirmed"][ALL] for name in (f"loop-{best}", other))
        pairs += zip(loop, control, strict=True)
    loops, others = [a for a, _ in pairs], [b for _, b in pairs]
    return paired_difference(loops, others, [""] * len(pairs), resamples=resamples)


def rejected_share(rounds: Sequence[Mapping[str, Any]], number: int) -> float:
    """Return the share of a round's pictures that are rejected, over all seeds."""
    here = [each for each in rounds if each["round"] == number]
    return sum(each["rejection_rate"] * each["generated"] for each in here) / sum(each["generated"] for each in here)
