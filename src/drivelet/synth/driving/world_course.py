"""The course of a drive on the world edition's roads: crossings, bends and crests, closures, and a real lens."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drivelet.core.errors import InputError
from drivelet.core.rng import generator
from drivelet.synth.build import Builder, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.driving import course
from drivelet.synth.driving.course import Course, Mover, RulesConfig, TrialConfig
from drivelet.synth.driving.ego import Ahead, Motion, Program, draw_program, drive_motion, swung
from drivelet.synth.lens import lens
from drivelet.synth.props import signs, traffic
from drivelet.synth.props.cones import place_cones
from drivelet.synth.props.workzone import close_lane
from drivelet.synth.roads import scenery, world
from drivelet.synth.roads.road import UNIT, Road
from drivelet.synth.roads.roadside import roadside
from drivelet.synth.scene import RETRO, road_and_camera

KINDS = ("cross", "straight", "curve", "crest")
"""Kinds of road that a drive can follow without turning off, at the speed of a town."""
SIDEWAYS_MPS2 = 2.0
"""The sideways acceleration that drivers accept in a bend."""
Places = dict[int, tuple[float, float]]
"""Object id -> (d, s) where a moving thing was built."""


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A drive's road with all that does not depend on the lights."""

    builder: Builder
    road: Road
    layout: world.Layout
    program: Program | None
    mount: str
    movers: dict[int, Mover]
    slow: tuple[float, float] | None
    closures: list[dict[str, Any]]

    @property
    def stop_y(self) -> float | None:
        """Where the ego must stop for a red light or a stop sign."""
        if self.layout.junction:
            return self.layout.junction["stop_y"]
        return None if self.layout.signal_y is None else self.layout.signal_y - 0.8


def plan_world_drive(
    seed: int, index: int, domain: DomainConfig, trials: TrialConfig, *, size: tuple[int, int], seconds: float,
    rules: RulesConfig,
) -> Course:  # fmt: skip
    """Draw drive `index` on a road of the world edition.

    Raises:
        InputError: the domain has no road that a drive can follow.
    """
    rng, kinds, hard = (generator(seed, name, index) for name in ("world drive", "world drive road", "trials"))
    roads = {kind: domain.roads[kind] for kind in KINDS if domain.roads.get(kind)}
    if not roads:
        raise InputError(f"drives: no road of domain.roads is one of {', '.join(KINDS)}; give one of them a weight")
    domain = replace(
        domain, cone_m=(16.0, 42.0), sign_px=(9.0, 15.0), sign_far=0.0, lamp_m=(44.0, 60.0), lamp_far=0.0, flashing=0.0
    )
    light, weather, kind = pick(rng, domain.light), pick(rng, domain.weather), pick(kinds, roads)
    road, camera = road_and_camera(rng, domain, size, shape=lambda road: world.shaped(road, kind, domain, kinds))
    camera["yaw"] = round(0.3 * camera["yaw"], 3)
    stage = _stage(rng, domain, road, light, trials)
    base = _base(stage, seed, index, domain, size, camera, light, weather)
    ahead = Ahead(program=stage.program, stop_y=stage.stop_y, slow=stage.slow, most=_fastest(stage.road))
    b, junction = stage.builder, stage.layout.junction
    ahead, leading = course.heed_rules(
        generator(seed, "drive rules", index), rules, b, stage.road, ahead, junction, seconds
    )
    motion = drive_motion(rng, ahead, seconds=seconds)
    if hard.random() < trials.swings:
        motion = swung(motion, hard)
    movers = stage.movers | leading
    signal_y = stage.layout.signal_y
    if junction and signal_y and signal_y > junction["end_y"] and hard.random() < trials.crossing:
        b.rng = hard
        movers |= course.crossing_trucks(b, stage.road, motion, (junction["near_y"] + junction["end_y"]) / 2)
    blinks = course.blink_times(hard, seconds) if stage.program and hard.random() < trials.blinks else ()

    def hang(lit: Builder, state: str) -> None:
        traffic.signals(lit, domain, stage.road, state, stage.mount, signal_y or 0.0, others=False)

    states = course.lit_states(b, stage.program, blinks, hang, lambda: generator(seed, "drive lights", index))
    return Course(
        base=base, states=states, movers=movers, program=stage.program, motion=along_road(motion, stage.road),
        blinks=blinks, road=stage.road,
    )  # fmt: skip


def _stage(rng: np.random.Generator, domain: DomainConfig, road: Road, light: str, trials: TrialConfig) -> _Stage:
    b = Builder(rng=rng, retro=RETRO[light], road=road)
    lit, mount = rng.random() < 0.85, pick(rng, domain.mount)
    road, layout = world.plan(rng, domain, road, "green", mount)  # a stop sign stands where the lights would
    layout = layout if lit else replace(layout, signal_y=None)
    program = draw_program(rng, slow=trials.slow_phases) if layout.signal_y is not None else None
    b.road = road
    world.lay(b, road, layout)
    slow, closures = _sign_and_cones(b, domain, road, layout)
    movers = course.oncoming(b, road)
    if rng.random() < domain.distractors:
        scenery.people(b, road)
    roadside(b, road, layout)
    return _Stage(
        builder=b, road=road, layout=layout, program=program, mount=mount, movers=movers, slow=slow, closures=closures
    )


