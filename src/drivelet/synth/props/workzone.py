"""Lane closures: a taper and a line of cones, what stands beside them, and the signs that belong to a work zone."""

from typing import Any

import numpy as np

from drivelet.synth.build import BLACK, RED, STEEL, WHITE, Builder, Color, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.roads import scenery
from drivelet.synth.roads.highway import WALL
from drivelet.synth.roads.road import Road

ORANGE: Color = (0.85, 0.16, 0.01)
WORK_YELLOW: Color = (0.8, 0.42, 0.02)
ARROW_LAMPS = ((0.8, 0.0), (0.55, 0.18), (0.55, -0.18), (0.3, 0.36), (0.3, -0.36), (0.4, 0.0), (0.0, 0.0), (-0.4, 0.0))
DIGGER = (
    (0.0, 0.12, 0.09, 0.09, 0), (-0.02, -0.03, 0.1, 0.22, 0), (0.08, -0.06, 0.2, 0.05, 35), (0.14, -0.2, 0.2, 0.1, 0),
)  # fmt: skip
"""Bars of the figure with the shovel: x, up, width, height (shares of the sign), and roll in degrees."""
LEAST_CONES = 4
"""Fewer cones make no taper that a driver would take for one."""


def close_lane(b: Builder, domain: DomainConfig, road: Road, count: int, limit_s: float) -> dict[str, Any] | None:
    """Close an outer lane with exactly `count` cones before `limit_s`; None where there is no room.

    The taper leads from the border of the road across the lane, the line goes on along the lane's inner border. Drums,
    posts and barriers stand beside the cones and are objects of their own kinds: they are no cones, and `cone.count`
    does not count them, because a driver who is asked for cones would not either. They do close the lane, which the
    returned closure says: `lane`, `start_m`, `end_m`, `side` (the border from which the taper comes) and `by`.
    """
    rng = b.rng
    near, far = domain.cone_m
    far = min(far, limit_s - 2.0)
    lane = road.lanes - 1 if rng.random() < 0.6 or road.median == 0 else 0
    if count < LEAST_CONES or road.lanes < 2 or far - near < 11.0:
        return None
    start = float(rng.uniform(near, near + 0.3 * (far - near)))
    length = min(float(rng.uniform(7.0, 16.0)), 0.55 * (far - start))
    stop = float(rng.uniform(min(max(start + length + 3.0, 0.8 * far), far), far))
    right = lane == road.lanes - 1
    outer, inner = road.lane_d(lane) + road.lane_width / 2, road.lane_d(lane) - road.lane_width / 2
    if not right:
        outer, inner = inner, outer
    spots = _spots(rng, count, (start, start + length, stop), (outer, inner + (0.3 if right else -0.3)))
    _cones(b, road, spots)
    kind = pick(rng, domain.channelisers)
    inside = 0.75 if right else -0.75
    if kind == "drums":
        _drums(b, road, [(d + inside, s) for d, s in spots if s > start + 2.0])
    elif kind == "posts":
        _posts(b, road, [(d + inside / 2, s + 1.0) for d, s in spots])
    elif kind == "barrier":
        _barrier(b, road, inner + inside, start + length + 1.5, max(stop, start + length + 8.0))
    _board(b, road, road.lane_d(lane) + inside / 2, start + length + 2.5, left=right)
    if stop - start > 20.0 and rng.random() < 0.5:
        scenery.vehicle(b, road.lane_d(lane) + inside / 3, start + length + 12.0, yaw=0.0, kind="truck")
    work_sign(b, road, float(rng.uniform(8.0, max(start, 9.0))) if start < 16 else start - 4.0)
    b.keep((min(outer, inner) - 0.4, max(outer, inner) + 0.4), (start - 5.0, stop + 9.0))
    return {"lane": lane, "start_m": round(start, 2), "end_m": round(stop, 2), "side": "right" if right else "left",
            "by": kind}  # fmt: skip


def _spots(
    rng: np.random.Generator, count: int, along: tuple[float, float, float], sides: tuple[float, float]
) -> list[tuple[float, float]]:
    """(d, s) of the cones: from `sides[0]` to `sides[1]` over the taper, then straight on."""
    taper = max(2, round(count * (along[1] - along[0]) / (along[2] - along[0])))
    taper = min(taper, count)
    shares = np.linspace(0, 1, taper)
    spots = [(sides[0] + (sides[1] - sides[0]) * float(k), along[0] + (along[1] - along[0]) * float(k)) for k in shares]
    rest = np.linspace(along[1], along[2], count - taper + 1)[1:]
    spots += [(sides[1], float(s)) for s in rest]
    return [(d + float(rng.uniform(-0.06, 0.06)), s) for d, s in spots]


