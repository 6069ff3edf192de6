"""JSON tables (a list of objects), a row at a time: those of a whole data set are larger than a machine's memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drivelet.core.errors import InputError

BLOCK = 1 << 20
LARGEST_ROW = 64 << 20
"""Characters of one row; more is no row of a table."""

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON table in constant memory.

    Raises:
        InputError: the table is missing, or no list of objects.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: no file (a folder, pipe or device); copy the tables again")
    try:
        with path.open(encoding="utf-8") as stream:
            yield from _objects(stream)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; copy the tables again") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{path}: no readable table ({reason}); copy the tables again") from error


def _objects(stream: Any) -> Iterator[Row]:
    decoder = json.JSONDecoder()
    text = stream.read(BLOCK).lstrip()
    if not text.startswith("["):
        raise ValueError("it is no list")
    text = text[1:]
    while True:
        text = text.lstrip().removeprefix(",").lstrip()
        if text.startswith("]"):
            return
        try:
            row, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            more = stream.read(max(BLOCK, len(text)))
            if not more:
                raise
            if len(text) > LARGEST_ROW:
                raise ValueError(f"a row of more than {LARGEST_ROW >> 20} MiB") from None
            text += more
            continue
        if not isinstance(row, dict):
            raise ValueError(f"it holds {row!r:.40} where an object should be")
        yield row
        text = text[end:]
