"""The offset between the IMU's clock and the camera's: turning seen in the picture against turning felt by the gyro."""

from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drivelet.core.ranges import Amount, Cosine, Positive, ranged

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
@ranged
class ClockConfig:
    """Settings of `estimate_offset`.

    Attributes:
        step_s: distance of the lags that are tried; the peak is interpolated between them.
        slow_s: what changes over longer than this is taken away from both signals: the gyro's bias, a car that does
            not drive quite to the middle of its picture.
        fast_s: both signals are averaged over this, which leaves out shaking and noise.
        max_gap_s: frames further apart than this say nothing.
        turning_radps: faster than this the car turns.
        min_turning_s: less turning than this raises the alarm.
        min_correlation: so does a lower correlation at the peak.
        min_lead: so does a second peak that is lower than the first by less than this.
        apart_s: peaks closer than this to the first are part of it.
        max_drift_s: so does an offset that changes by more than this between the halves of the drive.
    """

    step_s: Positive = 0.02
    slow_s: Positive = 10.0
    fast_s: Positive = 0.15
    max_gap_s: Positive = 0.5
    turning_radps: Amount = 0.02
    min_turning_s: Amount = 1.5
    min_correlation: Cosine = 0.5
    min_lead: Amount = 0.1
    apart_s: Amount = 0.3
    max_drift_s: Amount = 0.1


@dataclass(frozen=True, kw_only=True)
class ClockOffset:
    """Where the camera's clock stands against the IMU's: `t_camera = t_imu + offset_s`.

    Attributes:
        offset_s: seconds to add to a sensor's time to get the time of the frame that shows the same moment.
        confidence: 0..1, from the correlation, its lead over the second peak, and the seconds of turning.
        alarm: why the offset should not be used, in one sentence; empty where it may.
        slope_px_per_rad: shift of the far scene by a turn of one radian to the left: the focal length in pixels, to a
            few percent; negative where the gyro's sign is flipped.
        correlation: of the two signals at this offset.
        second_peak: the next best correlation at another offset.
        turning_s: seconds of turning that both saw.
        drift_s: offset in the drive's second half less that in the first; NaN where a half turns too little.
    """

    offset_s: float = 0.0
    confidence: float = 0.0
    alarm: str = ""
    slope_px_per_rad: float = nan
    correlation: float = nan
    second_peak: float = nan
    turning_s: float = 0.0
    drift_s: float = nan


_Window = tuple[NDArray[np.int64], NDArray[np.int64]]
"""For every interval the first and one past the last interval that a moving mean takes."""


@dataclass(frozen=True, kw_only=True)
class _Signals:
    """Frame intervals as the picture saw them (pixels a second, weights), and the angle that the gyro turned."""

    times_F: Floats
    rate_N: Floats
    weight_N: Floats
    gyro_t_S: Floats
    angle_S: Floats
    short: _Window
    long: _Window

    def felt(self, lag: float) -> Floats:
        """Mean yaw rate over every frame interval if the camera's clock is ahead by `lag`; NaN where not recorded."""
        angle_F = np.interp(self.times_F - lag, self.gyro_t_S, self.angle_S, left=nan, right=nan)
        return np.diff(angle_F) / np.diff(self.times_F)


@dataclass(frozen=True, kw_only=True)
class _Match:
    """The signals at one lag: correlation, pixels a radian, band-passed yaw rate and distance from it."""

    correlation: float
    slope: float
    felt_N: Floats
    gap_N: Floats


@dataclass(frozen=True, kw_only=True)
class _Peak:
    """Where the correlation is strongest, negative where the gyro is flipped, and the second peak's height."""

    offset: float
    height: float
    second: float
    at_edge: bool
    flipped: bool


