"""Signs of the world edition: limits of three styles, their ends, school and work zones, and what resembles them."""

from collections.abc import Callable

from drivelet.synth.build import BLACK, RED, WHITE, Builder, Color, Point, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.roads.road import UNIT, Road

GREY: Color = (0.14, 0.14, 0.15)
ORANGE: Color = (0.8, 0.27, 0.01)
AMBER: Color = (0.75, 0.46, 0.02)
LIME: Color = (0.5, 0.72, 0.03)
BLUE: Color = (0.015, 0.09, 0.45)
GREEN: Color = (0.01, 0.2, 0.09)
SCHOOL = {"eu": (30, 20, 40), "us": (15, 20, 25), "cn": (30, 20, 40)}
"""Limits that a school zone may have."""
DIGITS = {
    "eu": {1: (0.24, 0.46), 2: (0.54, 0.45), 3: (0.66, 0.4)},
    "cn": {1: (0.27, 0.53), 2: (0.6, 0.52), 3: (0.71, 0.46)},
}
"""Width and height of a number by its digits, as shares of the ring's size: Chinese ones are larger."""
POLES: dict[str, tuple[float, Color]] = {
    "eu": (0.07, (0.25, 0.26, 0.27)), "us": (0.08, (0.17, 0.19, 0.17)), "cn": (0.1, (0.6, 0.6, 0.6)),
}  # fmt: skip


def sign_style(config: DomainConfig, road: Road, b: Builder) -> str:
    """The style of a speed sign: the region's own unless the domain mixes styles."""
    return pick(b.rng, config.sign_styles) if config.sign_styles else road.region


def posted_sign(
    b: Builder, config: DomainConfig, road: Road, value: int, spot: tuple[float, float, float], yaw: float
) -> None:
    """A speed sign at `spot` (x, y, size): a limit, the end of one (no limit is in force), a school or a work zone."""
    rng = b.rng
    style, plate = sign_style(config, road, b), pick(rng, config.plates)
    if plate == "school":
        value = SCHOOL[style][int(rng.integers(3))]
    x, y, size = spot
    z = float(rng.uniform(1.8, 2.5)) + (0.25 if plate in ("school", "work_zone") else 0.0)
    wide, tone = POLES[style]
    b.pole(x, y + 0.07, z + size * (0.5 if plate in ("limit", "end") else 1.0), wide, tone)
    facts = {"value": value, "unit": UNIT[road.region], "style": style, "plate": plate}
    at = (x, y, z)
    if plate == "end":
        _end(b, at, style, value, size, yaw, facts)
        return
    index = b.object("speed_sign", at, **facts)
    if plate in ("school", "work_zone"):
        _extra(b, at, style, plate, size, yaw, index)
    _limit(b, at, style, value, size, yaw, index, paper=ORANGE if plate == "work_zone" and style == "us" else WHITE)


def _limit(b: Builder, at: Point, style: str, value: int, size: float, yaw: float, index: int, *, paper: Color) -> None:
    """The limit itself: a red ring with black digits, or a plate with SPEED LIMIT."""
    if style != "us":
        b.sheet("disc", at, (size, size), WHITE, yaw=yaw, layer=1, index=index)
        b.sheet("ring", at, (size, size), RED, yaw=yaw, layer=2, index=index)
        wide, high = DIGITS[style][len(str(value))]
        b.sheet(f"text_{value}", at, (wide * size, high * size), BLACK, yaw=yaw, layer=3, index=index)
        return
    wide = 0.8 * size
    frame(b, at, (wide, size), paper, BLACK, yaw, index)
    for word, rise in (("SPEED", 0.33), ("LIMIT", 0.175)):
        spot = (at[0], at[1], at[2] + rise * size)
        b.sheet(f"text_{word}", spot, (0.68 * wide, 0.11 * size), BLACK, yaw=yaw, layer=4, index=index)
    spot = (at[0], at[1], at[2] - 0.17 * size)
    b.sheet(f"text_{value}", spot, (0.7 * wide, 0.43 * size), BLACK, yaw=yaw, layer=4, index=index)


def frame(b: Builder, at: Point, size: tuple[float, float], paper: Color, line: Color, yaw: float, index: int) -> None:
    """A plate with a thin line inside its border."""
    wide, high = size
    b.sheet("panel", at, (wide, high), paper, yaw=yaw, layer=1, index=index)
    b.sheet("panel", at, (0.94 * wide, 0.95 * high), line, yaw=yaw, layer=2, index=index)
    b.sheet("panel", at, (0.89 * wide, 0.91 * high), paper, yaw=yaw, layer=3, index=index)


