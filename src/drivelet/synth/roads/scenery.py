"""Everything of a scene that is not asked for: road surface, buildings, trees, vehicles, light and weather."""

from typing import Any

import numpy as np

from drivelet.synth.build import STEEL, WHITE, Builder, Color, shade
from drivelet.synth.domain import DomainConfig
from drivelet.synth.props.roadusers import person, road_users
from drivelet.synth.props.roadusers import vehicle as modern_vehicle
from drivelet.synth.roads.frontage import frontage, street_lamps
from drivelet.synth.roads.road import Road
from drivelet.synth.tones import LEAVES, PAINTS, WALLS

YELLOW: Color = (0.62, 0.36, 0.02)
FAR = 220.0


def road_surface(b: Builder, road: Road, junction: dict[str, Any] | None) -> None:
    """Asphalt, edges and lane markings; the crossing street with its stop line and crosswalks."""
    rng = b.rng
    land: Color = (0.14, 0.17, 0.06) if road.area != "urban" else (0.22, 0.21, 0.2)
    tar = shade(rng, (0.075, 0.075, 0.08), 0.45)
    b.part("ground", (0, 150, 0), (700, 700, 1), shade(rng, land, 0.3))
    b.part("asphalt", (0, 90, 0.01), (2 * road.half + 0.8, 300, 1), tar)
    _markings(b, road)
    gap = (junction["stop_y"] + 3.6, junction["end_y"]) if junction else (FAR, FAR)
    if road.area != "rural":
        tone = shade(rng, (0.25, 0.24, 0.225), 0.25)
        for side in (-1, 1):
            for y0, y1 in ((-20.0, gap[0]), (gap[1], FAR)):
                if y1 > y0:
                    x = side * (road.half + 0.4 + 1.4)
                    b.part("box", (x, (y0 + y1) / 2, 0.05), (2.8, y1 - y0, 0.16), tone)
    if junction:
        _crossing(b, road, junction, tar)


def _markings(b: Builder, road: Road) -> None:
    center = YELLOW if road.region == "us" else WHITE
    solid = b.rng.random() < 0.4
    if road.region == "us" or road.lanes > 1 or solid:
        for x in (-0.12, 0.12) if road.region == "us" or road.lanes > 1 else (0.0,):
            b.part("line", (x, 100, 0.02), (0.13, 240, 1), center)
    else:
        b.part("dashes", (0, -4, 0.02), (0.14, 1, 1), center)
    shift = float(b.rng.uniform(-8, 0))
    for side in (-1, 1):
        for lane in range(1, road.lanes):
            b.part("dashes", (side * lane * road.lane_width, shift, 0.02), (0.14, 1, 1), WHITE)
        if road.area != "urban" or b.rng.random() < 0.4:
            b.part("line", (side * (road.half - 0.08), 100, 0.02), (0.13, 240, 1), WHITE)


def _crossing(b: Builder, road: Road, junction: dict[str, Any], tar: Color) -> None:
    stop, end = junction["stop_y"], junction["end_y"]
    middle, width = (stop + 4.0 + end) / 2, end - stop - 4.0
    street = b.object("cross_street", (0, middle, 0))
    b.part("asphalt", (0, (stop + 1 + end + 1) / 2, 0.028), (2 * road.half + 0.6, end - stop, 1), tar)
    b.part("asphalt", (0, middle, 0.03), (260, width, 1), tar, index=street)
    for side in (-1, 1):
        x = side * (road.half + 60)
        b.part("line", (x, middle, 0.035), (118, 0.14, 1), YELLOW if road.region == "us" else WHITE)
    if junction["line"]:
        line = b.object("stop_line", (road.half / 2, stop, 0))
        b.part("line", (road.half / 2, stop + 0.25, 0.04), (road.half - 0.2, 0.5, 1), WHITE, index=line)
    if junction["zebra"]:
        near = b.object("crosswalk", (0, stop + 2.3, 0))
        b.part("zebra", (0, stop + 2.3, 0.04), (2 * road.half, 2.6, 1), WHITE, index=near)
        b.part("zebra", (0, end + 1.6, 0.04), (2 * road.half, 2.6, 1), WHITE)


