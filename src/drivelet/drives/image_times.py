"""When the images of a folder were taken: by a list beside them or one folder above, else by their names."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.drives.name_times import SECOND, Time, date_ns, name_times, number_ns, spread, unit_of
from drivelet.drives.reading import read_bytes

TIMES = "times.csv"
LISTS = (TIMES, "timestamps.txt", "times.txt")
"""Files that list times; the first is ours: `file,timestamp_s`."""
SET = f"write {TIMES} (file,timestamp_s) to set others"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The nanoseconds of every image (None where it has no time; empty where nothing tells times), and what was taken
    for granted about them.

    `in_order` tells that the images' own order is that of their times, so that a time that falls back is damage.
    """

    times: list[Time]
    assumed: tuple[str, ...] = ()
    in_order: bool = False


def find_times(folder: Path, files: Sequence[Path]) -> Taken:
    """Return when images were taken, without times where nothing tells it.

    Raises:
        InputError: `times.csv` among the images lacks a column, or has no time for any of them.
    """
    passed: list[str] = []
    for place in (folder, folder.parent):
        for name in LISTS:
            path = place / name
            if not path.is_file():
                continue
            ours = name == TIMES
            found = _from_csv(path, files) if ours else _from_lines(path, files)
            if isinstance(found, Taken):
                return found
            if ours and place == folder:
                raise InputError(f"{path}: {found}")
            passed.append(f"{path.name} is not used: {found}")
    taken = _from_names(files)
    return Taken(times=taken.times, assumed=(*passed, *taken.assumed))


def _from_csv(path: Path, files: Sequence[Path]) -> Taken | str:
    rows = [[cell.strip() for cell in row] for row in csv.reader(_lines(path))]
    header = rows[0] if rows else []
    if not {"file", "timestamp_s"} <= set(header):
        return "its header must be file,timestamp_s; correct it"
    places = header.index("file"), header.index("timestamp_s")
    numbers = {
        Path(row[places[0]]).name: number
        for row in rows[1:]
        if len(row) > max(places) and (number := number_ns(row[places[1]])) is not None
    }
    listed = [numbers.get(file.name) for file in files]
    known = [number for number in listed if number is not None]
    if not known:
        return "it has no time for any of the images; add a row with file,timestamp_s for each"
    unit, guessed = unit_of(known)
    # The header says seconds: only dates say otherwise.
    unit = SECOND if guessed else unit
    said = () if unit == SECOND else (f"timestamp_s of {path.name} is no number of seconds but a date in a finer unit",)
    return Taken(times=[None if n is None else int(n * unit) for n in listed], assumed=said)


def _from_lines(path: Path, files: Sequence[Path]) -> Taken | str:
    lines = [line for line in _lines(path) if not line.lstrip().startswith("#")]
    if lines and _value(lines[0]) is None and any(_value(line) is not None for line in lines[1:]):
        lines = lines[1:] if re.search(r"[A-Za-z]", lines[0]) and not _named(lines[:1], files) else lines
    named = _named(lines, files)
    if named:
        texts = [named.get(file.name, "") for file in files]
        order = ""
    elif len(lines) == len(files):
        texts, order = lines, f"the lines of {path.name} are the times of the images in order; {SET}"
    elif (texts := _by_number(lines, files)) is not None:
        order = f"line n of {path.name} is the time of image n, counted from 0 as in its name; {SET}"
    else:
        return f"it has {len(lines)} lines for {len(files)} images; write {TIMES} (file,timestamp_s)"
    values = [_value(text) for text in texts]
    numbers = [value for value in values if isinstance(value, Decimal)]
    unit, guessed = unit_of(numbers) if numbers else (SECOND, "")
    times = [int(value * unit) if isinstance(value, Decimal) else value for value in values]
    if all(time is None for time in times):
        return f"no line is a time; write {TIMES} (file,timestamp_s)"
    said = tuple(part for part in (order, f"{guessed} in {path.name}; {SET}" if guessed else "") if part)
    return Taken(times=times, assumed=said, in_order=bool(order))


def _lines(path: Path) -> list[str]:
    return read_bytes(path).decode("utf-8-sig", "replace").rstrip().splitlines()


def _value(text: str) -> int | Decimal | None:
    """Return a date in nanoseconds, or a number in a unit yet unknown; of two numbers the second is the time."""
    if (date := date_ns(text)) is not None:
        return date
    words = re.split(r"[,;\s]+", text.strip())
    return number_ns(words[-1]) if len(words) <= 2 else None


def _named(lines: Sequence[str], files: Sequence[Path]) -> dict[str, str]:
    """Return the rest of every line that names an image."""
    names = {file.name: file.name for file in files}
    found: dict[str, str] = {}
    for line in lines:
        words = [word.strip('"') for word in re.split(r"[,;\s]+", line.strip())]
        name = next((names[Path(word).name] for word in words if Path(word).name in names), None)
        if name:
            found.setdefault(name, " ".join(word for word in words if Path(word).name != name))
    return found


def _by_number(lines: Sequence[str], files: Sequence[Path]) -> list[str] | None:
    """Return the line of every image by the number that is its name: images or lines may be missing."""
    numbers = [int(file.stem) if file.stem.isdecimal() else len(lines) for file in files]
    texts = [lines[number] if number < len(lines) else "" for number in numbers]
    return texts if 2 * sum(number < len(lines) for number in numbers) >= len(files) else None


def _from_names(files: Sequence[Path]) -> Taken:
    found = name_times([file.stem for file in files])
    if found is None:
        return Taken(times=[])
    form, times = found
    said = f"names are read as {form}; {SET}"
    known = [time for time in times if time is not None]
    if len(set(known)) < 0.9 * len(known) and all(time % SECOND == 0 for time in known):
        times = spread(times)
        said = f"names are read as {form} of whole seconds, several images in each spread evenly; {SET}"
    return Taken(times=times, assumed=(said,))
