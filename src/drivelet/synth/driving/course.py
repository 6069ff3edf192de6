"""The course of a simulated drive: its road, light program, cones, moving vehicles, trials, and the ego's motion."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivelet.core.ranges import Amount, Positive, Share, Span, ranged
from drivelet.core.rng import generator
from drivelet.synth.build import Builder, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.driving.ego import STEP_S, Ahead, Leader, Motion, Program, draw_program, drive_motion, follow, swung
from drivelet.synth.props import signs, traffic
from drivelet.synth.props.cones import place_cones
from drivelet.synth.roads import scenery
from drivelet.synth.roads.road import POSTED, REGION_DEFAULT, UNIT, Road
from drivelet.synth.scene import RETRO, road_and_camera

STANDING_MPS = 0.3
MPS = {"km/h": 1 / 3.6, "mph": 0.44704}
TRUCK_HEIGHT = 1.22
"""Scale that lifts the pool's truck to the 4.0 m that are legal in the EU (96/53/EC)."""


@dataclass(frozen=True, kw_only=True)
@ranged
class TrialConfig:
    """What makes a drive hard to label; off by default.

    Attributes:
        far_side: share of junctions whose lights stand behind them, where a waiting driver sees them; on roads of the
            world edition the region's custom decides instead.
        crossing: share of stops during which trucks cross between the car and the lights.
        blinks: share of drives whose lit lamp is dark in single frames (pulsed LEDs against the shutter).
        swings: share of drives that swing around something every 60 m.
        slow_phases: factor on the length of every light phase.
        clock_offset_s: range of camera time minus sensor time.
        imu_noise: factor on the sensors' noise and bias.
    """

    far_side: Share = 0.0
    crossing: Share = 0.0
    blinks: Share = 0.0
    swings: Share = 0.0
    slow_phases: Positive = 1.0
    clock_offset_s: Span = (0.0, 0.0)
    imu_noise: Amount = 1.0


@dataclass(frozen=True, kw_only=True)
@ranged
class RulesConfig:
    """The rules of the road that a drive meets beyond lights and cones; off by default.

    Attributes:
        stop_signs: share of junctions without lights that have a stop sign: the ego halts, then goes.
        leader: share of drives with a slower vehicle ahead, which heeds lights, signs and cones too.
        keep_limit: the ego keeps to the posted limit from its sign on.
    """

    stop_signs: Share = 0.0
    leader: Share = 0.0
    keep_limit: bool = False


def everyday_rules() -> RulesConfig:
    """What an hour in town holds."""
    return RulesConfig(stop_signs=0.7, leader=0.35, keep_limit=True)


@dataclass(frozen=True, kw_only=True)
class Mover:
    """How a vehicle moves in the road frame, relative to where it was built.

    Attributes:
        velocity: in m/s.
        start: where it is at the start.
        along: how far it has come along the road at every step of the simulation, if not with constant velocity.
    """

    velocity: tuple[float, float] = (0.0, 0.0)
    start: tuple[float, float] = (0.0, 0.0)
    along: NDArray[np.float64] | None = None

    def shift(self, t: float) -> tuple[float, float]:
        """Return how far right and ahead it is at time `t`."""
        x, y = (self.start[axis] + self.velocity[axis] * t for axis in (0, 1))
        return x, y if self.along is None else y + float(self.along[round(t / STEP_S)])


@dataclass(frozen=True, kw_only=True)
class Course:
    """A drive before it is rendered.

    Attributes:
        base: the scene record's parts that do not change.
        states: parts and objects for each lamp state.
        movers: object id -> how it moves.
        program: the light's phases, or None.
        motion: the ego's true motion.
        blinks: times at which the lit lamp is dark for one frame.
        road: maps motion and movers to the scene's frame; None where they are the same.
    """

    base: dict[str, Any]
    states: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]
    movers: dict[int, Mover]
    program: Program | None
    motion: Motion
    blinks: tuple[float, ...] = ()
    road: Road | None = None


