"""Where roads meet: crossings, T junctions and roundabouts, with kerbs that close around their corners."""

import math
from typing import Any

from drivelet.synth.build import STEEL, WHITE, Builder, Color, shade
from drivelet.synth.roads.road import RAISED_M, Road
from drivelet.synth.roads.surface import (
    BACK,
    FAR,
    KERB,
    LINE,
    ON_CROSSING,
    Line,
    across,
    along,
    arc,
    arrows,
    asphalt,
    center_color,
    center_line,
    edge_lines,
    flat,
    kerb,
    lane_lines,
    outline,
)  # fmt: skip

ARMS = {"cross": ("left", "ahead", "right"), "roundabout": ("left", "ahead", "right")}
TEES = (("left", "right"), ("ahead", "right"), ("left", "ahead"))
REACH = 150.0


def crossing(b: Builder, road: Road, junction: dict[str, Any], tar: Color, walk: Color) -> None:
    """The surface of a road with a crossing or T junction: what runs up to it, itself, and what goes on behind it."""
    stop, near, far = junction["stop_y"], junction["near_y"], junction["end_y"]
    ahead = "ahead" in junction["arms"]
    asphalt(b, road, BACK, FAR if ahead else far, tar)
    _street(b, road, junction, tar)
    _corners(b, road, junction, tar, walk)
    style = "double" if road.lanes > 1 or road.region != "eu" else str(b.rng.choice(["solid", "dashed"]))
    edges = road.area == "rural" or b.rng.random() < 0.3
    for low, high in ((BACK, stop), (far + junction["set_back"], FAR)) if ahead else ((BACK, stop),):
        center_line(b, road, low, high, style)
        lane_lines(b, road, low, high, solid_before=stop - 22.0 if high == stop else None)
        if edges:
            edge_lines(b, road, low, min(high, near - junction["radius"]) if high == stop else high)
    if junction["line"]:
        index = b.object("stop_line", (road.half / 2, stop, 0))
        across(b, road, stop + 0.25, (0.12, road.half - 0.1), 0.5, index=index)
    if junction["zebra"]:
        index = b.object("crosswalk", (0, stop + 2.3, 0))
        _crosswalk(b, road, junction, [(-road.half, stop + 2.3), (road.half, stop + 2.3)], index)
        if ahead:
            _crosswalk(b, road, junction, [(-road.half, far + 1.9), (road.half, far + 1.9)], 0)
    if junction["arrows"]:
        _turn_arrows(b, road, junction)


def _street(b: Builder, road: Road, junction: dict[str, Any], tar: Color) -> None:
    """The crossing street with its own lines."""
    near, far, middle = junction["near_y"], junction["end_y"], (junction["near_y"] + junction["end_y"]) / 2
    left = -REACH if "left" in junction["arms"] else road.half - 0.5
    right = REACH if "right" in junction["arms"] else 0.5 - road.half
    street = b.object("cross_street", (0, middle, 0))
    corners = ((left, near), (right, near), (right, far), (left, far))
    b.patch(outline(road, corners, 0.014), tar, material="asphalt", index=street)
    for side, arm in ((-1, "left"), (1, "right")):
        if arm not in junction["arms"]:
            continue
        start = road.half + junction["radius"] + 1.5 + (2.6 if junction["zebra"] else 0.0)
        b.sweep(outline(road, ((side * start, middle), (side * REACH, middle)), LINE), flat(0.14), center_color(road))
        half = (near + 0.2, middle - 0.1) if side < 0 else (middle + 0.1, far - 0.2)
        b.sweep(outline(road, [(side * (start - 0.2), s) for s in half], ON_CROSSING), flat(0.45), WHITE)
        if junction["zebra"]:
            at = side * (road.half + junction["radius"] + 1.0)
            _crosswalk(b, road, junction, [(at, near + 0.1), (at, far - 0.1)], 0)


def _crosswalk(b: Builder, road: Road, junction: dict[str, Any], line: Line, index: int) -> None:
    """Bars, two lines, or both, along a line from kerb to kerb."""
    points = outline(road, line, ON_CROSSING)
    style = junction["crosswalk"]
    if style != "lines":
        b.sweep(points, flat(2.4), WHITE, dash=(0.5, 0.5) if road.region == "eu" else (0.55, 0.7), index=index)
    if style != "bars":
        for shift in (-1.35, 1.35):
            b.sweep(points, ((shift - 0.12, 0.0), (shift + 0.12, 0.0)), WHITE, index=index)


