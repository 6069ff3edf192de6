"""Units that cannot be what they are said to be: by what cars do, by the channels together, and by the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from math import degrees, nan

import numpy as np

from drivelet.drives.reading import Floats
from drivelet.drives.units import GRAVITY, SCALES

SPEED, YAW_RATE, ACCELERATION = "speed_mps", "yaw_rate_radps", "acceleration_mps2"
SLOW_S, LONG = 5.0, 100.0
"""Samples further apart than this tell little of a drive; a log so many times as long as its pictures is another's."""
FAST_MPS = 60.0
"""216 km/h: faster than nearly all that is recorded."""
WINDING_RADPS, TURNING_RADPS = 0.8, 2.0
SIDEWAYS_MPS2 = 15.0
"""A car rarely turns like the first for a twentieth of a drive, and never like the second or is pulled sideways so."""
FITS = 0.9
LIVELY_MPS2 = 0.2
NEAR = 0.15
"""Correlation, acceleration and relative distance with which two channels tell a factor."""
FOCAL_WIDTHS = (0.2, 5.0)
"""Focal lengths that cameras have, in widths of the picture: from a fisheye to a long lens."""
ENOUGH, STEADY_RADPS, SEEN = 10, 0.3, 0.7
"""Frames, turning and correlation from which on picture and gyro are compared without their clocks."""

