"""Units of sensor values: what a column's name or a setting says, in what everything is kept: m/s, rad/s, m/s2, s."""

from dataclasses import dataclass, replace
from math import radians
from typing import Literal

from drivelet.core.ranges import ranged
from drivelet.drives.reading import Stream

GRAVITY = 9.80665
SCALES: dict[str, dict[str, float]] = {
    "timestamp": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "speed": {"mps": 1.0, "kmh": 1 / 3.6, "kph": 1 / 3.6, "mph": 0.44704, "kn": 1852 / 3600},
    "yaw_rate": {"radps": 1.0, "degps": radians(1.0)},
    "acceleration": {"mps2": 1.0, "g": GRAVITY},
}
"""Quantity -> unit -> what one of it is in the first of them. A column is named quantity_unit."""
GIVEN = "given in "
"""A note that starts so says that the source itself named the unit, and that it has been applied."""


@dataclass(frozen=True, kw_only=True)
@ranged
class UnitConfig:
    """Units of sensors whose log does not name them, or names them wrongly.

    Attributes:
        speed: kmh, mph or kn where it is not m/s.
        yaw_rate: degps where it is not rad/s.
        acceleration: g where it is not m/s2.
    """

    speed: Literal["mps", "kmh", "mph", "kn"] = "mps"
    yaw_rate: Literal["radps", "degps"] = "radps"
    acceleration: Literal["mps2", "g"] = "mps2"


SI = UnitConfig()


def column(name: str) -> tuple[str, float] | None:
    """Return (name in the units that are kept, factor) of a CSV's column; None where it is neither time nor channel."""
    quantity, _, unit = name.strip().lower().rpartition("_")
    scales = SCALES.get(quantity, {})
    return (f"{quantity}_{next(iter(scales))}", scales[unit]) if unit in scales else None


def columns(quantity: str) -> list[str]:
    """Return the names that a column of a quantity may have."""
    return [f"{quantity}_{unit}" for unit in SCALES[quantity]]


def in_units(stream: Stream, units: UnitConfig) -> Stream:
    """Return a stream in the units that are kept, where a setting says that it is in others."""
    quantity = stream.channel.rpartition("_")[0]
    unit = getattr(units, quantity)
    factor = SCALES[quantity][unit]
    if factor == 1.0 or stream.note.startswith(GIVEN):
        return stream
    note = "; ".join(filter(None, (f"{GIVEN}{unit}, by the setting units.{quantity}", stream.note)))
    return replace(stream, value_N=stream.value_N * factor, note=note)