def estimate_offset(
    frame_times: ArrayLike,
    shift_px: ArrayLike,
    shift_quality: ArrayLike,
    gyro_t: ArrayLike,
    gyro_yaw_rate: ArrayLike,
    *,
    max_offset_s: float = 1.5,
    config: ClockConfig = ClockConfig(),
) -> ClockOffset:
    """Return the offset at which the gyro's turning fits the picture's best: `t_camera = t_imu + offset_s`.

    The gyro is averaged over each frame interval at every lag, both signals are band-passed, and the weighted
    correlation's peak is interpolated; frames that fit badly at a peak lose weight (Cauchy) before the next search.

    Args:
        frame_times: seconds, rising, one a frame.
        shift_px: shift of the far scene into each frame, to the right positive; NaN where unknown (the first).
        shift_quality: weights 0..1.
        gyro_t: seconds, rising, on the IMU's clock.
        gyro_yaw_rate: rad/s, to the left positive.
        max_offset_s: offsets to both sides that are tried.

    Raises:
        ValueError: lengths differ.
    """
    signals = _signals(frame_times, shift_px, shift_quality, gyro_t, gyro_yaw_rate, max_offset_s, config)
    if signals is None:
        return ClockOffset(alarm="too few frames and gyro samples at the same time to compare their clocks")
    fit = _fit(signals, max_offset_s, config)
    if fit is None:
        return ClockOffset(alarm="neither the picture nor the gyro turns: the clock offset cannot be known")
    peak, match = fit
    turning_N = (np.abs(match.felt_N) > config.turning_radps) & (signals.weight_N > 0)
    turning = float(np.diff(signals.times_F)[turning_N].sum())
    drift = _drift(signals, max_offset_s, config)
    sure = np.clip((peak.height - 0.3) / 0.5, 0, 1) * np.clip((peak.height - peak.second) / 0.3, 0, 1)
    return ClockOffset(
        offset_s=peak.offset,
        confidence=0.0 if peak.at_edge or peak.flipped else float(sure * min(1.0, turning / 3)),
        alarm=_alarm(config, peak, turning, drift, max_offset_s),
        slope_px_per_rad=match.slope,
        correlation=match.correlation,
        second_peak=peak.second,
        turning_s=turning,
        drift_s=drift,
    )


def _signals(
    frame_times: ArrayLike, shift_px: ArrayLike, shift_quality: ArrayLike, gyro_t: ArrayLike, gyro_yaw_rate: ArrayLike,
    max_offset_s: float, config: ClockConfig,
) -> _Signals | None:  # fmt: skip
    times_F, shift_F, quality_F, time_S, rate_S = (
        np.asarray(v, dtype=np.float64) for v in (frame_times, shift_px, shift_quality, gyro_t, gyro_yaw_rate)
    )
    if not len(times_F) == len(shift_F) == len(quality_F) or len(time_S) != len(rate_S):
        raise ValueError(
            f"{len(times_F)} frame times, {len(shift_F)} shifts and {len(quality_F)} qualities must be as many, and so "
            f"must {len(time_S)} gyro times and {len(rate_S)} readings"
        )
    usable_S = np.isfinite(time_S) & np.isfinite(rate_S)
    time_S, rate_S = time_S[usable_S], rate_S[usable_S]
    if len(times_F) < 5 or len(time_S) < 5:
        return None
    known_N = np.isfinite(shift_F[1:]) & (np.diff(times_F) <= config.max_gap_s)
    known_N &= (times_F[1:] > time_S[0] - max_offset_s) & (times_F[:-1] < time_S[-1] + max_offset_s)
    if known_N.sum() < 5:
        return None
    middle_N = (times_F[1:] + times_F[:-1]) / 2
    return _Signals(
        times_F=times_F,
        rate_N=np.where(known_N, shift_F[1:], 0.0) / np.diff(times_F),
        weight_N=np.where(known_N, quality_F[1:], 0.0),
        gyro_t_S=time_S,
        angle_S=np.concatenate([[0.0], np.cumsum((rate_S[1:] + rate_S[:-1]) / 2 * np.diff(time_S))]),
        short=_window(middle_N, config.fast_s),
        long=_window(middle_N, config.slow_s),
    )


def _window(times_N: Floats, width_s: float) -> _Window:
    first_N = np.searchsorted(times_N, times_N - width_s / 2 - 1e-6)
    return first_N, np.searchsorted(times_N, times_N + width_s / 2 + 1e-6, side="right")


def _fit(signals: _Signals, max_offset_s: float, config: ClockConfig) -> tuple[_Peak, _Match] | None:
    """The peak after outliers have lost their weight; None where one of the signals is flat."""
    count = round(max_offset_s / config.step_s)
    lags_L: Floats = np.linspace(-count, count, 2 * count + 1) * config.step_s
    weight_N, fit = signals.weight_N, None
    for _ in range(3):
        curve_L = np.array([_match(signals, weight_N, lag).correlation for lag in lags_L])
        if np.isnan(curve_L).all():
            return None
        peak = _find_peak(curve_L, lags_L, config)
        match = _match(signals, weight_N, peak.offset)
        fit = peak, match
        spread = max(1.4826 * float(np.median(match.gap_N[signals.weight_N > 0])), 1e-9)
        weight_N = signals.weight_N / (1 + (match.gap_N / (2 * spread)) ** 2)
    return fit


