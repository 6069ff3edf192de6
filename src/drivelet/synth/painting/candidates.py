"""One round of the text-to-image loop: paint candidates for every prompt, score them, keep the best that passes."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import imagehash
import numpy as np
from pydantic import Field

from drivelet.core.artifacts import ImageArray, Painted
from drivelet.core.flow import chunks_on_disk
from drivelet.core.ports import Detector, Painter, Scorer
from drivelet.core.progress import track
from drivelet.core.ranges import Amount, Positive, Several, ranged
from drivelet.core.rng import derive_seed, generator
from drivelet.synth.painting.captions import CONES, LAMP, STRATA, caption, draw_facts, presence
from drivelet.synth.painting.reject import RejectConfig, nearest, perceptual_hash, rejection, sharpness

Record = dict[str, Any]
REJECTED_SIDE = 128
"""Longest side of what is kept of a rejected picture, in pixels."""


@dataclass(frozen=True, kw_only=True)
@ranged
class PromptConfig:
    """What prompts may ask for.

    Attributes:
        views: see `captions.VIEWS`.
        posted: speed limits of which every prompt asks for one; none where empty.
        style: words at the end of every caption.
    """

    views: Annotated[tuple[Literal["close", "near", "wide"], ...], Field(min_length=1)] = ("near", "close")
    posted: tuple[str, ...] = ()
    style: str = ""


@dataclass(frozen=True, kw_only=True)
@ranged
class CandidateConfig:
    """How many candidates are painted and how the best is chosen.

    A candidate's score is the product of its facts' probabilities, plus `sharp_weight` times how sharp it is (1 at
    `sharp_enough`, variance of the Laplacian) and `new_weight` times how far it is from what is known (share of the
    bits of its perceptual hash).

    Attributes:
        per_prompt: pictures a prompt, of which at most one is kept.
        chunk: prompts that are painted between two saves.
    """

    per_prompt: Several = 4
    chunk: Several = 8
    sharp_weight: Amount = 0.05
    sharp_enough: Positive = 150.0
    new_weight: Amount = 0.1
    reject: RejectConfig = field(default_factory=RejectConfig)


def stratum(facts: Mapping[str, str]) -> tuple[str, str]:
    """Return the stratum of facts: lamp state and cone presence."""
    return facts[LAMP], presence(facts[CONES])


def shares(records: Sequence[Record], failure_weight: float) -> dict[tuple[str, str], float]:
    """Return the share of prompts that each stratum gets after rounds with these records.

    `failure_weight` of the prompts go to the strata by how many of their candidates the loop's own scorer and checks
    rejected; the rest is spread evenly.
    """
    total = Counter(stratum(record["facts"]) for record in records)
    failed = Counter(stratum(record["facts"]) for record in records if record["reason"])
    rates = {name: failed[name] / total[name] if total[name] else 0.0 for name in STRATA}
    whole = sum(rates.values())
    return {
        name: (1 - failure_weight) / len(STRATA) + failure_weight * (rate / whole if whole else 1 / len(STRATA))
        for name, rate in rates.items()
    }


def prompts(
    config: PromptConfig,
    *,
    seed: int,
    name: str | int,
    count: int,
    wanted: Mapping[tuple[str, str], float] | None = None,
) -> list[dict[str, str]]:
    """Draw `count` prompts as facts, spread over the strata evenly, or by the shares `wanted` (largest rests first)."""
    rng = generator(seed, "prompts", name)
    if wanted is None:
        chosen = [STRATA[i % len(STRATA)] for i in range(count)]
    else:
        exact = {key: share * count for key, share in wanted.items()}
        whole = {key: int(value) for key, value in exact.items()}
        rests = sorted(exact, key=lambda key: whole[key] - exact[key])
        for key in rests[: count - sum(whole.values())]:
            whole[key] += 1
        chosen = [key for key, times in whole.items() for _ in range(times)]
    return [draw_facts(key, rng, views=config.views, posted=config.posted) for key in chosen]


def paint_round(
    config: CandidateConfig,
    number: int,
    asked: Sequence[dict[str, str]],
    *,
    style: str,
    seed: int,
    painter: Painter,
    scorer: Scorer,
    detector: Detector | None,
    known: Sequence[imagehash.ImageHash],
    out: Path,
) -> list[Record]:
    """Return one record for each candidate; finished chunks are read back instead of painted again.

    Args:
        asked: facts of every prompt.
        known: hashes of what is kept and trained on.
        out: gets the kept pictures in `images`, the others made smaller in `rejected`.
    """
    hashes = list(known)

    def work(chunk: Sequence[tuple[int, dict[str, str]]]) -> list[Record]:
        return _paint_chunk(config, number, chunk, style, seed, painter, scorer, detector, hashes, out)

    chunks = chunks_on_disk(out / "rounds" / str(number), list(enumerate(asked)), work, size=config.chunk)
    records: list[Record] = []
    for found in track(chunks, total=-(-len(asked) // config.chunk), what=f"paint round {number}"):
        hashes += [imagehash.hex_to_hash(record["hash"]) for record in found if record["kept"]]
        records += found
    return records


def _paint_chunk(
    config: CandidateConfig, number: int, chunk: Sequence[tuple[int, dict[str, str]]], style: str, seed: int,
    painter: Painter, scorer: Scorer, detector: Detector | None, known: Sequence[imagehash.ImageHash], out: Path,
) -> list[Record]:  # fmt: skip
    tries = [(index, take, facts) for index, facts in chunk for take in range(config.per_prompt)]
    texts = [caption(facts, style=style) for _, _, facts in tries]
    painted = painter.paint(texts, seeds=[derive_seed(seed, "paint", number, i, take) for i, take, _ in tries])
    hashes, records = list(known), []
    for index, _ in chunk:
        made: list[tuple[Record, ImageArray]] = []
        for (i, take, facts), picture in zip(tries, painted, strict=True):
            if i == index:
                place = {"round": number, "prompt": index, "take": take, "facts": facts}
                record = _judged(config, picture, facts, style, scorer, detector, hashes)
                made.append(({**place, **record}, picture.image))
        best = max((r for r, _ in made if not r["reason"]), key=lambda r: r["score"], default=None)
        for record, image in made:
            # A prompt without a passing picture is skipped, so that the best of a bad lot never trains.
            record["kept"] = record is best
            record["file"] = _save(record, image, out)
        if best is not None:
            hashes.append(imagehash.hex_to_hash(best["hash"]))
        records += [record for record, _ in made]
    return records


def _judged(
    config: CandidateConfig, painted: Painted, facts: Mapping[str, str], style: str, scorer: Scorer,
    detector: Detector | None, known: Sequence[imagehash.ImageHash],
) -> Record:  # fmt: skip
    text, image = caption(facts, style=style), painted.image
    scores = {name: float(value) for name, value in scorer.score(image, facts).items()}
    boxes = detector.detect(image) if detector else []
    truth = float(np.prod(list(scores.values()))) if scores else 0.0
    sharp = min(1.0, sharpness(image) / config.sharp_enough)
    new = min(1.0, nearest(image, known) / 64)
    return {
        "caption": text,
        "scores": scores,
        "sharp": round(sharp, 4),
        "new": round(new, 4),
        "score": truth + config.sharp_weight * sharp + config.new_weight * new,
        "reason": rejection(painted, text, scores, facts, boxes, known, config.reject),
        "hash": str(perceptual_hash(image)),
    }


def _save(record: Record, image: ImageArray, out: Path) -> str:
    """Write a kept picture as it is and another one small; return its place in `out`."""
    folder = "images" if record["kept"] else "rejected" if record["reason"] else ""
    if not folder:
        return ""
    name = f"{folder}/{record['round']}-{record['prompt']:05d}-{record['take']}.png"
    scale = REJECTED_SIDE / max(image.shape[:2])
    if folder == "rejected" and scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    (out / folder).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return name


def write_rejections(records: Sequence[Record], path: Path) -> Path:
    """Write every rejected candidate with round, prompt, caption, reason and scores, one JSON object a line."""
    names = ("round", "prompt", "take", "caption", "reason", "scores", "file")
    lines = [json.dumps({name: record[name] for name in names}) for record in records if record["reason"]]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