def _corners(b: Builder, road: Road, junction: dict[str, Any], tar: Color, walk: Color) -> None:
    near, far, r, edge = junction["near_y"], junction["end_y"], junction["radius"], road.half + 0.4
    ahead = "ahead" in junction["arms"]
    for side, arm in ((-1, "left"), (1, "right")):
        if arm not in junction["arms"]:
            _kerbed(b, road, along(road, side * edge, BACK, FAR), walk, side < 0)
            continue
        bend = arc((edge + r, near - r), r, 180, 90)
        _fillet(b, road, [*bend, (edge - 0.2, near), (edge - 0.2, near - r)], side, tar)
        _kerbed(b, road, _mirrored([(edge, BACK), *bend, (REACH, near)], side), walk, side < 0)
        if ahead:
            bend = arc((edge + r, far + r), r, 270, 180)
            _fillet(b, road, [*bend, (edge - 0.2, far + r), (edge - 0.2, far)], side, tar)
            _kerbed(b, road, _mirrored([(REACH, far), *bend, (edge, FAR)], side), walk, side < 0)
    if not ahead:
        _kerbed(b, road, [(REACH, far), (-REACH, far)], walk, False)


def _kerbed(b: Builder, road: Road, line: Line, walk: Color, left: bool) -> None:
    if road.kerbs:
        kerb(b, road, line, walk, left=left)


def _mirrored(line: Line, side: int) -> Line:
    return [(side * d, s) for d, s in line]


def _fillet(b: Builder, road: Road, line: Line, side: int, tar: Color) -> None:
    b.patch(outline(road, _mirrored(line, side), 0.012), tar, material="asphalt")


def _turn_arrows(b: Builder, road: Road, junction: dict[str, Any]) -> None:
    straight = "S" if "ahead" in junction["arms"] else ""
    left, right = "L" if "left" in junction["arms"] else "", "R" if "right" in junction["arms"] else ""
    for lane in range(road.lanes):
        ways = straight or left + right
        if lane == 0:
            ways = left + (straight if road.lanes < 3 or not left else "") or ways
        if lane == road.lanes - 1:
            ways = (ways if road.lanes == 1 else straight) + right or ways
        for s in (junction["stop_y"] - 6.5, junction["stop_y"] - 24.0):
            if s > 4.0:
                arrows(b, road, road.lane_d(lane), s, "".join(sorted(set(ways))))


# ------------------------------------------------------------------------------------------------ roundabouts


def roundabout(b: Builder, road: Road, junction: dict[str, Any], tar: Color, walk: Color) -> None:
    """A ring with four arms around a planted island, entered by a yield line."""
    stop, middle, radius = junction["stop_y"], junction["middle_y"], junction["radius"]
    ring = b.object("cross_street", (0, middle - radius, 0))
    disc = arc((0, middle), radius, 0, 360, 49)[:-1]
    asphalt(b, road, BACK, stop + 2.0, tar)
    b.patch(outline(road, disc, 0.016), tar, material="asphalt", index=ring)
    edge = road.half + 0.4
    reach = math.sqrt(radius**2 - edge**2)
    far = [(edge, middle + reach - 0.5), (edge, FAR), (-edge, FAR), (-edge, middle + reach - 0.5)]
    b.patch(outline(road, far, 0.012), tar, material="asphalt")
    for side in (-1, 1):
        arm = [(side * (reach - 0.5), middle - edge), (side * REACH, middle - edge), (side * REACH, middle + edge),
               (side * (reach - 0.5), middle + edge)]  # fmt: skip
        b.patch(outline(road, arm, 0.012), tar, material="asphalt")
        for turn in (-1, 1):
            _quarter(b, road, junction, (side, turn), tar, walk)
    _island(b, road, junction)
    _approach(b, road, junction)


