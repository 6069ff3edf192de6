"""The model card of `painter-mini`, written from the figures of its own pretraining, and how well a painter obeys.

`python -m drivelet.recipes.painter_card` measures a painter again and prints the figures.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from drivelet.core.flow import write_json
from drivelet.recipes.settings import mini
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, VIEWS
from drivelet.synth.painting.verdicts import BOTH

GOAL = 0.85
CONTROLLED = {LAMP: "lamp", CONES: "cones", LIGHT: "time of day", BOTH: "lamp and cones"}
"""What is measured, by its name in tables; the goal is for the first three."""
VIEW_TEXTS = {
    "near": "near (a lamp above, road below)",
    "close": "close (a zoom on one thing)",
    "wide": "wide (a street; lamps are two or three pixels)",
}

TEXT = """# painter-mini

A text-to-image pipeline for 64x64 pictures of streets: `StableDiffusionPipeline` of standard classes, loaded by
`AutoPipelineForText2Image.from_pretrained(folder)` without remote code. It is the offline default of the text-to-image
loop; any other local pipeline takes its place by its path.

- UNet of 6.2M parameters on a 16x16 grid, attention at 8x8, the pooled caption in every block; CLIP text model of 2
  layers with its own word vocabulary; `DPMSolverMultistepScheduler(prediction_type="sample", use_flow_sigmas=True)`, 10
  steps, guidance 2.
- The autoencoder is `AutoencoderTiny` with weights set by hand: it folds 4x4 pixels into 48 channels and back exactly.
- Captions are built from facts: `near night fog street, red traffic light, several cones`.

## Training

| | |
| --- | --- |
| data | crops of {frames} frames rendered by this project ({domains}; {lights}); no real picture |
| split | seven tenths of the scenes train the painter, two the held-out scorer, one tests both scorers |
| seed | {seed} |
| steps | {steps} of {batch} pictures: {images} pictures |
| processor time | {hours:.2f} h on one thread of a CPU |
| last loss | {loss:.4f} (mean squared error of the clean latents, colourful pixels weighted) |
| command | `python -m drivelet.recipes.pretrain_painter --frames DIR --minutes {minutes:g} --seed {seed}` |

{joined:.0%} of the crops join the surroundings of a lamp with road of the same light and weather, so that each pair of
lamp state and cone presence is equally frequent; {lamp:.0%} zoom on a lamp, {cone:.0%} on cones, the rest are streets.
Brightness, contrast and saturation vary, hue does not.

## How well it obeys captions

Share of pictures on which the held-out scorer confirms the caption, with 95% bootstrap intervals; each lamp state
(chance 0.25), each cone presence (chance 0.50) and each time of day (chance 0.33) is asked equally often.
`python -m drivelet.recipes.painter_card` measures it again.

{control}

Goal: {goal:.2f} for lamp, cones and time of day, by the held-out scorer. {verdict}

The scorers, on crops of scenes that neither was fitted to:

{scorers}

`crop-cnn` (`held_out.safetensors`) is the held-out scorer: the loop never decides by it. `colour-shape` is fitted on
the spot; the loop decides by it and by a teacher, whichever is less sure.

## Known failures

