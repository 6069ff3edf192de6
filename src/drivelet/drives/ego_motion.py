"""Ego-motion of a drive: when the car stands, and how it moves and turns from frame to frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drivelet.core.artifacts import EgoMotion, EgoStep
from drivelet.core.ranges import Amount, Positive, Share, Signed, ranged
from drivelet.drives.clock import ClockOffset
from drivelet.drives.image_motion import ImageMotion
from drivelet.drives.sensors import SLOWEST_S, longest_gap

SPEED, YAW_RATE = "speed_mps", "yaw_rate_radps"
Floats = NDArray[np.float64]
Channel = tuple[ArrayLike, ArrayLike]
"""(times in seconds, values) of one sensor at its own rate."""


@dataclass(frozen=True, kw_only=True)
@ranged
class EgoConfig:
    """Settings of `ego_motion`.

    Attributes:
        stop_mps, go_mps: the car stands from below the first on until above the second.
        stop_flow_px, go_flow_px: the same for the moving median of the picture's `flow_px`; for frames about a tenth of
            a second apart, in a small image 320 pixels wide.
        flow_window_s: width of that median.
        min_stand_s: a shorter stand is none, nor is a shorter move between two stands.
        max_gap_s: a step across a longer gap in a channel is unknown.
        max_speed_gap_s: a speed that comes slowly (GPS, once a second) is drawn straight between its samples, over at
            most 2.5 of its usual intervals and never over longer than this; before the first and after the last sample
            it is held for half as long.
        min_quality: a shift of lower quality does not speak of yaw.
        camera_ahead_m: how far the camera sits before the rear axle, which goes where the car points; 1.5 or so.
        min_bias_s: the gyro's bias is measured where the car stands for at least so many seconds.
    """

    stop_mps: Amount = 0.3
    go_mps: Amount = 0.6
    stop_flow_px: Amount = 0.17
    go_flow_px: Amount = 0.25
    flow_window_s: Amount = 0.5
    min_stand_s: Amount = 0.6
    max_gap_s: Positive = 0.5
    max_speed_gap_s: Positive = SLOWEST_S
    min_quality: Share = 0.3
    camera_ahead_m: Signed = 0.0
    min_bias_s: Amount = 1.0


def ego_motion(
    times: Sequence[float],
    *,
    channels: Mapping[str, Channel] = {},
    visual: Sequence[ImageMotion] = (),
    focal_px: float = nan,
    clock: ClockOffset | None = None,
    config: EgoConfig = EgoConfig(),
) -> EgoMotion:
    """Return how the car moves over the frames at `times`, and in `sources` what that rests on.

    Args:
        times: seconds, rising, one a frame.
        channels: `speed_mps` and `yaw_rate_radps` (to the left positive) where the drive has them.
        visual: motion into each of these frames; empty where it was not measured.
        focal_px: the camera's focal length in pixels of the full image; NaN where unknown.
        clock: added to the sensors' times unless it bears an alarm.

    Raises:
        ValueError: there are neither as many motions as frames nor none.
    """
    if visual and len(visual) != len(times):
        raise ValueError(f"{len(visual)} motions for {len(times)} frames; measure every frame or none")
    times_F = np.asarray(times, dtype=np.float64)
    shifted, clock_text = _on_camera_clock(channels, clock)
    speed, gyro = shifted.get(SPEED), shifted.get(YAW_RATE)
    standing, told, standing_text = _standing(times_F, speed, visual, config)
    still_F = np.array([value is True for value in standing])
    yaw_F, yaw_text = _yaw(times_F, gyro, visual, still_F, focal_px, config)
    ahead_F2, translation_text = _translation(times_F, speed, yaw_F, still_F, config)
    steps = tuple(
        EgoStep(t=t, standing=stands, standing_source=source, forward_m=forward, left_m=left, yaw_rad=yaw)
        for t, stands, source, (forward, left), yaw in zip(
            times_F.tolist(), standing, told, ahead_F2.tolist(), yaw_F.tolist(), strict=True
        )
    )
    sources = {"standing": standing_text, "yaw": yaw_text, "translation": translation_text, "clock": clock_text}
    return EgoMotion(steps=steps, focal_px=focal_px, sources=sources)


def _on_camera_clock(
    channels: Mapping[str, Channel], clock: ClockOffset | None
) -> tuple[dict[str, tuple[Floats, Floats]], str]:
    """The channels with `t_camera = t_imu + offset_s`, without samples that are no number."""
    usable = clock is not None and not clock.alarm
    offset = clock.offset_s if clock is not None and usable else 0.0
    shifted: dict[str, tuple[Floats, Floats]] = {}
    for name, (given_t, given_values) in channels.items():
        t_S, values_S = np.asarray(given_t, dtype=np.float64), np.asarray(given_values, dtype=np.float64)
        good_S = np.isfinite(t_S) & np.isfinite(values_S)
        if good_S.sum() > 1:
            shifted[name] = t_S[good_S] + offset, values_S[good_S]
    if not shifted:
        return shifted, "no sensors"
    if clock is None:
        return shifted, "sensor times taken as they are: no offset was estimated"
    if not usable:
        return shifted, f"sensor times taken as they are: {clock.alarm}"
    return shifted, f"sensor times shifted by {offset:+.3f} s, confidence {clock.confidence:.2f}"


def _standing(
    times_F: Floats, speed: tuple[Floats, Floats] | None, visual: Sequence[ImageMotion], config: EgoConfig
) -> tuple[list[bool | None], list[str], str]:
    """Whether the car stands in each frame, what told, and a sentence; the speed is asked first, then the picture."""
    nothing: list[bool | None] = [None] * len(times_F)
    by_speed = by_flow = nothing
    if speed is not None:
        # A car that reverses does not stand: the speed's size counts, whatever its sign.
        values_F = np.abs(np.interp(times_F, *speed))
        reach = max(config.max_gap_s, longest_gap(speed[0], config.max_gap_s, config.max_speed_gap_s) / 2)
        values_F[_far_from(times_F, speed[0], reach)] = nan
        by_speed = hysteresis(values_F, times_F, low=config.stop_mps, high=config.go_mps, min_s=config.min_stand_s)
    if visual:
        flow_F = _moving_median(np.array([m.flow_px for m in visual]), times_F, config.flow_window_s)
        by_flow = hysteresis(flow_F, times_F, low=config.stop_flow_px, high=config.go_flow_px, min_s=config.min_stand_s)
    merged = [a if a is not None else b for a, b in zip(by_speed, by_flow, strict=True)]
    told = ["speed" if a is not None else "visual" if b is not None else ""
            for a, b in zip(by_speed, by_flow, strict=True)]  # fmt: skip
    both = [a == b for a, b in zip(by_speed, by_flow, strict=True) if a is not None and b is not None]
    agreed = f"; the picture agrees in {np.mean(both):.0%} of frames" if both else ""
    if "speed" in told:
        return merged, told, f"speed{agreed}"
    if "visual" in told:
        return merged, told, "visual: there is no speed channel" if speed is None else "visual: no speed at these times"
    return merged, told, "unknown: neither speed nor measured motion of the picture"


def hysteresis(values_F: Floats, times_F: Floats, *, low: float, high: float, min_s: float) -> list[bool | None]:
    """Return for each value whether it is in the low state: entered below `low`, left above `high`.

    A value between them keeps the state before it, at the start and after a gap the low one where it is nearer to
    `low`. A low stretch shorter than `min_s` becomes high, then a high one between low ones low. None where NaN.
    """
    states: list[bool | None] = []
    for value in values_F.tolist():
        before = states[-1] if states else None
        middle = before if before is not None else value < (low + high) / 2
        states.append(None if np.isnan(value) else True if value < low else False if value > high else middle)
    for first, last in _runs(states, of=True):
        if _lasts(times_F, first, last) < min_s:
            states[first:last] = [False] * (last - first)
    for first, last in _runs(states, of=False):
        inside = first > 0 and last < len(states) and states[first - 1] is True and states[last] is True
        if inside and _lasts(times_F, first, last) < min_s:
            states[first:last] = [True] * (last - first)
    return states


def _runs(states: Sequence[bool | None], *, of: bool) -> list[tuple[int, int]]:
    """(first, one past the last) of every stretch of a state."""
    edges = np.flatnonzero(np.diff([0, *(state is of for state in states), 0]))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _lasts(times_F: Floats, first: int, last: int) -> float:
    return float(times_F[min(last, len(times_F) - 1)] - times_F[first])


def _moving_median(values_F: Floats, times_F: Floats, width_s: float) -> Floats:
    first_F = np.searchsorted(times_F, times_F - width_s / 2 - 1e-6)
    last_F = np.searchsorted(times_F, times_F + width_s / 2 + 1e-6, side="right")
    windows = [values_F[a:b] for a, b in zip(first_F, last_F, strict=True)]
    return np.array([np.nan if np.isnan(w).all() else np.nanmedian(w) for w in windows])


def _yaw(
    times_F: Floats, gyro: tuple[Floats, Floats] | None, visual: Sequence[ImageMotion], still_F: NDArray[np.bool_],
    focal_px: float, config: EgoConfig,
) -> tuple[Floats, str]:  # fmt: skip
    """Turn into each frame in radians: by the gyro, else by the picture; a car that stands does not turn."""
    yaw_F, text = np.full(len(times_F), nan), "unknown: no gyro"
    if gyro is not None:
        bias, text = _gyro_bias(times_F, gyro[0], gyro[1], still_F, config)
        yaw_F = _steps(times_F, gyro[0], gyro[1] - bias, config.max_gap_s)
        if np.isnan(yaw_F).all():
            text = f"unknown: no gyro samples within {config.max_gap_s:g} s of each other at these times"
    elif visual and np.isfinite(focal_px):
        good_F = np.array([m.quality >= config.min_quality for m in visual])
        yaw_F = np.where(good_F, np.arctan(np.array([m.shift_px for m in visual]) / focal_px), nan)
        text = "shift of the far scene over the focal length: there is no gyro"
    elif visual:
        text = "unknown: there is no gyro, and no focal length to read the picture's shift by"
    return _nothing_while(still_F, yaw_F), text


def _gyro_bias(
    times_F: Floats, t_S: Floats, rate_S: Floats, still_F: NDArray[np.bool_], config: EgoConfig
) -> tuple[float, str]:
    """Median reading between frames of which both stand: a car that stands feels only its gyro's bias."""
    place_S = np.searchsorted(times_F, t_S)
    inside_S = (place_S > 0) & (place_S < len(times_F))
    place_S = np.clip(place_S, 1, max(len(times_F) - 1, 1))
    stands_S = inside_S & still_F[np.minimum(place_S, len(still_F) - 1)] & still_F[place_S - 1]
    seconds = float(np.diff(times_F)[still_F[1:] & still_F[:-1]].sum())
    if seconds < config.min_bias_s or not stands_S.any():
        return 0.0, "gyro, its bias unknown: the car does not stand long enough"
    bias = float(np.median(rate_S[stands_S]))
    return bias, f"gyro less a bias of {bias:+.4f} rad/s, measured over {seconds:.1f} s of standing"