def plan_drive(
    seed: int, index: int, domain: DomainConfig, trials: TrialConfig, *, size: tuple[int, int], seconds: float,
    rules: RulesConfig = RulesConfig(),
) -> Course:  # fmt: skip
    """Draw drive `index` on a straight street: its light program, cones, vehicles and the ego's motion."""
    rng, hard = generator(seed, "drive", index), generator(seed, "trials", index)
    domain = replace(domain, cone_m=(16.0, 42.0), sign_px=(9.0, 15.0), sign_far=0.0)
    light, weather = pick(rng, domain.light), pick(rng, domain.weather)
    road, camera = road_and_camera(rng, domain, size)
    camera["yaw"] = round(0.3 * camera["yaw"], 3)
    b = Builder(rng=rng, retro=RETRO[light])
    stop = float(rng.uniform(30, 52))
    has_junction, has_lamp = rng.random() < 0.85, rng.random() < 0.85
    junction = _junction(rng, stop, has_lamp) if has_junction else None
    program = draw_program(rng, slow=trials.slow_phases) if has_lamp and junction else None
    scenery.road_surface(b, road, junction)
    slow = _sign_and_cones(b, domain, road, junction)
    movers = oncoming(b, road)
    mount = pick(rng, domain.mount)
    if program and mount == "pole" and rng.random() < 0.4:  # a parked truck hides the light for a while
        scenery.vehicle(b, road.half + 1.0, stop - float(rng.uniform(10, 16)), yaw=0.0, kind="truck")
    scenery.surroundings(b, road, junction)
    world, visibility = scenery.world(b, light, weather, scenery.lanterns(b, road, light))
    base = {
        "id": f"drive-{seed}-{index}", "size": list(size), "domain": domain.name,
        "camera": camera, "world": world,
        "setting": {
            "light": light, "weather": weather, "region": road.region, "area": road.area,
            "unit": UNIT[road.region], "region_default": REGION_DEFAULT[road.region],
            "visibility_m": visibility, "junction": junction, "lanes": road.lanes, "ego_lane": road.lane,
            "ego_x": round(road.ego_x, 3), "lane_width": round(road.lane_width, 3),
        },
    }  # fmt: skip
    ahead = Ahead(program=program, stop_y=stop if junction else None, slow=slow)
    ahead, leading = heed_rules(generator(seed, "drive rules", index), rules, b, road, ahead, junction, seconds)
    movers |= leading
    motion = drive_motion(rng, ahead, seconds=seconds)
    if hard.random() < trials.swings:
        motion = swung(motion, hard)
    signal_y = stop + 0.8
    if program and junction and hard.random() < trials.far_side:
        signal_y = junction["end_y"] + 1.5
        if hard.random() < trials.crossing:
            b.rng = hard
            movers |= crossing_trucks(b, road, motion, (stop + 4.0 + junction["end_y"]) / 2)
    base["setting"]["signal_y"] = round(signal_y, 3) if program else None
    blinks = blink_times(hard, seconds) if program and hard.random() < trials.blinks else ()
    states = lit_states(
        b,
        program,
        blinks,
        lambda lit, state: traffic.signals(lit, domain, road, state, mount, signal_y, others=False),
        lambda: generator(seed, "drive lights", index),
    )
    return Course(base=base, states=states, movers=movers, program=program, motion=motion, blinks=blinks)


def lit_states(
    b: Builder, program: Program | None, blinks: Sequence[float], hang: Callable[[Builder, str], None],
    stream: Callable[[], np.random.Generator],
) -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]:  # fmt: skip
    """Parts and objects for each state that the lights show; `hang` draws from the same new stream for every state."""
    states = {}
    for state in {state for state, _ in program or (("none", 0.0),)} | ({"off"} if blinks else set()):
        lit = copy.deepcopy(b)
        if program:
            lit.rng = stream()
            hang(lit, state)
        states[state] = (lit.parts, lit.objects)
    return states


def heed_rules(
    rng: np.random.Generator, rules: RulesConfig, b: Builder, road: Road, ahead: Ahead,
    junction: dict[str, Any] | None, seconds: float,
) -> tuple[Ahead, dict[int, Mover]]:  # fmt: skip
    """Put a stop sign and a leader on the road by a stream of their own, and say what the ego must heed."""
    sign, lead = rng.random(2)
    usual, b.rng = b.rng, rng
    if junction and ahead.program is None and sign < rules.stop_signs:
        junction["stop_sign"] = True
        signs.stop_sign(b, road, junction["stop_y"])
        ahead = replace(ahead, halt=True)
    posted = [item for item in b.objects if item["kind"] == "speed_sign"]
    if posted and rules.keep_limit:
        ahead = replace(
            ahead, limit=(posted[0].get("s", posted[0]["at"][1]), posted[0]["value"] * MPS[posted[0]["unit"]])
        )
    movers = {}
    if lead < rules.leader:
        leader = _leader(rng, ahead, seconds)
        scenery.vehicle(b, road.ego_x, 0.0, yaw=0.0)
        movers[b.objects[-1]["id"]] = Mover(along=leader.y)
        ahead = replace(ahead, leader=leader)
    b.rng = usual
    return ahead, movers