Channels = Mapping[str, tuple[Floats, Floats]]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Channels that are not to be used, each with the reason, and what is unusual in others."""

    refused: dict[str, str] = default(default_factory=dict)
    unusual: list[str] = default(default_factory=list)


def setting(channel: str, unit: str) -> str:
    """Return how another unit of a channel is set."""
    quantity = channel.rpartition("_")[0]
    return f"name the column {quantity}_{unit} or --set units.{quantity}={unit}"


def other_unit(time_N: Floats, end: float) -> str:
    """Return why times are in another unit than seconds, or "": `end` is the time of the last frame, the first at 0."""
    step, span = _pace(time_N)
    if not step > SLOW_S or end <= 0:
        return ""
    for unit, factor in SCALES["timestamp"].items():
        if factor < 1 and 5e-4 <= step * factor <= 2 and 0.2 * end <= span * factor <= 20 * end:
            return (
                f"a sample every {step:.3g} s over {span:.4g} s, beside {end:.3g} s of pictures: "
                f"check the unit of its times; {unit} would fit (name the column timestamp_{unit})"
            )
    return ""


def _pace(time_N: Floats) -> tuple[float, float]:
    """The usual time between samples, and between the first and the last; NaN where there are too few."""
    times_N = np.unique(time_N[np.isfinite(time_N)])
    return (float(np.median(np.diff(times_N))), float(times_N[-1] - times_N[0])) if len(times_N) > 2 else (nan, nan)


def _check_times(channels: Channels, end: float, verdict: Verdict) -> None:
    for name, (time_N, _) in channels.items():
        step, span = _pace(time_N)
        if step > SLOW_S:
            verdict.unusual.append(f"{name} has a sample every {step:.3g} s only: check the unit of its times")
        elif end > 0 and span > LONG * max(end, 1.0):
            verdict.unusual.append(
                f"{name} goes on for {span:.4g} s, beside {end:.3g} s of pictures: check the unit of its times"
            )


def check(
    channels: Channels, *, slope: float = nan, focal_px: float = nan, width: int = 0, end: float = nan
) -> Verdict:
    """Return which channels are in another unit than they are said to be.

    Args:
        channels: times and values of each channel.
        slope: pixels that the far scene shifts a radian of the gyro, NaN where unknown.
        focal_px: where the source tells it, else NaN.
        width: of the pictures, 0 where there are none.
        end: time of the last frame, the first being at 0.
    """
    verdict = Verdict()
    _check_times(channels, end, verdict)
    _check_yaw(channels, _scale_by_picture(slope, focal_px, width), verdict)
    _check_acceleration(channels, verdict)
    if SPEED in channels and SPEED not in verdict.refused:
        high = float(np.quantile(np.abs(channels[SPEED][1]), 0.95))
        if high > FAST_MPS:
            verdict.unusual.append(
                f"{SPEED} reaches {high:.3g} m/s ({3.6 * high:.3g} km/h): check the unit; "
                f"if it is km/h, {setting(SPEED, 'kmh')}"
            )
    return verdict


def _check_yaw(channels: Channels, scale: float, verdict: Verdict) -> None:
    if YAW_RATE not in channels:
        return
    high = float(np.quantile(np.abs(channels[YAW_RATE][1]), 0.95))
    pull = _pull(channels)
    fits = f"check the unit; deg/s would fit ({setting(YAW_RATE, 'degps')})"
    if high > TURNING_RADPS:
        verdict.refused[YAW_RATE] = f"it turns at {high:.3g} rad/s, as no car does: {fits}"
    elif scale > 20:
        told = fits if 30 < scale < 110 else "check the unit"
        verdict.refused[YAW_RATE] = f"it turns {scale:.3g} times as much as the picture: {told}"
    elif pull > 3.6 * SIDEWAYS_MPS2 / 2:
        verdict.refused[YAW_RATE] = f"at this speed it would be pulled sideways by {pull:.3g} m/s2: {fits}"
    elif high > WINDING_RADPS:
        verdict.unusual.append(
            f"{YAW_RATE} reaches {high:.3g} rad/s ({degrees(high):.3g} degrees a second): check the unit; "
            f"if it is deg/s, {setting(YAW_RATE, 'degps')}"
        )
    elif pull > SIDEWAYS_MPS2:
        verdict.unusual.append(
            f"speed times yaw rate is {pull:.3g} m/s2, more than tyres hold: check the units; "
            f"{setting(SPEED, 'kmh')}, or {setting(YAW_RATE, 'degps')}"
        )


def seen_turning(
    times: Sequence[float], shift_px: Sequence[float], quality: Sequence[float], rate: tuple[Floats, Floats]
) -> float:
    """Return the pixels that the far scene shifts a radian that the gyro turns, without looking for a clock's offset;
    NaN where they do not go together. It serves for a steady turn, in which no offset can be found.
    """
    time_S, rate_S = rate
    angle_S = np.concatenate([[0.0], np.cumsum((rate_S[1:] + rate_S[:-1]) / 2 * np.diff(time_S))])
    times_F = np.asarray(times, float)
    felt_N = np.diff(np.interp(times_F, time_S, angle_S, left=nan, right=nan)) / np.diff(times_F)
    shift_N, weight_N = np.asarray(shift_px, float)[1:] / np.diff(times_F), np.asarray(quality, float)[1:]
    good_N = np.isfinite(felt_N) & np.isfinite(shift_N)
    felt_N, shift_N, weight_N = felt_N[good_N], shift_N[good_N], weight_N[good_N]
    both, felt, seen = (float(np.sum(weight_N * v)) for v in (felt_N * shift_N, felt_N**2, shift_N**2))
    # A slow one may be nothing but the gyro's bias, and the picture's.
    if len(felt_N) < ENOUGH or np.median(np.abs(felt_N)) < STEADY_RADPS or both <= SEEN * np.sqrt(felt * seen):
        return nan
    return both / felt


def _scale_by_picture(slope: float, focal_px: float, width: int) -> float:
    """How many times as much the gyro turns as the picture; 1 where this is not known, or near it."""
    if not slope > 0:
        return 1.0
    if np.isfinite(focal_px):
        return focal_px / slope
    least, most = (share * width for share in FOCAL_WIDTHS)
    return degrees(1) if slope < least and least <= degrees(slope) <= most else 1.0


def _pull(channels: Channels) -> float:
    """Sideways acceleration, speed times yaw rate, that a twentieth of the drive exceeds; NaN without both."""
    if SPEED not in channels or YAW_RATE not in channels:
        return nan
    rate_S = np.interp(channels[SPEED][0], *channels[YAW_RATE], left=nan, right=nan)
    pull_S = np.abs(channels[SPEED][1] * rate_S)
    pull_S = pull_S[np.isfinite(pull_S)]
    return float(np.quantile(pull_S, 0.95)) if len(pull_S) else nan


def _check_acceleration(channels: Channels, verdict: Verdict) -> None:
    """The speed must rise as the acceleration says."""
    times = gain_over_pull(channels)
    if not np.isfinite(times):
        return
    said = f"the speed changes {times:.3g} times as much as the acceleration says"
    for unit in ("kmh", "mph", "kn"):
        if abs(times * SCALES["speed"][unit] - 1) < NEAR / 2:
            verdict.refused[SPEED] = f"{said}: check the unit; {unit} would fit ({setting(SPEED, unit)})"
            return
    if abs(times / GRAVITY - 1) < NEAR:
        verdict.refused[ACCELERATION] = f"{said}: check the unit; g would fit ({setting(ACCELERATION, 'g')})"
    elif not 0.5 < times < 1.8:
        verdict.unusual.append(f"{said}: check the units")


def gain_over_pull(channels: Channels) -> float:
    """Return how many times as much the speed changes as the acceleration says; NaN where they do not go together."""
    if SPEED not in channels or ACCELERATION not in channels:
        return nan
    (speed_t, speed_S), (force_t, force_S) = channels[SPEED], channels[ACCELERATION]
    grid_M = np.arange(max(speed_t[0], force_t[0]) + 0.5, min(speed_t[-1], force_t[-1]) - 0.5, 0.5)
    if len(grid_M) < 10:
        return nan
    won_S = np.concatenate([[0.0], np.cumsum(np.diff(force_t) * (force_S[1:] + force_S[:-1]) / 2)])
    gain_M, felt_M = (
        np.interp(grid_M + 0.5, t, v) - np.interp(grid_M - 0.5, t, v) for t, v in ((speed_t, speed_S), (force_t, won_S))
    )
    gain_M, felt_M = gain_M - gain_M.mean(), felt_M - felt_M.mean()
    gain, felt = float(gain_M.std()), float(felt_M.std())
    # One of them may be too small by its unit.
    if max(gain, felt) < LIVELY_MPS2 or min(gain, felt) < 1e-3:
        return nan
    return gain / felt if float(np.mean(gain_M * felt_M)) > FITS * gain * felt else nan
