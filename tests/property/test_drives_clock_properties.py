"""The clock offset: found on drawn turns, moves with the gyro's times, and does not care how strong the gyro reads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.drives.clock import ClockConfig, ClockOffset, estimate_offset

SECONDS, FOCAL = 20.0, 350.0
seeds = st.integers(0, 10_000)


def turns(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    t = np.arange(-3, SECONDS + 3, 0.01)
    rate = np.zeros_like(t)
    for centre in np.arange(1.5, SECONDS, 3.5) + rng.uniform(-1, 1, 6):
        rate += rng.uniform(0.1, 0.4) * rng.choice([-1, 1]) * np.exp(-(((t - centre) / rng.uniform(0.4, 1.0)) ** 2))
    return t, rate


def seen(seed: int, *, hz: float = 10.0, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Frame times, and shifts that a camera with focal length FOCAL sees, in pixels."""
    rng = np.random.default_rng(seed + 1)
    t, rate = turns(seed)
    times = np.arange(0, SECONDS, 1 / hz)
    angle = np.interp(times, t, np.cumsum(rate) * 0.01)
    return times, FOCAL * np.diff(angle, prepend=np.nan) + rng.normal(0, noise, len(times))


def felt(seed: int, *, offset: float, bias: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """IMU times and readings: `t_camera = t_imu + offset`."""
    rng = np.random.default_rng(seed + 2)
    t, rate = turns(seed)
    times = np.arange(-2, SECONDS + 2, 0.0125)
    return times - offset, np.interp(times, t, rate) + bias + rng.normal(0, 0.01, len(times))


def found(seed: int, offset: float, *, scale: float = 1.0, **more: float) -> ClockOffset:
    times, shift = seen(seed)
    gyro_t, gyro = felt(seed, offset=offset, **more)
    return estimate_offset(times, shift, np.ones_like(times), gyro_t, scale * gyro)


@settings(max_examples=8)
@given(seed=seeds, offset=st.floats(-1, 1))
def test_the_offset_is_found(seed: int, offset: float) -> None:
    result = found(seed, offset)
    assert result.offset_s == pytest.approx(offset, abs=0.03)
    assert result.alarm == ""
    assert result.confidence > 0.5
    assert result.slope_px_per_rad == pytest.approx(FOCAL, rel=0.05)


@settings(max_examples=5)
@given(seed=seeds, moved=st.floats(-0.5, 0.5))
def test_later_gyro_times_lower_the_offset_by_as_much(seed: int, moved: float) -> None:
    times, shift = seen(seed)
    gyro_t, gyro = felt(seed, offset=0.2)
    weights = np.ones_like(times)
    before = estimate_offset(times, shift, weights, gyro_t, gyro)
    after = estimate_offset(times, shift, weights, gyro_t + moved, gyro)
    assert after.offset_s == pytest.approx(before.offset_s - moved, abs=0.004)


@settings(max_examples=5)
@given(seed=seeds, scale=st.floats(0.2, 20), bias=st.floats(-0.05, 0.05))
def test_neither_the_gyros_scale_nor_its_bias_matters(seed: int, scale: float, bias: float) -> None:
    plain, scaled = found(seed, 0.3), found(seed, 0.3, scale=scale, bias=bias)
    assert scaled.offset_s == pytest.approx(plain.offset_s, abs=0.002)
    assert scaled.slope_px_per_rad == pytest.approx(plain.slope_px_per_rad / scale, rel=0.02)


@settings(max_examples=6)
@given(seed=seeds)
def test_a_tenth_of_wild_frames_does_not_matter(seed: int) -> None:
    times, shift = seen(seed)
    rng = np.random.default_rng(seed)
    wild = rng.random(len(shift)) < 0.1
    shift = np.where(wild, rng.normal(0, 40, len(shift)), shift)
    gyro_t, gyro = felt(seed, offset=-0.4)
    result = estimate_offset(times, shift, np.ones_like(times), gyro_t, gyro)
    assert result.offset_s == pytest.approx(-0.4, abs=0.04)


@settings(max_examples=6)
@given(seed=seeds)
def test_a_flipped_gyro_raises_the_alarm(seed: int) -> None:
    result = found(seed, 0.1, scale=-1.0)
    assert "flipped" in result.alarm
    assert result.confidence == 0
    assert result.slope_px_per_rad < 0
    assert result.offset_s == pytest.approx(0.1, abs=0.03)


def test_every_reason_for_doubt_is_told() -> None:
    times, shift = seen(5)
    weights = np.ones_like(times)
    gyro_t, gyro = felt(5, offset=0.0)
    still = estimate_offset(times, np.zeros_like(times), weights, gyro_t, np.zeros_like(gyro))
    assert "neither" in still.alarm
    assert "too few" in estimate_offset(times[:2], shift[:2], weights[:2], gyro_t, gyro).alarm
    assert "too few" in estimate_offset(times, shift, weights, gyro_t + 500, gyro).alarm
    little = estimate_offset(times, shift / 100, weights, gyro_t, gyro / 100)
    assert "too little" in little.alarm
    far = estimate_offset(times, shift, weights, gyro_t, gyro, max_offset_s=1.0, config=ClockConfig(slow_s=20.0))
    assert far.alarm == ""
    other_t, other = felt(77, offset=0.0)
    assert estimate_offset(times, shift, weights, other_t, other).alarm


def test_an_offset_beyond_the_range_raises_the_alarm() -> None:
    t = np.arange(0, 20, 0.1)
    rate = 0.3 * np.exp(-(((np.arange(-5, 25, 0.01) - 10) / 2.0) ** 2))
    shift = FOCAL * np.diff(np.interp(t, np.arange(-5, 25, 0.01), np.cumsum(rate) * 0.01), prepend=np.nan)
    result = estimate_offset(t, shift, np.ones_like(t), np.arange(-5, 25, 0.01) - 1.2, rate, max_offset_s=0.5)
    assert "wider range" in result.alarm


def test_turns_that_repeat_are_ambiguous() -> None:
    t, fine = np.arange(0, 30, 0.1), np.arange(-3, 33, 0.01)
    rate = 0.3 * np.sin(2 * np.pi * fine)
    shift = FOCAL * np.diff(np.interp(t, fine, np.cumsum(rate) * 0.01), prepend=np.nan)
    result = estimate_offset(t, shift, np.ones_like(t), fine, rate)
    assert "two offsets" in result.alarm
    assert result.confidence < 0.1


def test_a_clock_that_runs_too_fast_is_noticed() -> None:
    times, shift = seen(8)
    gyro_t, gyro = felt(8, offset=0.0)
    result = estimate_offset(times, shift, np.ones_like(times), gyro_t * 1.03, gyro)
    assert "runs too fast" in result.alarm
    assert result.drift_s < -0.1


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="as many"):
        estimate_offset([0, 1, 2], [0, 1], [1, 1, 1], [0, 1], [0, 1])
