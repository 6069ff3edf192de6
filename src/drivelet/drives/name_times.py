"""The times that the names of images bear: dates, times since 1970 in any unit, seconds.

A number is a time only where it makes a plausible date; a form counts only where it fits most names and tells them
apart, so that the day of a recording beside a running number is not taken for the time of every image.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from statistics import median

SECOND = 10**9
DAY = 86_400 * SECOND
PLAUSIBLE_S = (946_684_800, 4_102_444_800)
"""The years 2000 to 2099; no number is such a date in two units."""
UNITS = {"s": SECOND, "ms": 10**6, "us": 10**3, "ns": 1}
"""Unit -> nanoseconds."""
DATE = r"(20\d\d)[-_.:/]?(\d\d)[-_.:/]?(\d\d)[-_. T]{0,2}(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)"

Time = int | None
Form = tuple[str, Callable[[str], Time], Callable[[str], Time]]
"""(what it is called, name -> nanoseconds, name -> the part that may be a running number)."""


def date_ns(text: str) -> Time:
    """Return the nanoseconds since 1970 of a date with its time of day, wherever it stands in a text."""
    return _date(text, rf"(?<!\d){DATE}(?:[.,]?(\d{{1,9}}))?(?!\d)")


def name_times(names: Sequence[str]) -> tuple[str, list[Time]] | None:
    """Return (what was found, nanoseconds of every name); None where the names bear no times.

    Args:
        names: in their natural order, without suffix. A name that lacks what most others have gets None.
    """
    found: list[tuple[int, str, list[Time]]] = []
    for form, read, counter in FORMS:
        times = [read(name) for name in names]
        known = [time for time in times if time is not None]
        if _fits(known, len(names)) and not _counts([counter(name) for name in names]):
            found.append((len(set(known)), form, times))
    if not found:
        return None
    # Of equally telling forms the first is the finest.
    _, form, times = max(found, key=lambda item: item[0])
    return form, times


def number_ns(text: str) -> Decimal | None:
    """Return a finite number as it stands, None for anything else."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < 10**30 else None


def unit_of(numbers: Sequence[Decimal]) -> tuple[int, str]:
    """Return the nanoseconds of one unit of a list of times, and what was guessed (empty where nothing was).

    Dates tell the unit; numbers with decimals are seconds; of whole numbers the step between images does, which lies
    between 2 ms and 2 s in one unit only.
    """
    middle = median(numbers)
    for ns in UNITS.values():
        if PLAUSIBLE_S[0] <= middle * ns / SECOND < PLAUSIBLE_S[1]:
            return ns, ""
    if any(number != int(number) for number in numbers):
        return SECOND, ""
    steps = [late - early for early, late in pairwise(sorted(set(numbers)))]
    step = median(steps) if steps else Decimal(1)
    unit = next((name for name, ns in UNITS.items() if 2 * 10**6 <= step * ns < 2 * SECOND), "s")
    return UNITS[unit], f"whole numbers are taken as {unit}"


def spread(times: Sequence[Time]) -> list[Time]:
    """Return the times of images whose names tell whole seconds only: evenly over the time to the next one given.

    The first and the last second may be cut: their images are as far apart as those of the second beside them.
    """
    order = sorted((time, place) for place, time in enumerate(times) if time is not None)
    counts = Counter(time for time, _ in order)
    starts = sorted(counts)
    steps = [(late - early) // counts[early] for early, late in pairwise(starts)]
    steps = [steps[min(1, len(steps) - 1)], *steps[1:], steps[-1]]
    even: list[int] = []
    for number, (start, step) in enumerate(zip(starts, steps, strict=True)):
        first = starts[1] - step * counts[start] if number == 0 else start
        even += [first + place * step for place in range(counts[start])]
    spaced = list(times)
    for (_, place), time in zip(order, even, strict=True):
        spaced[place] = time
    return spaced


def _fits(known: Sequence[int], count: int) -> bool:
    if 2 * len(known) < count or not known or (count > 1 and len(set(known)) < 2):
        return False
    middle = sorted(known)[len(known) // 2]
    return sum(abs(time - middle) <= DAY for time in known) >= 0.9 * len(known)


def _counts(numbers: Sequence[Time]) -> bool:
    """Return whether these are a running number, which no fraction of a second is."""
    known = [number for number in numbers if number is not None]
    rises = [late - early for early, late in pairwise(known) if late > early]
    return bool(rises) and all(rise == 1 for rise in rises)


def _date(text: str, pattern: str) -> Time:
    for found in re.finditer(pattern, text):
        try:
            second = datetime(*(int(part) for part in found.groups()[:6]), tzinfo=UTC)  # type: ignore[arg-type]
        except ValueError:
            continue
        return int(second.timestamp()) * SECOND + _fraction(found[7])
    return None


def _fraction(digits: str | None) -> int:
    return int((digits or "0").ljust(9, "0"))


def _parted_date(name: str) -> Time:
    return _date(name, PARTED_DATE)


def _since_1970(name: str) -> Time:
    for digits in re.findall(r"(?<!\d)(?:\d{19}|\d{16}|\d{13}|\d{10})(?!\d)", name):
        ns = int(digits) * 10 ** (19 - len(digits))
        if PLAUSIBLE_S[0] <= ns // SECOND < PLAUSIBLE_S[1]:
            return ns
    return None


def _parted_seconds(name: str) -> Time:
    found = re.search(PARTED_SECONDS, name)
    if not found or not PLAUSIBLE_S[0] <= int(found[1]) < PLAUSIBLE_S[1]:
        return None
    return int(found[1]) * SECOND + _fraction(found[2] or found[3])


def _seconds(name: str) -> Time:
    return int(Decimal(name) * SECOND) if re.fullmatch(r"\d{1,9}\.\d+", name) else None


def _no_counter(name: str) -> Time:
    return None


def _part(pattern: str, group: int) -> Callable[[str], Time]:
    def part(name: str) -> Time:
        found = re.search(pattern, name)
        return int(found[group]) if found and found[group] else None

    return part


PARTED_DATE = rf"(?<!\d){DATE}[-_](\d{{9}}|\d{{6}}|\d{{3}})(?!\d)"
PARTED_SECONDS = r"(?<!\d)(\d{10})(?:\.(\d{1,9})|_(\d{9}|\d{6}|\d{3}))(?!\d)"
FORMS: tuple[Form, ...] = (
    ("seconds and fractions since 1970", _parted_seconds, _part(PARTED_SECONDS, 3)),
    ("times since 1970", _since_1970, _no_counter),
    ("dates and fractions of a second", _parted_date, _part(PARTED_DATE, 7)),
    ("dates", date_ns, _no_counter),
    ("seconds", _seconds, _no_counter),
)
