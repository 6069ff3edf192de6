"""What lines the roads of the world edition: buildings, plants, street furniture, wires, and the far horizon."""

from collections.abc import Callable

from drivelet.synth.build import BLACK, STEEL, Builder, Color, shade
from drivelet.synth.roads.road import Road
from drivelet.synth.tones import AUTUMN, GREENS, MORE_WALLS

Blocked = tuple[float, float]
"""The stretch (from s, to s) of the crossing street."""
BLOCKS = {"block_a": (9.0, 13.0), "block_b": (16.0, 24.0), "block_c": (26.0, 42.0), "hall": (4.5, 7.0)}
FAST_ROADS = ("highway", "ramp")
DOORSTEP_M = 0.13


def frontage(b: Builder, road: Road, blocked: Blocked) -> None:
    """Both sides of the road, then the horizon."""
    rows: dict[str, Callable[[Builder, Road, int, Blocked], None]] = {
        "urban": _town, "suburban": _suburb, "rural": _fields,
    }  # fmt: skip
    for side in (-1, 1):
        (_verge if road.kind in FAST_ROADS else rows[road.area])(b, road, side, blocked)
    _horizon(b, road)


def _inside(y: float, blocked: Blocked, margin: float = 0.0) -> bool:
    return blocked[0] - margin < y < blocked[1] + margin


def _tone(b: Builder, colors: tuple[Color, ...], spread: float = 0.25) -> Color:
    return shade(b.rng, colors[int(b.rng.integers(len(colors)))], spread)


def _town(b: Builder, road: Road, side: int, blocked: Blocked) -> None:
    rng = b.rng
    y = float(rng.uniform(-14, 0))
    shares = [0.42, 0.42, 0.08, 0.08] if rng.random() < 0.7 else [0.2, 0.3, 0.4, 0.1]
    while y < 150:
        length, depth = float(rng.uniform(13, 24)), float(rng.uniform(11, 15))
        if y < blocked[1] and y + length > blocked[0]:
            y = blocked[1] + 1.0
            if y >= 150:
                break
        asset = str(rng.choice(list(BLOCKS), p=shares))
        x = side * (road.half + 3.4 + depth / 2 + float(rng.choice([0.0, 0.0, 0.5, 2.0])))
        if b.clear(x, y + length / 2, length / 2):
            b.part(
                asset, (x, y + length / 2, 0), (depth, length, float(rng.uniform(*BLOCKS[asset]))), _tone(b, MORE_WALLS)
            )
        y += length + (0.05 if rng.random() < 0.6 else float(rng.uniform(1, 7)))
    _pavement_things(b, road, side, blocked)


def _pavement_things(b: Builder, road: Road, side: int, blocked: Blocked) -> None:
    """Trees in a row, bins, benches, bollards, a bus stop, lit shop signs."""
    rng = b.rng
    planted = rng.random() < 0.6
    asset, leaf = str(rng.choice(["tree", "slender"], p=[0.4, 0.6])), _tone(b, (*GREENS, *GREENS, AUTUMN))
    for k in range(6):
        y = 10 + 11 * k + float(rng.uniform(-2, 2))
        if planted and not _inside(y, blocked, 3) and rng.random() < 0.8:
            tree(b, side * (road.half + 2.4), y, asset, float(rng.uniform(4.5, 6.5)), leaf)
    for _ in range(int(rng.integers(1, 4))):
        y, name = float(rng.uniform(8, 45)), str(rng.choice(["bin", "bench", "hydrant", "bollard"]))
        x = side * (road.half + (1.0 if name in ("hydrant", "bollard") else 2.9))
        if not _inside(y, blocked, 2) and b.clear(x, y, 1.0):
            tone = (0.5, 0.03, 0.02) if name == "hydrant" else _tone(b, ((0.03, 0.08, 0.04), (0.06, 0.06, 0.07)))
            b.part(name, (x, y, DOORSTEP_M), (1, 1, 1), tone, yaw=0.0 if side > 0 else 180.0)
    y = float(rng.uniform(16, 40))
    if rng.random() < 0.2 and not _inside(y, blocked, 4):
        b.part("shelter", (side * (road.half + 2.5), y, DOORSTEP_M), (1, 1, 1), yaw=0.0 if side > 0 else 180.0)
    for _ in range(int(rng.integers(0, 3))):
        shop_sign(b, road, side, float(rng.uniform(10, 50)), blocked)


def shop_sign(b: Builder, road: Road, side: int, y: float, blocked: Blocked) -> None:
    """A lit sign that sticks out of a front: red, green or amber, and no signal."""
    if _inside(y, blocked, 2):
        return
    rng = b.rng
    x, z, bright = side * (road.half + 2.9), float(rng.uniform(2.9, 4.2)), 0.4 + 14 * b.retro
    color: Color = ((0.8, 0.03, 0.02), (0.02, 0.6, 0.15), (0.85, 0.4, 0.03), (0.1, 0.2, 0.7))[int(rng.integers(4))]
    b.part("box", (x + side * 0.45, y + 0.05, z), (0.5, 0.04, 0.04), STEEL)
    if color[1] == 0.6:  # a pharmacy's cross
        for size in ((0.7, 0.08, 0.24), (0.24, 0.085, 0.7)):
            b.part("box", (x, y, z), size, color, glow=bright)
    elif rng.random() < 0.5:
        b.part("disc", (x, y, z), (0.6, 1, 0.6), color, glow=bright)
    else:
        b.part("box", (x, y, z), (0.7, 0.1, float(rng.uniform(0.3, 1.3))), color, glow=0.7 * bright)


