"""Pretraining of `painter-mini` on crops of rendered frames, and the judges that say how well it obeys captions.

`python -m drivelet.recipes.pretrain_painter --frames DIR... --minutes N` goes on where it was stopped.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from drivelet.adapters.diffusers import DiffusersPainter, save_pipeline
from drivelet.adapters.painter_train import Batch, PretrainConfig
from drivelet.core.artifacts import ImageArray
from drivelet.core.flow import digest_text
from drivelet.core.progress import say
from drivelet.core.rng import generator
from drivelet.recipes.painter_card import write_card
from drivelet.recipes.painter_control import measure_control
from drivelet.synth.painting.captions import CONES, LAMP, LIGHTS, caption, vocabulary
from drivelet.synth.painting.crops import CropConfig, Cropper, Scene, read_scenes
from drivelet.synth.painting.score import JUDGED, ColourShapeScorer, judged, load_held_out

JUDGE_PART, TEST_PART = (7, 8), (9,)
"""Tenths of the scenes that only train the held-out scorer, and that only test both scorers; the rest paint."""
MINIS = Path(__file__).parent.parent / "minis"
JUDGE = "held_out.safetensors"


@dataclass(frozen=True, kw_only=True)
class PainterRecipe:
    """Everything that the painter's pretraining depends on beside the frames.

    Attributes:
        judge_steps: optimiser steps of the held-out scorer, on `judge_crops` crops.
        test_crops: crops on which both scorers are tested.
        control_images: painted pictures per view of the control measurement.
    """

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    crop: CropConfig = field(default_factory=CropConfig)
    judge_steps: int = 900
    judge_crops: int = 6000
    own_crops: int = 3000
    test_crops: int = 1500
    control_images: int = 320
    seed: int = 0


def default_folder() -> Path:
    """Where checkpoints lie: outside of the checkout, so that they survive it."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "drivelet" / "pretrain" / "painter"


def parts(scenes: Sequence[Scene], wanted: Sequence[int] | None) -> list[Scene]:
    """Return the scenes of the given tenths; None means the painter's own."""
    taken = wanted if wanted is not None else [p for p in range(10) if p not in (*JUDGE_PART, *TEST_PART)]
    return [scene for scene in scenes if scene.part in taken]


def crop_set(
    scenes: Sequence[Scene], config: CropConfig, count: int, seed: int
) -> tuple[list[ImageArray], list[dict[str, str]]]:
    """Draw labelled crops in which no traffic light is dark (the loop does not ask for it)."""
    cropper, images, facts = Cropper(scenes, config), [], []
    for index in range(2 * count):
        image, found = cropper.draw(generator(seed, "judge", index))
        if found[LAMP] != "off" and len(images) < count:
            images.append(image)
            facts.append(found)
    return images, facts


def train_painter(recipe: PainterRecipe, *, scenes: Sequence[Scene], folder: Path, out: Path) -> dict[str, float]:
    """Pretrain the painter on its scenes and write it as a pipeline folder in 16 bit.

    Returns:
        Steps, images, seconds and the last loss.
    """
    from drivelet.adapters.painter_parts import small_pipeline
    from drivelet.adapters.painter_train import pretrain

    cropper = Cropper(parts(scenes, None), recipe.crop)
    pipeline = small_pipeline(vocabulary(), seed=recipe.seed)

    def batch(step: int) -> Batch:
        rng = generator(recipe.seed, "batch", step)
        drawn = [cropper.draw(rng) for _ in range(recipe.pretrain.batch_size)]
        return [image for image, _ in drawn], [stated(facts, rng) for _, facts in drawn]

    state = pretrain(pipeline, recipe.pretrain, batch=batch, folder=folder, note=say)
    save_pipeline(pipeline, out, half=True)
    return state


def stated(facts: Mapping[str, str], rng: np.random.Generator) -> str:
    """Return a caption of the facts, now and then without some, so that a shorter caption is understood too."""
    left = dict(facts)
    for name, share in (("weather", 0.2), ("light", 0.1), ("view", 0.1), (LAMP, 0.05), (CONES, 0.05)):
        if rng.random() < share:
            left.pop(name)
    if left.get(CONES, "0") != "0" and rng.random() < 0.15:
        left[CONES] = "some"
    return caption(left)


