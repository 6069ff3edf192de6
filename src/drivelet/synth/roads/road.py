"""The road of a scene: its lanes, how it runs through space, and what its region says about limits.

Everything is placed in road coordinates: `s` metres ahead along the centre line, `d` metres to the right of it, and a
height above the surface. A `Road` maps them to the scene's frame: x right, y ahead, z up, with the ego at s = 0.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

POSTED = {"eu": tuple(range(10, 131, 10)), "us": tuple(range(10, 81, 5)), "cn": (5, *range(10, 121, 10))}
UNIT = {"eu": "km/h", "us": "mph", "cn": "km/h"}
REGION_DEFAULT = {"eu": 50, "us": 35, "cn": 50}
"""Default limit of a road without a sign, in the region's unit (an urban road)."""

RAISED_M, WALK_M = 0.13, (0.4, 3.2)
"""Height of a pavement, and where it begins and ends beside what is paved."""

Profile = tuple[tuple[float, float], ...]
"""Stretches of constant second derivative: (from s, value), in order; before the first it is 0."""
Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Pose:
    """The road's centre line at one s: place in metres, heading and grade in radians (left and up are positive)."""

    x: float
    y: float
    z: float
    heading: float
    grade: float


@dataclass(frozen=True, kw_only=True)
class Road:
    """A road of `lanes` each way, the ego in lane `lane` counted from the middle.

    Attributes:
        kind: see `DomainConfig.roads`.
        bends: curvature in 1/m, positive to the left.
        crests: change of grade in 1/m, negative over the top of a hill.
        median: width of the strip between the directions; 0 where only paint divides them.
        shoulder: paved width outside the outermost lane.
        ends: the s where the carriageway stops (a T junction, a roundabout), or infinity.
        gap: the stretch of s where kerbs give way to a crossing street.
    """

    lanes: int
    lane: int
    lane_width: float
    region: str
    area: str
    camera_z: float
    focal_px: float
    kind: str = "street"
    bends: Profile = ()
    crests: Profile = ()
    median: float = 0.0
    shoulder: float = 0.0
    ends: float = math.inf
    gap: tuple[float, float] = (math.inf, math.inf)

    @property
    def half(self) -> float:
        """Half of the width that is paved."""
        return self.median / 2 + self.lanes * self.lane_width + self.shoulder

    @property
    def edge(self) -> float:
        """Outer border of the outermost lane."""
        return self.median / 2 + self.lanes * self.lane_width

    @property
    def ego_x(self) -> float:
        """Centre of the ego lane."""
        return self.lane_d(self.lane)

    @property
    def straight(self) -> bool:
        """Whether road coordinates are the scene's own."""
        return not self.bends and not self.crests

    @property
    def kerbs(self) -> bool:
        """Whether raised pavements run along both sides."""
        return self.area != "rural"

    def lane_d(self, lane: int) -> float:
        """Centre of a lane in the ego's direction; negated, of the same lane the other way."""
        return (lane + 0.5) * self.lane_width + self.median / 2

    def ground(self, d: float, s: float) -> float:
        """Height of what a small thing stands on there: the pavement behind a kerb, or the road."""
        on_pavement = WALK_M[0] < abs(d) - self.half < WALK_M[1] and not self.gap[0] < s < self.gap[1]
        return RAISED_M if self.kerbs and on_pavement else 0.01

    def pose(self, s: float) -> Pose:
        """The centre line at `s`: exact arcs in plan, parabolas in height."""
        x, y, heading = _arc(self.bends, s)
        z, grade = _parabola(self.crests, s)
        return Pose(x=x, y=y, z=z, heading=heading, grade=grade)

    def place(self, d: float, s: float, up: float = 0.0) -> Point:
        """Road coordinates to the scene's (x, y, z); the identity on a straight road.

        The frame moves along the centre line and leans with the grade, so that what stands on the road stays upright
        to it. Lengths are kept along the centre line, along `d` and along `up`; along a line at another `d` they
        stretch by 1 + curvature * d.
        """
        if self.straight:
            return d, s, up
        at = self.pose(s)
        back = -math.sin(at.grade) * up
        x = at.x + d * math.cos(at.heading) - back * math.sin(at.heading)
        y = at.y + d * math.sin(at.heading) + back * math.cos(at.heading)
        return x, y, at.z + math.cos(at.grade) * up

    def in_view(self, d: float, s: float, reach_px: float) -> bool:
        """Whether a place lies within `reach_px` columns of the middle of a picture taken straight ahead."""
        x, y, _ = self.place(d, s)
        return y > 1.0 and abs(x - self.ego_x) * self.focal_px / y < reach_px

    def line(self, d: float, low: float, high: float, up: float = 0.0) -> list[Point]:
        """A line at constant `d`, with as many points as its bends need to stay within 2 cm."""
        return [self.place(d, s, up) for s in self.stations(low, high)]

    def stations(self, low: float, high: float) -> list[float]:
        """The s values from `low` to `high` between which the road may be drawn straight."""
        knots = sorted({low, high, *(s for s, _ in (*self.bends, *self.crests) if low < s < high)})
        found = [low]
        for a, b in pairwise(knots):
            turn = max(abs(_value(self.bends, (a + b) / 2)), abs(_value(self.crests, (a + b) / 2)))
            count = max(1, math.ceil((b - a) * math.sqrt(turn / (8 * 0.02)))) if turn else 1
            found += [a + (b - a) * (k + 1) / count for k in range(count)]
        return found


def _value(profile: Profile, s: float) -> float:
    return next((value for start, value in reversed(profile) if start <= s), 0.0)


def _pieces(profile: Profile, s: float) -> list[tuple[float, float]]:
    """(signed length, value) of the stretches passed from 0 to `s`."""
    if not profile:
        return [(s, 0.0)]
    low, high = min(0.0, s), max(0.0, s)
    knots = [low, *(start for start, _ in profile if low < start < high), high]
    pieces = [(b - a, _value(profile, (a + b) / 2)) for a, b in pairwise(knots)]
    return pieces if s >= 0 else [(-length, value) for length, value in reversed(pieces)]


def _arc(bends: Profile, s: float) -> tuple[float, float, float]:
    x = y = heading = 0.0
    for length, curvature in _pieces(bends, s):
        half = curvature * length / 2
        chord = length * (math.sin(half) / half if half else 1.0)
        x -= chord * math.sin(heading + half)
        y += chord * math.cos(heading + half)
        heading += 2 * half
    return x, y, heading


def _parabola(crests: Profile, s: float) -> tuple[float, float]:
    """Height and grade angle; the grade is small, so that s counts along the plan."""
    z = slope = 0.0
    for length, change in _pieces(crests, s):
        z += slope * length + change * length * length / 2
        slope += change * length
    return z, math.atan(slope)


def turned(road: Road, s: float, yaw: float, roll: float) -> tuple[float, float, float]:
    """A part's (yaw, pitch, roll) in degrees, given in the road's frame at `s`, in the scene's frame.

    To first order in the grade: what faces along the road pitches with it, what faces across it rolls.
    """
    at = road.pose(s)
    lean, turn = math.degrees(at.grade), math.radians(yaw)
    return yaw + math.degrees(at.heading), lean * math.cos(turn), roll - lean * math.sin(turn)
