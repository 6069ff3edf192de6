"""The text-to-image loop: paint N, score, keep the best, train a LoRA with replay, repeat; beside a control."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np

from drivelet.adapters.diffusers import DiffusersPainter, LoraConfig, train_lora
from drivelet.core.artifacts import ImageArray
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.ports import Painter, Scorer
from drivelet.core.progress import say, track
from drivelet.core.rng import derive_seed, generator
from drivelet.core.stats import mean_interval
from drivelet.core.tables import chunked
from drivelet.synth.captions import CONES, LAMP, STRATA, caption, draw_facts, presence
from drivelet.synth.crops import read_crops
from drivelet.synth.score import RejectConfig, perceptual_hash, rejection

SOURCE, LICENCE = "drivelet:paint", "Apache-2.0"


@dataclass(frozen=True, kw_only=True)
class PaintConfig:
    """The loop's size.

    Attributes:
        rounds: times that pictures are painted and the painter is trained on the best.
        prompts_per_round: prompts, spread evenly over the strata (lamp state by cone presence).
        per_prompt: pictures a prompt, of which at most one is kept.
        held_out_prompts: prompts of the measurement by the held-out scorer, equal for loop and control.
        replay_share: share of round-0 pictures in the training draws.
        views: which views prompts may ask for.
        sampler_steps: denoising steps; `guidance` is the classifier-free scale.
        chunk: prompts that are painted between two saves.
    """

    rounds: int = 2
    prompts_per_round: int = 48
    per_prompt: int = 4
    held_out_prompts: int = 96
    replay_share: float = 0.5
    views: tuple[str, ...] = ("near",)
    sampler_steps: int = 10
    guidance: float = 2.0
    chunk: int = 8
    seed: int = 0
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(steps=120, learning_rate=3e-4))
    reject: RejectConfig = field(default_factory=RejectConfig)


def paint_loop(
    config: PaintConfig, *, pipeline: Path, scorer: Scorer, held_out: Scorer, round_0: Path, out: Path
) -> Path:
    """Run the self-improving loop and its control; a second call keeps what is finished and goes on.

    Args:
        pipeline: a text-to-image pipeline folder.
        scorer: judges what is kept.
        held_out: of another family; only measures, and no decision depends on it.
        round_0: a folder that `cut_crops` wrote: the pictures of the replay and of the control, which is a LoRA
            trained on them alone for the same number of steps.
        out: gets `images/*.png`, `manifest.csv` (facts that the caption states and the scorer confirmed),
            `rounds.json`, and `round-N.png`, a sheet of what round N kept.

    Returns:
        The manifest's path; it has no rows where not one picture passed.

    Raises:
        InputError: no pipeline, or no round-0 pictures.
    """
    (out / "images").mkdir(parents=True, exist_ok=True)
    real = read_crops(round_0)
    rounds: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    loop = control = None
    base = _measure(config, pipeline, None, held_out, out / "held_out" / "base.json")
    for number in range(config.rounds):
        records = _paint_round(config, number, _painter(config, pipeline, loop), scorer, kept, out)
        kept += [record for record in records if record["kept"]]
        _sheet([record for record in records if record["kept"]], out / f"round-{number}.png", out)
        loop, control = _train(config, number, pipeline, (loop, control), real, kept, out)
        rounds.append(
            {
                **_summary(number, records, held_out, out),
                "loop": _measure(config, pipeline, loop, held_out, out / "held_out" / f"loop-{number}.json"),
                "control": _measure(config, pipeline, control, held_out, out / "held_out" / f"control-{number}.json"),
            }
        )
    _write_json(out / "rounds.json", {"scorer": scorer.name, "held_out": held_out.name, "base": base, "rounds": rounds})
    return _manifest(kept, out)


def _painter(config: PaintConfig, pipeline: Path, lora: Path | None) -> DiffusersPainter:
    return DiffusersPainter(pipeline, lora=lora, steps=config.sampler_steps, guidance=config.guidance)


def prompts(config: PaintConfig, name: str | int, count: int) -> list[dict[str, str]]:
    """Draw `count` prompts as facts, spread evenly over the strata."""
    rng = generator(config.seed, "prompts", name)
    return [draw_facts(STRATA[i % len(STRATA)], rng, views=config.views) for i in range(count)]


def _paint_round(
    config: PaintConfig, number: int, painter: Painter, scorer: Scorer, kept: Sequence[dict[str, Any]], out: Path
) -> list[dict[str, Any]]:
    """Return one record for each painted picture; finished chunks are read back instead of painted again."""
    folder = out / "rounds" / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    hashes = [imagehash.hex_to_hash(record["hash"]) for record in kept]
    asked = list(enumerate(prompts(config, number, config.prompts_per_round)))
    chunks = list(chunked(asked, config.chunk))
    records: list[dict[str, Any]] = []
    for index, chunk in track(list(enumerate(chunks)), total=len(chunks), what=f"paint round {number}"):
        path = folder / f"{index:04d}.json"
        if not path.is_file():
            _write_json(path, _paint_chunk(config, number, painter, scorer, chunk, hashes, out))
        found = json.loads(path.read_text(encoding="utf-8"))
        hashes += [imagehash.hex_to_hash(record["hash"]) for record in found if record["kept"]]
        records += found
    return records


def _paint_chunk(
    config: PaintConfig,
    number: int,
    painter: Painter,
    scorer: Scorer,
    chunk: Sequence[tuple[int, dict[str, str]]],
    known: Sequence[imagehash.ImageHash],
    out: Path,
) -> list[dict[str, Any]]:
    asked = [(index, take, facts) for index, facts in chunk for take in range(config.per_prompt)]
    seeds = [derive_seed(config.seed, "paint", number, index, take) for index, take, _ in asked]
    images = painter.paint([caption(facts) for _, _, facts in asked], seeds=seeds)
    hashes, records = list(known), []
    for index, facts in chunk:
        tries = [(take, image) for (i, take, _), image in zip(asked, images, strict=True) if i == index]
        made = [_judged(config, number, index, take, facts, image, scorer, hashes) for take, image in tries]
        passing = [record for record in made if not record["reason"]]
        if passing:  # a prompt without a passing picture is skipped, so that the best of a bad lot never trains
            best = max(passing, key=lambda record: record["score"])
            best["kept"] = True
            image = dict(tries)[best["take"]]
            best["hash"] = str(perceptual_hash(image))
            hashes.append(imagehash.hex_to_hash(best["hash"]))
            cv2.imwrite(str(out / best["file"]), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        records += made
    return records


def _judged(
    config: PaintConfig, number: int, index: int, take: int, facts: dict[str, str], image: ImageArray, scorer: Scorer,
    hashes: Sequence[imagehash.ImageHash],
) -> dict[str, Any]:  # fmt: skip
    scores = {name: float(value) for name, value in scorer.score(image, facts).items()}
    return {
        "round": number,
        "prompt": index,
        "take": take,
        "file": f"images/{number}-{index:05d}-{take}.png",
        "facts": facts,
        "caption": caption(facts),
        "scores": scores,
        "score": float(np.prod(list(scores.values()))) if scores else 0.0,
        "reason": rejection(image, scores, hashes, config.reject),
        "kept": False,
    }


def _train(
    config: PaintConfig, number: int, pipeline: Path, before: tuple[Path | None, Path | None],
    real: Sequence[tuple[ImageArray, dict[str, str]]], kept: Sequence[dict[str, Any]], out: Path,
) -> tuple[Path, Path]:  # fmt: skip
    """Train the loop's LoRA on kept and replayed pictures, and the control's on round-0 pictures, equally long."""
    painted = [(_read(out / record["file"]), record["facts"]) for record in kept]
    lora = replace(config.lora, seed=derive_seed(config.seed, "lora", number) % 2**31)
    trained: list[Path] = []
    for name, start, extra in (("loop", before[0], painted), ("control", before[1], [])):
        data = [*real, *extra]
        share = config.replay_share if extra else 1.0
        weights = [share / len(real)] * len(real) + [(1 - share) / max(len(extra), 1)] * len(extra)
        trained.append(
            train_lora(
                pipeline,
                images=[image for image, _ in data],
                captions=[caption(facts) for _, facts in data],
                config=lora,
                out=out / "lora" / f"{name}-{number}",
                start=start,
                weights=weights,
            )
        )
    return trained[0], trained[1]


def _measure(config: PaintConfig, pipeline: Path, lora: Path | None, held_out: Scorer, path: Path) -> dict[str, Any]:
    """Score a fixed set of prompts and seeds with the held-out scorer, with 95% bootstrap intervals."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        asked = prompts(config, "held_out", config.held_out_prompts)
        seeds = [derive_seed(config.seed, "held_out", i) for i in range(len(asked))]
        images = _painter(config, pipeline, lora).paint([caption(facts) for facts in asked], seeds=seeds)
        _write_json(path, confirmed(images, asked, held_out))
    return json.loads(path.read_text(encoding="utf-8"))


