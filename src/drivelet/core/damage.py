"""One rule for a damaged item of a long job: leave it out, name it, count it and go on; or stop where asked to."""

from collections.abc import Sequence
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.images import read_image
from drivelet.core.manifest import Row
from drivelet.core.progress import say, track

SHOWN = 20
"""So many are named at the terminal; all are counted."""


class LeftOut:
    """Counts what is left out and names it as it comes.

    Args:
        strict: the first one is an error instead.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict, self.count, self.first = strict, 0, ""

    def add(self, error: InputError) -> None:
        """Leave out what an error speaks of.

        Raises:
            InputError: that error, where `strict`.
        """
        if self.strict:
            raise error
        self.note(str(error))

    def note(self, reason: str) -> None:
        """Count and name one; `reason` starts with what it is."""
        self.first = self.first or reason
        self.count += 1
        if self.count <= SHOWN:
            say(f"left out: {reason}")
        if self.count == SHOWN:
            say("further ones are counted, not named")


def readable_rows(rows: Sequence[Row], *, strict: bool = False, where: Path | str) -> list[Row]:
    """Return the rows whose image can be read; the others are named and counted.

    Args:
        rows: of a manifest; each image is read once.
        strict: the first image that cannot be read is an error.
        where: what the rows come from.

    Raises:
        InputError: no image can be read, or one where `strict`.
    """
    left_out = LeftOut(strict=strict)
    paths = list(dict.fromkeys(row.path for row in rows))
    damaged = {path for path in track(paths, total=len(paths), what="reading images") if _is_damaged(path, left_out)}
    if not damaged:
        return list(rows)
    kept = [row for row in rows if row.path not in damaged]
    if not kept:
        raise InputError(f"{where}: none of its {len(paths)} images can be read; the first: {left_out.first}")
    lost = len(rows) - len(kept)
    say(f"{where}: {len(damaged)} of {len(paths)} images cannot be read; their {lost} rows are left out")
    return kept


def _is_damaged(path: str, left_out: LeftOut) -> bool:
    try:
        read_image(path)
    except InputError as error:
        left_out.add(error)
        return True
    return False
