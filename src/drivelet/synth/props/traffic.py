"""Traffic lights, and the rule of which one governs the ego lane."""

from drivelet.synth.build import BLACK, STEEL, Builder, Color
from drivelet.synth.domain import DomainConfig
from drivelet.synth.props.heads import head
from drivelet.synth.props.signals import world_signals
from drivelet.synth.roads.road import Road

OTHER_STATE = {"red": ("green", "yellow"), "yellow": ("red", "green"), "green": ("red",), "off": ("off",)}


def signals(
    b: Builder, config: DomainConfig, road: Road, state: str, mount: str, y: float, *, others: bool = True
) -> None:
    """The lights that face the ego road at distance `y`; without `others`, only those that govern the ego lane.

    The rule: where lights hang over lanes, the one over the ego lane governs and the others control their own lanes;
    where a light stands on a pole at the right edge it governs, and its twin on the left repeats it. Roads of the world
    edition follow `signals.world_signals`.
    """
    if road.kind != "street":
        world_signals(b, config, road, state, mount, y, others=others)
        return
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
        left = road.ego_x - 0.6 if road.lane == 0 else road.median / 2 + 0.5 * road.lane_width
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
        x = road.lane_d(lane) + float(rng.uniform(-0.25, 0.25))
        head(b, (x, y, z), shown, scale=scale, yaw=yaw, governs=governs, lane=lane, style=style, level=level)