def surroundings(b: Builder, road: Road, junction: dict[str, Any] | None) -> None:
    """Buildings, houses, trees and street lamps along both sides, clear of the crossing street."""
    blocked = (junction["stop_y"] - 1.0, junction["end_y"] + 3.0) if junction else (-9.0, -9.0)
    if road.kind != "street":
        frontage(b, road, blocked)
        return
    for side in (-1, 1):
        if road.area == "urban":
            _row_of_blocks(b, road, side, blocked)
        elif road.area == "suburban":
            _row_of_houses(b, road, side, blocked)
        _trees(b, road, side, blocked)
    if road.area == "rural":
        for k in range(6):
            x, y = float(b.rng.uniform(-160, 160)), float(b.rng.uniform(180, 240))
            tone = shade(b.rng, (0.09, 0.13, 0.06))
            size = (float(b.rng.uniform(70, 140)), 40, float(b.rng.uniform(20, 45)))
            b.part("bush", (x, y, -4 - 2 * (k % 2)), size, tone)


def _row_of_blocks(b: Builder, road: Road, side: int, blocked: tuple[float, float]) -> None:
    y = float(b.rng.uniform(-2, 8))
    for _ in range(7):
        length, depth = float(b.rng.uniform(11, 26)), float(b.rng.uniform(10, 16))
        if y < blocked[1] and y + length > blocked[0]:
            y = blocked[1] + 1.0
        asset = str(b.rng.choice(["block_a", "block_b", "block_c"], p=[0.45, 0.4, 0.15]))
        tall = {"block_a": (8, 13), "block_b": (15, 24), "block_c": (26, 42)}[asset]
        x = side * (road.half + 3.6 + depth / 2 + float(b.rng.uniform(0, 3)))
        tone = shade(b.rng, WALLS[int(b.rng.integers(len(WALLS)))], 0.25)
        b.part(asset, (x, y + length / 2, 0), (depth, length, float(b.rng.uniform(*tall))), tone)
        y += length + float(b.rng.uniform(0.5, 6))


def _row_of_houses(b: Builder, road: Road, side: int, blocked: tuple[float, float]) -> None:
    y = float(b.rng.uniform(6, 16))
    for _ in range(4):
        if blocked[0] - 9 < y < blocked[1] + 5:
            y = blocked[1] + 6
        size = float(b.rng.uniform(8, 12))
        x = side * (road.half + 9 + size / 2 + float(b.rng.uniform(0, 5)))
        tone = shade(b.rng, WALLS[int(b.rng.integers(len(WALLS)))], 0.25)
        height, yaw = float(b.rng.uniform(6, 8.5)), float(b.rng.choice([0, 90]))
        b.part("house", (x, y, 0), (size, size * 0.9, height), tone, yaw=yaw)
        y += size + float(b.rng.uniform(5, 16))


def _trees(b: Builder, road: Road, side: int, blocked: tuple[float, float]) -> None:
    asset = "pine" if b.rng.random() < (0.5 if road.area == "rural" else 0.15) else "tree"
    tone = LEAVES[int(b.rng.integers(len(LEAVES)))]
    for _ in range({"urban": 3, "suburban": 6, "rural": 10}[road.area]):
        y = float(b.rng.uniform(12, 95))
        if blocked[0] < y < blocked[1]:
            continue
        x = side * (road.half + float(b.rng.uniform(3.4, 6.0) if road.area != "rural" else b.rng.uniform(5, 26)))
        size = float(b.rng.uniform(4.5, 8.5))
        if not b.clear(x, y, 1.5):
            continue
        b.part(asset, (x, y, 0), (size, size, size * float(b.rng.uniform(0.9, 1.25))), shade(b.rng, tone, 0.3),
               yaw=float(b.rng.uniform(0, 360)))  # fmt: skip


def vehicle(b: Builder, x: float, y: float, *, yaw: float, kind: str | None = None) -> None:
    """A car or truck standing at (x, y), heading +y at yaw 0."""
    if b.road is not None and b.road.kind != "street":
        modern_vehicle(b, x, y, yaw=yaw, kind=kind or "sedan", lights=b.retro > 0)
        return
    kind = kind or str(b.rng.choice(["sedan", "suv", "truck"], p=[0.55, 0.38, 0.07]))
    index = b.object("truck" if kind == "truck" else "car", (x, y, 0), yaw=yaw)
    b.part(kind, (x, y, 0.01), (1, 1, 1), shade(b.rng, PAINTS[int(b.rng.integers(len(PAINTS)))]), yaw=yaw, index=index)


