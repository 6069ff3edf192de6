"""Traffic cones in the patterns of work zones."""

import math

import numpy as np

from drivelet.synth.build import WHITE, Builder, Color
from drivelet.synth.domain import DomainConfig
from drivelet.synth.roads.road import Road


def place_cones(
    b: Builder, config: DomainConfig, road: Road, count: int, narrowing: bool, *, pattern: str | None = None,
    side: int | None = None,
) -> None:  # fmt: skip
    """`count` cones in one of the patterns of work zones; narrowing ones stand inside the ego lane.

    `pattern` (edge, roadside, pair, taper, gate, across) and `side` (1 right, -1 left) are drawn where not given.
    """
    rng = b.rng
    if pattern is not None:
        narrowing = pattern in ("taper", "gate", "across")
    elif narrowing:
        pattern = str(rng.choice(["taper", "gate", "across"] if count > 1 else ["across"]))
    else:
        pattern = str(rng.choice(["edge", "roadside", "edge"] if count < 9 else ["edge", "roadside", "pair"]))
    tone: Color = (0.85, 0.16, 0.01) if rng.random() < 0.8 else (0.85, 0.1, 0.05)
    height = float(rng.uniform(0.65, 0.95))
    for x, y in _spots(rng, config, road, count, pattern, side):
        size = height * float(rng.uniform(0.96, 1.04))
        ground = 0.13 if abs(x) > road.half + 0.4 and road.area != "rural" else 0.01
        if road.kind != "street":
            ground = road.ground(x, y)
        index = b.object("cone", (x, y, 0), lane_offset=round(x - road.ego_x, 3))
        turn = float(rng.uniform(0, 90))
        b.part("cone_body", (x, y, ground), (size, size, size), tone, yaw=turn, glow=0.25 * b.retro, index=index)
        b.part("cone_bands", (x, y, ground), (size, size, size), WHITE, yaw=turn, glow=b.retro, index=index)


def _spots(
    rng: np.random.Generator, config: DomainConfig, road: Road, count: int, pattern: str, given: int | None
) -> list[tuple[float, float]]:
    """Positions (x, y); evenly spaced in 1/y, so that they are spread evenly over the picture."""
    near, far = config.cone_m
    start = float(rng.uniform(near, near + 0.25 * (far - near)))
    stop = float(rng.uniform(min(start + 2.2 * count, far - 1), far)) if count > 2 else far
    edge, drawn = road.lane_width / 2, 1 if rng.random() < 0.65 else -1
    side = given or drawn
    spread = 1 / np.linspace(1 / start, 1 / stop, max(count, 2))[:count]
    if pattern == "roadside":
        lane = np.sort(rng.uniform(0.3, 4.0, count))
        return [
            (side * (road.half + float(dx)), float(y * rng.uniform(0.97, 1.03)) + 1.5)
            for dx, y in zip(lane, spread, strict=True)
        ]
    if pattern == "edge":
        off = edge + float(rng.uniform(0.25, 0.5))
        return [(road.ego_x + side * (off + float(rng.uniform(0, 0.15))), float(y)) for y in spread]
    if pattern in ("gate", "pair"):
        off = edge - float(rng.uniform(0.35, 0.6)) if pattern == "gate" else edge + float(rng.uniform(0.25, 0.5))
        rows = 1 / np.linspace(1 / start, 1 / stop, max(math.ceil(count / 2), 2))
        return [(road.ego_x + (1 if k % 2 else -1) * side * off, float(rows[k // 2])) for k in range(count)]
    if pattern == "taper":
        shift = edge + 0.3 - np.linspace(0, 1, count) * 1.3 * edge
        return [(road.ego_x + side * float(dx), float(y)) for dx, y in zip(shift, spread, strict=True)]
    rows = [float(rng.uniform(start + 1, max(start + 2, 0.6 * far)))] if count < 6 else [start + 2.0, 0.7 * far]
    wide = np.linspace(-1, 1, max(math.ceil(count / len(rows)), 2)) * edge * 0.8
    spots = [(road.ego_x + float(wide[k // len(rows)]), rows[k % len(rows)]) for k in range(count)]
    return [(x + float(rng.uniform(-0.1, 0.1)), y + float(rng.uniform(-0.2, 0.2))) for x, y in spots]
