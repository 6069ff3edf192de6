"""Divided roads: shoulders, guard rails, the median, and an exit that leaves to the right behind a gore."""

import math
from itertools import pairwise
from typing import Any

from drivelet.synth.build import STEEL, WHITE, Builder, Color, shade
from drivelet.synth.roads.road import Road
from drivelet.synth.roads.surface import (
    BACK,
    FAR,
    LINE,
    Line,
    asphalt,
    center_color,
    edge_lines,
    flat,
    lane_lines,
    lengthwise,
    outline,
)  # fmt: skip

RAIL = ((0.0, 0.45), (0.05, 0.5), (0.0, 0.6), (0.05, 0.7), (0.0, 0.76))
WALL = ((-0.3, 0.0), (-0.14, 0.25), (-0.09, 0.85), (0.09, 0.85), (0.14, 0.25), (0.3, 0.0))
CONCRETE: Color = (0.34, 0.33, 0.31)
EXIT_WIDTH_M = 3.6


def highway(b: Builder, road: Road, tar: Color, *, gap: tuple[float, float] = (FAR, FAR)) -> None:
    """Both carriageways with their lines, the median between them and rails at the sides.

    `gap` is the stretch where an exit interrupts the line at the right.
    """
    rng = b.rng
    inner = road.median / 2 - 0.9
    for sides in ((inner, road.half), (-road.half, -inner)):
        asphalt(b, road, BACK, FAR, tar, sides=sides)
    edge_lines(b, road, BACK, FAR, gap=gap)
    lane_lines(b, road, BACK, FAR)
    if road.median < 4.0:
        asphalt(b, road, BACK, FAR, tar, sides=(-inner, inner))
        b.sweep(road.line(0.0, BACK, FAR, 0.01), WALL, shade(rng, CONCRETE))
    else:
        for d in (-inner + 0.3, inner - 0.3):
            rail(b, road, [(d, s) for s in road.stations(BACK, FAR)])
    rail(b, road, [(-road.half - 0.6, s) for s in road.stations(BACK, FAR)])


def rail(b: Builder, road: Road, line: Line) -> None:
    """A guard rail of galvanised steel along a line, its posts as far as they can be told apart."""
    b.sweep(outline(road, line, 0.0), RAIL, (0.42, 0.43, 0.45), material="gloss")
    low, high = max(line[0][1], 2.0), min(line[-1][1], 44.0)
    for k in range(max(0, int((high - low) / 4.0))):
        s = low + 4.0 * k
        b.part("box", (_d_at(line, s), s, 0.35), (0.1, 0.06, 0.7), STEEL)


def _d_at(line: Line, s: float) -> float:
    for (d0, s0), (d1, s1) in pairwise(line):
        if s0 <= s <= s1:
            return d0 + (d1 - d0) * (s - s0) / max(s1 - s0, 1e-6)
    return line[-1][0]


def right_rail(b: Builder, road: Road) -> None:
    """The rail at the right of the ego's carriageway."""
    rail(b, road, [(road.half + 0.6, s) for s in road.stations(BACK, FAR)])


def exit_lane(b: Builder, road: Road, leave: dict[str, Any], tar: Color) -> None:
    """A lane that opens beside the outermost one, runs along it and curves away behind the gore.

    Args:
        leave: `from_y` (the taper begins), `nose_y` (the gore's tip), `radius` of the curve that leaves.
    """
    edge, nose = road.edge, leave["nose_y"]
    inner = [(edge + exit_offset(leave, s), s) for s in _stations(leave)]
    width = [EXIT_WIDTH_M * min(max((s - leave["from_y"]) / 30.0, 0.0), 1.0) for _, s in inner]
    outer = [(d + w, s) for (d, s), w in zip(inner, width, strict=True)]
    paved = [(d + road.shoulder, s) for d, s in outer]
    b.patch(outline(road, [*inner, *paved[::-1]], 0.014), tar, material="asphalt")
    b.sweep(outline(road, outer, LINE + 0.012), flat(0.15), WHITE)
    after = [(d, s) for d, s in inner if s >= nose]
    b.sweep(outline(road, after, LINE + 0.012), flat(0.15), center_color(road) if road.region == "us" else WHITE)
    lengthwise(b, road, edge, leave["from_y"] + 25.0, nose, WHITE, dash=(1.5, 1.5), width=0.3)
    _gore(b, road, leave, after)
    rail(b, road, [(road.half + 0.6, BACK), *((d + 0.6, s) for d, s in paved)])
    split = next((s for d, s in after if d > road.half + 2.6), FAR)
    rail(b, road, [(road.half + 0.6, s) for s in road.stations(split, FAR)])
    b.part("bush", (road.half + 1.2, split - 1.5, 0.0), (1.0, 1.6, 1.3), (0.75, 0.5, 0.02))


def exit_offset(leave: dict[str, Any], s: float) -> float:
    """How far the exit lane's left border is from the outermost lane at `s`."""
    past = max(s - leave["nose_y"], 0.0)
    return past * past / (2 * leave["radius"])


def _stations(leave: dict[str, Any]) -> list[float]:
    end = leave["nose_y"] + math.sqrt(2 * leave["radius"] * 45.0)
    straight = [leave["from_y"], leave["from_y"] + 30.0]
    return [*straight, *(leave["nose_y"] + (end - leave["nose_y"]) * k / 16 for k in range(17))]


def _gore(b: Builder, road: Road, leave: dict[str, Any], border: Line) -> None:
    """Bars that close the wedge between both lanes."""
    edge = road.edge
    for k in range(7):
        s = leave["nose_y"] + 9.0 + 3.0 * k
        wide = exit_offset(leave, s)
        if 0.5 < wide < road.shoulder + 2.6:
            bar = [(edge + 0.15, s), (edge + wide / 2, s - 0.8), (edge + wide - 0.15, s)]
            b.sweep(outline(road, bar, LINE + 0.012), flat(0.45), WHITE)
