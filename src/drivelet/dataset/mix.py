"""Mixing: real and synthetic images at a chosen ratio, under a budget, every loss written down."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from drivelet.core.artifacts import Field, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, check_groups, write_manifest
from drivelet.core.progress import track
from drivelet.dataset.balance import select, side_counts
from drivelet.dataset.clean import PRIORITY, Cleaned, Rejection, clean_rows
from drivelet.dataset.ledger import summary, write_ledger
from drivelet.dataset.looks import Look, LookConfig, look_at, look_at_file, near_duplicates
from drivelet.dataset.sources import Candidate, ReadFrames, by_video, read_source, side_of
from drivelet.dataset.split import assign_splits

SIDES = ("real", "synthetic")


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """How the training set is mixed.

    Attributes:
        real_share: share of real images among the training images; None takes what is there. A short side shrinks the
            other so that the ratio holds; where one side is absent the ratio cannot hold and `mix.json` says so.
        max_images: most training images, or None.
        max_frames_per_video: most frames of one video that are looked at, evenly spaced.
        val_share: share of groups put aside for val on a side (real, synthetic) whose sources bring no val rows.
        min_prob: pseudo-labels below this probability stay out.
        seed: decides which images of a stratum enter, and which groups go to val.
        looks: thresholds of the cleaning.
    """

    real_share: float | None = 0.5
    max_images: int | None = None
    max_frames_per_video: int = 3000
    val_share: float = 0.1
    min_prob: float = 0.5
    seed: int = 0
    looks: LookConfig = field(default_factory=LookConfig)


def mix(
    config: MixConfig, *, sources: Sequence[Path], fields: Mapping[str, Field], read_frames: ReadFrames, out: Path
) -> Path:
    """Clean, split and mix the sources; write `manifest.csv`, `mix.json`, `items.lance` and `rejections.csv`.

    Val and test rows keep their side and are not budgeted; no test row, and no picture of one, enters train. A drive
    that shows a val or test image leaves train as a whole. Pseudo-labels weigh their probability.

    Args:
        config: ratio, budget, thresholds.
        sources: manifests, labelled drives, render and paint folders.
        fields: every field by name.
        read_frames: reads frames of a drive's video.
        out: folder to write to; a drive's chosen frames land in `out/frames`.

    Returns:
        The path of `out/manifest.csv`.

    Raises:
        InputError: no source, a damaged source, or nothing left to train on.
    """
    if not sources:
        raise InputError("mix: no source given; name a manifest, a labelled drive, a render or a paint folder")
    out.mkdir(parents=True, exist_ok=True)
    frames = (out / "frames").absolute()
    read = [
        read_source(path, position=n, fields=fields, frames=frames, min_prob=config.min_prob)
        for n, path in enumerate(sources)
    ]
    candidates = [candidate for source in read for candidate in source.candidates]
    rejected = [rejection for source in read for rejection in source.rejected]
    looks = _looks(candidates, read_frames, config)
    origin = {candidate.row.path: candidate.origin for candidate in candidates}
    rows = _place(candidates, looks, config, rejected)
    cleaned = clean_rows(rows, looks=looks, fields=fields, config=config.looks)
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
    return out / "manifest.csv"


def _looks(candidates: Sequence[Candidate], read_frames: ReadFrames, config: MixConfig) -> dict[str, Look]:
    """Fingerprints of every image; a drive's frames are read once, evenly thinned to the cap."""
    files = sorted({candidate.row.path for candidate in candidates if candidate.video is None})
    looks = {path: look_at_file(Path(path), config.looks) for path in track(files, total=len(files), what="images")}
    videos = by_video(candidates)
    for file, wanted in track(videos.items(), total=len(videos), what="videos"):
        step = -(-len(wanted) // config.max_frames_per_video)
        for index, image in read_frames(file, list(wanted)[::step]):
            looks[wanted[index]] = look_at(image, config.looks)
    return looks


def _place(
    candidates: Sequence[Candidate], looks: Mapping[str, Look], config: MixConfig, rejected: list[Rejection]
) -> list[Row]:
    """Give every row its split: leaking drives out of train, and val carved where a side has none."""
    seen: list[Candidate] = []
    for candidate in candidates:
        if candidate.row.path in looks:
            seen.append(candidate)
        else:
            rejected.append(
                Rejection(row=candidate.row, stage="quality", reason="frame damaged, or beyond the cap of its video")
            )
    pairs = list(near_duplicates({path: look for path, look in looks.items() if not look.flaw}, config.looks))
    leaks = _leaks(seen, pairs)
    rows: list[Row] = []
    for side in SIDES:
        here = [candidate.row for candidate in seen if candidate.side == side and candidate.row.group not in leaks]
        if here and config.val_share > 0 and not any(row.split == "val" for row in here):
            group = {row.path: row.group for row in here}
            links = [(group[first], group[second]) for first, second in pairs if first in group and second in group]
            train = [row for row in here if row.split == "train"]
            carved = assign_splits(train, val_share=config.val_share, seed=config.seed, links=links)
            here = [row for row in here if row.split != "train"] + carved
        rows += here
    for row in (candidate.row for candidate in seen):
        if row.group in leaks:
            split, detail = leaks[row.group]
            reason = f"its drive shows a {split} image"
            rejected.append(Rejection(row=row, stage="split", reason=reason, detail=detail))
    return rows


def _leaks(candidates: Sequence[Candidate], pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Groups of drives that show the picture of a held-out real image: group -> (split, that image)."""
    drives = {c.row.path: c.row.group for c in candidates if c.video}
    images = [c for c in candidates if not c.video and c.side == "real"]
    held_out = {c.row.path: c.row.split for c in images if c.row.split != "train"}
    leaks: dict[str, tuple[str, str]] = {}
    for first, second in pairs:
        for frame, image in ((first, second), (second, first)):
            if frame in drives and image in held_out:
                found = (held_out[image], image)
                leaks[drives[frame]] = min(found, leaks.get(drives[frame], found), key=lambda f: PRIORITY[f[0]])
    return leaks


def _choose(rows: Sequence[Row], origin: Mapping[str, str], config: MixConfig) -> set[str]:
    """Paths of the training images: the counts that the ratio and the budget allow, strata filled evenly."""
    train: dict[str, list[Row]] = {side: [] for side in SIDES}
    for row in rows:
        if row.split == "train":
            train[side_of(origin[row.path])].append(row)
    there = {side: len({row.path for row in train[side]}) for side in SIDES}
    counts = side_counts(there["real"], there["synthetic"], share=config.real_share, budget=config.max_images)
    return {path for side, count in zip(SIDES, counts, strict=True) for path in select(train[side], count, config.seed)}


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