{failures}
- Digits on signs are not readable at 64x64 and captions do not ask for them: signs come from the renderer.
- Pictures are soft, and show seams between an upper and a lower half, as the joined crops do.
- The cone count beyond none and some is a hint, not a promise; the loop labels `some` or `0` only.
- It knows the renderer's streets, in 64x64 pixels, and no other.
"""


def write_card(metrics: Mapping[str, Any], out: Path) -> Path:
    """Write `README.md` into a pipeline folder from `metrics.json` of `pretrain_painter`."""
    training, recipe, control = metrics["training"], metrics["recipe"], metrics["control"]
    near = control["near"]
    lights = ", ".join(f"{count} {light}" for light, count in metrics["lights"].items())
    reached = {CONTROLLED[name]: near[name]["score"] >= GOAL for name in (LAMP, CONES, LIGHT) if name in near}
    verdict = "; ".join(f"{name}: {'reached' if good else 'not reached'}" for name, good in reached.items())
    text = TEXT.format(
        frames=metrics["frames"],
        domains=", ".join(f"domain {name}: {count}" for name, count in metrics["domains"].items()),
        lights=lights,
        seed=recipe["seed"],
        steps=int(training["steps"]),
        batch=recipe["pretrain"]["batch_size"],
        images=int(training["images"]),
        hours=training["seconds"] / 3600,
        loss=training["loss"],
        minutes=recipe["pretrain"]["minutes"],
        joined=recipe["crop"]["joined"],
        lamp=recipe["crop"]["lamp"],
        cone=recipe["crop"]["cone"],
        control=control_table(control),
        goal=GOAL,
        verdict=f"In near views, {verdict}.",
        scorers=_scorers(metrics["scorers"]),
        failures=_failures(control),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
    return out / "README.md"


def control_table(control: Mapping[str, Any]) -> str:
    """Return one line a view: what is confirmed, with its interval."""
    known = [name for name in CONTROLLED if all(name in found for found in control.values())]
    head = " | ".join(CONTROLLED[name] for name in known)
    lines = [f"| view | {head} | n |", f"| --- |{' --- |' * (len(known) + 1)}"]
    for view, found in control.items():
        cells = [f"{found[n]['score']:.2f} [{found[n]['low']:.2f}, {found[n]['high']:.2f}]" for n in known]
        lines.append(f"| {VIEW_TEXTS[view]} | {' | '.join(cells)} | {found[known[0]]['n']} |")
    return "\n".join(lines)


def _scorers(scorers: Mapping[str, Any]) -> str:
    lines = ["| scorer | lamp | per state | cones | time of day | n |", "| --- | --- | --- | --- | --- | --- |"]
    for name, found in scorers.items():
        lamp = found[LAMP]
        states = ", ".join(f"{state} {share:.2f}" for state, share in lamp["per_answer"].items())
        right = " | ".join(f"{found[n]['accuracy']:.3f}" if n in found else "–" for n in (CONES, LIGHT))
        lines.append(f"| {name} | {lamp['accuracy']:.3f} | {states} | {right} | {lamp['n']} |")
    return "\n".join(lines)


def _failures(control: Mapping[str, Any]) -> str:
    weak = [
        f"- Asked for {state} in {view} views, only {share:.2f} of the pictures are confirmed."
        for view, found in control.items()
        for state, share in found["lamp_states"].items()
        if share < GOAL
    ]
    return "\n".join(weak) if weak else "- No lamp state falls below the goal in any view."


@click.command()
@click.option("--painter", type=click.Path(path_type=Path), default=None, help="Pipeline folder; painter-mini.")
@click.option("--judge", type=click.Path(path_type=Path), default=None, help="Held-out scorer; the painter's own.")
@click.option("--images", type=click.IntRange(8), default=320, show_default=True, help="Pictures a view.")
@click.option("--view", "views", multiple=True, type=click.Choice(VIEWS), help="Measure this view alone.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/painter"), show_default=True)
def main(painter: Path | None, judge: Path | None, images: int, views: tuple[str, ...], out: Path) -> None:
    """Measure how well a painter obeys captions; write control.json and a sheet a view. Example: --view near"""
    import torch

    from drivelet.adapters.diffusers import DiffusersPainter
    from drivelet.recipes.painter_control import measure_control
    from drivelet.recipes.painting import JUDGE
    from drivelet.synth.painting.score import load_held_out

    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    folder = painter or Path(mini("painter-mini"))
    held_out = load_held_out(judge or folder / JUDGE)
    found = measure_control(DiffusersPainter(folder), held_out, images=images, seed=0, out=out, views=views or VIEWS)
    write_json(out / "control.json", found)
    click.echo(control_table(found))
    click.echo(f"goal: {GOAL:.2f} for lamp, cones and time of day")


if __name__ == "__main__":
    main()
