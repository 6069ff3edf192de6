"""What a moving thing keeps while it follows a road."""

import copy
import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivelet.synth.build import Builder
from drivelet.synth.driving.world_course import carry
from drivelet.synth.roads.road import Road

STRAIGHT = Road(lanes=2, lane=1, lane_width=3.5, region="eu", area="urban", camera_z=1.4, focal_px=380.0, kind="curve")
places = st.tuples(st.floats(-8, 8), st.floats(-10, 60))


@st.composite
def roads(draw: st.DrawFn) -> Road:
    start, length = draw(st.floats(-20, 40)), draw(st.floats(5, 80))
    bends = ((start, draw(st.floats(-1 / 35, 1 / 35))), (start + length, 0.0))
    crests = ((start, draw(st.floats(-1 / 110, 1 / 110))), (start + 0.3 * length, 0.0))
    return replace(STRAIGHT, bends=bends, crests=crests)


@given(road=roads(), origin=places, right=st.floats(-3, 3), ahead=st.floats(-50, 80))
def test_what_is_carried_stays_rigid_and_lands_where_the_road_says(
    road: Road, origin: tuple[float, float], right: float, ahead: float
) -> None:
    b = Builder(rng=np.random.default_rng(0), road=road)
    index = b.object("car", (*origin, 0.0))
    for d, s, up in ((0.0, 0.0, 0.0), (0.8, 1.9, 0.6), (-0.8, -1.9, 1.2)):
        b.part("box", (origin[0] + d, origin[1] + s, up), (1, 1, 1), index=index)
    before = copy.deepcopy(b.parts)
    for item in [*b.parts, *b.objects]:
        carry(item, road, origin, right, ahead)
    there = road.place(origin[0] + right, origin[1] + ahead)
    assert np.allclose(b.objects[0]["at"], there, atol=2e-3)
    assert (b.objects[0]["d"], b.objects[0]["s"]) == (round(origin[0] + right, 3), round(origin[1] + ahead, 3))
    spread = [np.linalg.norm(np.subtract(items[1]["at"], items[2]["at"])) for items in (before, b.parts)]
    assert math.isclose(*spread, abs_tol=2e-3)
    turn = math.degrees(road.pose(origin[1] + ahead).heading - road.pose(origin[1]).heading)
    assert abs(b.parts[0]["yaw"] - before[0]["yaw"] - turn) < 5e-3


@given(road=roads(), origin=places)
def test_what_has_not_moved_is_where_it_was(road: Road, origin: tuple[float, float]) -> None:
    b = Builder(rng=np.random.default_rng(0), road=road)
    index = b.object("car", (*origin, 0.0))
    b.part("sedan", (*origin, 0.01), (1, 1, 1), index=index)
    part = copy.deepcopy(b.parts[0])
    carry(part, road, origin, 0.0, 0.0)
    assert np.allclose(part["at"], b.parts[0]["at"], atol=1e-3)
    assert all(abs(part[turn] - b.parts[0].get(turn, 0.0)) < 2e-3 for turn in ("yaw", "roll", "pitch"))
