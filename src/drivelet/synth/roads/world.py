"""The world edition's roads: their kinds, what lies on them, and where a light or a junction may stand."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drivelet.synth.build import Builder, Color, shade
from drivelet.synth.domain import DomainConfig
from drivelet.synth.roads.highway import exit_lane, exit_offset, highway, right_rail
from drivelet.synth.roads.junctions import TEES, crossing, roundabout
from drivelet.synth.roads.road import POSTED, REGION_DEFAULT, UNIT, Road
from drivelet.synth.roads.surface import (
    BACK,
    FAR,
    across,
    along,
    asphalt,
    center_line,
    edge_lines,
    kerb,
    land,
    lane_lines,
    lengthwise,
)  # fmt: skip

LIT_ROADS = ("straight", "curve", "crest", "tee", "cross")
"""Kinds of road that may have traffic lights."""
FAST_ROADS = ("highway", "ramp")
SPEEDS = {"highway": (18.0, 36.0), "ramp": (16.0, 32.0), "tee": (0.0, 12.0), "cross": (0.0, 14.0),
          "roundabout": (2.0, 11.0)}  # fmt: skip
WIDER = {"urban": 1.0, "suburban": 1.5, "rural": 2.5}
IN_VIEW_PX = 140.0
POSTABLE = {
    "town": {"km/h": (5, 80), "mph": (10, 50)},
    "rural": {"km/h": (30, 110), "mph": (20, 65)},
    "fast": {"km/h": (60, 130), "mph": (45, 80)},
}
"""Lowest and highest limit on the signs of each class of road."""
LIMITS = {
    "town": REGION_DEFAULT,
    "rural": {"eu": 90, "us": 55, "cn": 70},
    "fast": {"eu": 130, "us": 65, "cn": 120},
}
"""Limits without a sign: most EU states' (90 outside towns, 130 on motorways), common US state limits, and those of
China's road traffic regulations (70 on a road of one lane each way, 120 on expressways)."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the fixed things of a road stand: junction, lights, exit lane; None where there is none."""

    junction: dict[str, Any] | None = None
    signal_y: float | None = None
    leave: dict[str, Any] | None = None


def shaped(road: Road, kind: str, domain: DomainConfig, rng: np.random.Generator) -> Road:
    """Give a straight road the shape of its kind."""
    make = _SHAPES.get(kind)
    return replace(make(road, domain, rng) if make else road, kind=kind)


def _curve(road: Road, domain: DomainConfig, rng: np.random.Generator) -> Road:
    radius = float(rng.uniform(*domain.curve_m)) * WIDER[road.area]
    turn, start = math.radians(float(rng.uniform(30, 75))), float(rng.uniform(-12.0, 14.0))
    curvature = float(rng.choice([-1, 1])) / radius
    return replace(road, bends=((start, curvature), (start + turn * radius, 0.0)), lanes=min(road.lanes, 2), lane=0)


def _crest(road: Road, domain: DomainConfig, rng: np.random.Generator) -> Road:
    del domain
    start, radius = float(rng.uniform(9.0, 26.0)), float(rng.uniform(110.0, 420.0))
    length = float(rng.uniform(0.06, 0.1)) * radius
    area = "rural" if road.area == "urban" else road.area
    lanes = min(road.lanes, 2)
    crests = ((start, -1 / radius), (start + length, 0.0))
    return replace(road, crests=crests, area=area, lanes=lanes, lane=min(road.lane, lanes - 1))


def _fast(road: Road, domain: DomainConfig, rng: np.random.Generator) -> Road:
    del domain
    lanes = int(rng.choice([2, 3]))
    wide = rng.random() < 0.6
    bend = float(rng.choice([-1, 0, 1])) / float(rng.uniform(500, 1500))
    return replace(
        road, lanes=lanes, lane=int(rng.integers(lanes)), lane_width=float(rng.uniform(3.5, 3.75)), area="rural",
        median=float(rng.uniform(6.0, 10.0) if wide else rng.uniform(2.4, 3.2)), shoulder=float(rng.uniform(2.4, 3.0)),
        bends=((-40.0, bend),) if bend else (),
    )  # fmt: skip


def _ramp(road: Road, domain: DomainConfig, rng: np.random.Generator) -> Road:
    fast = _fast(road, domain, rng)
    return replace(fast, bends=(), lane=max(fast.lane, fast.lanes - 2))


def _round(road: Road, domain: DomainConfig, rng: np.random.Generator) -> Road:
    del domain, rng
    return replace(road, lanes=1, lane=0, lane_width=max(road.lane_width, 3.5))