def train_judge(recipe: PainterRecipe, *, scenes: Sequence[Scene], out: Path) -> dict[str, Any]:
    """Train the held-out scorer on scenes that the painter never sees; test it and the loop's scorer on others.

    Returns:
        Accuracy of both scorers on held-out crops, per field and per answer, with the number of crops.
    """
    from drivelet.adapters.crop_classifier import CropClassifier

    images, facts = crop_set(parts(scenes, JUDGE_PART), recipe.crop, recipe.judge_crops, recipe.seed)
    labels = [{name: judged(name, fact[name]) for name in JUDGED} for fact in facts]
    judge = CropClassifier(JUDGED)
    judge.fit(images, labels, steps=recipe.judge_steps, seed=recipe.seed).save(out)
    held_out = load_held_out(out)
    own_images, own_facts = crop_set(parts(scenes, None), recipe.crop, recipe.own_crops, recipe.seed + 1)
    own = ColourShapeScorer(own_images, own_facts)
    tests = crop_set(parts(scenes, TEST_PART), recipe.crop, recipe.test_crops, recipe.seed + 2)
    return {scorer.name: accuracy(scorer, *tests) for scorer in (held_out, own)}


def accuracy(scorer: Any, images: Sequence[ImageArray], facts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return per field the share of pictures whose most probable answer is the label, and the same per answer."""
    found: dict[str, Any] = {}
    for name, answers in JUDGED.items():
        truth = [judged(name, fact[name]) for fact in facts]
        guesses = [max(answers, key=lambda a, i=i: scorer.score(i, {name: a})[name]) for i in images]
        right = np.array([guess == label for guess, label in zip(guesses, truth, strict=True)])
        per = {a: float(right[[t == a for t in truth]].mean()) for a in answers if a in truth}
        found[name] = {"accuracy": float(right.mean()), "per_answer": per, "n": len(truth)}
    return found


def pretrain_painter(recipe: PainterRecipe, *, frames: Sequence[Path], folder: Path, out: Path | None) -> Path:
    """Train the painter, then its judge, then measure; write the pipeline and its card.

    Args:
        frames: folders of rendered frames, of any domain.
        folder: gets a folder for this set of frames with checkpoints, sheets and `metrics.json`; a later call with the
            same frames goes on from there.
        out: the pipeline folder; `painter-mini` in that folder where None.
    """
    scenes = read_scenes(frames)
    folder = folder / frames_key(scenes)
    folder.mkdir(parents=True, exist_ok=True)
    out = out or folder / "painter-mini"
    say(f"{len(scenes)} frames, {len(parts(scenes, None))} for the painter; checkpoints in {folder}")
    state = train_painter(recipe, scenes=scenes, folder=folder, out=out)
    judged = train_judge(recipe, scenes=scenes, out=out / JUDGE)
    judge = load_held_out(out / JUDGE)
    control = measure_control(DiffusersPainter(out), judge, images=recipe.control_images, seed=recipe.seed, out=folder)
    metrics = {
        "recipe": asdict(recipe),
        "frames": len(scenes),
        "domains": Counter(scene.record.get("domain", "other") for scene in scenes),
        "lights": {light: sum(scene.record["setting"]["light"] == light for scene in scenes) for light in LIGHTS},
        "training": state,
        "scorers": judged,
        "control": control,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    write_card(metrics, out)
    say(json.dumps({"scorers": judged, "control": control}))
    return out


def frames_key(scenes: Sequence[Scene]) -> str:
    """Return a name for a set of frames: a checkpoint of one world must not be taken for another one's."""
    return digest_text("\n".join(str(scene.record.get("id", "")) for scene in scenes))[:12]


@click.command()
@click.option("--frames", type=click.Path(path_type=Path), multiple=True, required=True, help="Rendered frames.")
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Training time of all sittings together.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Pipeline folder.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(frames: tuple[Path, ...], minutes: float, out: Path | None, seed: int) -> None:
    """Pretrain painter-mini; a second call goes on. Example: --frames out/render --minutes 40"""
    import torch

    torch.set_num_threads(1)  # two processes with two threads each are slower than with one each
    recipe = PainterRecipe(pretrain=PretrainConfig(minutes=minutes, seed=seed), seed=seed)
    pretrain_painter(recipe, frames=frames, folder=default_folder(), out=out)


if __name__ == "__main__":
    main()
