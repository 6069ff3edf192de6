"""The scene sampler: frame i of a seed depends on (seed, i) and the domain alone."""

import math
from typing import Any

import numpy as np

from drivelet.core.rng import derive_seed, generator
from drivelet.synth import scenery, signs, traffic
from drivelet.synth.build import Builder, pick
from drivelet.synth.cones import place_cones
from drivelet.synth.domain import DomainConfig
from drivelet.synth.road import POSTED, REGION_DEFAULT, UNIT, Road

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
    road, camera = road_and_camera(rng, domain, size)
    b = Builder(rng=rng, retro=RETRO[light])
    lamp = pick(rng, domain.lamp)
    mount = pick(rng, domain.mount)
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
    settings, visibility = scenery.world(b, light, weather, scenery.lanterns(b, road, light))
    speed = float(rng.uniform(0, 14) if junction else rng.uniform(6, 25))
    return {
        "id": f"{domain.name}-{seed}-{index}", "seed": derive_seed(seed, "pixels", index) % 2**31, "size": list(size),
        "domain": domain.name, "camera": camera, "world": settings, "parts": b.parts, "objects": b.objects,
        "setting": {
            "light": light, "weather": weather, "region": road.region, "area": road.area,
            "unit": UNIT[road.region],
            "region_default": REGION_DEFAULT[road.region], "visibility_m": visibility,
            "junction": junction, "lanes": road.lanes, "ego_lane": road.lane, "ego_x": round(road.ego_x, 3),
            "lane_width": round(road.lane_width, 3), "speed_mps": round(speed, 2),
        },
    }  # fmt: skip


def road_and_camera(
    rng: np.random.Generator, domain: DomainConfig, size: tuple[int, int]
) -> tuple[Road, dict[str, Any]]:
    """Draw the road with the ego's lane, and a camera behind the windscreen."""
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
