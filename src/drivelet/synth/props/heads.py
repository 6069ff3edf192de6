"""Single signal heads: three lamps round or as arrows, upright or lying, and the signals of pedestrians."""

import math

from drivelet.synth.build import BLACK, WHITE, Builder, Color, Point

LIT: dict[str, tuple[Color, float]] = {
    "red": ((1.0, 0.035, 0.02), 2.6),
    "yellow": ((1.0, 0.5, 0.015), 2.2),
    "green": ((0.03, 1.0, 0.42), 1.7),
}
DARK: dict[str, Color] = {"red": (0.05, 0.008, 0.006), "yellow": (0.05, 0.03, 0.005), "green": (0.006, 0.04, 0.025)}
ARROW_ROLL = {"left": 0.0, "straight": 90.0, "right": 180.0}
"""Turn of the pool's arrow, which points left, for the movement that it controls."""
REFLECTOR: Color = (0.75, 0.52, 0.03)


def governs(movement: str, ego: str = "straight") -> bool:
    """Whether a head for `movement` (all, left, straight, right) controls an ego vehicle that goes `ego`."""
    return movement in ("all", ego)


def head(b: Builder, at: Point, state: str, *, scale: float, yaw: float, governs: bool, lane: int | None, style: Color,
         level: bool = False, movement: str | None = None, flashing: bool = False) -> None:  # fmt: skip
    """One three-lamp head; a lit lamp is an object of its own, so that its pixels can be counted.

    A level head lies on its side with red on the left. `governs` says whether it controls the ego lane. With a
    `movement` the record names it, and its lamps are arrows unless it is `all`. A flashing head has the `state` that
    the frame shows: the colour, or off in its dark phase.
    """
    facing = abs((yaw + 180) % 360 - 180) < 60
    facts = {} if movement is None else {"movement": movement, "flashing": flashing}
    index = b.object("traffic_light", at, governing=governs, lane=lane, state=state, facing=facing, **facts)
    if level and movement is not None:
        b.part("head_level", at, (scale, scale, scale), style, yaw=yaw, index=index)
    else:
        b.part("head", at, (scale, scale, scale), style, yaw=yaw, roll=-90.0 if level else 0.0, index=index)
    for name, step in (("red", 0.4), ("yellow", 0.0), ("green", -0.4)):
        along, rise = (-step * scale, 0.0) if level else (0.0, step * scale)
        spot = beside(at, yaw, along, -0.015 * scale, rise)
        facts = {"state": state, "governing": governs, "facing": facing}
        lamp = b.object("lamp", spot, parent=index, **facts) if name == state else index
        _lamp(b, spot, name, scale, yaw, lamp, lit=name == state, movement=movement)


def _lamp(
    b: Builder, at: Point, name: str, scale: float, yaw: float, index: int, *, lit: bool, movement: str | None
) -> None:
    color, glow = LIT[name] if lit else (DARK[name], 0.0)
    size = (0.33 * scale, 1, 0.33 * scale)
    roll = ARROW_ROLL.get(movement or "")
    if roll is None:
        b.part("lamp", at, size, color, yaw=yaw, glow=glow, index=index)
        return
    b.part("lamp", beside(at, yaw, 0, 0.006, 0), size, BLACK, yaw=yaw)
    b.part("arrow", at, (0.3 * scale, 1, 0.3 * scale), color, yaw=yaw, roll=roll, glow=glow, index=index)


def beside(at: Point, yaw: float, along: float, depth: float, rise: float) -> Point:
    """A place near `at` in the frame of something that faces the driver, turned by `yaw` degrees."""
    turn = math.radians(yaw)
    return (
        at[0] + along * math.cos(turn) - depth * math.sin(turn),
        at[1] + along * math.sin(turn) + depth * math.cos(turn),
        at[2] + rise,
    )


def back_plate(b: Builder, at: Point, scale: float, yaw: float, *, level: bool, bright: bool) -> None:
    """A black plate behind a head, with a reflecting border or without."""
    wide, high = (1.52, 0.68) if level else (0.68, 1.52)
    layers: tuple[tuple[float, float, Color, float], ...] = ((0.0, 0.1, (0.02, 0.02, 0.02), 0.0),)
    if bright:
        layers += ((0.09, 0.13, REFLECTOR, b.retro),)
    for rim, depth, color, glow in layers:
        size = ((wide + rim) * scale, 0.02, (high + rim) * scale)
        b.part("box", beside(at, yaw, 0, depth * scale, 0), size, color, yaw=yaw, glow=glow)


def walker_signal(b: Builder, at: Point, *, walk: bool, yaw: float, american: bool) -> None:
    """A pedestrian signal: it resembles a traffic light and governs no vehicle."""
    index = b.object("pedestrian_signal", at, state="walk" if walk else "stop")
    b.part("walker_head", at, (1, 1, 1), (0.03, 0.032, 0.03), yaw=yaw, index=index)
    stop: tuple[str, Color] = ("hand", (1.0, 0.25, 0.02)) if american else ("man_stands", LIT["red"][0])
    go: tuple[str, Color] = ("man_walks", WHITE if american else LIT["green"][0])
    for (asset, color), rise, lit in ((stop, 0.16, not walk), (go, -0.16, walk)):
        shown: Color = color if lit else (0.02, 0.02, 0.02)
        b.part(asset, beside(at, yaw, 0, -0.012, rise), (0.21, 1, 0.25), shown, yaw=yaw, glow=1.8 * lit, index=index)
