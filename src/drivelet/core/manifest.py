"""Image manifests: the CSV that every room can read and a person can open."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from drivelet.core.artifacts import Field
from drivelet.core.errors import InputError
from drivelet.core.outside import check_file, short

SPLITS = ("train", "val", "test")
REQUIRED = ("path", "task", "label", "split", "group")
LONGEST = {"path": 4096, "group": 4096, "source": 4096, "licence": 4096, "boxes": 100_000, "sensor": 1000}
"""Most characters of a cell (others 200): a model reads `sensor` with every picture, in memory that grows squared."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled image and field.

    Attributes:
        path: the image, absolute once read.
        task: a field name, or empty: the image is asked for every field.
        label: an answer of the field or a coarser value that the field's `parse` knows.
        split: train, val or test.
        group: what must not be split (a drive, a physical sign, a scene).
        boxes: JSON list of [x0, y0, x1, y1] in pixels or of [name, cx, cy, width, height] in shares of the image
            (YOLO's order), or empty; other forms are carried along and not used.
        trust: high, medium or low; a word for people.
        weight: sampling and loss weight of the row (a pseudo-label's probability), in (0, 1].
        sensor: what the car's sensors say, as text, or empty.
    """

    path: str
    task: str
    label: str
    split: str
    group: str
    boxes: str = ""
    trust: str = ""
    source: str = ""
    licence: str = ""
    weight: float = 1.0
    sensor: str = ""


COLUMNS = tuple(f.name for f in fields(Row))


def read_manifest(path: Path, *, tasks: Mapping[str, Field], need_labels: bool = True) -> list[Row]:
    """Read and check an image manifest.

    Args:
        path: the CSV; paths inside it are relative to its folder, or absolute.
        tasks: every field by name.
        need_labels: False allows empty `task` and `label` (prediction).

    Raises:
        InputError: missing file, wrong header, a cell that is too long, unknown task, label outside its set, missing
            image, or a group that crosses splits.
    """
    if not path.exists():
        raise InputError(f"{path}: no such manifest; give a CSV with the columns {','.join(REQUIRED)}")
    check_file(path, remedy=f"give a CSV with the columns {','.join(REQUIRED)}")
    try:
        rows = [_row(path, number, cells, tasks, need_labels) for number, cells in _lines(path)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no readable CSV ({error}); expected {','.join(REQUIRED)}") from error
    if not rows:
        raise InputError(f"{path}: the manifest has no rows; add at least one image")
    check_groups(rows, where=str(path))
    return rows


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: header lacks {', '.join(missing)}; expected {','.join(REQUIRED)}")
        for cells in reader:
            yield reader.line_num, cells


def _row(path: Path, number: int, cells: Mapping[str, str | None], tasks: Mapping[str, Field], strict: bool) -> Row:
    where = f"{path} line {number}"
    values = {name: (cells.get(name) or "").strip() for name in COLUMNS}
    for name, text in values.items():
        most = LONGEST.get(name, 200)
        if len(text) > most:
            raise InputError(f"{where}: {name} has {len(text)} characters, at most {most} are read; shorten it")
    image = path.parent / values["path"]
    if not values["path"] or not _is_file(image):
        raise InputError(f"{where}: image {values['path'][:200] or '(empty)'} does not exist; correct `path`")
    if values["split"] not in SPLITS and (strict or values["split"]):
        raise InputError(f"{where}: split {short(values['split'])!r} is none of {', '.join(SPLITS)}")
    if values["task"] or strict:
        if values["task"] not in tasks:
            raise InputError(f"{where}: task {short(values['task'])!r} is none of {', '.join(tasks)}")
        if (values["label"] or strict) and not tasks[values["task"]].parse(values["label"]):
            raise InputError(f"{where}: label {short(values['label'])!r} is outside the set of {values['task']}")
    weight = _weight(values.pop("weight"), where)
    return Row(**{**values, "path": os.path.normpath(image.absolute())}, weight=weight)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _weight(text: str, where: str) -> float:
    try:
        weight = float(text or 1.0)
    except ValueError:
        weight = -1.0
    if not 0 < weight <= 1:
        raise InputError(f"{where}: weight {short(text)!r} is no number in (0, 1]")
    return weight


def check_groups(rows: Iterable[Row], *, where: str) -> None:
    """Raise InputError where one group stands in two splits."""
    seen: dict[str, str] = {}
    for row in rows:
        if row.group and seen.setdefault(row.group, row.split) != row.split:
            raise InputError(
                f"{where}: group {row.group!r} stands in {seen[row.group]} and in {row.split}; keep it in one split"
            )


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write rows with image paths relative to the manifest's folder where they lie inside it, else absolute."""
    folder = path.parent.absolute()
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(asdict(replace(row, path=_relative(row.path, folder))))
    partial.replace(path)


def _relative(image: str, folder: Path) -> str:
    path = Path(image)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