def _translation(
    times_F: Floats, speed: tuple[Floats, Floats] | None, yaw_F: Floats, still_F: NDArray[np.bool_], config: EgoConfig
) -> tuple[Floats, str]:
    """Where the camera went (F, 2), forward and left: along a circle of the step's length and turn."""
    if speed is None:
        length_F, text = np.full(len(times_F), nan), "unknown but for standing: no speed channel"
    else:
        gap = longest_gap(speed[0], config.max_gap_s, config.max_speed_gap_s)
        length_F, text = _steps(times_F, *_held(*speed, gap / 2), gap), "speed along the turn"
        if gap > config.max_gap_s:
            text += f", drawn straight between samples up to {gap:.3g} s apart"
        if np.isnan(length_F).all():
            text = f"unknown but for standing: no samples of the speed within {gap:.3g} s of each other at these times"
        elif np.isnan(yaw_F[1:]).all():
            text += "; forward only: there is no yaw"
    half_F = yaw_F / 2
    chord_F = length_F * np.sinc(half_F / np.pi)
    forward_F = chord_F * np.cos(half_F) + config.camera_ahead_m * (np.cos(yaw_F) - 1)
    # From one frame to the next a turn shortens the way ahead by a hundredth at most: it is known without the turn.
    forward_F = np.where(np.isnan(yaw_F), length_F, forward_F)
    left_F = chord_F * np.sin(half_F) + config.camera_ahead_m * np.sin(yaw_F)
    return np.column_stack([_nothing_while(still_F, forward_F), _nothing_while(still_F, left_F)]), text


