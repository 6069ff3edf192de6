"""Invariants of every drive: the rules are kept, whatever lies on the road."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.synth.driving.ego import BUMPERS_M, Ahead, Leader, draw_program, drive_motion, follow

SECONDS = 14.0
seeds = st.integers(0, 2**31)
lines = st.floats(30, 60)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, stop=lines, start=st.floats(16, 40), cruise=st.floats(2, 9), light=st.booleans(), halt=st.booleans())
def test_a_leader_is_never_hit(seed: int, stop: float, start: float, cruise: float, light: bool, halt: bool) -> None:
    rng = np.random.default_rng(seed)
    ahead = Ahead(program=draw_program(rng) if light else None, stop_y=stop, halt=halt and not light)
    _, y, speed, _ = follow(ahead, cruise, start, seconds=SECONDS)
    ahead = Ahead(**{**vars(ahead), "leader": Leader(y=y, speed=speed)})
    motion = drive_motion(rng, ahead, seconds=SECONDS)
    assert (y - BUMPERS_M - motion.y).min() > 0.2
    assert motion.speed.min() >= 0
    assert (np.diff(motion.y) >= 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=seeds, stop=lines, limit=st.floats(3, 14), place=st.floats(5, 50))
def test_red_lights_and_limits_hold_together(seed: int, stop: float, limit: float, place: float) -> None:
    ahead = Ahead(program=(("red", 99.0),), stop_y=stop, limit=(place, limit))
    motion = drive_motion(np.random.default_rng(seed), ahead, seconds=SECONDS)
    assert motion.y[-1] < stop
    assert motion.speed[motion.y > place].max(initial=0.0) < limit + 0.2


@settings(max_examples=25, deadline=None)
@given(seed=seeds, stop=lines)
def test_no_stop_sign_is_passed_without_a_halt(seed: int, stop: float) -> None:
    motion = drive_motion(np.random.default_rng(seed), Ahead(stop_y=stop, halt=True), seconds=20.0)
    before = motion.y < stop
    assert motion.speed[before].min() < 0.05
    assert not before.all(), "it goes on afterwards"
