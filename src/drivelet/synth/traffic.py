"""Traffic furniture: lights and the rule of which one governs, signs, cones."""

import math
from dataclasses import dataclass

import numpy as np

from drivelet.synth.build import BLACK, RED, STEEL, WHITE, Builder, Color, Point
from drivelet.synth.domain import DomainConfig

LIT: dict[str, tuple[Color, float]] = {
    "red": ((1.0, 0.035, 0.02), 2.6),
    "yellow": ((1.0, 0.5, 0.015), 2.2),
    "green": ((0.03, 1.0, 0.42), 1.7),
}
DARK: dict[str, Color] = {"red": (0.05, 0.008, 0.006), "yellow": (0.05, 0.03, 0.005), "green": (0.006, 0.04, 0.025)}
OTHER_STATE = {"red": ("green", "yellow"), "yellow": ("red", "green"), "green": ("red",), "off": ("off",)}

POSTED = {"eu": tuple(range(10, 131, 10)), "us": tuple(range(10, 81, 5))}
UNIT = {"eu": "km/h", "us": "mph"}
REGION_DEFAULT = {"eu": 50, "us": 35}
"""Default limit of a road without a sign, in the region's unit (an urban road)."""


@dataclass(frozen=True, kw_only=True)
class Road:
    """The straight road of a scene: `lanes` each way, the ego in lane `lane` counted from the centre line."""

    lanes: int
    lane: int
    lane_width: float
    region: str
    area: str
    camera_z: float
    focal_px: float

    @property
    def half(self) -> float:
        """Half of the carriageway's width."""
        return self.lanes * self.lane_width

    @property
    def ego_x(self) -> float:
        """Centre of the ego lane."""
        return (self.lane + 0.5) * self.lane_width


# ---------------------------------------------------------------------------------------------- traffic lights


def head(b: Builder, at: Point, state: str, *, scale: float, yaw: float, governs: bool, lane: int | None, style: Color,
         level: bool = False) -> None:  # fmt: skip
    """One three-lamp head; a lit lamp is an object of its own, so that its pixels can be counted.

    A level head lies on its side with red on the left. `governs` says whether it controls the ego lane.
    """
    facing = abs((yaw + 180) % 360 - 180) < 60
    index = b.object("traffic_light", at, governing=governs, lane=lane, state=state, facing=facing)
    roll = -90.0 if level else 0.0
    b.part("head", at, (scale, scale, scale), style, yaw=yaw, roll=roll, index=index)
    turn = math.radians(yaw)
    for name, step in (("red", 0.4), ("yellow", 0.0), ("green", -0.4)):
        along, rise = (-step * scale, 0.0) if level else (0.0, step * scale)
        depth = -0.015 * scale
        spot = (
            at[0] + along * math.cos(turn) - depth * math.sin(turn),
            at[1] + along * math.sin(turn) + depth * math.cos(turn),
            at[2] + rise,
        )
        size = (0.33 * scale, 1, 0.33 * scale)
        if name == state:
            color, glow = LIT[name]
            lamp = b.object("lamp", spot, parent=index, state=state, governing=governs, facing=facing)
            b.part("lamp", spot, size, color, yaw=yaw, glow=glow, index=lamp)
        else:
            b.part("lamp", spot, size, DARK[name], yaw=yaw, index=index)


def signals(
    b: Builder, config: DomainConfig, road: Road, state: str, mount: str, y: float, *, others: bool = True
) -> None:
    """The lights that face the ego road at distance `y`; without `others`, only those that govern the ego lane.

    The rule: where lights hang over lanes, the one over the ego lane governs and the others control their own lanes;
    where a light stands on a pole at the right edge it governs, and its twin on the left repeats it.
    """
    rng = b.rng
    scale = float(rng.uniform(1.05, 1.35))
    style: Color = (0.42, 0.28, 0.03) if road.region == "us" and rng.random() < 0.55 else (0.025, 0.03, 0.028)
    yaw = float(rng.uniform(-6, 6))
    if mount == "pole":
        _pole_signals(b, config, road, state, y, scale, style, yaw)
    else:
        _hung_signals(b, config, road, state, mount, y, scale, style, yaw, others)
    if (
        others and rng.random() < config.extra_heads * 0.6
    ):  # lights of the crossing street, seen from the side or from behind
        turn = float(rng.choice([90.0, -90.0, 180.0]))
        x = float(rng.choice([-1, 1])) * (road.half + rng.uniform(0.8, 1.6))
        z = float(rng.uniform(2.6, 3.4))
        b.pole(x, y + 1.5, z)
        head(b, (x, y + 1.4, z), str(rng.choice(["red", "green"])), scale=scale, yaw=turn, governs=False, lane=None,
             style=style)  # fmt: skip


def _pole_signals(
    b: Builder, config: DomainConfig, road: Road, state: str, y: float, scale: float, style: Color, yaw: float
) -> None:
    x, z = road.half + float(b.rng.uniform(0.5, 1.1)), float(b.rng.uniform(2.5, 3.2))
    b.pole(x, y + 0.25, z + 0.9)
    head(b, (x, y, z), state, scale=scale, yaw=yaw, governs=True, lane=road.lane, style=style)
    if b.rng.random() < config.extra_heads:
        b.pole(-x, y + 0.25, z + 0.9)
        head(b, (-x, y, z), state, scale=scale, yaw=-yaw, governs=True, lane=road.lane, style=style)


