"""Invariants of road coordinates: what they map to is continuous, keeps lengths, and is the identity where straight."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivelet.synth.build import Builder
from drivelet.synth.roads.road import Road

STRAIGHT = Road(lanes=2, lane=1, lane_width=3.5, region="eu", area="urban", camera_z=1.4, focal_px=380.0)
starts, lengths = st.floats(-20, 40), st.floats(5, 80)
curvatures = st.floats(-1 / 35, 1 / 35)
slopes = st.floats(-1 / 110, 1 / 110)


@st.composite
def roads(draw: st.DrawFn) -> Road:
    start, length = draw(starts), draw(lengths)
    bends = ((start, draw(curvatures)), (start + length, draw(curvatures)))
    top = draw(st.floats(3, 30))
    crests = ((top, draw(slopes)), (top + draw(st.floats(3, 12)), 0.0))
    return replace(STRAIGHT, bends=draw(st.sampled_from([(), bends])), crests=draw(st.sampled_from([(), crests])))


@given(d=st.floats(-50, 50), s=st.floats(-50, 300), up=st.floats(0, 30))
def test_a_straight_road_is_the_identity(d: float, s: float, up: float) -> None:
    assert STRAIGHT.place(d, s, up) == (d, s, up)
    b = Builder(rng=np.random.default_rng(0), road=STRAIGHT)
    plain = Builder(rng=np.random.default_rng(0))
    for each in (b, plain):
        each.part("box", (d, s, up), (1, 1, 1), yaw=30.0, roll=5.0)
    assert b.parts == plain.parts


@given(road=roads(), d=st.floats(-12, 12), up=st.floats(0, 6))
def test_the_ego_stands_where_it_always_stood(road: Road, d: float, up: float) -> None:
    assert np.allclose(road.place(d, 0.0, up), (d, 0.0, up), atol=1e-9)


@given(road=roads(), d=st.floats(-12, 12), s=st.floats(-20, 150), up=st.floats(0, 6))
def test_the_map_is_continuous(road: Road, d: float, s: float, up: float) -> None:
    here, there = road.place(d, s, up), road.place(d, s + 1e-6, up)
    assert math.dist(here, there) < 3e-6


@given(road=roads(), s=st.floats(-20, 150), step=st.floats(1e-4, 1e-3))
def test_lengths_are_kept_to_first_order(road: Road, s: float, step: float) -> None:
    at = road.pose(s)
    along = math.dist(road.place(0, s), road.place(0, s + step)) / step
    assert math.isclose(along, 1 / math.cos(at.grade), abs_tol=1e-3)
    assert math.isclose(math.dist(road.place(0, s), road.place(step, s)), step, rel_tol=1e-6)
    assert math.isclose(math.dist(road.place(0, s), road.place(0, s, step)), step, rel_tol=1e-6)


@given(road=roads(), s=st.floats(-20, 150))
def test_ahead_aside_and_up_are_square_to_each_other(road: Road, s: float) -> None:
    origin, tiny = np.array(road.place(0, s)), 1e-5
    aside, up = np.array(road.place(1, s)) - origin, np.array(road.place(0, s, 1)) - origin
    ahead = (np.array(road.place(0, s + tiny)) - origin) / tiny
    assert abs(aside @ up) < 1e-9
    assert abs(ahead @ aside) < 1e-3
    assert abs(ahead @ up) < 1e-3


@given(road=roads(), low=st.floats(-20, 20), length=st.floats(1, 150))
def test_the_points_of_a_line_stay_within_3_cm_of_it(road: Road, low: float, length: float) -> None:
    stations = road.stations(low, low + length)
    assert stations[0] == low
    assert math.isclose(stations[-1], low + length)
    for a, b in pairwise(stations):
        middle = (np.array(road.place(0, a)) + np.array(road.place(0, b))) / 2
        assert a < b
        assert math.dist(middle, road.place(0, (a + b) / 2)) < 0.03