def _cones(b: Builder, road: Road, spots: list[tuple[float, float]]) -> None:
    height, tone = float(b.rng.uniform(0.7, 0.95)), ORANGE
    for d, s in spots:
        index = b.object("cone", (d, s, 0), lane_offset=round(d - road.ego_x, 3))
        turn = float(b.rng.uniform(0, 90))
        size = (height, height, height)
        b.part("cone_body", (d, s, 0.01), size, tone, yaw=turn, glow=0.25 * b.retro, index=index)
        b.part("cone_bands", (d, s, 0.01), size, WHITE, yaw=turn, glow=b.retro, index=index)


def _drums(b: Builder, road: Road, spots: list[tuple[float, float]]) -> None:
    for d, s in spots[:14]:
        index = b.object("drum", (d, s, 0), lane_offset=round(d - road.ego_x, 3))
        b.part("drum_body", (d, s, 0.01), (1, 1, 1), ORANGE, glow=0.25 * b.retro, index=index)
        b.part("drum_bands", (d, s, 0.01), (1, 1, 1), WHITE, glow=b.retro, index=index)


def _posts(b: Builder, road: Road, spots: list[tuple[float, float]]) -> None:
    for d, s in spots[:10]:
        index = b.object("channeliser", (d, s, 0), lane_offset=round(d - road.ego_x, 3))
        b.part("pole", (d, s, 0.01), (0.09, 0.09, 1.0), ORANGE, glow=0.25 * b.retro, index=index)
        for z in (0.62, 0.8):
            b.part("pole", (d, s, z), (0.1, 0.1, 0.09), WHITE, glow=b.retro, index=index)


def _barrier(b: Builder, road: Road, d: float, low: float, high: float) -> None:
    """Segments of 2 m, red and white in turn."""
    index = b.object("barrier", (d, low, 0), lane_offset=round(d - road.ego_x, 3), to_s=round(high, 2))
    for k, tone in ((0, (0.6, 0.05, 0.03)), (1, WHITE)):
        line = road.line(d, low + 2.05 * k, high, 0.01)
        b.sweep(line, WALL, tone, material="gloss", dash=(2.0, 2.1), index=index)


def _board(b: Builder, road: Road, d: float, s: float, *, left: bool) -> None:
    """A trailer with an arrow of lamps that points to the open side."""
    index = b.object("arrow_board", (d, s, 1.9), lane_offset=round(d - road.ego_x, 3))
    b.part("box", (d, s + 0.3, 0.55), (1.5, 1.6, 0.25), STEEL, index=index)
    for x in (-0.6, 0.6):
        b.part("pole", (d + x, s + 0.1, 0.0), (0.08, 0.08, 1.6), STEEL, index=index)
    b.part("box", (d, s, 1.95), (2.1, 0.1, 1.1), BLACK, index=index)
    way = -1 if left else 1
    for x, z in ARROW_LAMPS:
        b.part("disc", (d + way * x, s - 0.07, 1.95 + z), (0.17, 1, 0.17), (1.0, 0.55, 0.05), glow=1.6, index=index)


def work_sign(b: Builder, road: Road, s: float) -> None:
    """The warning sign before a work zone: an orange or yellow diamond, or a red triangle in the EU."""
    d, z, size = road.half + 0.9, 2.0, 0.95
    index = b.object("work_sign", (d, s, z))
    b.pole(d, s + 0.06, z + 0.3, 0.07)
    if road.region == "eu":
        b.sheet("triangle", (d, s, z), (1.25 * size, 1.25 * size), RED, yaw=0.0, layer=1, index=index)
        b.sheet("triangle", (d, s, z), (0.85 * size, 0.85 * size), WHITE, yaw=0.0, layer=2, index=index)
    else:
        tone = ORANGE if road.region == "us" else WORK_YELLOW
        b.sheet("diamond", (d, s, z), (1.35 * size, 1.35 * size), BLACK, yaw=0.0, layer=1, index=index)
        b.sheet("diamond", (d, s, z), (1.27 * size, 1.27 * size), tone, yaw=0.0, layer=2, index=index)
    for x, up, wide, high, turn in DIGGER:
        at = (d + x * size, s - 0.04, z + up * size - 0.02)
        b.part("panel", at, (wide * size, 1, high * size), BLACK, roll=float(turn), glow=0.0, index=index)
