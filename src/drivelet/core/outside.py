"""Files from outside: read within bounds, parsed by a type, refused in one line that says where and what is wrong."""

import stat
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from drivelet.core.errors import InputError

LARGEST = 256 * 2**20
"""Bytes of a file that is read whole: a prompt library has kilobytes, the labels of an hour have megabytes."""

LONGEST = 16 * 2**20
"""Bytes of one line of a table; a scene of a crowded street has a tenth of a megabyte."""


def check_file(path: Path, *, remedy: str) -> int:
    """Return the size of an ordinary file in bytes.

    Args:
        path: the file.
        remedy: what to do where it is none, the end of the error's line.

    Raises:
        InputError: it is missing or out of reach, a folder, a device or a pipe (reading from these may never end).
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {remedy}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', '') or error}; {remedy}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: no ordinary file; {remedy}")
    return found.st_size


def read_bytes(path: Path, *, remedy: str) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: as `check_file`, or it has more than `LARGEST` bytes.
    """
    size = check_file(path, remedy=remedy)
    if size > LARGEST:
        raise InputError(f"{path}: {size / 2**20:.0f} MiB, more than {LARGEST // 2**20} are not read; {remedy}")
    return path.read_bytes()


def read_lines(path: Path, *, remedy: str) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line with its end), one at a time.

    Raises:
        InputError: as `check_file`, or a line has more than `LONGEST` bytes.
    """
    check_file(path, remedy=remedy)
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise InputError(f"{path} line {number}: more than {LONGEST // 2**20} MiB are not read; {remedy}")
            yield number, line


def read_text(path: Path, *, remedy: str) -> str:
    """Return a file's text, which is UTF-8 with or without a byte order mark.

    Raises:
        InputError: as `read_bytes`, or the file is no UTF-8.
    """
    try:
        return read_bytes(path, remedy=remedy).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text in UTF-8 (byte {error.start}); {remedy}") from error


def read_as(path: Path, kind: Any, *, remedy: str) -> Any:
    """Return the JSON of a file as a `kind`: a pydantic model, a dataclass, or any annotation.

    Raises:
        InputError: as `read_text`, or the file holds something else; names the place in it.
    """
    return parse_as(read_text(path, remedy=remedy), kind, where=str(path), remedy=remedy)


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def parse_as(text: str | bytes, kind: Any, *, where: str, remedy: str, unnamed: Collection[str] = ()) -> Any:
    """Return a JSON text as a `kind`.

    Args:
        text: the JSON.
        kind: a pydantic model, a dataclass, or any annotation.
        where: its file, and its line where it has many.
        remedy: what to do where it is something else.
        unnamed: steps of a place that are no keys of the file (tags of a union).

    Raises:
        InputError: it is no JSON or something else; names the place in it.
    """
    try:
        return _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        _refuse(error, where, remedy, unnamed)


def short(text: str, most: int = 40) -> str:
    """Return what a file or a person says, cut to what a line can show and quoted where it needs that."""
    cut = text if len(text) <= most else text[:most] + "…"
    return cut if cut.isprintable() else repr(cut)


def _refuse(error: ValidationError, where: str, remedy: str, unnamed: Collection[str]) -> NoReturn:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in first["loc"] if step not in unnamed)[:80]
    raise InputError(f"{where}: {place + ': ' if place else ''}{words(first)}; {remedy}") from error


def words(error: ErrorDetails) -> str:
    """Return what pydantic found wrong, as this program puts it."""
    bounds = {"greater_than_equal": ("at least", "ge"), "greater_than": ("more than", "gt"),
              "less_than_equal": ("at most", "le"), "less_than": ("less than", "lt")}  # fmt: skip
    context = error.get("ctx", {})
    if error["type"] == "json_invalid":
        return f"no JSON ({context['error']})"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] in bounds:
        word, limit = bounds[error["type"]]
        bound = context[limit]
        return f"must be {word} {int(bound) if bound == int(bound) else bound:,}"
    plain = {"Input should be": "must be", "should have": "must have", "Value error, ": ""}
    message = error["msg"]
    for theirs, ours in plain.items():
        message = message.replace(theirs, ours)
    return message
