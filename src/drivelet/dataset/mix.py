"""Mixing: real and synthetic images at a chosen ratio, under a budget, every loss written down."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drivelet.core import flow
from drivelet.core.artifacts import Field, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, check_groups, write_manifest
from drivelet.core.progress import track
from drivelet.core.ranges import Seed, Several, Share, ranged
from drivelet.core.tables import chunked
from drivelet.dataset.balance import origin_counts, select, side_counts
from drivelet.dataset.card import write_card
from drivelet.dataset.clean import Cleaned, Rejection, clean_rows
from drivelet.dataset.label_errors import Answers, LabelErrorConfig, without_label_errors
from drivelet.dataset.ledger import summary, write_ledger
from drivelet.dataset.looks import UNREADABLE, Look, LookConfig, look_at, open_image
from drivelet.dataset.place import SIDES, place
from drivelet.dataset.sources import Candidate, ReadFrames, by_video, read_source, side_of

Embed = Callable[[Sequence[ImageArray]], NDArray[np.float32]]
"""Returns a unit vector an image, shape (images, D)."""
Ask = Callable[[Sequence[Row]], Answers]
"""Asks a teacher that was never trained on these rows."""
CHUNK = 32


@dataclass(frozen=True, kw_only=True)
@ranged
class MixConfig:
    """How the training set is mixed.

    Attributes:
        real_share: share of real images among the training images; None takes what is there. A short side shrinks the
            other so that the ratio holds; where one side is absent the ratio cannot hold and `mix.json` says so.
        shares: the same by source (real, drive, render, paint) instead of `real_share`; a source that is not named
            stays out.
        max_images: most training images, or None.
        balance: fill the strata (field by answer) evenly; else images enter as they come, by a hash.
        max_frames_per_video: most frames of one video that are looked at, evenly spaced.
        val_share: share of groups put aside for val on a side (real, synthetic) whose sources bring no val rows.
        min_prob: pseudo-labels below this probability stay out.
        seed: decides which images of a stratum enter, and which groups go to val.
        looks: thresholds of the cleaning.
        label_errors: how hand-made labels are checked where a teacher is at hand.
    """

    real_share: Share | None = 0.5
    shares: dict[str, Share] = field(default_factory=dict)
    max_images: Several | None = None
    balance: bool = True
    max_frames_per_video: Several = 3000
    val_share: Share = 0.1
    min_prob: Share = 0.5
    seed: Seed = 0
    looks: LookConfig = field(default_factory=LookConfig)
    label_errors: LabelErrorConfig = field(default_factory=LabelErrorConfig)


@flow.stage(4)
def mix(
    config: MixConfig,
    *,
    sources: Sequence[Path],
    fields: Mapping[str, Field],
    read_frames: ReadFrames,
    embed: Embed | None = None,
    ask: Ask | None = None,
    options: Sequence[str] = (),
    out: Path,
) -> Path:
    """Clean, split and mix the sources; write `manifest.csv`, `mix.json`, `README.md` (the dataset's card),
    `items.lance` and `rejections.csv`.

    Val and test rows keep their side and are not budgeted; no test row, and no picture of one, enters train. A drive
    that shows a val or test image leaves train as a whole. Pseudo-labels weigh their probability.

    Args:
        config: ratio, budget, thresholds.
        sources: manifests, labelled drives, render and paint folders.
        fields: every field by name.
        read_frames: reads frames of a drive's video.
        embed: embeds images, so that near-duplicates are also found by embedding.
        ask: asks a teacher, which then checks the labels of real manifests.
        options: words of the command that made this mix, for its card.
        out: folder to write to; a drive's chosen frames land in `out/frames`.

    Returns:
        The path of `out/manifest.csv`.

    Raises:
        InputError: no source, a damaged source, shares of a source that is not there, or nothing left to train on.
    """
    if not sources:
        raise InputError("mix: no source given; name a manifest, a labelled drive, a render or a paint folder")
    out.mkdir(parents=True, exist_ok=True)
    candidates, rejected = _read(sources, fields, config, (out / "frames").absolute())
    looks = _looks(candidates, read_frames, embed, config)
    origin = {candidate.row.path: candidate.origin for candidate in candidates}
    rows = place(candidates, looks, rejected, config=config.looks, val_share=config.val_share, seed=config.seed)
    cleaned = _checked(clean_rows(rows, looks=looks, fields=fields, config=config.looks), origin, ask, fields, config)
    chosen = _choose(cleaned.rows, origin, config)
    rejected += cleaned.rejected
    rejected += [_over(row) for row in cleaned.rows if row.split == "train" and row.path not in chosen]
    kept = [row for row in cleaned.rows if row.split != "train" or row.path in chosen]
    result = Cleaned(rows=kept, rejected=rejected)
    write_ledger(result, looks, origin, out)
    if not any(row.split == "train" for row in kept):
        raise InputError(f"mix: nothing to train on is left of {len(rows)} rows; see {out / 'rejections.csv'}")
    check_groups(kept, where="mix: two sources disagree")
    _write_frames(candidates, {row.path for row in kept}, read_frames)
    report = {"config": asdict(config), **summary(result, origin, cleaned.rows)}
    (out / "mix.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_manifest(out / "manifest.csv", kept)
    write_card(
        out, result=result, origin=origin, sources=sources, config=asdict(config), defaults=asdict(MixConfig()),
        options=options,
    )  # fmt: skip
    return out / "manifest.csv"


def _read(
    sources: Sequence[Path], fields: Mapping[str, Field], config: MixConfig, frames: Path
) -> tuple[list[Candidate], list[Rejection]]:
    read = [
        read_source(path, position=n, fields=fields, frames=frames, min_prob=config.min_prob)
        for n, path in enumerate(sources)
    ]
    candidates = [candidate for source in read for candidate in source.candidates]
    return candidates, [rejection for source in read for rejection in source.rejected]


def _looks(
    candidates: Sequence[Candidate], read_frames: ReadFrames, embed: Embed | None, config: MixConfig
) -> dict[str, Look]:
    """Fingerprints of every image, which is read once."""
    looks: dict[str, Look] = {}
    for chunk in chunked(_pictures(candidates, read_frames, config), CHUNK):
        found = {path: UNREADABLE if image is None else look_at(image, config.looks) for path, image in chunk}
        fit = [(path, image) for path, image in chunk if image is not None and not found[path].flaw]
        if embed and fit:
            vectors = embed([image for _, image in fit])
            found |= {path: replace(found[path], vector=v) for (path, _), v in zip(fit, vectors, strict=True)}
        looks |= found
    return looks


def _pictures(
    candidates: Sequence[Candidate], read_frames: ReadFrames, config: MixConfig
) -> Iterator[tuple[str, ImageArray | None]]:
    """Yield (path, image) of every candidate, None where the file does not decode; a video is thinned to the cap."""
    files = sorted({candidate.row.path for candidate in candidates if candidate.video is None})
    for path in track(files, total=len(files), what="images"):
        yield path, open_image(Path(path))
    videos = by_video(candidates)
    for file, wanted in track(videos.items(), total=len(videos), what="videos"):
        step = -(-len(wanted) // config.max_frames_per_video)
        for index, image in read_frames(file, list(wanted)[::step]):
            yield wanted[index], image


def _checked(
    cleaned: Cleaned, origin: Mapping[str, str], ask: Ask | None, fields: Mapping[str, Field], config: MixConfig
) -> Cleaned:
    """Take out hand-made labels that a teacher disputes; renders are exact, and pseudo-labels are a teacher's own."""
    if ask is None:
        return cleaned
    doubtful = [row for row in cleaned.rows if row.split == "train" and origin[row.path] == "real"]
    answers = ask(doubtful) if doubtful else {}
    left = without_label_errors(cleaned.rows, answers=answers, fields=fields, config=config.label_errors)
    return Cleaned(rows=left.rows, rejected=[*cleaned.rejected, *left.rejected])


def _choose(rows: Sequence[Row], origin: Mapping[str, str], config: MixConfig) -> set[str]:
    """Paths of the training images: the counts that the ratio and the budget allow, strata filled evenly."""
    kind = {path: name if config.shares else side_of(name) for path, name in origin.items()}
    train: dict[str, list[Row]] = {name: [] for name in (config.shares or SIDES)}
    for row in rows:
        if row.split == "train" and kind[row.path] in train:
            train[kind[row.path]].append(row)
    there = {name: len({row.path for row in found}) for name, found in train.items()}
    if config.shares:
        counts = origin_counts(there, shares=config.shares, budget=config.max_images)
    else:
        sides = side_counts(there["real"], there["synthetic"], share=config.real_share, budget=config.max_images)
        counts = dict(zip(SIDES, sides, strict=True))
    return {
        path for name, count in counts.items() for path in select(train[name], count, config.seed, even=config.balance)
    }


def _over(row: Row) -> Rejection:
    return Rejection(row=row, stage="mix", reason="outside the budget or ratio")


def _write_frames(candidates: Sequence[Candidate], kept: set[str], read_frames: ReadFrames) -> None:
    videos = by_video(candidate for candidate in candidates if candidate.row.path in kept)
    for file, wanted in track(videos.items(), total=len(videos), what="frames"):
        for index, image in read_frames(file, list(wanted)):
            _write_jpeg(Path(wanted[index]), image)


def _write_jpeg(path: Path, image: ImageArray) -> None:
    """Write without colour subsampling: a far lamp is a few pixels of colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    Image.fromarray(image).save(partial, format="JPEG", quality=95, subsampling=0)
    partial.replace(path)
