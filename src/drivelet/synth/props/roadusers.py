"""Vehicles, people and cyclists of the world edition, each where its kind may be and clear of the others."""

import math
from dataclasses import dataclass
from typing import Any

from drivelet.synth.build import Builder, Color, pick, shade
from drivelet.synth.domain import DomainConfig
from drivelet.synth.roads.road import Road
from drivelet.synth.tones import CLOTHES, MORE_PAINTS

FLEET = {"sedan": 0.36, "hatchback": 0.2, "suv": 0.26, "van": 0.1, "truck": 0.05, "bus": 0.03}
PARKED = {"sedan": 0.4, "hatchback": 0.3, "suv": 0.22, "van": 0.08}
KINDS = {"truck": "truck", "bus": "bus"}
"""The object kind of a model; all others are cars."""
HEADLAMP: Color = (1.0, 0.95, 0.82)
REAR: Color = (0.9, 0.012, 0.008)
MOST_VEHICLES, MOST_PEOPLE = 9, 6
PAVEMENT_M = 0.13


@dataclass(frozen=True, kw_only=True)
class Model:
    """Half the length in metres, and where the lamps are: height and middle of the rear ones, of the front ones."""

    half: float
    rear: tuple[float, float]
    front: tuple[float, float]


MODELS = {
    "sedan": Model(half=2.26, rear=(0.80, 0.67), front=(0.62, 0.62)),
    "hatchback": Model(half=2.03, rear=(0.84, 0.66), front=(0.64, 0.61)),
    "suv": Model(half=2.36, rear=(0.98, 0.72), front=(0.82, 0.67)),
    "van": Model(half=2.61, rear=(1.05, 0.76), front=(0.85, 0.71)),
    "truck": Model(half=4.06, rear=(0.78, 0.95), front=(0.92, 0.95)),
    "bus": Model(half=5.79, rear=(1.0, 1.02), front=(0.72, 1.02)),
}


def vehicle(
    b: Builder, x: float, y: float, *, yaw: float, kind: str, lights: bool, braking: bool = False, up: float = 0.01
) -> int:
    """A vehicle at (x, y), heading +y at yaw 0, with its lamps lit or not; returns its object's id."""
    paint = shade(b.rng, MORE_PAINTS[int(b.rng.integers(len(MORE_PAINTS)))])
    if kind == "bus":
        paint = shade(
            b.rng, ((0.5, 0.02, 0.02), (0.55, 0.4, 0.03), (0.65, 0.65, 0.63), (0.05, 0.2, 0.4))[int(b.rng.integers(4))]
        )
    model = MODELS[kind]
    index = b.object(KINDS.get(kind, "car"), (x, y, 0), yaw=yaw, model=kind)
    b.part(kind, (x, y, up), (1, 1, 1), paint, yaw=yaw, index=index)
    rear, front = (3.0 if braking else 0.9 * lights), 5.0 * lights
    turn = math.radians(yaw)
    for (z, middle), glow, color, way in ((model.rear, rear, REAR, -1), (model.front, front, HEADLAMP, 1)):
        if glow:
            reach = way * (model.half + 0.02)
            spot = (x - reach * math.sin(turn), y + reach * math.cos(turn), z + up)
            b.part("lamp_pair", spot, (2.5 * middle, 0.05, 0.13), color, yaw=yaw, glow=glow, index=index)
    return index


def road_users(b: Builder, config: DomainConfig, road: Road, junction: dict[str, Any] | None, *, lights: bool) -> None:
    """Moving and parked vehicles, then walkers and cyclists."""
    _moving(b, config, road, junction, lights)
    if junction and "near_y" in junction and b.rng.random() < 0.3 * min(config.traffic, 2.5) / 2.5:
        _crossing(b, road, junction, lights)
    if road.kind not in ("highway", "ramp", "roundabout"):
        _parked(b, road, junction)
        _people(b, config, road, junction)
        _cyclists(b, config, road, junction)


def clear_of_others(b: Builder, x: float, y: float, half: float, wide: float = 2.3) -> bool:
    """Whether a vehicle of half length `half` at (x, y) keeps away from cones and from what was placed before."""
    for item in b.objects:
        if item["kind"] in ("cone", "drum", "person", "cyclist", "car", "truck", "bus"):
            long = half + (
                MODELS[item["model"]].half + 1.5 if "model" in item else 6.0 if item["kind"] == "truck" else 2.0
            )
            d, s = item.get("d", item["at"][0]), item.get("s", item["at"][1])
            if abs(d - x) < (wide if "model" in item or item["kind"] == "truck" else 1.5) and abs(s - y) < long:
                return False
    return True


def _moving(b: Builder, config: DomainConfig, road: Road, junction: dict[str, Any] | None, lights: bool) -> None:
    rng = b.rng
    stop = junction["stop_y"] if junction else math.inf
    for _ in range(min(int(rng.poisson(1.3 * config.traffic)), MOST_VEHICLES)):
        lane, oncoming = int(rng.integers(road.lanes)), rng.random() < 0.5
        kind, y = pick(rng, FLEET), float(rng.uniform(9, 80))
        half = MODELS[kind].half
        braking = bool(rng.random() < 0.35) or (not oncoming and stop - 25 < y < stop)
        shift = float(rng.uniform(-0.25, 0.25))
        x = (-1 if oncoming else 1) * road.lane_d(lane) + shift
        if not oncoming and lane == road.lane and y - half < 9:
            continue
        if stop - half - 1 < y < (junction["end_y"] + half if junction else -math.inf):
            continue
        if b.free(x, y, half) and clear_of_others(b, x, y, half):
            vehicle(b, x, y, yaw=180.0 if oncoming else 0.0, kind=kind, lights=lights, braking=braking and not oncoming)