def _match(signals: _Signals, weight_N: Floats, lag: float) -> _Match:
    felt_N = signals.felt(lag)
    there_N = np.where(np.isnan(felt_N), 0.0, weight_N)
    felt_N = _band(np.nan_to_num(felt_N), there_N, signals)
    seen_N = _band(signals.rate_N, there_N, signals)
    both, felt, seen = (float(np.sum(there_N * v)) for v in (felt_N * seen_N, felt_N**2, seen_N**2))
    # Half the weight must be left: no lag wins by the few frames that it speaks of.
    if felt <= 0 or seen <= 0 or there_N.sum() < 0.5 * weight_N.sum():
        return _Match(correlation=nan, slope=nan, felt_N=felt_N, gap_N=np.abs(seen_N))
    slope = both / felt
    return _Match(
        correlation=both / np.sqrt(felt * seen), slope=slope, felt_N=felt_N, gap_N=np.abs(seen_N - slope * felt_N)
    )


def _band(values_N: Floats, weight_N: Floats, signals: _Signals) -> Floats:
    """A short moving mean less a long one."""
    sums, weights = (np.concatenate([[0.0], np.cumsum(v)]) for v in (values_N * weight_N, weight_N))
    short_N, long_N = (_mean(sums, weights, window) for window in (signals.short, signals.long))
    return short_N - long_N


def _mean(sums: Floats, weights: Floats, window: _Window) -> Floats:
    first_N, last_N = window
    total_N = weights[last_N] - weights[first_N]
    # Running sums leave a rounding error where a window holds no weight at all.
    return np.divide(sums[last_N] - sums[first_N], total_N, out=np.zeros(len(total_N)), where=total_N > 1e-9)


def _find_peak(curve_L: Floats, lags_L: Floats, config: ClockConfig) -> _Peak:
    known_L = np.where(np.isnan(curve_L), 0.0, curve_L)
    flipped = bool(-known_L.min() > known_L.max() + config.min_lead)
    heights_L = -known_L if flipped else known_L
    best = int(heights_L.argmax())
    at_edge = best in (0, len(lags_L) - 1)
    offset, height = float(lags_L[best]), float(heights_L[best])
    if not at_edge:
        left, right = heights_L[best - 1], heights_L[best + 1]
        bend = left - 2 * height + right
        move = 0.5 * (left - right) / bend if bend < 0 else 0.0
        offset += float(move) * config.step_s
    inner_L = heights_L[1:-1]
    is_peak_L = (inner_L >= heights_L[:-2]) & (inner_L >= heights_L[2:])
    others_L = inner_L[is_peak_L & (np.abs(lags_L[1:-1] - offset) > config.apart_s)]
    return _Peak(
        offset=offset, height=height, second=float(max(others_L, default=0.0)), at_edge=at_edge, flipped=flipped
    )


def _drift(signals: _Signals, max_offset_s: float, config: ClockConfig) -> float:
    """Offset of the second half less that of the first, where both turn as much; NaN where that is too little."""
    turned_N = signals.weight_N * np.abs(_band(signals.rate_N, signals.weight_N, signals))
    split = int(np.searchsorted(np.cumsum(turned_N), turned_N.sum() / 2))
    halves = [np.arange(len(turned_N)) < split, np.arange(len(turned_N)) >= split]
    offsets: list[float] = []
    for half_N in halves:
        part = replace(signals, weight_N=np.where(half_N, signals.weight_N, 0.0))
        fit = _fit(part, max_offset_s, config)
        if fit is None or not _is_sound(fit, part, config):
            return nan
        offsets.append(fit[0].offset)
    return offsets[1] - offsets[0]


def _is_sound(fit: tuple[_Peak, _Match], part: _Signals, config: ClockConfig) -> bool:
    peak, match = fit
    turning_N = (np.abs(match.felt_N) > config.turning_radps) & (part.weight_N > 0)
    return (
        float(np.diff(part.times_F)[turning_N].sum()) >= config.min_turning_s
        and peak.height >= config.min_correlation
        and peak.height - peak.second >= config.min_lead
        and not peak.at_edge
    )


def _alarm(config: ClockConfig, peak: _Peak, turning: float, drift: float, max_offset_s: float) -> str:
    if turning < config.min_turning_s:
        return f"only {turning:.1f} s of turning: too little to compare the clocks"
    if peak.height < config.min_correlation:
        return f"picture and gyro agree badly (correlation {peak.height:.2f}): the IMU may be of another drive"
    if peak.flipped:
        return "the gyro's sign is flipped: a left turn must be a positive yaw rate"
    if peak.at_edge:
        return f"the clocks differ by {max_offset_s:g} s or more: look for the offset in a wider range"
    if peak.height - peak.second < config.min_lead:
        return f"two offsets fit alike (correlation {peak.height:.2f} and {peak.second:.2f}): the turns repeat"
    if abs(drift) > config.max_drift_s:
        return f"the offset changes by {drift:.2f} s between the drive's halves: one clock runs too fast"
    return ""
