"""Where a command may write: never over an input, a device, or what another program wrote."""

import errno
import json
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drivelet.core.errors import InputError

OTHER = "choose another --out"


def check_place(out: Path, inputs: Iterable[Path], *, is_file: bool) -> None:
    """Refuse an output before any work is done for it.

    Args:
        out: the folder or file that a command will write.
        inputs: what it reads; such as do not exist are passed over.
        is_file: whether a file of JSON lines is written, or a folder.

    Raises:
        InputError: the place is empty, a device or a pipe, of the other kind, out of reach, an input, or a file that is
            no earlier output.
    """
    if out == Path() and is_file:
        raise InputError(f"--out {out}: a folder; give the name of a file")
    found = _stat(out)
    if found is not None and not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        raise InputError(f"{out}: a device, a pipe or a socket; {OTHER}")
    if found is not None and stat.S_ISDIR(found.st_mode) == is_file:
        kinds = ("folder", "file") if is_file else ("file", "folder")
        raise InputError(f"{out}: a {kinds[0]}, where a {kinds[1]} is to be written; {OTHER}")
    for given in inputs:
        _check_input(out, given)
    if found is not None and is_file and found.st_size:
        _check_lines(out)
    _check_reach(out)


def check_once(given: Iterable[str]) -> None:
    """Refuse what is given twice: what it holds would count twice.

    Raises:
        InputError: it is, also where it is spelt in two ways.
    """
    seen: dict[str, str] = {}
    for text in given:
        place = str(Path(text).resolve()) if Path(text).exists() else text
        if place in seen:
            raise InputError(f"{text}: given twice; leave one out")
        seen[place] = text


def _stat(out: Path) -> Any:
    """Return what stands at a place, None where nothing does."""
    try:
        return out.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{str(out)[:200]}: {error.strerror}; {OTHER}") from error


def _check_input(out: Path, given: Path) -> None:
    if not (given.exists() and out.exists()):
        return
    if out.samefile(given):
        raise InputError(f"{out}: this is an input, which would be written over; {OTHER}")
    inside = given.resolve()
    if not inside.is_relative_to(out.resolve()):
        return
    place = str(inside.relative_to(out.resolve()))
    if any(Path(name).is_relative_to(place) for name in _written_before(out)):
        raise InputError(f"{given}: this input was written into {out}, and would be written over; {OTHER}")


def _written_before(out: Path) -> list[str]:
    """Return the files that an earlier command wrote, as its `run.json` tells."""
    try:
        return list(json.loads((out / "run.json").read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _check_lines(out: Path) -> None:
    """Replace a file only where its first line is a record, as every earlier output's is."""
    with out.open("rb") as stream:
        line = stream.readline(2**20)
    try:
        known = isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        known = False
    if not known:
        raise InputError(f"{out}: it exists and holds no JSON lines; remove it, or {OTHER}")


def _check_reach(out: Path) -> None:
    """See to it that something can be written there, and leave nothing behind."""
    standing = next(parent for parent in out.absolute().parents if parent.exists())
    folder = out if out.is_dir() else standing
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{out}: nothing can be written in {folder} ({error.strerror}); {OTHER}") from error
