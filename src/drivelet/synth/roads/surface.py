"""What a road's surface is made of: ground, asphalt, kerbs, and the lines painted on it."""

import math
from collections.abc import Sequence

from drivelet.synth.build import WHITE, Builder, Color, shade
from drivelet.synth.roads.road import RAISED_M, WALK_M, Point, Road

YELLOW: Color = (0.62, 0.36, 0.02)
KERB: Color = (0.34, 0.33, 0.31)
BACK, FAR = -30.0, 220.0
LINE, ON_CROSSING = 0.02, 0.045
"""Heights of paint above the surface, so that what lies on what is never in doubt."""
DASHES = {"eu": (3.0, 6.0), "us": (3.0, 9.0), "cn": (2.0, 4.0)}
FAST_DASHES = {"eu": (6.0, 12.0), "us": (3.0, 9.0), "cn": (6.0, 9.0)}
Line = Sequence[tuple[float, float]]
"""Points in road coordinates, (d, s)."""


def center_color(road: Road) -> Color:
    """Lines between the directions are white in the EU and yellow in the US and China."""
    return WHITE if road.region == "eu" else YELLOW


def land(b: Builder, road: Road) -> None:
    """The ground, flat or over the crest."""
    tone = shade(b.rng, (0.14, 0.17, 0.06) if road.area != "urban" else (0.22, 0.21, 0.2), 0.3)
    if road.crests:
        line = road.line(0, -60, 330)
        b.sweep(line, ((-350, 0), (350, 0)), tone, material="ground")
    else:
        b.patch([(-450, -60, 0), (450, -60, 0), (450, 700, 0), (-450, 700, 0)], tone, material="ground")


def asphalt(
    b: Builder, road: Road, low: float, high: float, tone: Color, *, sides: tuple[float, float] | None = None
) -> None:
    """The carriageway between two s, from side to side."""
    left, right = sides or (-road.half - 0.4, road.half + 0.4)
    b.sweep(road.line(0, low, high, 0.01), ((left, 0), (right, 0)), tone, material="asphalt")


def lengthwise(
    b: Builder, road: Road, d: float, low: float, high: float, color: Color, *, dash: tuple[float, float] | None = None,
    width: float = 0.13,
) -> None:  # fmt: skip
    """A line along the road at `d`."""
    if high - low > 0.5:
        b.sweep(road.line(d, low, high, LINE), flat(width), color, dash=dash)


def across(
    b: Builder, road: Road, s: float, sides: tuple[float, float], depth: float, color: Color = WHITE, *,
    dash: tuple[float, float] | None = None, index: int = 0,
) -> None:  # fmt: skip
    """A band across the road with its middle at `s`, from `d` to `d`: a stop line, or the bars of a crosswalk."""
    line = [road.place(d, s, ON_CROSSING) for d in sides]
    b.sweep(line, flat(depth), color, dash=dash, index=index)


def flat(width: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The cross-section of a painted line."""
    return ((-width / 2, 0.0), (width / 2, 0.0))


def kerb(b: Builder, road: Road, line: Line, tone: Color, *, left: bool = False, height: float = RAISED_M) -> None:
    """A kerb stone along a line and the raised pavement behind it, on the right of the line or on its left."""
    points = outline(road, line, height)
    side = -1 if left else 1
    b.sweep(points, [(side * d, up) for d, up in ((0.0, -height), (0.0, 0.0), (0.17, 0.0))], KERB)
    wide = WALK_M[1] - WALK_M[0]
    walk = ((0.17, 0.0), (wide, 0.0), (wide, -height))
    b.sweep(points, [(side * d, up) for d, up in walk], tone, material="pavement")


def outline(road: Road, line: Line, up: float) -> list[Point]:
    """Road coordinates to the scene's frame, at one height."""
    return [road.place(d, s, up) for d, s in line]


def along(road: Road, d: float, low: float, high: float) -> Line:
    """A line at constant `d` in road coordinates."""
    return [(d, s) for s in road.stations(low, high)]


def lane_lines(b: Builder, road: Road, low: float, high: float, *, solid_before: float | None = None) -> None:
    """Lines between and beside the lanes; those before a stop line are solid for the last metres."""
    dash = FAST_DASHES[road.region] if road.median else DASHES[road.region]
    for side in (-1, 1):
        for lane in range(1, road.lanes):
            d = side * (road.median / 2 + lane * road.lane_width)
            bound = high if solid_before is None or side < 0 else max(low, solid_before)
            lengthwise(b, road, d, low, bound, WHITE, dash=dash)
            lengthwise(b, road, d, bound, high, WHITE)


def center_line(b: Builder, road: Road, low: float, high: float, style: str) -> None:
    """The line between the directions: solid, dashed, double or mixed (solid on one side, dashed on the other)."""
    tone, dash = center_color(road), DASHES[road.region]
    if style in ("solid", "dashed"):
        lengthwise(b, road, 0.0, low, high, tone, dash=dash if style == "dashed" else None, width=0.14)
        return
    lengthwise(b, road, -0.13, low, high, tone)
    lengthwise(b, road, 0.13, low, high, tone, dash=dash if style == "mixed" else None)


def edge_lines(b: Builder, road: Road, low: float, high: float, *, gap: tuple[float, float] = (FAR, FAR)) -> None:
    """White lines at the outer borders; on a divided road also at the inner ones, there yellow outside the EU.

    `gap` is a stretch without the line at the right.
    """
    inset = 0.0 if road.shoulder else 0.15
    for side in (-1, 1):
        for a, z in ((low, min(high, gap[0])), (gap[1], high)) if side > 0 else ((low, high),):
            lengthwise(b, road, side * (road.edge - inset), a, z, WHITE, width=0.15)
        if road.median:
            lengthwise(b, road, side * road.median / 2, low, high, center_color(road), width=0.15)


ARROW = ((-0.07, 0.0), (0.07, 0.0), (0.07, 2.6), (0.36, 2.6), (0.0, 4.2), (-0.36, 2.6), (-0.07, 2.6))
TURN = (
    (-0.07, 0.0), (0.07, 0.0), (0.07, 1.75), (0.12, 1.95), (0.25, 2.05), (0.5, 2.05), (0.5, 1.6), (1.1, 2.15),
    (0.5, 2.75), (0.5, 2.35), (0.2, 2.35), (0.0, 2.2), (-0.07, 1.95),
)  # fmt: skip


def arrows(b: Builder, road: Road, d: float, s: float, ways: str) -> None:
    """A turn arrow on the road; `ways` holds any of L (left), S (straight on) and R (right)."""
    for way in ways:
        shape = ARROW if way == "S" else TURN
        side = -1 if way == "L" else 1
        shift = 0.0 if len(ways) > 1 else -0.2 * side * (way != "S")  # a lone turn arrow is centred; shafts coincide
        points = [road.place(d + side * x + shift, s + y, LINE) for x, y in shape]
        b.patch(points, WHITE)


def arc(
    middle: tuple[float, float], radius: float, start: float, stop: float, count: int = 7
) -> list[tuple[float, float]]:
    """Points of a circle from one angle (degrees from the d axis) to another."""
    turns = [math.radians(start + (stop - start) * k / (count - 1)) for k in range(count)]
    return [(middle[0] + radius * math.cos(t), middle[1] + radius * math.sin(t)) for t in turns]
