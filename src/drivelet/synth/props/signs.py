"""Signs: speed limits of both styles, stop signs, and signs that only resemble them."""

import math

import numpy as np

from drivelet.synth.build import BLACK, RED, WHITE, Builder, Point
from drivelet.synth.domain import DomainConfig
from drivelet.synth.props.plates import distractor, posted_sign
from drivelet.synth.roads.road import Road


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
    base = float(rng.uniform(0.75, 1.0) if road.region != "us" else rng.uniform(0.95, 1.25))
    low, high = config.sign_px
    if rng.random() < config.sign_far:
        low, high = 0.72 * low, low
    x, y, size = _sign_spot(rng, road, base, (low, high), clear)
    if road.kind != "street":
        posted_sign(b, config, road, value, (x, y, size), float(rng.uniform(-9, 9)))
        return
    z = float(rng.uniform(1.7, 2.6))
    yaw = float(rng.uniform(-9, 9))
    b.pole(x, y + 0.06, z + size / 2, 0.07)
    (plate_sign if road.region == "us" else ring_sign)(b, (x, y, z), value, size=size, yaw=yaw)


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
        inside = road.in_view(x, y, reach)
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


def yield_sign(b: Builder, road: Road, y: float) -> None:
    """A red and white triangle on its point at the yield line."""
    at = (road.half + float(b.rng.uniform(0.7, 1.1)), y - 0.6, float(b.rng.uniform(1.9, 2.3)))
    index = b.object("yield_sign", at)
    b.pole(at[0], at[1] + 0.06, at[2], 0.07)
    for layer, (size, color) in enumerate(((1.05, RED), (0.7, WHITE)), start=1):
        spot = (at[0], at[1] - 0.012 * layer, at[2])
        b.part("triangle", spot, (size, 1, size), color, roll=180.0, glow=b.retro, index=index)


def other_sign(b: Builder, road: Road, y: float) -> None:
    """A sign that is no speed limit: warning, direction, parking, closed road."""
    if road.kind != "street":
        distractor(b, road, y)
        return
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
