"""How an IMU is mounted: which way is up by gravity, which way is forward by the speed, else by the names of its axes.

An accelerometer at rest reads 1 g on the axis that points up. Sources: REP 103 (x forward, y left, z up; in an optical
frame x right, y down, z forward), REP 145, realsense-ros (issues 599 and 649), livox_ros_driver (issue 63).
"""

from dataclasses import dataclass

import numpy as np

from drivelet.drives.reading import Floats
from drivelet.drives.units import GRAVITY

SNAP_DEG = 12.0
"""A direction this near to an axis is that axis: hills and the car's own acceleration tilt what is measured."""
MINE_DEG = 15.0
"""A forward direction by the speed within this of the usual one confirms it."""
FITS = 0.6
"""Coherence of acceleration and speed from which on they tell which way is forward."""
LIVELY_MPS2 = 0.3
"""So much must the car accelerate or be pulled sideways before that."""
NEAR_S = 0.5
UNIT_SIZES = ((0.8, 1.2, GRAVITY), (8.0, 12.0, 1.0), (800.0, 1200.0, GRAVITY / 1000))
"""(least, most, factor to m/s2) of gravity in g, m/s2 and milli-g."""
NO_GRAVITY = "no gravity in its acceleration"
X, Y, Z = np.eye(3)


@dataclass(frozen=True, kw_only=True)
class Up:
    """The upward direction in an IMU's axes, the factor of its accelerations to m/s2 (NaN where unknown), and how both
    were found; `doubt` says why it may only be used where the picture bears it out.
    """

    axis_3: Floats
    factor: float = 1.0
    note: str = ""
    doubt: str = ""


def find_up(force_N3: Floats, rate_N3: Floats, *, optical: bool) -> Up:
    """Return which way is up by gravity, or, where this is not in the accelerations, by the kind of frame."""
    found = by_gravity(force_N3)
    if found is not None and not _contradicted(found, rate_N3, optical):
        return found
    axis_3 = -Y if optical else Z
    if _share(axis_3, rate_N3) < 0.5:
        axis_3 = max((X, -Y, Z), key=lambda other_3: _share(other_3, rate_N3))
        why = f"{NO_GRAVITY}, and it turns mostly about {axis_words(axis_3)}: how it is mounted is not known"
        return Up(axis_3=axis_3, note=why, doubt=why)
    return Up(axis_3=axis_3, note=f"{NO_GRAVITY}: its {axis_words(axis_3)} axis is taken for the upward one")


def by_gravity(force_N3: Floats) -> Up | None:
    """Return the direction and the unit of gravity; None where there is none in the accelerations."""
    force_N3 = force_N3[np.isfinite(force_N3).all(axis=1)]
    if not len(force_N3):
        return None
    size_N = np.linalg.norm(force_N3, axis=1)
    usual = float(np.median(size_N))
    mean_3 = force_N3[np.abs(size_N - usual) <= 0.3 * usual].mean(axis=0)
    size = float(np.linalg.norm(mean_3))
    if not np.isfinite(size) or size < max(UNIT_SIZES[0][0], 0.8 * usual):
        return None
    factor = next((factor for least, most, factor in UNIT_SIZES if least <= usual <= most), np.nan)
    note = "" if factor == 1.0 else "given in g" if factor == GRAVITY else "given in milli-g"
    if np.isnan(factor):
        note = f"gravity measures {usual:.3g}, neither 1 g nor 9.8 m/s2: check the unit"
    return Up(axis_3=snapped(mean_3 / size), factor=factor, note=note)


def snapped(axis_3: Floats) -> Floats:
    """Return the axis of the frame that a direction lies within `SNAP_DEG` of, else the direction."""
    place = int(np.abs(axis_3).argmax())
    near = np.abs(axis_3[place]) >= np.cos(np.radians(SNAP_DEG))
    return np.sign(axis_3[place]) * np.eye(3)[place] if near else axis_3


