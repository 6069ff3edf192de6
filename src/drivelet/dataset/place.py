"""The split of every candidate: leaking drives leave train, and val is carved out where a side brings none."""

from collections.abc import Iterable, Mapping, Sequence

from drivelet.core.manifest import Row
from drivelet.dataset.clean import PRIORITY, Rejection
from drivelet.dataset.duplicates import near_duplicates
from drivelet.dataset.looks import Look, LookConfig
from drivelet.dataset.sources import Candidate
from drivelet.dataset.split import assign_splits

SIDES = ("real", "synthetic")


def place(
    candidates: Sequence[Candidate],
    looks: Mapping[str, Look],
    rejected: list[Rejection],
    *,
    config: LookConfig,
    val_share: float,
    seed: int,
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
    pairs = list(near_duplicates({path: look for path, look in looks.items() if not look.flaw}, config))
    leaks = _leaks(seen, pairs)
    rows: list[Row] = []
    for side in SIDES:
        here = [candidate.row for candidate in seen if candidate.side == side and candidate.row.group not in leaks]
        if here and val_share > 0 and not any(row.split == "val" for row in here):
            group = {row.path: row.group for row in here}
            links = [(group[first], group[second]) for first, second in pairs if first in group and second in group]
            train = [row for row in here if row.split == "train"]
            carved = assign_splits(train, val_share=val_share, seed=seed, links=links)
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