def _leader(rng: np.random.Generator, ahead: Ahead, seconds: float) -> Leader:
    """A vehicle that begins before the stop line; it halts with its front, not its middle, behind it."""
    start = float(rng.uniform(20.0, 34.0))
    if ahead.stop_y is not None:
        start = min(start, ahead.stop_y - 8.0)
        ahead = replace(ahead, stop_y=ahead.stop_y - 0.5)
    _, y, speed, _ = follow(ahead, float(rng.uniform(4.5, 7.5)), start, seconds=seconds)
    return Leader(y=y, speed=speed)


def _junction(rng: np.random.Generator, stop: float, lamp: bool) -> dict[str, Any]:
    end = stop + 4.0 + float(rng.uniform(7.5, 12.0))
    return {"stop_y": stop, "end_y": end, "line": True, "zebra": bool(rng.random() < 0.7), "stop_sign": False}


def _sign_and_cones(
    b: Builder, domain: DomainConfig, road: Road, junction: dict[str, Any] | None
) -> tuple[float, float] | None:
    """Place a speed sign and cones; returns the stretch where cones narrow the ego lane, or None."""
    rng = b.rng
    clear = (junction["stop_y"] - 1.0, junction["end_y"]) if junction else (-9.0, -9.0)
    if rng.random() < domain.posted:
        values = POSTED[road.region]
        signs.speed_sign(b, domain, road, int(values[int(rng.integers(len(values)))]), clear)
    if rng.random() < 0.5:
        narrow = rng.random() < domain.cones_in_path
        count = int(rng.integers(2, 12))
        place_cones(b, domain, road, count, narrow, pattern="gate" if narrow else "edge")
        places = [item["at"][1] for item in b.objects if item["kind"] == "cone"]
        return (min(places), max(places) + 2.0) if narrow else None
    return None


def oncoming(b: Builder, road: Road) -> dict[int, Mover]:
    """Oncoming vehicles."""
    movers = {}
    for _ in range(int(b.rng.integers(0, 3))):
        lane = int(b.rng.integers(road.lanes))
        scenery.vehicle(b, -(lane + 0.5) * road.lane_width, float(b.rng.uniform(45, 110)), yaw=180.0)
        movers[b.objects[-1]["id"]] = Mover(velocity=(0.0, -float(b.rng.uniform(7, 12))))
    return movers


def crossing_trucks(b: Builder, road: Road, motion: Motion, y: float) -> dict[int, Mover]:
    """One to three trucks from the right that pass in front of the car while it stands; none where it never does."""
    standing = motion.t[motion.speed < STANDING_MPS]
    movers: dict[int, Mover] = {}
    if not len(standing):
        return movers
    sight = road.ego_x + 0.5 * (road.half - road.ego_x)
    middle, speed = float(b.rng.uniform(standing[0], standing[-1])), float(b.rng.uniform(1.5, 7.0))
    for number in range(int(b.rng.integers(1, 4))):
        scenery.vehicle(b, sight, y, yaw=90.0, kind="truck")
        index = b.objects[-1]["id"]
        body = next(part for part in b.parts if part["index"] == index and part["asset"] == "truck")
        body["scale"] = [1.0, 1.0, TRUCK_HEIGHT]
        at_middle = speed * middle + number * 10.0
        movers[index] = Mover(velocity=(-speed, 0.0), start=(at_middle, 0.0))
    return movers


def blink_times(rng: np.random.Generator, seconds: float) -> tuple[float, ...]:
    """Times of single dark frames, one in about 1.5 s."""
    gaps = rng.exponential(1.5, size=int(2 * seconds) + 4)
    times = np.cumsum(gaps)
    return tuple(float(t) for t in times[times < seconds])
