"""The text-to-image loop: paint N, score, keep the best, train a LoRA with replay, repeat; beside a control."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np

from drivelet.adapters.diffusers import DiffusersPainter, Precision
from drivelet.adapters.painter_lora import LoraConfig, train_lora
from drivelet.core import flow
from drivelet.core.artifacts import ImageArray
from drivelet.core.flow import read_json, write_json
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.ports import Detector, Scorer
from drivelet.core.progress import say
from drivelet.core.ranges import Amount, Count, Seed, Several, Share, Side, ranged
from drivelet.core.rng import derive_seed
from drivelet.synth.painting.candidates import (
    CandidateConfig,
    PromptConfig,
    Record,
    paint_round,
    prompts,
    shares,
    stratum,
    write_rejections,
)
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, caption, presence
from drivelet.synth.painting.crops import read_crops
from drivelet.synth.painting.reject import perceptual_hash
from drivelet.synth.painting.sheets import contact_sheet
from drivelet.synth.painting.verdicts import ALL, confirmed

SOURCE, LICENCE = "drivelet:paint", "Apache-2.0"
SHOWN = 32
"""Pictures on a sheet of the held-out prompts."""


@dataclass(frozen=True, kw_only=True)
@ranged
class PaintConfig:
    """The loop's size.

    Attributes:
        rounds: times that pictures are painted and the painter is trained on the best, at most.
        patience: rounds in a row in which the held-out scorer may stay below its best before the loop stops.
        prompts_per_round: prompts, spread over the strata (lamp state by cone presence).
        failure_weight: share of a later round's prompts that goes to strata by how often they were rejected.
        held_out_prompts: prompts of the measurement by the held-out scorer, equal for loop and control.
        replay_share: share of round-0 pictures in the training draws.
        sampler_steps: denoising steps; `guidance` is the guidance scale.
        size: side of the pictures in pixels, which round 0 is scaled to; the pipeline's own where None.
        precision: of the pipeline's weights.
    """

    rounds: Count = 2
    patience: Several = 1
    prompts_per_round: Several = 48
    failure_weight: Share = 0.0
    held_out_prompts: Several = 96
    replay_share: Share = 0.5
    sampler_steps: Several = 10
    guidance: Amount = 2.0
    size: Side | None = None
    precision: Precision = "float32"
    seed: Seed = 0
    prompts: PromptConfig = field(default_factory=PromptConfig)
    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(steps=120, learning_rate=3e-4, convolutions=True))


@dataclass(frozen=True, kw_only=True)
class Judges:
    """Who judges the pictures.

    Attributes:
        scorer: decides what is kept.
        held_out: of another family; it chooses no picture and no weight, it only says when to stop.
        detector: finds lamps and cones, for the checks that need their places; without it these are left out.
    """

    scorer: Scorer
    held_out: Scorer
    detector: Detector | None = None


@flow.stage()
def paint_loop(config: PaintConfig, *, pipeline: Path, judges: Judges, round_0: Path, out: Path) -> Path:
    """Run the self-improving loop and its control; a second call keeps what is finished and goes on.

    After every round the held-out scorer judges pictures of a fixed set of prompts. The loop stops when its share of
    confirmed captions has stayed below the best so far (the untrained pipeline's included) for `patience` rounds.

    Args:
        pipeline: a text-to-image pipeline folder.
        round_0: a folder that `cut_crops` wrote: the pictures of the replay and of the control, which is a LoRA
            trained on them alone for the same number of steps.
        out: gets `images/*.png`, `manifest.csv` (facts that the caption states and the scorer confirmed),
            `rounds.json`, `rejected.jsonl` (every rejected picture with round and reason), `round-N.png` and
            `rejected-N.png` (sheets of what round N kept and rejected), `lora/loop-N` and `lora/control-N`.

    Returns:
        The manifest's path; it has no rows where not one picture passed.

    Raises:
        InputError: no pipeline, or no round-0 pictures.
    """
    (out / "images").mkdir(parents=True, exist_ok=True)
    real = [(_sized(image, config.size), facts) for image, facts in read_crops(round_0)]
    known = [perceptual_hash(image) for image, _ in real]
    rounds: list[dict[str, Any]] = []
    records: list[Record] = []
    loop = control = None
    base = _measured(config, pipeline, None, judges.held_out, out / "held_out" / "base")
    for number in range(config.rounds):
        found = _round(config, number, pipeline, loop, judges, known, records, out)
        records += found
        loop, control = _train(config, number, pipeline, (loop, control), real, records, out)
        confirmed_by_held_out = {
            name: _measured(config, pipeline, lora, judges.held_out, out / "held_out" / f"{name}-{number}")
            for name, lora in (("loop", loop), ("control", control))
        }
        rounds.append({**_summary(number, found, judges.held_out, out), **confirmed_by_held_out})
        if _falls([base, *(each["loop"] for each in rounds)], config.patience):
            break
    write_rejections(records, out / "rejected.jsonl")
    write_json(out / "rounds.json", _report(judges, base, rounds, config))
    return _manifest([record for record in records if record["kept"]], out)


def _report(
    judges: Judges, base: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]], config: PaintConfig
) -> dict[str, Any]:
    scores = [each["loop"][ALL]["score"] for each in rounds]
    return {
        "scorer": judges.scorer.name,
        "held_out": judges.held_out.name,
        "base": base,
        "rounds": rounds,
        "best_round": int(np.argmax(scores)) if scores else None,
        "stopped": len(rounds) < config.rounds,
    }


def _falls(verdicts: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Whether the last `patience` verdicts all lie below the best one before them."""
    scores = [each[ALL]["score"] for each in verdicts]
    before, last = scores[:-patience], scores[-patience:]
    return bool(before) and max(last) < max(before)


def painter_of(config: PaintConfig, pipeline: Path, lora: Path | None) -> DiffusersPainter:
    """Return the loop's painter with a LoRA of it, or with none."""
    return DiffusersPainter(
        pipeline, lora=lora, steps=config.sampler_steps, guidance=config.guidance, size=config.size,
        precision=config.precision,
    )  # fmt: skip


def _sized(image: ImageArray, size: int | None) -> ImageArray:
    if size is None or image.shape[0] == size:
        return image
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def _round(
    config: PaintConfig, number: int, pipeline: Path, lora: Path | None, judges: Judges,
    known: Sequence[imagehash.ImageHash], before: Sequence[Record], out: Path,
) -> list[Record]:  # fmt: skip
    wanted = shares(before, config.failure_weight) if before and config.failure_weight else None
    asked = prompts(config.prompts, seed=config.seed, name=number, count=config.prompts_per_round, wanted=wanted)
    kept = [imagehash.hex_to_hash(record["hash"]) for record in before if record["kept"]]
    records = paint_round(
        config.candidates, number, asked, style=config.prompts.style, seed=config.seed,
        painter=painter_of(config, pipeline, lora), scorer=judges.scorer, detector=judges.detector,
        known=[*known, *kept], out=out,
    )  # fmt: skip
    for name, chosen in (("round", "kept"), ("rejected", "reason")):
        shown = [record for record in records if record[chosen]]
        texts = [
            record["reason"] or f"{record['facts'][LAMP]} {record['facts'][CONES]} {record['score']:.2f}"
            for record in shown
        ]
        contact_sheet([out / record["file"] for record in shown], texts, out / f"{name}-{number}.png")
    return records


def _train(
    config: PaintConfig, number: int, pipeline: Path, before: tuple[Path | None, Path | None],
    real: Sequence[tuple[ImageArray, dict[str, str]]], records: Sequence[Record], out: Path,
) -> tuple[Path, Path]:  # fmt: skip
    """Train the loop's LoRA on kept and replayed pictures, and the control's on round-0 pictures, equally long."""
    kept = [record for record in records if record["kept"]]
    painted = [(read_image(out / record["file"]), record["facts"]) for record in kept]
    even = kept_weights(records)
    lora = replace(config.lora, seed=derive_seed(config.seed, "lora", number) % 2**31)
    trained: list[Path] = []
    for name, start, extra in (("loop", before[0], painted), ("control", before[1], [])):
        data = [*real, *extra]
        share = config.replay_share if extra else 1.0
        weights = [share / len(real)] * len(real)
        weights += [(1 - share) * weight for weight in even] if extra else []
        trained.append(
            train_lora(
                pipeline,
                images=[image for image, _ in data],
                captions=[caption(facts, style=config.prompts.style) for _, facts in data],
                config=lora,
                out=out / "lora" / f"{name}-{number}",
                start=start,
                weights=weights,
                precision=config.precision,
            )
        )
    return trained[0], trained[1]


def kept_weights(records: Sequence[Record]) -> list[float]:
    """Return the sampling weight of every kept picture, in order: their sum is 1 and follows what was asked for.

    Each stratum at each time of day weighs as much as its prompts do, however few of its pictures pass: else the loop
    forgets what it finds hard, such as dusk.
    """
    asked = Counter(_cell(record["facts"]) for record in records)
    kept = [_cell(record["facts"]) for record in records if record["kept"]]
    passed = Counter(kept)
    whole = sum(asked[cell] for cell in passed)
    return [asked[cell] / passed[cell] / whole for cell in kept]


def _cell(facts: Mapping[str, str]) -> tuple[str, ...]:
    return (*stratum(facts), facts.get(LIGHT, ""))


def _measured(config: PaintConfig, pipeline: Path, lora: Path | None, held_out: Scorer, folder: Path) -> dict[str, Any]:
    """Return what the held-out scorer confirms on a fixed set of prompts and seeds, with 95% bootstrap intervals."""
    verdict = folder.with_suffix(".json")
    if not verdict.is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        painter = partial(painter_of, config, pipeline, lora)
        asked, images = fixed_pictures(config, painter, "held_out", config.held_out_prompts)
        texts = [f"{facts[LAMP]} {facts[CONES]}" for facts in asked[:SHOWN]]
        contact_sheet(images[:SHOWN], texts, folder.with_suffix(".png"))
        write_json(verdict, confirmed(images, asked, held_out))
    return read_json(verdict)


def fixed_pictures(
    config: PaintConfig, painter: Any, name: str, count: int
) -> tuple[list[dict[str, str]], list[ImageArray]]:
    """Paint the `count` prompts of a name, each with its own seed; they are the same for every LoRA.

    Args:
        painter: makes the painter when it is needed.
    """
    asked = prompts(config.prompts, seed=config.seed, name=name, count=count)
    seeds = [derive_seed(config.seed, name, i) for i in range(count)]
    return asked, painter().images([caption(facts, style=config.prompts.style) for facts in asked], seeds=seeds)


def _summary(number: int, records: Sequence[Record], held_out: Scorer, out: Path) -> dict[str, Any]:
    kept = [record for record in records if record["kept"]]
    reasons = Counter(record["reason"] for record in records if record["reason"])
    strata = Counter("/".join(stratum(record["facts"])) for record in kept)
    asked_prompts = len({record["prompt"] for record in records})
    return {
        "round": number,
        "prompts": asked_prompts,
        "generated": len(records),
        "kept": len(kept),
        "skipped_prompts": asked_prompts - len(kept),
        "rejection_rate": sum(reasons.values()) / max(len(records), 1),
        "rejected": {reason: count / len(records) for reason, count in sorted(reasons.items())},
        "kept_strata": dict(sorted(strata.items())),
        "own_score": float(np.mean([record["score"] for record in records])),
        "kept_confirmed": confirmed([read_image(out / r["file"]) for r in kept], [r["facts"] for r in kept], held_out),
    }


def _manifest(kept: Sequence[Record], out: Path) -> Path:
    if not kept:
        say(
            f"{out}: not one painted picture passed; use a better painter or a lower candidates.reject.least_prob",
            style="yellow",
        )
    rows: list[Row] = []
    for record in kept:
        facts, scores = record["facts"], record["scores"]
        labels = {LAMP: facts.get(LAMP), CONES: presence(facts[CONES]) if CONES in facts else None}
        rows += [
            Row(
                path=str((out / record["file"]).absolute()),
                task=name,
                label=label,
                split="train",
                group=f"paint-{record['round']}-{record['prompt']}",
                trust="low",
                source=SOURCE,
                licence=LICENCE,
                weight=float(np.clip(round(scores[name], 4), 0.01, 1.0)),
            )
            for name, label in labels.items()
            if label is not None and name in scores
        ]
    write_manifest(out / "manifest.csv", rows)
    return out / "manifest.csv"