_SHAPES: dict[str, Callable[[Road, DomainConfig, np.random.Generator], Road]] = {
    "curve": _curve, "crest": _crest, "highway": _fast, "ramp": _ramp, "roundabout": _round,
}  # fmt: skip


def plan(rng: np.random.Generator, domain: DomainConfig, road: Road, lamp: str, mount: str) -> tuple[Road, Layout]:
    """Draw where junction, lights and exit lie; returns the road with its end, too."""
    if road.kind in ("tee", "cross"):
        junction, signal_y = _junction(rng, domain, road, lamp, mount)
        ends = math.inf if "ahead" in junction["arms"] else junction["stop_y"] + 3.0
        gap = (junction["near_y"] - junction["radius"], junction["end_y"] + junction["radius"])
        return replace(road, ends=ends, gap=gap), Layout(junction=junction, signal_y=signal_y)
    if road.kind == "roundabout":
        junction = _roundabout(rng, road)
        gap = (junction["stop_y"] - 6.0, junction["end_y"] + 6.0)
        return replace(road, ends=junction["stop_y"] + 3.0, gap=gap), Layout(junction=junction)
    if road.kind == "ramp":
        start = float(rng.uniform(-25.0, 12.0))
        nose = start + float(rng.uniform(34.0, 48.0))
        leave = {"from_y": start, "nose_y": nose, "radius": float(rng.uniform(50.0, 110.0))}
        return road, Layout(leave={key: round(value, 3) for key, value in leave.items()})
    if lamp == "none" or road.kind not in LIT_ROADS:
        return road, Layout()
    low, high = _lamp_range(rng, domain, mount)
    for _ in range(20):
        signal_y = float(rng.uniform(low, high))
        if road.in_view(road.half + 0.8, signal_y, IN_VIEW_PX):
            return road, Layout(signal_y=signal_y)
    return road, Layout()


def _lamp_range(rng: np.random.Generator, domain: DomainConfig, mount: str) -> tuple[float, float]:
    low, high = domain.lamp_m
    if mount != "pole":
        low = max(low, 15.0)
        high = max(high, low + 6.0)
    return (high, high + 12.0) if rng.random() < domain.lamp_far else (low, high)


def _junction(
    rng: np.random.Generator, domain: DomainConfig, road: Road, lamp: str, mount: str
) -> tuple[dict[str, Any], float | None]:
    arms = ("left", "ahead", "right") if road.kind == "cross" else TEES[int(rng.integers(len(TEES)))]
    width = float(rng.uniform(7.0, 8.5) if rng.random() < 0.6 else rng.uniform(11.0, 14.0))
    radius = float(rng.uniform(3.0, 5.0) if road.kerbs else rng.uniform(5.0, 8.0))
    stop, signal_y = float(rng.uniform(7.0 if "ahead" in arms else 12.0, 30.0)), None
    if lamp != "none":
        low, high = _lamp_range(rng, domain, mount)
        behind = width + 4.0 + (radius if "ahead" in arms else 1.2)  # never behind the pavement across
        signal_y = float(rng.uniform(low, high))
        far_side = mount != "pole" and (high - behind > 7.0) and rng.random() < (0.35 if road.region == "eu" else 0.8)
        if far_side:
            signal_y = max(signal_y, behind + 7.0)
        stop = signal_y - behind if far_side else signal_y - 0.8
    sign = rng.random() < (0.5 if lamp == "none" else 0.0)
    zebra = bool(rng.random() < (0.7 if road.kerbs else 0.2))
    values = {"stop_y": stop, "near_y": stop + 4.0, "end_y": stop + 4.0 + width, "radius": radius,
              "set_back": 3.6 if zebra else radius * 0.6}  # fmt: skip
    return {
        "kind": road.kind, "arms": list(arms), **{key: round(value, 3) for key, value in values.items()},
        "line": bool(lamp != "none" or sign or rng.random() < 0.5), "zebra": zebra, "stop_sign": bool(sign),
        "arrows": bool(rng.random() < (0.75 if road.lanes > 1 else 0.25)),
        "crosswalk": str(rng.choice(["bars", "lines", "ladder"] if road.region == "us" else ["bars"])),
    }, signal_y  # fmt: skip


def _roundabout(rng: np.random.Generator, road: Road) -> dict[str, Any]:
    radius, edge = float(rng.uniform(13.0, 18.0)), road.half + 0.4
    stop = float(rng.uniform(13.0, 26.0))
    middle = stop + 0.8 + math.sqrt(radius**2 - edge**2)
    values = {"stop_y": stop, "middle_y": middle, "end_y": middle + radius + 2.0, "radius": radius,
              "inner": radius - float(rng.uniform(6.2, 7.5))}  # fmt: skip
    return {
        "kind": "roundabout", "arms": ["left", "ahead", "right"],
        **{key: round(value, 3) for key, value in values.items()}, "line": False, "zebra": False, "stop_sign": False,
    }  # fmt: skip


