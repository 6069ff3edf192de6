"""Sensor CSVs: their columns as streams, whatever their units and rates."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivelet.core.errors import InputError
from drivelet.drives.reading import Floats, Stream
from drivelet.drives.sensors import CHANNELS
from drivelet.drives.units import GIVEN, column, columns

TIME = "timestamp_s"


def csv_streams(path: Path) -> list[Stream]:
    """Read a sensor CSV: `timestamp_s` and at least one channel, in any order; further columns are left alone.

    The names may end in other units (`units.SCALES`), such as `timestamp_ms`, `speed_kmh`, `yaw_rate_degps`. What is no
    number becomes NaN; it, times given twice and spikes are left out and counted when the log is put to use, as
    those of any log are. A blank cell is no sample of its channel, so that channels may have rates of their own.

    Raises:
        InputError: no column of times, none of a channel, or no rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            known = _columns(path, reader.fieldnames or ())
            cells = [[cells[name] for name, _ in known.values()] for cells in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no readable CSV ({error}); expected {TIME},{','.join(CHANNELS)}") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; correct the path") from error
    if not cells:
        raise InputError(f"{path}: the sensor log has no rows; fill or remove it")
    texts = dict(zip(known, zip(*cells, strict=True), strict=True))
    time_N = _numbers(texts.pop(TIME), known[TIME][1])
    streams: list[Stream] = []
    for channel in CHANNELS:
        if channel in texts:
            there_N = _there(texts[channel])
            value_N = _numbers(texts[channel], known[channel][1])[there_N]
            note = _note(*known[channel], blanks=int((~there_N).sum()))
            streams.append(
                Stream(channel=channel, source=path.name, time_N=time_N[there_N], value_N=value_N, note=note)
            )
    return streams


def _there(column_N: Sequence[str | None]) -> NDArray[np.bool_]:
    """Which rows bear a sample of a channel: where at least half are blank, it comes at a slower rate than the rows."""
    there_N = np.array([bool((text or "").strip()) for text in column_N])
    return there_N if 2 * there_N.sum() <= len(there_N) else np.full(len(there_N), True)


def _note(name: str, factor: float, *, blanks: int) -> str:
    unit = f"{GIVEN}{name.strip().lower().rpartition('_')[2]}" if factor != 1.0 else ""
    return "; ".join(filter(None, (unit, f"{blanks} rows have no value of it" if blanks else "")))


def _columns(path: Path, header: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Return for the time and every channel (its column, factor); of two columns the one that needs no factor."""
    known: dict[str, tuple[str, float]] = {}
    for name in header:
        if found := column(name):
            kept, factor = found
            if kept not in known or factor == 1.0:
                known[kept] = (name, factor)
    channels = [columns(name.rpartition("_")[0]) for name in CHANNELS]
    missing = [] if TIME in known else [TIME]
    missing += [] if any(name in known for name in CHANNELS) else [" or ".join(CHANNELS)]
    if missing:
        others = ", ".join(name for names in (columns("timestamp"), *channels) for name in names[1:])
        raise InputError(
            f"{path}: header lacks {', '.join(missing)}; expected {TIME} and at least one of {', '.join(CHANNELS)} "
            f"(other units: {others})"
        )
    return known


def _numbers(column_N: Sequence[str | None], factor: float) -> Floats:
    return np.array([_number(text) for text in column_N]) * factor


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan
