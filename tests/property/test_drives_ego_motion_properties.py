"""Standing intervals obey hysteresis and their minimum duration; joined steps end where single ones do."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.core.artifacts import EgoMotion
from drivelet.core.ego import thin
from drivelet.drives.ego_motion import ego_motion, hysteresis

LOW, HIGH = 0.3, 0.6
values = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=60)


def states_of(drawn: list[float], min_s: float) -> list[bool | None]:
    return hysteresis(np.array(drawn), np.arange(len(drawn)) * 0.1, low=LOW, high=HIGH, min_s=min_s)


@given(drawn=values)
def test_states_change_only_beyond_the_thresholds(drawn: list[float]) -> None:
    states = states_of(drawn, 0.0)
    for value, state, before in zip(drawn, states, [None, *states], strict=False):
        if math.isnan(value):
            assert state is None
        elif value < LOW:
            assert state is True
        elif value > HIGH:
            assert state is False
        elif before is not None:
            assert state is before


@given(drawn=values, min_s=st.floats(0.1, 2))
def test_no_stand_is_shorter_than_the_least(drawn: list[float], min_s: float) -> None:
    states = states_of(drawn, min_s)
    times = np.arange(len(drawn)) * 0.1
    edges = np.flatnonzero(np.diff([0, *(s is True for s in states), 0]))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        assert times[min(last, len(times) - 1)] - times[first] >= min_s - 1e-9
    assert [s is None for s in states] == [math.isnan(v) for v in drawn]


@given(count=st.integers(20, 60), steady=st.floats(0, 0.29), dip=st.integers(1, 4))
def test_a_short_jerk_does_not_end_a_stand(count: int, steady: float, dip: int) -> None:
    drawn = [steady] * count + [0.9] * dip + [steady] * count
    assert all(states_of(drawn, 0.6))


def where(motion: EgoMotion) -> tuple[float, float, float]:
    x = y = yaw = 0.0
    for step in motion.steps[1:]:
        x += step.forward_m * math.cos(yaw) - step.left_m * math.sin(yaw)
        y += step.forward_m * math.sin(yaw) + step.left_m * math.cos(yaw)
        yaw += step.yaw_rad
    return x, y, yaw


@given(
    rates=st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=8),
    speeds=st.lists(st.floats(1, 15), min_size=8, max_size=8),
    kept=st.sets(st.integers(1, 58), max_size=20),
)
def test_thinning_ends_at_the_same_place(rates: list[float], speeds: list[float], kept: set[int]) -> None:
    knots = np.linspace(-0.5, 6.5, 8)
    times = np.arange(60) * 0.1
    motion = ego_motion(times.tolist(), channels={"speed_mps": (knots, speeds), "yaw_rate_radps": (knots, rates)})
    # Knots are further apart than a gap may be, so the channel is drawn finely first.
    fine = np.arange(-0.5, 6.5, 0.02)
    channels = {
        "speed_mps": (fine, np.interp(fine, knots, speeds)),
        "yaw_rate_radps": (fine, np.interp(fine, knots, rates)),
    }
    assert math.isnan(motion.steps[30].yaw_rad)
    motion = ego_motion(times.tolist(), channels=channels)
    assert where(thin(motion, [0, *sorted(kept), 59])) == pytest.approx(where(motion))


@given(
    rates=st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=8),
    speeds=st.lists(st.floats(-15, 15), min_size=8, max_size=8),
)
def test_the_same_drive_backwards_has_the_opposite_translation_and_the_same_turn(
    rates: list[float], speeds: list[float]
) -> None:
    fine, knots = np.arange(-0.5, 6.5, 0.02), np.linspace(-0.5, 6.5, 8)
    times = (np.arange(60) * 0.1).tolist()
    yaw_rate = (fine, np.interp(fine, knots, rates))
    speed = np.interp(fine, knots, speeds)
    ahead, back = (
        ego_motion(times, channels={"speed_mps": (fine, sign * speed), "yaw_rate_radps": yaw_rate}) for sign in (1, -1)
    )
    for one, other in zip(ahead.steps, back.steps, strict=True):
        assert one.standing == other.standing
        assert (one.forward_m, one.left_m, one.yaw_rad) == pytest.approx(
            (-other.forward_m, -other.left_m, other.yaw_rad), nan_ok=True
        )