def confirmed(
    images: Sequence[ImageArray], asked: Sequence[dict[str, str]], scorer: Scorer
) -> dict[str, dict[str, float]]:
    """Return for lamp, cones and both the share of pictures on which `scorer` confirms the caption.

    A fact is confirmed at a probability of one half or more. `low` and `high` end a 95% bootstrap interval.
    """
    found = [scorer.score(image, facts) for image, facts in zip(images, asked, strict=True)]
    hits = {name: [float(scores.get(name, 0.0) >= 0.5) for scores in found] for name in (LAMP, CONES)}
    hits["both"] = [a * b for a, b in zip(hits[LAMP], hits[CONES], strict=True)]
    return {name: _interval(values) for name, values in hits.items()}


def _interval(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"score": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    interval = mean_interval(values, [""] * len(values))
    return {"score": interval.value, "low": interval.low, "high": interval.high, "n": len(values)}


def _summary(number: int, records: Sequence[dict[str, Any]], held_out: Scorer, out: Path) -> dict[str, Any]:
    kept = [record for record in records if record["kept"]]
    reasons = Counter(record["reason"] for record in records if record["reason"])
    strata = Counter(f"{record['facts'][LAMP]}/{presence(record['facts'][CONES])}" for record in kept)
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
        "kept_confirmed": confirmed([_read(out / r["file"]) for r in kept], [r["facts"] for r in kept], held_out),
    }