def traffic(b: Builder, config: DomainConfig, road: Road, junction: dict[str, Any] | None) -> None:
    """Other vehicles: ahead, oncoming, parked, crossing; at most one to a slot, so that none overlap."""
    if road.kind != "street":
        road_users(b, config, road, junction, lights=b.retro > 0)
        return
    rng = b.rng
    ahead = (road.ego_x, float(rng.uniform(13, 45)), 0.0)
    coned = any(item["kind"] == "cone" and abs(item["lane_offset"]) < road.lane_width / 2 for item in b.objects)
    slots: list[tuple[float, float, float]] = [] if coned else [ahead]
    for lane in range(road.lanes):
        slots.append((-road.lane_d(lane), float(rng.uniform(11, 60)), 180.0))
        if lane != road.lane:
            slots.append((road.lane_d(lane), float(rng.uniform(9, 45)), 0.0))
    if road.area != "rural":
        slots += [(-road.half - 0.6, float(rng.uniform(low, high)), 180.0) for low, high in ((8, 20), (28, 50))]
    taken = min(int(rng.poisson(config.traffic)), len(slots), 6)
    for k in rng.choice(len(slots), size=taken, replace=False):
        x, y, yaw = slots[int(k)]
        clear = junction is None or not junction["stop_y"] - 3 < y < junction["end_y"] + 3
        if (clear or yaw == 180.0) and b.free(x, y):
            vehicle(b, x + float(rng.uniform(-0.2, 0.2)), y, yaw=yaw)
    if junction and rng.random() < 0.15 * min(config.traffic, 2.5):
        middle = (junction["stop_y"] + 4 + junction["end_y"]) / 2
        vehicle(b, float(rng.choice([-1, 1])) * (road.half + float(rng.uniform(2, 14))), middle, yaw=90.0)


def people(b: Builder, road: Road) -> None:
    """A walker or a worker in a bright vest beside the road."""
    if road.kind != "street":
        side, y = float(b.rng.choice([-1, 1])), float(b.rng.uniform(9, 28))
        model = "worker" if b.rng.random() < 0.4 else None
        person(b, side * (road.half + 1.4), y, yaw=float(b.rng.uniform(0, 360)), up=0.13 * road.kerbs, model=model)
        return
    x = float(b.rng.choice([-1, 1])) * (road.half + float(b.rng.uniform(0.6, 2.2)))
    y = float(b.rng.uniform(9, 28))
    vest: Color = (0.85, 0.25, 0.02) if b.rng.random() < 0.5 else shade(b.rng, (0.25, 0.3, 0.45), 0.6)
    index = b.object("person", (x, y, 0))
    b.part("person", (x, y, 0.1), (1, 1, 1), vest, yaw=float(b.rng.uniform(0, 360)), index=index)


# ------------------------------------------------------------------------------------------- light and weather

SKIES: dict[str, dict[str, Any]] = {
    "day": {"zenith": (0.17, 0.32, 0.62), "horizon": (0.66, 0.76, 0.86), "cloud": (0.95, 0.95, 0.97), "sun": (4.0, 6.5),
            "sun_color": (1.0, 0.95, 0.86), "elevation": (22, 65), "exposure": (0.8, 1.05), "headlights": 0.0,
            "lantern_watts": 0.0, "window_glow": 0.0, "bloom": 0.12, "noise": 0.008},
    "dusk": {"zenith": (0.075, 0.1, 0.23), "horizon": (0.55, 0.3, 0.17), "cloud": (0.28, 0.17, 0.16),
             "sun": (0.15, 0.6), "sun_color": (1.0, 0.55, 0.28), "elevation": (5, 14), "exposure": (1.1, 1.5),
             "headlights": 120.0, "lantern_watts": 500.0, "window_glow": 0.35, "bloom": 0.2, "noise": 0.013},
    "night": {"zenith": (0.004, 0.006, 0.014), "horizon": (0.02, 0.019, 0.024), "cloud": (0.02, 0.019, 0.022),
              "sun": (0.01, 0.03), "sun_color": (0.6, 0.7, 1.0), "elevation": (30, 60), "exposure": (1.3, 1.8),
              "headlights": 300.0, "lantern_watts": 1800.0, "window_glow": 0.5, "bloom": 0.3, "noise": 0.02},
}  # fmt: skip


