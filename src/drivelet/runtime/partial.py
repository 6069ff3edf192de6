"""A predictions file on its way: lines kept as they come, gone on with by a second call, whole when it is done."""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.flow import write_json
from drivelet.core.progress import say

SKIPPED = "skipped"
"""Key of a line that stands for a picture without an answer; it is not in the finished file."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image to answer: its path as given, its frame number in a video (None for a still), and the fields to ask."""

    path: str
    frame: int | None
    fields: tuple[str, ...]
    read: Callable[[], ImageArray]
    sensor: str = ""


class Partial:
    """Lines so far of `out`, in `out.partial`; all lines of a picture lie together, in the order of the pictures.

    Attributes:
        images: pictures answered.
        skipped: pictures that could not be read, and the reason of the first.
        ms: milliseconds of all forwards.
    """

    def __init__(self, out: Path, stream: IO[bytes]) -> None:
        self._out, self._stream = out, stream
        self.images = self.skipped = 0
        self.ms, self.first_skipped = 0.0, ""
        self._last: tuple[object, str] | None = None

    def left(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the pictures that have no lines yet, in order; a picture whose lines are not all there is done anew."""
        rest = iter(pictures)
        for picture in rest:
            whole = self._stream.tell()
            if not self._has(picture):
                self._stream.seek(whole)
                self._stream.truncate()
                if self.images:
                    say(f"{self._out}: going on after {self.images} pictures")
                yield picture
                break
        yield from rest

    def _has(self, picture: Picture) -> bool:
        found: list[dict[str, Any]] = []
        for field in picture.fields:
            line = _read_line(self._stream)
            if line is None or (line["image"], line["frame"]) != (picture.path, picture.frame):
                return False
            found.append(line)
            if SKIPPED in line:
                break
            if line["task"] != field:
                return False
        for line in found:
            self._count(line)
        return bool(found)

    def write(self, line: Mapping[str, Any]) -> None:
        """Keep a line, for other programs to see at once."""
        self._stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._stream.flush()
        self._count(line)

    def _count(self, line: Mapping[str, Any]) -> None:
        if SKIPPED in line:
            self.skipped += 1
            self.first_skipped = self.first_skipped or str(line[SKIPPED])
            return
        picture = (line["image"], line["frame"])
        # A picture's first field comes round again where the next picture bears the same name.
        if self._last is None or self._last[0] != picture or self._last[1] == line["task"]:
            self._last = (picture, line["task"])
            self.images += 1
            self.ms += line["ms"]

    def discard(self) -> None:
        """Remove what there is of it."""
        Path(self._stream.name).unlink()
        _note_path(self._out).unlink(missing_ok=True)

    def finish(self) -> None:
        """Put the finished file in place, without the lines of skipped pictures."""
        part = Path(self._stream.name)
        if self.skipped:
            answers = part.with_suffix(".answers")
            self._stream.seek(0)
            with answers.open("wb") as kept:
                kept.writelines(line for line in self._stream if SKIPPED not in json.loads(line))
                _to_disk(kept)
            part.unlink()
            answers.replace(self._out)
        else:
            _to_disk(self._stream)
            part.replace(self._out)
        _note_path(self._out).unlink(missing_ok=True)


@contextmanager
def open_partial(out: Path, identity: str) -> Iterator[Partial]:
    """Open `out.partial`: with the lines of an interrupted call of the same identity, empty otherwise.

    Raises:
        InputError: another process writes it.
    """
    part, note = out.with_name(out.name + ".partial"), _note_path(out)
    with part.open("a+b") as appended:
        try:
            fcntl.flock(appended, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Since it was opened, another process may have finished it and put it in its place.
            if os.fstat(appended.fileno()).st_ino != part.stat().st_ino:
                raise FileNotFoundError
        except OSError as error:
            raise InputError(f"{out}: another process is writing it; wait for it, or give another --out") from error
        # Not the one opened for appending: that writes at the end wherever it is told to stand.
        with part.open("r+b") as stream:
            if not identity or _noted(note) != identity:
                stream.truncate()
                write_json(note, {"identity": identity})
            yield Partial(out, stream)


def _note_path(out: Path) -> Path:
    return out.with_name(out.name + ".partial.json")


def _noted(note: Path) -> str:
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["identity"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _read_line(stream: IO[bytes]) -> dict[str, Any] | None:
    """Return the next whole line; None where there is none, or a crash spoilt it."""
    raw = stream.readline()
    try:
        line = json.loads(raw) if raw.endswith(b"\n") else None
    except ValueError:
        return None
    known = isinstance(line, dict) and {"image", "frame"} <= line.keys() and ({SKIPPED, "task"} & line.keys())
    return line if known else None


def _to_disk(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
