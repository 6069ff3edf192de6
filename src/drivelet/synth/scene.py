"""The scene sampler: frame i of a seed depends on (seed, i) and the domain alone."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from drivelet.core.rng import derive_seed, generator
from drivelet.synth.build import Builder, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.lens import lens
from drivelet.synth.props import signs, traffic
from drivelet.synth.props.cones import place_cones
from drivelet.synth.props.occlusion import occlude
from drivelet.synth.props.workzone import close_lane
from drivelet.synth.roads import scenery, world
from drivelet.synth.roads.road import POSTED, REGION_DEFAULT, UNIT, Road
from drivelet.synth.roads.roadside import roadside

SIZE = (320, 192)
RETRO = {"day": 0.0, "dusk": 0.06, "night": 0.12}
"""How much signs and cone bands shine by themselves: headlights on retroreflective sheeting."""
CONE_RANGE = {"0": (0, 0), "1-2": (1, 2), "3-5": (3, 5), "6-10": (6, 10), ">10": (11, 16)}


def sample_scene(seed: int, index: int, domain: DomainConfig, *, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """Draw one unrendered scene record.

    Args:
        seed: seed of the whole set of frames.
        index: number of the frame.
        domain: what to draw from.
        size: (width, height) of the picture in pixels.

    Returns:
        Plain JSON data: `id`, `seed`, `size`, `camera`, `world`, `parts` (what the renderer places), `objects` (what
        labels speak of, positions in metres) and `setting` (light, weather, region, junction, ego). What can be seen
        is known only after rendering: `facts.finish` adds it.
    """
    rng = generator(seed, "scene", index)
    light, weather = pick(rng, domain.light), pick(rng, domain.weather)
    kinds = generator(seed, "road", index)
    kind = pick(kinds, domain.roads)
    road, camera = road_and_camera(rng, domain, size, shape=lambda road: world.shaped(road, kind, domain, kinds))
    b = Builder(rng=rng, retro=RETRO[light], road=road)
    lamp = pick(rng, domain.lamp)
    mount = pick(rng, domain.mount)
    street = kind == "street"
    more = _street_scene(b, domain, lamp, mount) if street else _world_scene(b, domain, camera, lamp, mount)
    settings, visibility = scenery.world(b, light, weather, scenery.lanterns(b, road, light))
    if not street:
        settings |= lens(seed, index, domain, settings, light, weather, camera)
    slow = (0.0, 14.0) if more["junction"] else (6.0, 25.0)
    speed = float(rng.uniform(*(slow if street else world.SPEEDS.get(kind, slow))))
    return {
        "id": f"{domain.name}-{seed}-{index}", "seed": derive_seed(seed, "pixels", index) % 2**31, "size": list(size),
        "domain": domain.name, "camera": camera, "world": settings, "parts": b.parts, "objects": b.objects,
        "setting": {
            "light": light, "weather": weather, "region": road.region, "area": road.area,
            "unit": UNIT[road.region],
            "region_default": REGION_DEFAULT[road.region], "visibility_m": visibility,
            "junction": None, "lanes": road.lanes, "ego_lane": road.lane, "ego_x": round(road.ego_x, 3),
            "lane_width": round(road.lane_width, 3), "speed_mps": round(speed, 2), **more,
        },
    }  # fmt: skip


def _street_scene(b: Builder, domain: DomainConfig, lamp: str, mount: str) -> dict[str, Any]:
    """The first edition's road: straight, with or without a crossing street; returns what the setting says of it."""
    rng, road = b.rng, _road(b)
    junction, signal_y = _junction(rng, domain, road, lamp, mount)
    scenery.road_surface(b, road, junction)
    if signal_y is not None:
        traffic.signals(b, domain, road, lamp, mount, signal_y)
    if junction and junction["stop_sign"]:
        signs.stop_sign(b, road, junction["stop_y"])
    _signs_and_cones(b, domain, road, junction)
    scenery.traffic(b, domain, road, junction)
    if rng.random() < domain.distractors:
        scenery.people(b, road)
    scenery.surroundings(b, road, junction)
    return {"junction": junction}


def _world_scene(b: Builder, domain: DomainConfig, camera: dict[str, Any], lamp: str, mount: str) -> dict[str, Any]:
    """A road of the world edition with what stands on it; returns what the setting says of it."""
    rng = b.rng
    road, layout = world.plan(rng, domain, _road(b), lamp, mount)
    b.road, junction = road, layout.junction
    world.lay(b, road, layout)
    if layout.signal_y is not None:
        traffic.signals(b, domain, road, lamp, mount, layout.signal_y)
    if junction and junction["stop_sign"]:
        signs.stop_sign(b, road, junction["stop_y"])
    if road.kind == "roundabout" and junction:
        signs.yield_sign(b, road, junction["stop_y"])
    closures = _world_signs_and_cones(b, domain, road, layout)
    hidden = occlude(b, road, camera) if rng.random() < domain.occluders else None
    scenery.traffic(b, domain, road, junction)
    if road.kind not in world.FAST_ROADS and rng.random() < domain.distractors:
        scenery.people(b, road)
    roadside(b, road, layout)
    return {
        "junction": junction, "road": world.shape_record(road), "exit": layout.leave, "closures": closures,
        "region_default": world.default_limit(road), "occluded": hidden,
    }  # fmt: skip


def _road(b: Builder) -> Road:
    assert b.road is not None
    return b.road