def _share(axis_3: Floats, rate_N3: Floats) -> float:
    """Share of the turning that is about an axis; 1 where nothing turns."""
    rate_N3 = rate_N3[np.isfinite(rate_N3).all(axis=1)]
    square = float(np.sum(rate_N3**2))
    return float(np.sum((rate_N3 @ axis_3) ** 2)) / square if square > 1e-6 * len(rate_N3) else 1.0


def _contradicted(up: Up, rate_N3: Floats, optical: bool) -> bool:
    """A steady pull of 1 m/s2 looks like gravity in g; it is none where nearly all turning is about the usual axis."""
    usual_3 = -Y if optical else Z
    return up.factor == GRAVITY and abs(float(up.axis_3 @ usual_3)) < 0.3 and _share(usual_3, rate_N3) > 0.9


def usual_forward(up_3: Floats, *, optical: bool) -> Floats | None:
    """Return the horizontal direction of z in an optical frame and of x where z is upright; None where they are not."""
    axis_3 = Z if optical else X if abs(up_3 @ Z) > 0.7 else None
    if axis_3 is None or abs(axis_3 @ up_3) > 0.7:
        return None
    level_3 = axis_3 - (axis_3 @ up_3) * up_3
    return level_3 / np.linalg.norm(level_3)


def fitted_forward(
    time_N: Floats, force_N3: Floats, up_3: Floats, *, rate: tuple[Floats, Floats], speed: tuple[Floats, Floats]
) -> Floats | None:
    """Return the horizontal direction in which the car accelerates as its speed changes and is pulled as it turns.

    In the horizontal plane, forward and left as a complex number, the car feels dv/dt + i v w; the direction is the
    angle between this and what is measured, by least squares. None where they do not fit or there is too little of it.

    Args:
        time_N, force_N3: seconds, rising, and m/s2.
        up_3: the upward direction, a unit vector.
        rate: seconds and yaw rate in rad/s to the left.
        speed: seconds and m/s.
    """
    first, last = (edge(time[place] for time in (time_N, rate[0], speed[0])) for edge, place in ((max, 0), (min, -1)))
    grid_M = np.arange(first + NEAR_S, last - NEAR_S, NEAR_S / 2)
    if len(grid_M) < 10:
        return None
    side_3 = np.cross(up_3, X if abs(up_3 @ X) < 0.7 else Y)
    side_3 /= np.linalg.norm(side_3)
    ahead_3 = np.cross(side_3, up_3)
    pull_M = _means(time_N, force_N3 @ ahead_3 + 1j * (force_N3 @ side_3), grid_M)
    gain_M = np.interp(grid_M + NEAR_S, *speed) - np.interp(grid_M - NEAR_S, *speed)
    felt_M = gain_M / (2 * NEAR_S) + 1j * np.interp(grid_M, *speed) * _means(*rate, grid_M)
    pull_M, felt_M = pull_M - pull_M.mean(), felt_M - felt_M.mean()
    product = np.vdot(felt_M, pull_M)
    size = float(np.linalg.norm(felt_M) * np.linalg.norm(pull_M))
    if np.sqrt(np.mean(np.abs(felt_M) ** 2)) < LIVELY_MPS2 or size == 0 or abs(product) / size < FITS:
        return None
    turn = product / abs(product)
    return turn.real * ahead_3 + turn.imag * side_3


def _means(time_N: Floats, value_N: np.ndarray, grid_M: Floats) -> np.ndarray:
    """Means of a channel over `NEAR_S` to both sides of times."""
    steps_N = np.diff(time_N) * (value_N[1:] + value_N[:-1]) / 2
    sum_N = np.concatenate([[0.0], np.cumsum(steps_N)])
    return (np.interp(grid_M + NEAR_S, time_N, sum_N) - np.interp(grid_M - NEAR_S, time_N, sum_N)) / (2 * NEAR_S)


def axis_words(axis_3: Floats) -> str:
    """Return a direction in words: `-y`, or its three parts."""
    place = int(np.abs(axis_3).argmax())
    if abs(axis_3[place]) > 1 - 1e-9:
        return ("-" if axis_3[place] < 0 else "") + "xyz"[place]
    return "({:+.2f} {:+.2f} {:+.2f})".format(*axis_3)
