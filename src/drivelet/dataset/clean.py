"""Cleaning: unfit images, duplicates and contradictions leave, each with its reason."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drivelet.core.artifacts import Field
from drivelet.core.manifest import SPLITS, Row
from drivelet.dataset.duplicates import near_duplicates
from drivelet.dataset.looks import Look, LookConfig

PRIORITY = {"test": 0, "val": 1, "train": 2}


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A row that left, the stage and reason, and what it lost against (`detail`: a path, a threshold)."""

    row: Row
    stage: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The rows that stay and the rows that left; together they are the rows that came."""

    rows: list[Row]
    rejected: list[Rejection]


def clean_rows(
    rows: Sequence[Row], *, looks: Mapping[str, Look], fields: Mapping[str, Field], config: LookConfig | None = None
) -> Cleaned:
    """Remove unfit images, exact and near-duplicates, and contradicting labels.

    Test rows stay as they were given unless the file is unreadable: a test set is scored whole. An image that shows
    the same picture as a test image leaves val and train, and one that shows the same as a val image leaves train.
    Inside one split, an exact copy hands its labels to the first copy, and of near-duplicates that agree on every
    shared field the first one stays. First is the image of the surest label, then that of the smaller name: the order
    of `rows` decides nothing but the order of what stays, and what was cleaned is clean.

    Args:
        rows: the rows, image paths as keys of `looks`.
        looks: fingerprints of every image.
        fields: every field by name; labels are compared by the fine answers that they allow.
        config: thresholds of the near-duplicate search.
    """
    rejected: list[Rejection] = []
    kept = _fit(sorted(rows, key=_rank), looks, rejected)
    kept = sorted(_without_copies(kept, looks, fields, rejected), key=_rank)
    kept = _without_near(kept, looks, fields, config or LookConfig(), rejected)
    return Cleaned(rows=_in_order(kept, rows), rejected=rejected)


def _rank(row: Row) -> tuple[int, float, tuple[str, ...], tuple[str, ...]]:
    """Order rows by split, sureness and name: folder and file first, so that it does not matter where sources lie."""
    rest = (row.path, row.task, row.label, row.group, row.boxes, row.sensor, row.source, row.trust, row.licence)
    return PRIORITY[row.split], -row.weight, Path(row.path).parts[-2:], rest


def _fit(rows: Iterable[Row], looks: Mapping[str, Look], rejected: list[Rejection]) -> list[Row]:
    kept: list[Row] = []
    for row in rows:
        look = looks[row.path]
        if look.flaw and (row.split != "test" or not look.pixels):
            rejected.append(Rejection(row=row, stage="quality", reason=look.flaw))
        else:
            kept.append(row)
    return kept


def _without_copies(
    rows: Sequence[Row], looks: Mapping[str, Look], fields: Mapping[str, Field], rejected: list[Rejection]
) -> list[Row]:
    """Exact copies: the strictest split owns the picture; its first file takes over the labels of the others."""
    owner: dict[str, Row] = {}
    for row in rows:
        owner.setdefault(looks[row.path].pixels, row)
    shelves: dict[tuple[str, str], list[Row]] = defaultdict(list)
    kept: list[Row] = []
    for row in rows:
        first = owner[looks[row.path].pixels]
        if row.split == "test":
            kept.append(row)
        elif row.split != first.split:
            reason = f"same pixels as a {first.split} image"
            rejected.append(Rejection(row=row, stage="duplicate", reason=reason, detail=first.path))
        else:
            shelves[first.path, row.task].append(row)
    for (path, _), shelf in shelves.items():
        kept.extend(_one_label(path, owner[looks[path].pixels].group, shelf, fields, rejected))
    return kept


def _one_label(
    path: str, group: str, shelf: Sequence[Row], fields: Mapping[str, Field], rejected: list[Rejection]
) -> list[Row]:
    """Several rows on one picture and field: the surest and finest stays; equally sure contradictions all leave."""
    best = min(shelf, key=lambda row: (-row.weight, len(_allowed(row, fields))))
    rivals = [row for row in shelf if row.weight == best.weight and not _agree(row, best, fields)]
    if rivals:
        rejected.extend(Rejection(row=row, stage="label", reason="contradicting labels", detail=path) for row in shelf)
        return []
    others = [row for row in shelf if row is not best]
    rejected.extend(Rejection(row=row, stage="duplicate", reason="exact duplicate", detail=path) for row in others)
    return [replace(best, path=path, group=group)]


def _without_near(
    rows: Sequence[Row],
    looks: Mapping[str, Look],
    fields: Mapping[str, Field],
    config: LookConfig,
    rejected: list[Rejection],
) -> list[Row]:
    of_path: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_path[row.path].append(row)
    neighbours: dict[str, list[str]] = defaultdict(list)
    for first, second in near_duplicates({path: looks[path] for path in of_path}, config):
        neighbours[first].append(second)
        neighbours[second].append(first)
    gone: dict[str, str] = {}
    settled: set[str] = set()
    for split in sorted(SPLITS, key=PRIORITY.__getitem__):
        for path in [path for path, items in of_path.items() if items[0].split == split]:
            rival = _rival(path, split, neighbours[path], settled, of_path, fields)
            if rival is None:
                settled.add(path)
            else:
                gone[path] = rival
    for path, rival in gone.items():
        split = of_path[rival][0].split
        reason = "near-duplicate" if split == of_path[path][0].split else f"near-duplicate of a {split} image"
        rejected.extend(Rejection(row=row, stage="duplicate", reason=reason, detail=rival) for row in of_path[path])
    return [row for row in rows if row.path not in gone]


def _rival(
    path: str,
    split: str,
    neighbours: Iterable[str],
    settled: set[str],
    of_path: Mapping[str, Sequence[Row]],
    fields: Mapping[str, Field],
) -> str | None:
    """The settled image that this one must give way to, a stricter split's before its own split's."""
    if split == "test":
        return None
    near = sorted((other for other in neighbours if other in settled), key=lambda o: PRIORITY[of_path[o][0].split])
    for other in near:
        if of_path[other][0].split != split or _same_labels(of_path[path], of_path[other], fields):
            return other
    return None


def _same_labels(rows: Sequence[Row], others: Sequence[Row], fields: Mapping[str, Field]) -> bool:
    """Whether `others` already say everything that `rows` say: every field is there, and none disagrees."""
    known = {row.task: row for row in others}
    return all(row.task in known and _agree(row, known[row.task], fields) for row in rows)


def _allowed(row: Row, fields: Mapping[str, Field]) -> frozenset[str]:
    return fields[row.task].parse(row.label)


def _agree(row: Row, other: Row, fields: Mapping[str, Field]) -> bool:
    return bool(_allowed(row, fields) & _allowed(other, fields))


def _in_order(kept: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The kept rows in the order in which their pictures, and on one picture their fields, came."""
    paths: dict[str, int] = {}
    fields: dict[str, int] = {}
    for row in rows:
        paths.setdefault(row.path, len(paths))
        fields.setdefault(row.task, len(fields))
    return sorted(kept, key=lambda row: (paths[row.path], fields[row.task]))