def _extra(b: Builder, at: Point, style: str, plate: str, size: float, yaw: float, index: int) -> None:
    """What makes a limit that of a school or of a work zone: a plate above it, or the board behind it."""
    x, y, z = at
    school = plate == "school"
    if style == "us":
        top, words = (x, y, z + 0.68 * size), ("SCHOOL",) if school else ("WORK", "ZONE")
        frame(b, top, (0.8 * size, 0.34 * size), LIME if school else ORANGE, BLACK, yaw, index)
        for k, word in enumerate(words):
            rise = 0.0 if school else 0.075 - 0.15 * k
            at_word = (x, y, top[2] + rise * size)
            b.sheet(f"text_{word}", at_word, (0.6 * size, 0.11 * size), BLACK, yaw=yaw, layer=4, index=index)
        return
    board = (LIME if school else AMBER) if style == "cn" else (WHITE if school else AMBER)
    b.sheet("panel", (x, y, z + 0.42 * size), (1.15 * size, 2.05 * size), board, yaw=yaw, layer=0, index=index)
    top = (x, y, z + 0.92 * size)
    b.sheet("triangle", top, (0.9 * size, 0.9 * size), RED, yaw=yaw, layer=1, index=index)
    b.sheet(
        "triangle", top, (0.58 * size, 0.58 * size), WHITE if style == "eu" else AMBER, yaw=yaw, layer=2, index=index
    )
    b.sheet("man_walks", (x, y, z + 0.9 * size), (0.2 * size, 0.26 * size), BLACK, yaw=yaw, layer=3, index=index)


def _end(b: Builder, at: Point, style: str, value: int, size: float, yaw: float, facts: dict[str, object]) -> None:
    """End of a limit: grey digits under stripes, nothing red; an American plate says END and ZONE."""
    index = b.object("end_sign", at, **facts)
    if style == "us":
        _end_plate(b, at, value, size, yaw, index)
        return
    wide, high = DIGITS[style][len(str(value))]
    b.sheet("disc", at, (size, size), WHITE, yaw=yaw, layer=1, index=index)
    b.sheet("thin_ring", at, (size, size), GREY if style == "eu" else BLACK, yaw=yaw, layer=2, index=index)
    b.sheet(f"text_{value}", at, (wide * size, high * size), GREY, yaw=yaw, layer=3, index=index)
    b.sheet("stripes", at, (size, size), BLACK, yaw=yaw, layer=4, index=index)


def _end_plate(b: Builder, at: Point, value: int, size: float, yaw: float, index: int) -> None:
    wide = 0.8 * size
    frame(b, at, (wide, size), WHITE, BLACK, yaw, index)
    for word, rise in (("END", 0.3), ("ZONE", -0.32)):
        spot = (at[0], at[1], at[2] + rise * size)
        b.sheet(f"text_{word}", spot, (0.55 * wide, 0.15 * size), BLACK, yaw=yaw, layer=4, index=index)
    b.sheet(f"text_{value}", at, (0.5 * wide, 0.3 * size), GREY, yaw=yaw, layer=4, index=index)
    b.sheet("stripes", at, (0.75 * wide, 0.4 * size), BLACK, yaw=yaw, layer=5, index=index)


# ---------------------------------------------------------------------------------------------------- distractors


def distractor(b: Builder, road: Road, y: float) -> None:
    """A sign that names no limit: some of them have numbers, rings or lamps' colours."""
    rng = b.rng
    kind = str(rng.choice(sorted(DISTRACTORS)))
    side = 1 if rng.random() < 0.7 else -1
    at = (side * (road.half + float(rng.uniform(0.6, 2.2))), y, float(rng.uniform(1.9, 2.6)))
    wide, tone = POLES[road.region]
    b.pole(at[0], y + 0.07, at[2] + 0.3, wide, tone)
    index = b.object("other_sign", at, name=kind)
    DISTRACTORS[kind](b, at, float(rng.uniform(0.7, 0.95)), float(rng.uniform(-8, 8)), index)