def _held(t_S: Floats, values_S: Floats, hold_s: float) -> tuple[Floats, Floats]:
    """The channel with its first and last value held for a while beyond them."""
    ends = np.pad(t_S, 1, mode="edge")
    ends[[0, -1]] += (-hold_s, hold_s)
    return ends, np.pad(values_S, 1, mode="edge")


def _steps(times_F: Floats, t_S: Floats, values_S: Floats, max_gap_s: float) -> Floats:
    """Integral of a channel, straight between its samples, from each frame to the next; NaN across gaps."""
    gaps_S = np.diff(t_S)
    lost_S = np.concatenate([[0.0], np.cumsum(np.where(gaps_S > max_gap_s, gaps_S, 0.0))])
    lost_F = np.interp(times_F, t_S, lost_S, left=nan, right=nan)
    fine_M = np.union1d(t_S, times_F)
    value_M = np.interp(fine_M, t_S, values_S)
    sum_M = np.concatenate([[0.0], np.cumsum((value_M[1:] + value_M[:-1]) / 2 * np.diff(fine_M))])
    steps_F = np.diff(np.interp(times_F, fine_M, sum_M), prepend=nan)
    return np.where(np.diff(lost_F, prepend=nan) == 0, steps_F, nan)


def _far_from(times_F: Floats, t_S: Floats, max_gap_s: float) -> NDArray[np.bool_]:
    right_F = np.clip(np.searchsorted(t_S, times_F), 0, len(t_S) - 1)
    left_F = np.maximum(right_F - 1, 0)
    return np.minimum(np.abs(t_S[right_F] - times_F), np.abs(times_F - t_S[left_F])) > max_gap_s


def _nothing_while(still_F: NDArray[np.bool_], values_F: Floats) -> Floats:
    """0 for a step between two frames that stand."""
    both_F = still_F & np.concatenate([[False], still_F[:-1]])
    return np.where(both_F, 0.0, values_F)
