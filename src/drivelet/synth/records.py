"""Reading finished scene records back from render folders."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drivelet.core.errors import InputError

TABLE = "scenes.jsonl"
NEEDED = {"image", "objects", "size"}


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the finished scene records of one render folder or drive.

    Raises:
        InputError: a line is no record.
    """
    path = folder / TABLE
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or not record.keys() >= NEEDED:
                raise InputError(f"{path} line {number}: no finished scene record; render into this folder again")
            yield record


def rendered_frames(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (image file, finished scene record) of a render folder, or of all drives in it.

    Raises:
        InputError: there are none, or a line is no record.
    """
    tables = sorted(folder.rglob(TABLE))
    if not tables:
        raise InputError(f"{folder}: no rendered frames ({TABLE}); run `drivelet render --out {folder}` first")
    for table in tables:
        for record in read_records(table.parent):
            yield table.parent / record["image"], record