def _manifest(kept: Sequence[dict[str, Any]], out: Path) -> Path:
    if not kept:
        say(
            f"[yellow]{out}: not one painted picture passed; use a better painter or a lower reject.least_prob[/yellow]"
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


def _sheet(records: Sequence[dict[str, Any]], path: Path, out: Path, *, columns: int = 8, tile: int = 128) -> None:
    """Write a contact sheet: every kept picture above the facts that it was asked to show."""
    height = tile + 14
    rows = max(-(-len(records) // columns), 1)
    sheet = np.full((rows * height, columns * tile, 3), 255, np.uint8)
    for place, record in enumerate(records):
        top, left = place // columns * height, place % columns * tile
        image = cv2.cvtColor(_read(out / record["file"]), cv2.COLOR_RGB2BGR)
        sheet[top : top + tile, left : left + tile] = cv2.resize(image, (tile, tile), interpolation=cv2.INTER_NEAREST)
        text = f"{record['facts'][LAMP]} {record['facts'][CONES]} {record['score']:.2f}"
        cv2.putText(sheet, text, (left + 3, top + tile + 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.imwrite(str(path), sheet)


def _read(path: Path) -> ImageArray:
    pixels: Any = cv2.imread(str(path))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # pyright: ignore[reportReturnType]


def _write_json(path: Path, content: Any) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, default=asdict), encoding="utf-8")
    partial.replace(path)