def lanterns(b: Builder, road: Road, light: str) -> list[list[float]]:
    """Street lamps along one side; returns the places of those that shed light."""
    if road.kind != "street":
        return street_lamps(b, road, lit=light != "day")
    side = float(b.rng.choice([-1, 1]))
    first, step, height = float(b.rng.uniform(6, 16)), float(b.rng.uniform(22, 30)), float(b.rng.uniform(6.5, 8.5))
    places = []
    warm: Color = (1.0, 0.75, 0.42)
    for k in range(4 if road.area != "rural" else 1):
        y, x = first + k * step, side * (road.half + 1.0)
        if not b.clear(x, y):
            continue
        b.pole(x, y, height, 0.14)
        b.part("box", (x - side * 0.9, y, height), (1.9, 0.08, 0.08), STEEL)
        glow = 0.0 if light == "day" else 3.0
        b.part("box", (x - side * 1.7, y, height - 0.08), (0.55, 0.25, 0.08), warm, glow=glow)
        places.append([round(v, 3) for v in b.place((x - side * 1.7, y, height - 0.4))])
    return places


def world(b: Builder, light: str, weather: str, lamp_places: list[list[float]]) -> tuple[dict[str, Any], float]:
    """The renderer's light and weather settings, and the visibility in metres."""
    rng, sky = b.rng, SKIES[light]
    grey = {"clear": 0.0, "overcast": 0.85, "fog": 1.0, "rain": 0.95}[weather]
    level = float(np.mean(sky["horizon"])) * (0.75 if weather == "rain" else 0.85)
    dull = np.array([level, level, level * 1.03])
    zenith = (1 - grey) * np.array(sky["zenith"]) + grey * dull * 0.85
    horizon = (1 - 0.9 * grey) * np.array(sky["horizon"]) + 0.9 * grey * dull
    visibility = {
        "clear": 2000.0, "overcast": 1500.0, "fog": float(np.exp(rng.uniform(np.log(45), np.log(160)))),
        "rain": float(rng.uniform(200, 500)),
    }[weather]  # fmt: skip
    settings = {
        "zenith": _round(zenith), "horizon": _round(horizon),
        "cloud_color": _round(np.array(sky["cloud"]) * (1 - 0.3 * grey)),
        "clouds": round(float(rng.uniform(0, 0.9)) if weather == "clear" else 0.0, 3),
        "cloud_shift": _round(rng.uniform(-5, 5, 3)),
        "sun": round(float(rng.uniform(*sky["sun"])) * (1 - 0.93 * grey), 4), "sun_color": list(sky["sun_color"]),
        "sun_size": round(0.5 + 25 * grey, 2),
        "sun_elevation": round(float(rng.uniform(*sky["elevation"])), 2),
        "sun_azimuth": round(float(rng.uniform(0, 360)), 2),
        "fog_density": round(3.0 / visibility, 6), "fog_color": _round(horizon),
        "wet": round(float(rng.uniform(0.6, 1.0)) if weather == "rain" else 0.0, 3),
        "streaks": int(rng.integers(80, 260)) if weather == "rain" else 0,
        "headlights": sky["headlights"], "lanterns": lamp_places if light != "day" else [],
        "lantern_watts": sky["lantern_watts"], "lantern_color": [1.0, 0.72, 0.4], "window_glow": sky["window_glow"],
        "exposure": round(float(rng.uniform(*sky["exposure"])), 3), "bloom": sky["bloom"],
        "noise": round(sky["noise"] * float(rng.uniform(0.4, 1.2)), 4),
    }  # fmt: skip
    return settings, round(visibility, 1)


def _round(values: Any) -> list[float]:
    return [round(float(v), 4) for v in values]