def _world_signs_and_cones(b: Builder, domain: DomainConfig, road: Road, layout: world.Layout) -> list[dict[str, Any]]:
    rng, junction = b.rng, layout.junction
    stop = junction["stop_y"] if junction else layout.signal_y or math.inf
    clear = (-9.0, -9.0)
    if junction:
        clear = (junction["stop_y"] - 3.5, 150.0 if road.ends < math.inf else junction["end_y"])
    low, high = CONE_RANGE[pick(rng, domain.cones)]
    count = int(rng.integers(low, high + 1)) if high else 0
    if rng.random() < domain.posted:
        fitting = replace(domain, plates=world.fitting_plates(domain.plates, road, count))
        signs.speed_sign(b, fitting, road, world.posted_value(rng, road), clear)
    if rng.random() < domain.distractors * 1.5:
        y = float(rng.uniform(12, 30))
        if b.clear(road.half + 1.0, y, 4.0):
            signs.other_sign(b, road, y)
    if not count:
        return []
    fast = road.kind in world.FAST_ROADS and domain.closures > 0  # no cones stand about on a fast road
    closing = rng.random() < domain.closures or fast
    closure = close_lane(b, domain, road, count, min(stop, road.ends)) if closing else None
    if closure:
        return [closure]
    _loose_cones(b, domain, road, count)
    return []


def _loose_cones(b: Builder, domain: DomainConfig, road: Road, count: int) -> None:
    """Cones that close no lane; before a roundabout they stay on the right, clear of the island in the middle."""
    rng, (near, far) = b.rng, domain.cone_m
    fitted = replace(domain, cone_m=(near, max(min(far, road.ends - 3.0), near + 3.0)))
    narrowing = rng.random() < domain.cones_in_path
    if road.kind == "roundabout":
        pattern = "taper" if narrowing and count > 1 else "across" if narrowing else "edge"
        place_cones(b, fitted, road, count, narrowing, pattern=pattern, side=1)
    else:
        place_cones(b, fitted, road, count, narrowing)


def road_and_camera(
    rng: np.random.Generator,
    domain: DomainConfig,
    size: tuple[int, int],
    *,
    shape: Callable[[Road], Road] | None = None,
) -> tuple[Road, dict[str, Any]]:
    """Draw the road with the ego's lane, and a camera behind the windscreen; `shape` bends the drawn road."""
    hfov = float(rng.uniform(42, 54))
    lanes = int(pick(rng, domain.lanes))
    lane = int(rng.choice(lanes, p=np.arange(1, lanes + 1) / sum(range(1, lanes + 1))))
    road = Road(
        lanes=lanes,
        lane=lane,
        lane_width=float(rng.uniform(3.2, 3.7)),
        region=pick(rng, domain.region),
        area=pick(rng, domain.area),
        camera_z=float(rng.uniform(1.25, 1.75)),
        focal_px=size[0] / 2 / math.tan(math.radians(hfov) / 2),
    )
    road = shape(road) if shape else road
    camera = {
        "at": [round(road.ego_x + float(rng.uniform(-0.35, 0.35)), 3), 0.0, round(road.camera_z, 3)],
        "yaw": round(float(rng.uniform(-2.2, 2.2)), 3),
        "pitch": round(float(rng.uniform(0.0, 3.5)), 3),
        "hfov": round(hfov, 3),
    }
    return road, camera


def _junction(
    rng: np.random.Generator, domain: DomainConfig, road: Road, lamp: str, mount: str
) -> tuple[dict[str, Any] | None, float | None]:
    """The crossing street (or None) and the distance of the lights (or None).

    Lights without a crossing street are signals of a narrow passage or a ramp.
    """
    low, high = domain.lamp_m
    if mount != "pole":
        low = max(low, 15.0)
        high = max(high, low + 6.0)
    if rng.random() < domain.lamp_far:
        low, high = high, high + 12.0
    signal_y = float(rng.uniform(low, high)) if lamp != "none" else None
    if rng.random() < (0.4 if lamp == "none" else 0.74):
        width = float(rng.uniform(7.5, 13.0))
        stop = float(rng.uniform(7.5, 26.0))
        if signal_y is not None:
            far_side = mount != "pole" and signal_y > 24.0
            stop = signal_y - (width + 6.5) if far_side else signal_y - 0.8
        sign = rng.random() < (0.45 if lamp == "none" else 0.3 if lamp == "off" else 0.0)
        junction = {
            "stop_y": round(stop, 3),
            "end_y": round(stop + 4.0 + width, 3),
            "line": bool(lamp != "none" or sign or rng.random() < 0.5),
            "zebra": bool(rng.random() < 0.7),
            "stop_sign": bool(sign),
        }
        return junction, signal_y
    return None, signal_y


def _signs_and_cones(b: Builder, domain: DomainConfig, road: Road, junction: dict[str, Any] | None) -> None:
    rng = b.rng
    clear = (junction["stop_y"] + 2.0, junction["end_y"]) if junction else (-9.0, -9.0)
    if rng.random() < domain.posted:
        values = POSTED[road.region]
        signs.speed_sign(b, domain, road, int(values[int(rng.integers(len(values)))]), clear)
    if rng.random() < domain.distractors * 1.5:
        signs.other_sign(b, road, float(rng.uniform(12, 30)))
    low, high = CONE_RANGE[pick(rng, domain.cones)]
    if high:
        count = int(rng.integers(low, high + 1))
        place_cones(b, domain, road, count, narrowing=rng.random() < domain.cones_in_path)
