"""A plain description of a scene: where the car is, then what is in sight."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drivelet.core.rng import generator

Record = Mapping[str, Any]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
AREAS = {"urban": "in a town", "suburban": "in a suburb", "rural": "in open country"}
TIMES = {"day": ("by day", "in daylight"), "dusk": ("at dusk", "in the last light of the day"), "night": ("at night",)}
WEATHERS = {
    "clear": ("under a clear sky", "in clear weather"), "overcast": ("under a grey sky", "under clouds"),
    "fog": ("in fog", "in misty air"), "rain": ("in rain", "on a wet road"),
}  # fmt: skip
OPENINGS = (
    "{Road} {area}, {time}, {weather}.",
    "{Time} {area}, {weather}: {road}.",
    "The car drives {area} on {road}, {time} and {weather}.",
    "{Road} {area} is seen {time}, {weather}.",
)
LISTS = ("In sight: {things}.", "The driver sees {things}.", "Ahead: {things}.", "One sees {things}.")
EMPTY = ("Nothing stands on the road ahead.", "The way ahead is free.", "No light, sign or cone is in sight.")
VEHICLES = {"car": "car", "truck": "truck", "bus": "bus", "cyclist": "cyclist", "person": "person"}
PLURALS = {"bus": "buses", "person": "people"}


def describe_scene(record: Record) -> str:
    """Return one or two plain sentences about a finished scene record; equal records give equal text.

    What a frame does not show is not told; the wording is one of a few, drawn with the record's seed.
    """
    rng = generator(int(record["seed"]), "words")
    setting = record["setting"]
    words = {
        "road": road_phrase(setting), "area": AREAS[setting["area"]],
        "time": _one(rng, TIMES[setting["light"]]), "weather": _one(rng, WEATHERS[setting["weather"]]),
    }  # fmt: skip
    words |= {name.capitalize(): text[0].upper() + text[1:] for name, text in words.items()}
    things = things_in_sight(record)
    second = _one(rng, LISTS).format(things=_listed(things)) if things else _one(rng, EMPTY)
    return f"{_one(rng, OPENINGS).format(**words)} {second}"


def road_phrase(setting: Record) -> str:
    """The road as a noun phrase: its kind and its lanes."""
    kind = setting.get("road", {}).get("kind", "street")
    lanes = setting["lanes"]
    each = f"{NUMBERS[lanes]} lane{'s' * (lanes > 1)} each way"
    if kind in ("highway", "ramp"):
        return f"a divided highway with {each}" + (" and an exit to the right" if kind == "ramp" else "")
    if kind == "curve":
        side = "left" if setting["road"]["bends"][0][1] > 0 else "right"
        return f"a road with {each} that bends to the {side}"
    if kind == "crest":
        return f"a road with {each} that runs over the top of a hill"
    if kind == "roundabout":
        return f"a road with {each} that leads into a roundabout"
    return f"a straight road with {each}{_junction(setting['junction'])}"


def _junction(junction: Record | None) -> str:
    if junction is None:
        return ""
    arms = junction.get("arms", ("left", "ahead", "right"))
    if len(arms) == 3:
        return " before a crossing"
    if "ahead" not in arms:
        return " that ends at a T junction"
    return f" with a side street to the {'left' if 'left' in arms else 'right'}"


def things_in_sight(record: Record) -> list[str]:
    """Noun phrases for all that labels see, the most important first."""
    seen = [item for item in record["objects"] if item["visible"]]
    kinds = Counter(item["kind"] for item in seen)
    things = [*_lights(record, seen), *_cones(record, kinds), *_signs(record, seen)]
    for kind, name in VEHICLES.items():
        if kinds[kind]:
            things.append(_counted(kinds[kind], name))
    return things


def _lights(record: Record, seen: Sequence[Record]) -> list[str]:
    lamp = record["facts"]["governing_lamp"]
    heads = [item for item in seen if item["kind"] in ("traffic_light", "lamp") and item.get("facing")]
    flashing = any(item.get("flashing") and item["governing"] for item in heads)
    words = {
        "off": "a traffic light without power", "unknown": "traffic lights that disagree", "none": "",
    }  # fmt: skip
    found = [words.get(lamp, f"a {'flashing ' * flashing}{lamp} traffic light")]
    if flashing and lamp == "off":
        found = ["a flashing traffic light in its dark phase"]
    turns = {item["movement"]: item["state"] for item in heads if item.get("movement") in ("left", "right")}
    found += [f"an arrow to the {way} that is {state}" for way, state in sorted(turns.items()) if state != "off"]
    return [text for text in found if text]


def _cones(record: Record, kinds: Mapping[str, int]) -> list[str]:
    count, closures = record["facts"]["cone_count_visible"], record["setting"].get("closures", ())
    found = []
    if count:
        cones = _counted(count, "traffic cone")
        if closures:
            close = "closes" if count == 1 else "close"
            found.append(f"{cones} that {close} the {closures[0]['side']} lane")
        else:
            found.append(f"{cones} {'in the lane' if record['facts']['cones_in_path'] else 'beside the lane'}")
    for kind, name in (("drum", "orange drum"), ("channeliser", "marker post")):
        if kinds.get(kind):
            found.append(_counted(kinds[kind], name))
    if kinds.get("barrier"):
        found.append("a barrier")
    if kinds.get("arrow_board"):
        found.append("a lit arrow board")
    return found


def _signs(record: Record, seen: Sequence[Record]) -> list[str]:
    found = []
    for item in seen:
        if item["kind"] == "speed_sign":
            zone = {"school": " of a school zone", "work_zone": " of a work zone"}.get(item.get("plate", ""), "")
            found.append(f"a speed limit{zone} of {item['value']} {item['unit']}")
        elif item["kind"] == "end_sign":
            found.append(f"a sign that ends the limit of {item['value']} {item['unit']}")
    kinds = {item["kind"] for item in seen}
    names = {"stop_sign": "a stop sign", "yield_sign": "a yield sign", "work_sign": "a sign that warns of road works"}
    return [*found, *(text for kind, text in names.items() if kind in kinds)]


def _counted(count: int, name: str) -> str:
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {name if count == 1 else PLURALS.get(name, name + 's')}"


def _listed(things: Sequence[str]) -> str:
    return ", ".join(things[:-1]) + " and " + things[-1] if len(things) > 1 else things[0]


def _one(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]
