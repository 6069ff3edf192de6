"""How well a painter obeys captions: every stratum asked for equally often, judged by the held-out scorer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.adapters.diffusers import DiffusersPainter
from drivelet.core.artifacts import ImageArray
from drivelet.core.ports import Scorer
from drivelet.core.rng import derive_seed, generator
from drivelet.synth.painting.captions import LAMP, LIGHT, LIGHTS, STRATA, VIEWS, caption, draw_facts
from drivelet.synth.painting.score import LAMP_STATES
from drivelet.synth.painting.sheets import contact_sheet
from drivelet.synth.painting.verdicts import confirmed

SHOWN = 64
"""Pictures on a sheet."""


def measure_control(
    painter: DiffusersPainter, held_out: Scorer, *, images: int, seed: int, out: Path, views: Sequence[str] = VIEWS
) -> dict[str, Any]:
    """Return for each view the shares of pictures that are confirmed, per fact and per lamp state; write a sheet each.

    Every stratum (lamp state by cone presence) and, within it, every time of day is asked for equally often.

    Args:
        images: pictures a view.
        out: gets `control-VIEW.png`.
    """
    found: dict[str, Any] = {}
    for view in views:
        rng = generator(seed, "control", view)
        drawn = [draw_facts(STRATA[i % len(STRATA)], rng, views=(view,)) for i in range(images)]
        asked = [{**facts, LIGHT: LIGHTS[i // len(STRATA) % len(LIGHTS)]} for i, facts in enumerate(drawn)]
        seeds = [derive_seed(seed, "control", view, i) for i in range(images)]
        pictures = painter.images([caption(facts) for facts in asked], seeds=seeds)
        found[view] = {
            **confirmed(pictures, asked, held_out),
            "lamp_states": _per_state(pictures, asked, held_out),
        }
        shown = [caption(facts).split(", ")[1] for facts in asked[:SHOWN]]
        contact_sheet(pictures[:SHOWN], shown, out / f"control-{view}.png")
    return found


def _per_state(images: Sequence[ImageArray], asked: Sequence[Mapping[str, str]], scorer: Scorer) -> dict[str, float]:
    chosen = {state: [i for i, facts in enumerate(asked) if facts[LAMP] == state] for state in LAMP_STATES}
    parted = {s: confirmed([images[i] for i in n], [asked[i] for i in n], scorer) for s, n in chosen.items() if n}
    return {state: scores[LAMP]["score"] for state, scores in parted.items()}