def _minimum(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    """A minimum speed: white digits on a blue disc."""
    value = int(b.rng.choice([30, 40, 50, 60, 70, 80]))
    b.sheet("disc", at, (size, size), BLUE, yaw=yaw, layer=1, index=index)
    b.sheet("thin_ring", at, (size, size), WHITE, yaw=yaw, layer=2, index=index)
    b.sheet(f"text_{value}", at, (0.52 * size, 0.44 * size), WHITE, yaw=yaw, layer=3, index=index)


def _advised(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    """A bend with an advised speed, which is no limit."""
    b.sheet("diamond", at, (1.3 * size, 1.3 * size), AMBER, yaw=yaw, layer=1, index=index)
    b.sheet("chevron", at, (0.5 * size, 0.5 * size), BLACK, yaw=yaw, layer=2, index=index)
    below = (at[0], at[1], at[2] - 0.95 * size)
    frame(b, below, (0.6 * size, 0.55 * size), AMBER, BLACK, yaw, index)
    value = int(b.rng.choice([15, 20, 25, 30, 35]))
    b.sheet(f"text_{value}", below, (0.36 * size, 0.3 * size), BLACK, yaw=yaw, layer=4, index=index)


def _give_way(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    for share, color, layer in ((1.2, RED, 1), (0.78, WHITE, 2)):
        b.sheet("triangle_down", at, (share * size, share * size), color, yaw=yaw, layer=layer, index=index)


def _warning(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    b.sheet("triangle", at, (1.2 * size, 1.2 * size), RED, yaw=yaw, layer=1, index=index)
    b.sheet("triangle", at, (0.8 * size, 0.8 * size), WHITE, yaw=yaw, layer=2, index=index)
    b.sheet("man_walks", at, (0.24 * size, 0.32 * size), BLACK, yaw=yaw, layer=3, index=index)


def _diamond(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    b.sheet("diamond", at, (1.3 * size, 1.3 * size), BLACK, yaw=yaw, layer=1, index=index)
    b.sheet("diamond", at, (1.24 * size, 1.24 * size), AMBER, yaw=yaw, layer=2, index=index)
    b.sheet("text_AHEAD", at, (0.62 * size, 0.16 * size), BLACK, yaw=yaw, layer=3, index=index)


def _closed(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    b.sheet("disc", at, (size, size), RED, yaw=yaw, layer=1, index=index)
    b.sheet("panel", at, (0.7 * size, 0.16 * size), WHITE, yaw=yaw, layer=2, index=index)


def _no_trucks(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    """A red ring around something that is no number."""
    b.sheet("disc", at, (size, size), WHITE, yaw=yaw, layer=1, index=index)
    b.sheet("ring", at, (size, size), RED, yaw=yaw, layer=2, index=index)
    b.sheet("panel", at, (0.42 * size, 0.2 * size), BLACK, yaw=yaw, layer=3, index=index)


def _parking(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    b.sheet("panel", at, (0.8 * size, 0.8 * size), BLUE, yaw=yaw, layer=1, index=index)
    b.sheet("text_P", at, (0.38 * size, 0.55 * size), WHITE, yaw=yaw, layer=2, index=index)


def _direction(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    color = GREEN if b.rng.random() < 0.5 else BLUE
    frame(b, at, (1.9 * size, size), color, WHITE, yaw, index)
    b.sheet("text_EXIT", (at[0] - 0.3 * size, at[1], at[2] + 0.2 * size), (0.8 * size, 0.2 * size), WHITE, yaw=yaw,
            layer=4, index=index)  # fmt: skip
    b.sheet("panel", (at[0] - 0.3 * size, at[1], at[2] - 0.18 * size), (0.9 * size, 0.12 * size), WHITE, yaw=yaw,
            layer=4, index=index)  # fmt: skip
    b.sheet(
        "chevron", (at[0] + 0.6 * size, at[1], at[2]), (0.3 * size, 0.4 * size), WHITE, yaw=yaw, layer=4, index=index
    )


def _one_way(b: Builder, at: Point, size: float, yaw: float, index: int) -> None:
    frame(b, at, (1.3 * size, 0.42 * size), BLACK, WHITE, yaw, index)
    b.sheet("text_ONE WAY", at, (0.85 * size, 0.16 * size), WHITE, yaw=yaw, layer=4, index=index)


DISTRACTORS: dict[str, Callable[[Builder, Point, float, float, int], None]] = {
    "minimum_speed": _minimum, "advised_speed": _advised, "give_way": _give_way, "warning": _warning,
    "diamond": _diamond, "closed": _closed, "no_trucks": _no_trucks, "parking": _parking, "direction": _direction,
    "one_way": _one_way,
}  # fmt: skip