def lay(b: Builder, road: Road, layout: Layout) -> None:
    """Place the ground, the surface of the road with its lines, and what must stay clear."""
    tar: Color = shade(b.rng, (0.075, 0.075, 0.08), 0.45)
    walk = shade(b.rng, (0.25, 0.24, 0.225), 0.25)
    land(b, road)
    junction = layout.junction
    if junction:
        (roundabout if road.kind == "roundabout" else crossing)(b, road, junction, tar, walk)
        near = junction.get("near_y", junction["stop_y"])
        b.keep((-160.0, 160.0), (near - 1.0, junction["end_y"] + 1.0))
    elif road.kind in FAST_ROADS:
        _fast_road(b, road, layout, tar)
    else:
        _plain(b, road, layout.signal_y, tar, walk)


def _fast_road(b: Builder, road: Road, layout: Layout, tar: Color) -> None:
    leave = layout.leave
    if leave is None:
        highway(b, road, tar)
        right_rail(b, road)
        return
    highway(b, road, tar, gap=(leave["from_y"] + 25.0, leave["nose_y"]))
    exit_lane(b, road, leave, tar)
    for s in range(0, 200, 10):
        wide = exit_offset(leave, float(s))
        b.keep((road.edge + wide - 8.0 if wide > 12 else road.half, road.edge + wide + 14.0), (s - 6.0, s + 6.0))


def _plain(b: Builder, road: Road, signal_y: float | None, tar: Color, walk: Color) -> None:
    """A road without a junction; lights on it guard a crosswalk."""
    rng, edge = b.rng, road.half + 0.4
    asphalt(b, road, BACK, FAR, tar)
    if road.kerbs:
        for side in (-1, 1):
            kerb(b, road, along(road, side * edge, BACK, FAR), walk, left=side < 0)
    styles = ["solid", "double", "mixed"] if road.bends or road.crests else ["dashed", "solid", "double", "mixed"]
    style = "double" if road.lanes > 1 else str(rng.choice(styles))
    stop = None if signal_y is None else signal_y - 0.8
    pieces = ((BACK, FAR),) if stop is None else ((BACK, stop), (stop + 4.0, FAR))
    edges = road.area == "rural" or rng.random() < 0.4
    for low, high in pieces:
        center_line(b, road, low, high, style)
        lane_lines(b, road, low, high)
        if edges:
            edge_lines(b, road, low, high)
    if stop is not None:
        index = b.object("stop_line", (road.half / 2, stop, 0))
        across(b, road, stop + 0.25, (0.12, road.half - 0.1), 0.5, index=index)
        index = b.object("crosswalk", (0, stop + 2.3, 0))
        across(b, road, stop + 2.3, (-road.half, road.half), 2.4, dash=(0.5, 0.5), index=index)
    elif road.kerbs and rng.random() < 0.35:  # parking bays along the kerb
        lengthwise(b, road, -road.half + 0.1, BACK, FAR, (0.7, 0.7, 0.7), dash=(0.6, 5.4))


def posted_value(rng: np.random.Generator, road: Road) -> int:
    """A limit that such a road may have; every value of the region occurs on some road."""
    low, high = POSTABLE[_class(road)][UNIT[road.region]]
    some = [value for value in POSTED[road.region] if low <= value <= high]
    return int(some[int(rng.integers(len(some)))])


def fitting_plates(plates: dict[str, float], road: Road, cones: int) -> dict[str, float]:
    """Plates without those that make no sense: a school beside a fast road, a work zone without cones."""
    wrong = {"school"} if road.kind in FAST_ROADS else set()
    wrong |= set() if cones else {"work_zone"}
    fitting = {name: odds for name, odds in plates.items() if name not in wrong}
    return fitting if any(fitting.values()) else plates


def _class(road: Road) -> str:
    return "fast" if road.kind in FAST_ROADS else "rural" if road.area == "rural" else "town"


def default_limit(road: Road) -> int:
    """The limit of such a road without a sign, in the region's unit."""
    return LIMITS[_class(road)][road.region]


def shape_record(road: Road) -> dict[str, Any]:
    """What the setting says of the road: its kind and how road coordinates map to the scene's frame."""
    return {
        "kind": road.kind, "bends": [list(bend) for bend in road.bends], "crests": [list(one) for one in road.crests],
        "median": round(road.median, 3), "shoulder": round(road.shoulder, 3), "half": round(road.half, 3),
    }  # fmt: skip