def _hung_signals(b: Builder, config: DomainConfig, road: Road, state: str, mount: str, y: float, scale: float,
                  style: Color, yaw: float, others: bool) -> None:  # fmt: skip
    rng = b.rng
    z = float(rng.uniform(4.7, 5.5))
    level = bool(rng.random() < 0.08)
    top = z + (0.35 if level else 0.75) * scale
    if mount == "mast":
        left = road.ego_x - 0.6 if road.lane == 0 else 0.5 * road.lane_width
        right = road.half + 1.0
        b.pole(right, y + 0.3, top + 0.1, 0.2)
        b.part("box", ((left + right) / 2, y + 0.3, top), (right - left, 0.12, 0.12), STEEL)
    else:
        for side in (-1, 1):
            b.pole(side * (road.half + 1.5), y + 0.3, top + 0.6, 0.22, (0.16, 0.11, 0.07))
        b.part("box", (0, y + 0.3, top), (2 * road.half + 3, 0.035, 0.035), BLACK)
    for lane in range(road.lanes):
        governs = lane == road.lane
        if not governs and (not others or rng.random() > config.extra_heads + 0.2):
            continue
        same = governs or rng.random() < 0.45
        shown = state if same else str(rng.choice(OTHER_STATE[state]))
        x = (lane + 0.5) * road.lane_width + float(rng.uniform(-0.25, 0.25))
        head(b, (x, y, z), shown, scale=scale, yaw=yaw, governs=governs, lane=lane, style=style, level=level)


# ------------------------------------------------------------------------------------------------------- signs


def ring_sign(b: Builder, at: Point, value: int, *, size: float, yaw: float) -> None:
    """A European speed limit: red ring, black digits."""
    index = b.object("speed_sign", at, value=value, unit="km/h")
    b.sheet("disc", at, (size, size), WHITE, yaw=yaw, layer=1, index=index)
    b.sheet("ring", at, (size, size), RED, yaw=yaw, layer=2, index=index)
    wide, high = {1: (0.24, 0.46), 2: (0.54, 0.45), 3: (0.66, 0.4)}[len(str(value))]
    b.sheet(f"text_{value}", at, (wide * size, high * size), BLACK, yaw=yaw, layer=3, index=index)


def plate_sign(b: Builder, at: Point, value: int, *, size: float, yaw: float) -> None:
    """A US speed limit: white plate, SPEED LIMIT and black digits; `size` is its height."""
    index = b.object("speed_sign", at, value=value, unit="mph")
    wide = 0.8 * size
    b.sheet("panel", at, (wide, size), WHITE, yaw=yaw, layer=1, index=index)
    b.sheet("panel", at, (0.94 * wide, 0.95 * size), BLACK, yaw=yaw, layer=2, index=index)
    b.sheet("panel", at, (0.89 * wide, 0.91 * size), WHITE, yaw=yaw, layer=3, index=index)
    for word, rise in (("SPEED", 0.33), ("LIMIT", 0.175)):
        spot = (at[0], at[1], at[2] + rise * size)
        b.sheet(f"text_{word}", spot, (0.68 * wide, 0.11 * size), BLACK, yaw=yaw, layer=4, index=index)
    spot = (at[0], at[1], at[2] - 0.17 * size)
    b.sheet(f"text_{value}", spot, (0.7 * wide, 0.43 * size), BLACK, yaw=yaw, layer=4, index=index)


def speed_sign(b: Builder, config: DomainConfig, road: Road, value: int, clear: tuple[float, float]) -> None:
    """A speed sign beside the road, at the distance that gives it the wanted height in pixels.

    `clear` is a y range that must stay free (the crossing street).
    """
    rng = b.rng
    base = float(rng.uniform(0.75, 1.0) if road.region == "eu" else rng.uniform(0.95, 1.25))
    low, high = config.sign_px
    if rng.random() < config.sign_far:
        low, high = 0.72 * low, low
    x, y, size = _sign_spot(rng, road, base, (low, high), clear)
    z = float(rng.uniform(1.7, 2.6))
    yaw = float(rng.uniform(-9, 9))
    b.pole(x, y + 0.06, z + size / 2, 0.07)
    (ring_sign if road.region == "eu" else plate_sign)(b, (x, y, z), value, size=size, yaw=yaw)