def _quarter(b: Builder, road: Road, junction: dict[str, Any], sides: tuple[int, int], tar: Color, walk: Color) -> None:
    """One corner: the kerb from the ego road (or the one opposite) around the ring to the crossing road."""
    middle, radius, edge = junction["middle_y"], junction["radius"], road.half + 0.4
    reach = math.sqrt(radius**2 - edge**2)
    open_deg = math.degrees(math.asin(edge / radius))
    ring = arc((0, 0), radius, -90 + open_deg + 14, -open_deg - 14)
    entry = _bezier((edge, -reach - 6.0), (edge, -reach), ring[0])
    leave = _bezier(ring[-1], (reach, -edge), (reach + 6.0, -edge))
    line = [(edge, BACK - middle), *entry, *ring[1:-1], *leave, (REACH, -edge)]
    if sides[1] > 0:
        line[0] = (edge, middle - FAR)

    def placed(points: Line) -> Line:
        return [(sides[0] * d, middle + (1 if sides[1] < 0 else -1) * s) for d, s in points]

    for curve, inner in ((entry, (edge - 0.3, -reach + 0.3)), (leave, (reach - 0.3, -edge + 0.3))):
        b.patch(outline(road, placed([*curve, inner]), 0.018), tar, material="asphalt")
    _kerbed(b, road, placed(line), walk, sides[0] * sides[1] > 0)


def _bezier(a: tuple[float, float], via: tuple[float, float], z: tuple[float, float]) -> list[tuple[float, float]]:
    shares = [k / 6 for k in range(7)]
    return [
        (
            (1 - t) ** 2 * a[0] + 2 * t * (1 - t) * via[0] + t * t * z[0],
            (1 - t) ** 2 * a[1] + 2 * t * (1 - t) * via[1] + t * t * z[1],
        )
        for t in shares
    ]


def _island(b: Builder, road: Road, junction: dict[str, Any]) -> None:
    middle, inner, rng = junction["middle_y"], junction["inner"], b.rng
    apron = arc((0, middle), inner + 1.2, 0, 360, 41)[:-1]
    b.patch(outline(road, apron, 0.08), shade(rng, (0.3, 0.22, 0.19)), drop=0.08)
    b.patch(outline(road, arc((0, middle), inner, 0, 360, 41)[:-1], 0.22), KERB, drop=0.22)
    grass = arc((0, middle), inner - 0.2, 0, 360, 41)[:-1]
    b.patch(outline(road, grass, 0.23), shade(rng, (0.1, 0.15, 0.04), 0.3), material="ground")
    for _ in range(int(rng.integers(2, 6))):
        spread, turn = (inner - 1.5) * math.sqrt(float(rng.uniform(0, 1))), float(rng.uniform(0, 2 * math.pi))
        size = float(rng.uniform(1.0, 2.2))
        at = (spread * math.cos(turn), middle + spread * math.sin(turn), 0.15)
        b.part("bush", at, (size, size, size * 0.8), shade(rng, (0.07, 0.14, 0.03), 0.3))
    if rng.random() < 0.4:
        size = float(rng.uniform(4, 6))
        b.part("tree", (0.0, middle, 0.2), (size, size, size), shade(rng, (0.07, 0.14, 0.03), 0.3))
    front = middle - inner + 0.6
    for k in (-1, 0, 1):  # the board that turns traffic to the right
        b.part("panel", (k * 0.62, front, 0.85), (0.6, 1, 0.6), (0.02, 0.09, 0.45), glow=b.retro)
        b.part("triangle", (k * 0.62, front - 0.02, 0.85), (0.4, 1, 0.4), WHITE, roll=90.0, glow=b.retro)
    b.part("box", (0, front + 0.1, 0.55), (1.5, 0.06, 0.6), STEEL)


def _approach(b: Builder, road: Road, junction: dict[str, Any]) -> None:
    """Lines, the dividing island and the yield line of the ego road."""
    stop, edge = junction["stop_y"], road.half
    nose = max(stop - 9.0, -25.0)
    center_line(b, road, BACK, nose, "solid")
    if road.area == "rural":
        edge_lines(b, road, BACK, stop - 6.0)
    island = [(-0.9, stop + 0.4), (0.9, stop + 0.4), (0.25, nose + 0.5), (-0.25, nose + 0.5)]
    b.patch(outline(road, island, RAISED_M), KERB, drop=RAISED_M)
    index = b.object("yield_line", (edge / 2, stop, 0))
    across(b, road, stop, (1.0, edge + 0.3), 0.4, dash=(0.5, 0.3), index=index)
