"""The signals of the world edition: which heads hang where, which of them govern, and what looks like one."""

from dataclasses import dataclass

from drivelet.synth.build import BLACK, STEEL, Builder, Color, Point, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.props.heads import back_plate, governs, head, walker_signal
from drivelet.synth.roads.road import Road

STYLES: dict[str, tuple[Color, ...]] = {
    "eu": ((0.025, 0.03, 0.028), (0.02, 0.045, 0.03)),
    "us": ((0.42, 0.28, 0.03), (0.42, 0.28, 0.03), (0.025, 0.03, 0.028)),
    "cn": ((0.022, 0.023, 0.025),),
}
PLATED = {"eu": 0.08, "us": 0.6, "cn": 0.2}
OTHER = ("red", "green", "yellow", "green")
SIDES = {"arrow_left": "left", "arrow_right": "right"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the heads of one junction have in common: size, turn in degrees, paint, and how they lie."""

    scale: float
    yaw: float
    style: Color
    level: bool
    plate: bool
    bright: bool

    @property
    def step(self) -> float:
        """Room from one head to the next beside it, in metres."""
        return (1.55 if self.level else 0.62) * self.scale


def world_signals(
    b: Builder, config: DomainConfig, road: Road, state: str, mount: str, y: float, *, others: bool
) -> None:
    """The lights that face the ego road at distance `y`; without `others`, only the one that governs the ego lane.

    The rule: round lamps govern every movement, arrows their own; the ego goes straight on. So a left or right arrow
    stands beside the governing lights with a state of its own and governs nothing, and all that govern agree. A
    flashing light is recorded as `flashing`, with the state that the frame shows: lit, or off in its dark phase.
    """
    rng = b.rng
    look = _look(b, config, road)
    kind, blinks, dark = pick(rng, config.signal_kinds), rng.random() < config.flashing, rng.random() < 0.5
    flashing = bool(others and blinks and state in ("red", "yellow"))
    shown = "off" if flashing and dark else state
    if mount == "pole":
        spots, aside = _pole(b, config, road, y, look, others)
    else:
        spots, aside = _hung(b, config, road, mount, y, look, others)
    main = "straight" if kind == "arrow_straight" else "all"
    for at, lane in spots:
        _place(b, at, shown, lane, main, look, flashing=flashing)
    chance = rng.random()
    if others and kind in SIDES:
        own = "off" if state == "off" else OTHER[int(chance * len(OTHER))]
        _place(b, aside[SIDES[kind]], own, None, SIDES[kind], look)
    if others:
        _bystanders(b, config, road, state, y, look)


def _look(b: Builder, config: DomainConfig, road: Road) -> Look:
    rng = b.rng
    styles = STYLES[road.region]
    return Look(
        scale=float(rng.uniform(0.95, 1.3)),
        yaw=float(rng.uniform(-6, 6)),
        style=styles[int(rng.integers(len(styles)))],
        level=pick(rng, config.signal_layout or {"vertical": 0.92, "horizontal": 0.08}) == "horizontal",
        plate=bool(rng.random() < PLATED[road.region]),
        bright=bool(rng.random() < 0.5),
    )


def _place(
    b: Builder, at: Point, state: str, lane: int | None, movement: str, look: Look, *, flashing: bool = False
) -> None:
    if look.plate:
        back_plate(b, at, look.scale, look.yaw, level=look.level, bright=look.bright)
    head(b, at, state, scale=look.scale, yaw=look.yaw, governs=governs(movement), lane=lane, style=look.style,
         level=look.level, movement=movement, flashing=flashing)  # fmt: skip


Spots = list[tuple[Point, int | None]]


def _pole(
    b: Builder, config: DomainConfig, road: Road, y: float, look: Look, others: bool
) -> tuple[Spots, dict[str, Point]]:
    """Heads on poles at the edges; an arrow hangs on the same pole, beside the round lamps."""
    rng = b.rng
    x, z = road.half + float(rng.uniform(0.6, 1.1)) + 0.4 * look.level, float(rng.uniform(2.5, 3.2))
    b.pole(x, y + 0.25, z + 0.9 * look.scale, 0.11)
    spots: Spots = [((x, y, z), road.lane)]
    if rng.random() < config.extra_heads and others:
        b.pole(-x, y + 0.25, z + 0.9 * look.scale, 0.11)
        spots.append(((-x, y, z), road.lane))
    drop = -0.62 * look.scale if look.level else 0.0
    aside = {
        "left": (x - look.step * (not look.level), y, z + drop),
        "right": (x + look.step * (not look.level), y, z + drop),
    }
    return spots, aside


def _hung(
    b: Builder, config: DomainConfig, road: Road, mount: str, y: float, look: Look, others: bool
) -> tuple[Spots, dict[str, Point]]:
    """Heads over the lanes, the same for all; an arrow hangs over the lane that turns, or beside the ego's head."""
    rng = b.rng
    z = float(rng.uniform(4.7, 5.6))
    _carrier(b, road, mount, y, z + (0.35 if look.level else 0.78) * look.scale)
    shift = float(rng.uniform(-0.25, 0.25))
    spots: Spots = [((road.ego_x + shift, y, z), road.lane)]
    for lane in range(road.lanes):
        if lane != road.lane and rng.random() < config.extra_heads + 0.2 and others and road.lanes > 1:
            spots.append(((road.lane_d(lane) + shift, y, z), lane))
    if rng.random() < 0.5 * config.extra_heads and others:  # a repeater at the edge, at the height of the driver
        x = road.half + 0.9 + 0.4 * look.level
        b.pole(x, y + 0.25, 3.6, 0.11)
        spots.append(((x, y, 2.7), road.lane))
    taken = [at[0] for at, _ in spots if at[2] == z]
    left, right = min(taken) - look.step - 0.1, max(taken) + look.step + 0.1
    return spots, {"left": (left, y, z), "right": (right, y, z)}


def _carrier(b: Builder, road: Road, mount: str, y: float, top: float) -> None:
    """What the heads hang from: an arm from the right, a wire between masts, or a bridge of lattice."""
    right = road.half + 1.2
    if mount == "mast":
        left = road.median / 2 + 0.1
        b.pole(right, y + 0.3, top + 0.3, 0.22, (0.3, 0.31, 0.32))
        b.part("box", ((left + right) / 2, y + 0.3, top), (right - left, 0.12, 0.14), (0.3, 0.31, 0.32))
        return
    left = -right if not road.median else road.median / 2 - 0.3
    for x in (left, right):
        wide = 0.3 if mount == "overhead" else 0.22
        b.pole(x, y + 0.3, top + 0.8, wide, STEEL if mount == "overhead" else (0.16, 0.11, 0.07))
    if mount == "wire":
        b.part("box", ((left + right) / 2, y + 0.3, top), (right - left, 0.035, 0.035), BLACK)
        return
    count = max(round((right - left) / 4), 1)
    length = (right - left) / count
    for k in range(count):
        b.part("truss", (left + (k + 0.5) * length, y + 0.45, top + 0.3), (length, 0.5, 0.6), STEEL)


def _bystanders(b: Builder, config: DomainConfig, road: Road, state: str, y: float, look: Look) -> None:
    """Heads of the crossing street, seen from the side or behind, and signals for pedestrians."""
    rng = b.rng
    if rng.random() < config.extra_heads * 0.6:
        turn, side = float(rng.choice([90.0, -90.0, 180.0])), float(rng.choice([-1, 1]))
        x, z = side * (road.half + float(rng.uniform(1.2, 2.0))), float(rng.uniform(2.6, 3.4))
        b.pole(x, y + 1.5, z)
        own = str(rng.choice(["red", "green"]))
        head(b, (x, y + 1.4, z), own, scale=look.scale, yaw=turn, governs=False, lane=None, style=look.style,
             movement="all")  # fmt: skip
    for side in (-1, 1):
        if rng.random() < config.extra_heads:
            x, z = side * (road.half + float(rng.uniform(1.3, 2.2))), float(rng.uniform(2.1, 2.6))
            turn = float(rng.choice([0.0, 0.0, 90.0 * side]))
            b.pole(x, y + 0.7, z + 0.2)
            walker_signal(b, (x, y + 0.55, z), walk=state == "green", yaw=turn, american=road.region == "us")
