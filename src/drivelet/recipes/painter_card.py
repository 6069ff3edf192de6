"""The model card of `painter-mini`, written from the figures of its own pretraining."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivelet.synth.captions import CONES, LAMP

GOAL = 0.70
VIEWS = {
    "near": "near (a lamp above, road below: what the loop asks for)",
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
| data | crops of {frames} frames rendered by this project ({lights}); no real picture |
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
(chance 0.25) and each cone presence (chance 0.50) is asked equally often.

{control}

Goal: {goal:.2f} for lamp and for cones, by the held-out scorer. {verdict}

The scorers, on crops of scenes that neither was fitted to:

{scorers}

`crop-cnn` (`held_out.safetensors`) is the held-out scorer: the loop never decides by it. `colour-shape` is the loop's
own scorer, fitted on the spot.

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
    reached = {name: near[name]["score"] >= GOAL for name in (LAMP, CONES)}
    verdict = "; ".join(f"{name}: {'reached' if good else 'not reached'}" for name, good in reached.items())
    text = TEXT.format(
        frames=metrics["frames"],
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
        control=_control(control),
        goal=GOAL,
        verdict=f"In near views, {verdict}.",
        scorers=_scorers(metrics["scorers"]),
        failures=_failures(control),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
    return out / "README.md"


def _control(control: Mapping[str, Any]) -> str:
    lines = ["| view | lamp | cones | both | n |", "| --- | --- | --- | --- | --- |"]
    for view, found in control.items():
        cells = [
            f"{found[n]['score']:.2f} [{found[n]['low']:.2f}, {found[n]['high']:.2f}]" for n in (LAMP, CONES, "both")
        ]
        lines.append(f"| {VIEWS[view]} | {' | '.join(cells)} | {found['both']['n']} |")
    return "\n".join(lines)


def _scorers(scorers: Mapping[str, Any]) -> str:
    lines = ["| scorer | lamp accuracy | per state | cone accuracy | n |", "| --- | --- | --- | --- | --- |"]
    for name, found in scorers.items():
        lamp, cones = found[LAMP], found[CONES]
        states = ", ".join(f"{state} {share:.2f}" for state, share in lamp["per_answer"].items())
        lines.append(f"| {name} | {lamp['accuracy']:.3f} | {states} | {cones['accuracy']:.3f} | {lamp['n']} |")
    return "\n".join(lines)


def _failures(control: Mapping[str, Any]) -> str:
    weak = [
        f"- Asked for {state} in {view} views, only {share:.2f} of the pictures are confirmed."
        for view, found in control.items()
        for state, share in found["lamp_states"].items()
        if share < GOAL
    ]
    return "\n".join(weak) if weak else "- No lamp state falls below the goal in any view."