def _sign_and_cones(
    b: Builder, domain: DomainConfig, road: Road, layout: world.Layout
) -> tuple[tuple[float, float] | None, list[dict[str, Any]]]:
    """Place a speed sign and cones; returns the stretch where cones narrow the ego lane, and the closures."""
    rng, junction = b.rng, layout.junction
    clear = (junction["stop_y"] - 1.0, junction["end_y"]) if junction else (-9.0, -9.0)
    count = int(rng.integers(2, 12)) if rng.random() < 0.5 else 0
    if rng.random() < domain.posted:
        fitting = replace(domain, plates=world.fitting_plates(domain.plates, road, count))
        signs.speed_sign(b, fitting, road, world.posted_value(rng, road), clear)
    if not count:
        return None, []
    beside = road.lane < road.lanes - 1  # only an outer lane that is not the ego's may be closed
    if beside and rng.random() < domain.closures:
        closure = close_lane(b, domain, road, count, junction["stop_y"] if junction else math.inf)
        if closure:
            return None, [closure]
    narrow = rng.random() < domain.cones_in_path
    place_cones(b, domain, road, count, narrow, pattern="gate" if narrow else "edge")
    places = [item["s"] for item in b.objects if item["kind"] == "cone"]
    return ((min(places), max(places) + 2.0) if narrow else None), []


def _base(
    stage: _Stage, seed: int, index: int, domain: DomainConfig, size: tuple[int, int], camera: dict[str, Any],
    light: str, weather: str,
) -> dict[str, Any]:  # fmt: skip
    road, b = stage.road, stage.builder
    sky, visibility = scenery.world(b, light, weather, scenery.lanterns(b, road, light))
    sky |= lens(seed, index, domain, sky, light, weather, camera, stream="drive lens")
    return {
        "id": f"drive-{seed}-{index}", "size": list(size), "domain": domain.name, "camera": camera, "world": sky,
        "setting": {
            "light": light, "weather": weather, "region": road.region, "area": road.area, "unit": UNIT[road.region],
            "region_default": world.default_limit(road), "visibility_m": visibility,
            "junction": stage.layout.junction, "lanes": road.lanes, "ego_lane": road.lane,
            "ego_x": round(road.ego_x, 3), "lane_width": round(road.lane_width, 3), "road": world.shape_record(road),
            "closures": stage.closures, "stop_line_y": stage.stop_y,
            "signal_y": None if stage.layout.signal_y is None else round(stage.layout.signal_y, 3),
        },
    }  # fmt: skip


def _fastest(road: Road) -> float:
    sharpest = max((abs(curvature) for _, curvature in road.bends), default=0.0)
    return math.sqrt(SIDEWAYS_MPS2 / sharpest) if sharpest else math.inf


def along_road(motion: Motion, road: Road) -> Motion:
    """Return the motion with the road's heading in its yaw."""
    return replace(motion, yaw=motion.yaw + np.array([road.pose(float(y)).heading for y in motion.y]))


def origins(planned: Course) -> Places:
    """Return where the moving things of a course were built; empty where road and scene share their coordinates."""
    if planned.road is None:
        return {}
    objects = next(iter(planned.states.values()))[1]
    return {item["id"]: (item["d"], item["s"]) for item in objects if item["id"] in planned.movers}


def carry(item: dict[str, Any], road: Road, origin: tuple[float, float], right: float, ahead: float) -> None:
    """Move a part or an object of a rigid thing along the road, turned and lifted as the road is there.

    Args:
        item: the record, changed in place.
        road: the road.
        origin: (d, s) where the whole thing was built.
        right, ahead: how far it has come, in metres of d and s.
    """
    d, s = origin
    before, after = road.pose(s), road.pose(s + ahead)
    old, new = road.place(d, s), road.place(d + right, s + ahead)
    turn, lean = after.heading - before.heading, math.degrees(after.grade - before.grade)
    x, y, z = (item["at"][axis] - old[axis] for axis in range(3))
    item["at"] = [
        round(new[0] + x * math.cos(turn) - y * math.sin(turn), 4),
        round(new[1] + x * math.sin(turn) + y * math.cos(turn), 4),
        round(new[2] + z, 4),
    ]
    if "asset" in item:
        own = math.radians(item["yaw"]) - before.heading
        item["pitch"] = round(item.get("pitch", 0.0) + lean * math.cos(own), 3)
        item["roll"] = round(item["roll"] - lean * math.sin(own), 3)
        item["yaw"] = round(item["yaw"] + math.degrees(turn), 3)
    else:
        item["d"], item["s"] = round(d + right, 3), round(s + ahead, 3)