def _sign_spot(
    rng: np.random.Generator, road: Road, base: float, pixels: tuple[float, float], clear: tuple[float, float]
) -> tuple[float, float, float]:
    reach = 0.88 * 160
    x = y = size = 0.0
    for _ in range(40):
        right = rng.random() < (0.9 if road.lane == road.lanes - 1 else 0.6)
        x = road.half + float(rng.uniform(0.5, 1.6)) if right else -road.half - float(rng.uniform(0.5, 1.2))
        size = base * (1.0 if right or road.lanes == 1 else 1.3)
        wanted = float(np.exp(rng.uniform(math.log(pixels[0]), math.log(pixels[1]))))
        y = size * road.focal_px / wanted
        inside = abs(x - road.ego_x) * road.focal_px / y < reach
        if inside and not clear[0] - 1 < y < clear[1] + 1:
            return x, y, size
    y = max(abs(x - road.ego_x) * road.focal_px / reach, 7.0)
    return x, y, size


def stop_sign(b: Builder, road: Road, y: float) -> None:
    """A red octagon with STOP at the stop line."""
    x, z = road.half + float(b.rng.uniform(0.5, 1.0)), float(b.rng.uniform(2.0, 2.5))
    size = float(b.rng.uniform(0.8, 1.0))
    at, yaw = (x, y, z), float(b.rng.uniform(-6, 6))
    index = b.object("stop_sign", at)
    b.pole(x, y + 0.06, z + 0.3, 0.07)
    b.sheet("octagon", at, (size, size), WHITE, yaw=yaw, layer=1, index=index)
    b.sheet("octagon", at, (0.93 * size, 0.93 * size), RED, yaw=yaw, layer=2, index=index)
    b.sheet("text_STOP", at, (0.72 * size, 0.3 * size), WHITE, yaw=yaw, layer=3, index=index)


def other_sign(b: Builder, road: Road, y: float) -> None:
    """A sign that is no speed limit: warning, direction, parking, closed road."""
    rng = b.rng
    kind = str(rng.choice(["diamond", "triangle", "parking", "closed", "direction"]))
    side = 1 if rng.random() < 0.7 else -1
    at = (side * (road.half + float(rng.uniform(0.6, 2.2))), y, float(rng.uniform(1.9, 2.6)))
    yaw = float(rng.uniform(-8, 8))
    b.pole(at[0], y + 0.06, at[2], 0.07)
    size = float(rng.uniform(0.7, 0.95))
    if kind == "diamond":
        b.sheet("diamond", at, (size * 1.3, size * 1.3), (0.75, 0.42, 0.02), yaw=yaw, layer=1, index=0)
        b.sheet("panel", at, (0.1, 0.5 * size), BLACK, yaw=yaw, layer=2, index=0)
    elif kind == "triangle":
        b.sheet("triangle", at, (size * 1.2, size * 1.2), RED, yaw=yaw, layer=1, index=0)
        b.sheet("triangle", at, (size * 0.8, size * 0.8), WHITE, yaw=yaw, layer=2, index=0)
        b.sheet("panel", at, (0.07, 0.25 * size), BLACK, yaw=yaw, layer=3, index=0)
    elif kind == "parking":
        b.sheet("panel", at, (0.8 * size, 0.8 * size), (0.02, 0.1, 0.5), yaw=yaw, layer=1, index=0)
        b.sheet("text_P", at, (0.38 * size, 0.55 * size), WHITE, yaw=yaw, layer=2, index=0)
    elif kind == "closed":
        b.sheet("disc", at, (size, size), RED, yaw=yaw, layer=1, index=0)
        b.sheet("panel", at, (0.7 * size, 0.16 * size), WHITE, yaw=yaw, layer=2, index=0)
    else:
        b.sheet("panel", at, (1.7 * size, 0.9 * size), (0.01, 0.16, 0.09), yaw=yaw, layer=1, index=0)
        b.sheet("panel", at, (1.2 * size, 0.12 * size), WHITE, yaw=yaw, layer=2, index=0)


# ------------------------------------------------------------------------------------------------------- cones


def cones(
    b: Builder, config: DomainConfig, road: Road, count: int, narrowing: bool, *, pattern: str | None = None
) -> None:
    """`count` cones in one of the patterns of work zones; narrowing ones stand inside the ego lane.

    `pattern` (edge, roadside, pair, taper, gate, across) is drawn where it is not given.
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
    for x, y in _spots(rng, config, road, count, pattern):
        size = height * float(rng.uniform(0.96, 1.04))
        ground = 0.13 if abs(x) > road.half + 0.4 and road.area != "rural" else 0.01
        index = b.object("cone", (x, y, 0), lane_offset=round(x - road.ego_x, 3))
        turn = float(rng.uniform(0, 90))
        b.part("cone_body", (x, y, ground), (size, size, size), tone, yaw=turn, glow=0.25 * b.retro, index=index)
        b.part("cone_bands", (x, y, ground), (size, size, size), WHITE, yaw=turn, glow=b.retro, index=index)


def _spots(
    rng: np.random.Generator, config: DomainConfig, road: Road, count: int, pattern: str
) -> list[tuple[float, float]]:
    """Positions (x, y); evenly spaced in 1/y, so that they are spread evenly over the picture."""
    near, far = config.cone_m
    start = float(rng.uniform(near, near + 0.25 * (far - near)))
    stop = float(rng.uniform(min(start + 2.2 * count, far - 1), far)) if count > 2 else far
    edge, side = road.lane_width / 2, 1 if rng.random() < 0.65 else -1
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