def _crossing(b: Builder, road: Road, junction: dict[str, Any], lights: bool) -> None:
    """A vehicle on the crossing street, on the right of its own half."""
    rng = b.rng
    side = 1 if rng.random() < 0.5 else -1
    if ("right" if side > 0 else "left") not in junction.get("arms", ("left", "right")):
        return
    width = junction["end_y"] - junction["near_y"]
    leftward = rng.random() < 0.5  # heading -x: on the far half of the street
    y = junction["near_y"] + width * (0.75 if leftward else 0.25)
    vehicle(b, side * (road.half + float(rng.uniform(3, 16))), y, yaw=90.0 if leftward else -90.0,
            kind=pick(rng, FLEET), lights=lights)  # fmt: skip


def _parked(b: Builder, road: Road, junction: dict[str, Any] | None) -> None:
    """A row of parked vehicles, half on the pavement."""
    rng = b.rng
    for side in (-1, 1):
        if not road.kerbs or rng.random() > (0.45 if side < 0 else 0.25):
            continue
        y = float(rng.uniform(6, 18))
        for _ in range(int(rng.integers(2, 6))):
            kind = pick(rng, PARKED)
            y += MODELS[kind].half
            x = side * (road.half + float(rng.uniform(0.45, 0.6)))
            blocked = junction is not None and junction["stop_y"] - 9 < y < junction["end_y"] + 9
            near_sign = any(
                item["kind"] in ("speed_sign", "traffic_light") and abs(item.get("s", item["at"][1]) - y) < 9
                and side * item.get("d", item["at"][0]) > 0 for item in b.objects
            )  # fmt: skip
            if not blocked and not near_sign and b.free(x, y, 2.0) and clear_of_others(b, x, y, MODELS[kind].half):
                vehicle(b, x, y, yaw=0.0 if side > 0 else 180.0, kind=kind, lights=False, up=0.06)
            y += MODELS[kind].half + float(rng.uniform(0.8, 7.0))


def person(b: Builder, x: float, y: float, *, yaw: float, up: float, model: str | None = None) -> None:
    """A walker heading +y at yaw 0."""
    model = model or str(b.rng.choice(["person", "walker", "stander"], p=[0.4, 0.4, 0.2]))
    cloth: Color = (0.85, 0.25, 0.02) if model == "worker" else CLOTHES[int(b.rng.integers(len(CLOTHES)))]
    size = float(b.rng.uniform(0.92, 1.06))
    index = b.object("person", (x, y, 0), yaw=yaw)
    glow = 0.5 * b.retro if model == "worker" else 0.0
    b.part(model, (x, y, up), (size, size, size), shade(b.rng, cloth, 0.3), yaw=yaw, glow=glow, index=index)


def _people(b: Builder, config: DomainConfig, road: Road, junction: dict[str, Any] | None) -> None:
    """Walkers on the pavements and on the crosswalk before the ego; workers beside cones."""
    rng = b.rng
    up = PAVEMENT_M if road.kerbs else 0.0
    walkers = min(int(rng.poisson(config.pedestrians * (2.2 if road.area == "urban" else 1.0))), MOST_PEOPLE)
    for _ in range(walkers):
        if junction and junction["zebra"] and rng.random() < 0.3:
            x, y = float(rng.uniform(-road.half, road.half)), junction["stop_y"] + 2.3 + float(rng.uniform(-0.8, 0.8))
            if y > 7:
                person(b, x, y, yaw=float(rng.choice([-90, 90])) + float(rng.uniform(-8, 8)), up=0.01)
            continue
        y = 7 + 40 * float(rng.random()) ** 1.5
        x = float(rng.choice([-1, 1])) * (road.half + float(rng.uniform(1.2, 2.7)))
        if b.clear(x, y, 0.5):
            person(b, x, y, yaw=float(rng.choice([0, 180])) + float(rng.uniform(-12, 12)), up=up)
    cones = [item for item in b.objects if item["kind"] in ("cone", "drum")]
    if cones and rng.random() < 2 * config.distractors:
        near = cones[int(rng.integers(len(cones)))]
        side = 1 if near.get("d", near["at"][0]) > 0 else -1
        x, y = (
            side * (road.half + float(rng.uniform(0.7, 2.0))),
            near.get("s", near["at"][1]) + float(rng.uniform(0, 5)),
        )
        if y > 6:
            person(b, x, y, yaw=float(rng.uniform(0, 360)), up=up, model="worker")


def _cyclists(b: Builder, config: DomainConfig, road: Road, junction: dict[str, Any] | None) -> None:
    """Cyclists at the right edge of either direction."""
    rng = b.rng
    for _ in range(min(int(rng.poisson(config.cyclists)), 3)):
        oncoming, y = rng.random() < 0.35, float(rng.uniform(9, 40))
        x = (-1 if oncoming else 1) * (road.half - float(rng.uniform(0.4, 0.9)))
        crossing = junction is not None and junction["stop_y"] < y < junction["end_y"]
        if crossing or not b.free(x, y, 1.0) or not clear_of_others(b, x, y, 1.0, 1.6):
            continue
        yaw = (180.0 if oncoming else 0.0) + float(rng.uniform(-4, 4))
        index = b.object("cyclist", (x, y, 0), yaw=yaw)
        cloth = shade(rng, CLOTHES[int(rng.integers(len(CLOTHES)))], 0.3)
        b.part("cyclist", (x, y, 0.01), (1, 1, 1), cloth, yaw=yaw, index=index)