def tree(b: Builder, x: float, y: float, asset: str, size: float, leaf: Color) -> None:
    """One plant, unless its place is kept clear."""
    if b.clear(x, y, 1.5):
        tall = size * float(b.rng.uniform(0.9, 1.2))
        b.part(asset, (x, y, 0), (size, size, tall), shade(b.rng, leaf, 0.25), yaw=float(b.rng.uniform(0, 360)))


def _suburb(b: Builder, road: Road, side: int, blocked: Blocked) -> None:
    rng = b.rng
    y, wires = float(rng.uniform(-2, 8)), rng.random() < 0.4
    edge = str(rng.choice(["hedge", "fence", "open"]))
    while y < 120:
        size = float(rng.uniform(8.5, 12))
        if y < blocked[1] + 6 and y + size > blocked[0] - 4:
            y = blocked[1] + 7
            if y >= 120:
                break
        asset = "house" if rng.random() < 0.7 else "bungalow"
        x = side * (road.half + 8.5 + size / 2 + float(rng.uniform(0, 4)))
        if b.clear(x, y + size / 2, size / 2):
            high = float(rng.uniform(6, 8.2) if asset == "house" else rng.uniform(4.4, 5.4))
            b.part(
                asset,
                (x, y + size / 2, 0),
                (size, size * 0.9, high),
                _tone(b, MORE_WALLS),
                yaw=float(rng.choice([0, 90])),
            )
            _garden(b, road, side, y, size, edge)
        y += size + float(rng.uniform(4, 11))
    board(b, road, side, blocked)
    if wires and side > 0:
        _wires(b, side * (road.half + 3.2), blocked)


def board(b: Builder, road: Road, side: int, blocked: Blocked) -> None:
    """Now and then a poster wall."""
    y = float(b.rng.uniform(30, 70))
    x = side * (road.half + 6.5)
    if b.rng.random() < 0.12 and not _inside(y, blocked, 3) and b.clear(x, y, 2.0):
        b.part("board", (x, y, 0), (1, 1, 1), yaw=-12.0 * side)


def _garden(b: Builder, road: Road, side: int, y: float, size: float, edge: str) -> None:
    """A hedge or a fence along the pavement, shrubs and a tree."""
    rng = b.rng
    x = side * (road.half + 4.0)
    if edge != "open":
        high = float(rng.uniform(0.9, 1.6))
        tone = _tone(b, GREENS) if edge == "hedge" else _tone(b, ((0.5, 0.5, 0.48), (0.22, 0.13, 0.07)))
        b.part(edge, (x, y + size / 2, 0), (0.8 if edge == "hedge" else 0.1, 0.9 * size, high), tone)
    if rng.random() < 0.7:
        bush = float(rng.uniform(0.9, 2.0))
        b.part(
            "shrub",
            (x + side * 1.6, y + float(rng.uniform(0, size)), 0),
            (bush, bush, bush),
            _tone(b, (*GREENS, *GREENS, AUTUMN)),
        )
    if rng.random() < 0.8:
        asset = str(rng.choice(["tree", "slender", "pine"], p=[0.5, 0.3, 0.2]))
        spot = x + side * float(rng.uniform(0.5, 4))
        tree(b, spot, y + size + 1.5, asset, float(rng.uniform(4.5, 8)), _tone(b, (*GREENS, *GREENS, AUTUMN)))


def _wires(b: Builder, x: float, blocked: Blocked) -> None:
    """Utility poles with sagging wires along the road."""
    rng = b.rng
    step, first = float(rng.uniform(28, 36)), float(rng.uniform(4, 14))
    for k in range(5):
        y = first + k * step
        if _inside(y, blocked) or not b.clear(x, y):
            continue
        b.part("wood_mast", (x, y, 0), (1, 1, 1))
        b.part("wire", (x, y, 7.58), (1, step, float(rng.uniform(0.4, 0.9))), BLACK)


def _fields(b: Builder, road: Road, side: int, blocked: Blocked) -> None:
    """Tall grass, trees, the edge of a wood, fences, now and then a farm."""
    rng = b.rng
    grass = _tone(b, ((0.14, 0.18, 0.06), (0.2, 0.19, 0.08)))
    for k in range(8):
        y = 6 + 5.5 * k
        if not _inside(y, blocked, 3) and rng.random() < 0.8:
            high = float(rng.uniform(0.25, 0.55))
            b.part("tuft", (side * (road.half + 1.2), y, 0), (1.2, 5.5, high), shade(rng, grass))
    wood = rng.random() < 0.45
    if wood:
        x, high, leaf = side * (road.half + float(rng.uniform(9, 30))), float(rng.uniform(9, 14)), _tone(b, GREENS)
        for k in range(3):
            y = 45 + 62 * k
            if not _inside(y, blocked, 35):
                b.part("woods", (x, y, 0), (12, 62, high), shade(rng, leaf, 0.15))
    asset, leaf = str(rng.choice(["tree", "slender", "pine"])), _tone(b, (*GREENS, *GREENS, AUTUMN))
    for _ in range(4 if wood else 8):
        y, x = float(rng.uniform(12, 110)), side * (road.half + float(rng.uniform(4.5, 24)))
        if not _inside(y, blocked, 2):
            tree(b, x, y, asset, float(rng.uniform(5, 9)), leaf)
    if rng.random() < 0.3:
        tone = _tone(b, ((0.22, 0.14, 0.08), (0.4, 0.4, 0.38)))
        for k in range(5):
            if not _inside(10 + 9.0 * k, blocked, 5):
                b.part("fence", (side * (road.half + 3.2), 10 + 9.0 * k, 0), (0.1, 9, 1.1), tone)
    if rng.random() < 0.35:
        x, y = side * (road.half + float(rng.uniform(16, 34))), float(rng.uniform(35, 90))
        if not _inside(y, blocked, 10) and b.clear(x, y, 6):
            b.part("house", (x, y, 0), (10, 9, 7.5), _tone(b, MORE_WALLS), yaw=float(rng.choice([0, 90])))
            b.part("hall", (x + side * 16, y + 4, 0), (12, 20, 6), _tone(b, MORE_WALLS))
    board(b, road, side, blocked)
    if side > 0 and rng.random() < 0.4:
        _wires(b, side * (road.half + 4.5), blocked)


def _verge(b: Builder, road: Road, side: int, blocked: Blocked) -> None:
    """Beside a fast road: slopes with shrubs, then woods."""
    rng = b.rng
    leaf = _tone(b, GREENS)
    for _ in range(7):
        x, y = side * (road.half + float(rng.uniform(7, 22))), float(rng.uniform(14, 120))
        size = float(rng.uniform(1.5, 3.5))
        if b.clear(x, y, 2.0) and not _inside(y, blocked):
            b.part("shrub", (x, y, 0), (size, size, size), shade(rng, leaf, 0.3))
    if rng.random() < 0.7:
        x, high = side * (road.half + float(rng.uniform(22, 40))), float(rng.uniform(9, 15))
        for k in range(3):
            b.part("woods", (x, 40 + 62.0 * k, 0), (12, 62, high), shade(rng, leaf, 0.15))


def _horizon(b: Builder, road: Road) -> None:
    """Something at the end of every view: woods or roofs, and high ground behind."""
    rng = b.rng
    leaf = _tone(b, GREENS)
    for k in range(4):
        at = (-105 + 70.0 * k + float(rng.uniform(-10, 10)), float(rng.uniform(235, 270)))
        if road.area == "urban" and rng.random() < 0.7:
            b.part("block_b", (*at, 0), (20, 34, float(rng.uniform(14, 30))), _tone(b, MORE_WALLS))
        else:
            b.part("woods", (*at, 0), (12, 72, float(rng.uniform(9, 15))), shade(rng, leaf, 0.2), yaw=90.0)
    if road.area != "urban":
        for _ in range(3):
            size = (float(rng.uniform(120, 220)), 60, float(rng.uniform(18, 40)))
            spot = (float(rng.uniform(-220, 220)), float(rng.uniform(300, 380)), -6)
            b.part("bush", spot, size, shade(rng, (0.07, 0.1, 0.05), 0.2))


def street_lamps(b: Builder, road: Road, *, lit: bool) -> list[list[float]]:
    """Bent masts along one side or both, none on most rural roads; returns the places of the lamps."""
    rng = b.rng
    if road.area == "rural" and rng.random() < 0.7:
        return []
    both, side = rng.random() < 0.35, float(rng.choice([-1, 1]))
    first, step, height = float(rng.uniform(6, 16)), float(rng.uniform(22, 32)), float(rng.uniform(6.5, 9.0))
    tone, light = _tone(b, ((0.25, 0.26, 0.27), (0.1, 0.11, 0.11), (0.16, 0.18, 0.16))), (1.0, 0.75, 0.42)
    places = []
    for k in range(5):
        way = side * (-1 if both and k % 2 else 1)
        x, y = way * (road.half + 0.9), first + k * step * (0.6 if both else 1.0)
        if not b.clear(x, y):
            continue
        b.part("street_lamp", (x, y, 0), (height, height, height), tone, yaw=0.0 if way > 0 else 180.0)
        reach = x - way * 0.26 * height
        b.part("box", (reach, y, height - 0.02), (0.6, 0.24, 0.09), light if lit else (0.3, 0.3, 0.3), glow=4.0 * lit)
        places.append([round(v, 3) for v in b.place((reach, y, height - 0.4))])
    return places
