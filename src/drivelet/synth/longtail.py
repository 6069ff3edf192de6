"""Rare scenes by name: a recipe narrows the world domain, and says what the finished labels must confirm."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivelet.core.errors import InputError
from drivelet.core.rng import derive_seed
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.scene import SIZE, sample_scene

ATTEMPTS = 600
MANY = {"3-5": 1.0, "6-10": 1.0, ">10": 1.0}
PLAIN = {"clear": 0.7, "overcast": 0.3}
Scene = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One kind of rare scene.

    Attributes:
        text: what a frame shows.
        how: `placement` (the sampler puts the thing where it must be) or `rejection` (scenes are drawn until one has
            it). A recipe by placement also rejects scenes in which there was no room.
        changes: fields of the world domain that it narrows.
        accept: whether an unrendered scene record may show it.
        promise: whether a finished record, with what its labels say is visible, does show it.
    """

    text: str
    how: str
    changes: Mapping[str, Any]
    accept: Callable[[Scene], bool]
    promise: Callable[[Scene], bool]


def sample_recipe(
    seed: int, index: int, name: str, *, domain: DomainConfig | None = None, size: tuple[int, int] = SIZE
) -> dict[str, Any]:
    """Draw scene `index` of a recipe: an unrendered record as `sample_scene` makes it, with `recipe` in it.

    Args:
        seed, index: frame i depends on (seed, i), the name and the domain alone.
        name: a key of `RECIPES`.
        domain: what the recipe narrows; the world domain by default.

    Raises:
        InputError: no such recipe, or 600 draws from the domain hold no such scene.
    """
    recipe = find_recipe(name)
    drawn_from = replace(domain or world(), **recipe.changes)
    stream = derive_seed(seed, "recipe", name, index)
    for attempt in range(ATTEMPTS):
        scene = sample_scene(stream, attempt, drawn_from, size=size)
        if recipe.accept(scene):
            return {**scene, "id": f"{name}-{seed}-{index}", "recipe": name}
    raise InputError(f"recipe {name}: {ATTEMPTS} scenes of domain {drawn_from.name} hold none; give it a wider domain")


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(f"recipe {name!r} is none of {', '.join(sorted(RECIPES))}")
    return RECIPES[name]


# --------------------------------------------------------------------------------------------- what scenes hold


def _kinds(scene: Scene, *kinds: str) -> list[Mapping[str, Any]]:
    return [item for item in scene["objects"] if item["kind"] in kinds]


def _seen(record: Scene, *kinds: str) -> list[Mapping[str, Any]]:
    return [item for item in _kinds(record, *kinds) if item["visible"]]


def _governing(scene: Scene) -> list[Mapping[str, Any]]:
    return [item for item in _kinds(scene, "traffic_light") if item["governing"] and item["facing"]]


def _lamp(record: Scene, *states: str) -> bool:
    return record["facts"]["governing_lamp"] in states


def _occludes(scene: Scene, kind: str) -> bool:
    return any(item["id"] == scene["setting"]["occluded"] for item in _kinds(scene, kind))


def _partly_hidden(record: Scene, kind: str) -> bool:
    """Whether the occluded target shows a part of itself: its visible box is smaller than the box of its whole."""
    return any(
        item["id"] == record["setting"]["occluded"] and item["box"] is not None and _shown(record, item) < 0.85
        for item in _kinds(record, kind)
    )


def _shown(record: Scene, item: Mapping[str, Any]) -> float:
    """How much of the box of the whole object the box of its visible part fills, its own lit lamp included."""
    own = [item, *(lamp for lamp in _kinds(record, "lamp") if lamp["parent"] == item["id"] and lamp["box"])]
    x0, y0 = (min(one["box"][k] for one in own) for k in (0, 1))
    x1, y1 = (max(one["box"][k] for one in own) for k in (2, 3))
    whole = item["amodal"]
    return (x1 - x0) * (y1 - y0) / max((whole[2] - whole[0]) * (whole[3] - whole[1]), 1.0)


def _heads_disagree(scene: Scene) -> bool:
    heads = [item for item in _kinds(scene, "traffic_light") if item["facing"]]
    governing = {item["state"] for item in heads if item["governing"]}
    others = {item["state"] for item in heads if not item["governing"]}
    return bool(governing) and bool(others - governing) and not governing & {"off"} and "off" not in others


def _brow(scene: Scene) -> tuple[float, float]:
    """Where the crest begins, and where the driver's line of sight leaves the road."""
    start, change = scene["setting"]["road"]["crests"][0]
    radius, eye = -1 / change, scene["camera"]["at"][2]
    return start, start + math.sqrt(start * start + 2 * radius * eye) - start


def _cones_at_brow(scene: Scene) -> bool:
    start, brow = _brow(scene)
    places = [item["s"] for item in _kinds(scene, "cone")]
    return sum(start - 2 < s < brow + 4 for s in places) >= 2 and any(s > brow - 2 for s in places)


def _some_cones(record: Scene) -> bool:
    return record["facts"]["cone_count_visible"] > 0


def _cones_over_crest(record: Scene) -> bool:
    start, _ = _brow(record)
    return sum(item["s"] > start - 2 for item in _seen(record, "cone")) >= 2


def _sun_in_view(scene: Scene) -> bool:
    sky, camera = scene["world"], scene["camera"]
    aside = (sky["sun_azimuth"] - 180.0 - camera["yaw"] + 180.0) % 360.0 - 180.0
    return sky.get("glare", 0.0) > 0 and abs(aside) < camera["hfov"] / 2


def _ego_lane_closed(scene: Scene) -> bool:
    setting = scene["setting"]
    return any(closure["lane"] == setting["ego_lane"] for closure in setting["closures"])


def _plate(scene: Scene, plate: str, *, visible: bool = False) -> bool:
    return any(
        item.get("plate") == plate and (not visible or item["visible"])
        for item in _kinds(scene, "speed_sign", "end_sign")
    )


def _walker_crosses(scene: Scene, *, visible: bool = False) -> bool:
    junction = scene["setting"]["junction"]
    return junction is not None and any(
        abs(item["d"]) < scene["setting"]["road"]["half"] and abs(item["s"] - junction["stop_y"] - 2.3) < 1.5
        and (not visible or item["visible"]) for item in _kinds(scene, "person")
    )  # fmt: skip


def _far_light(scene: Scene) -> bool:
    return any(item["at"][1] >= 34.0 for item in _governing(scene))


LIT = {"straight": 1.0, "tee": 1.0, "cross": 2.0}
STEADY: dict[str, Any] = {"flashing": 0.0, "signal_kinds": {"ball": 1.0}}

RECIPES: dict[str, Recipe] = {
    "night_red_occluded": Recipe(
        text="a red light at night, partly hidden by a truck",
        how="placement",
        changes={
            "roads": LIT, "light": {"night": 1.0}, "weather": PLAIN, "lamp": {"red": 1.0}, "lamp_m": (20.0, 32.0),
            "lamp_far": 0.0, "posted": 0.0, "cones": {"0": 1.0}, "occluders": 1.0, "extra_heads": 0.0, **STEADY,
        },
        accept=lambda scene: _occludes(scene, "traffic_light"),
        promise=lambda r: _lamp(r, "red") and r["facts"]["light"] == "night" and _partly_hidden(r, "traffic_light"),
    ),
    "sign_behind_truck": Recipe(
        text="a speed sign that a truck partly hides",
        how="placement",
        changes={
            "roads": {"straight": 1.0, "cross": 0.5, "highway": 0.5}, "weather": PLAIN, "posted": 1.0,
            "plates": {"limit": 1.0}, "cones": {"0": 1.0}, "lamp": {"none": 1.0}, "occluders": 1.0,
            "sign_px": (15.0, 22.0),
        },
        accept=lambda scene: _occludes(scene, "speed_sign"),
        promise=lambda r: _partly_hidden(r, "speed_sign") and bool(_seen(r, "truck")),
    ),
    "cones_at_crest": Recipe(
        text="cones where the road dips out of sight over a hill",
        how="rejection",
        changes={"roads": {"crest": 1.0}, "weather": PLAIN, "cones": MANY, "cone_m": (12.0, 46.0), "traffic": 0.5},
        accept=_cones_at_brow,
        promise=_cones_over_crest,
    ),
    "low_sun_glare_green": Recipe(
        text="a green light against a low sun",
        how="placement",
        changes={
            "roads": LIT, "light": {"day": 0.5, "dusk": 0.5}, "weather": {"clear": 1.0}, "glare": 1.0,
            "lamp": {"green": 1.0}, **STEADY,
        },
        accept=lambda scene: _sun_in_view(scene) and bool(_governing(scene)),
        promise=lambda r: _sun_in_view(r) and _lamp(r, "green"),
    ),
    "rain_night_cones": Recipe(
        text="cones on a wet road at night",
        how="placement",
        changes={"light": {"night": 1.0}, "weather": {"rain": 1.0}, "cones": MANY},
        accept=lambda scene: len(_kinds(scene, "cone")) >= 3,
        promise=lambda r: r["facts"]["rain"] and r["facts"]["light"] == "night" and _some_cones(r),
    ),
    "fog_cones": Recipe(
        text="cones that come out of fog",
        how="placement",
        changes={"weather": {"fog": 1.0}, "cones": MANY},
        accept=lambda scene: len(_kinds(scene, "cone")) >= 3,
        promise=lambda r: r["facts"]["fog"] and _some_cones(r),
    ),
    "roundabout_yield": Recipe(
        text="a roundabout ahead with its yield sign",
        how="placement",
        changes={"roads": {"roundabout": 1.0}, "weather": PLAIN},
        accept=lambda scene: bool(_kinds(scene, "yield_sign")),
        promise=lambda r: bool(_seen(r, "yield_sign")) and r["facts"]["intersection"] != "none",
    ),
    "far_red": Recipe(
        text="a red light at least 34 m away",
        how="placement",
        changes={
            "roads": LIT, "weather": PLAIN, "lamp": {"red": 1.0}, "mount": {"mast": 0.6, "wire": 0.4},
            "lamp_m": (34.0, 46.0), "lamp_far": 0.0, "traffic": 1.0, "cones": {"0": 1.0}, **STEADY,
        },
        accept=_far_light,
        promise=lambda r: _lamp(r, "red") and all(item["distance_m"] > 33 for item in _governing(r)),
    ),
    "two_heads_disagree": Recipe(
        text="two signal heads that show different lights, one of which governs the ego lane",
        how="rejection",
        changes={
            "roads": LIT, "weather": PLAIN, "lamp": {"red": 0.4, "yellow": 0.2, "green": 0.4}, "flashing": 0.0,
            "signal_kinds": {"arrow_left": 1.0, "arrow_right": 1.0}, "traffic": 1.0,
        },
        accept=_heads_disagree,
        promise=lambda r: len({i["state"] for i in _seen(r, "lamp") if i["facing"]}) > 1 and not _lamp(r, "none"),
    ),
    "flashing_yellow": Recipe(
        text="a yellow light that flashes",
        how="placement",
        changes={
            "roads": LIT, "weather": PLAIN, "lamp": {"yellow": 1.0}, "flashing": 1.0, "signal_kinds": {"ball": 1.0},
        },
        accept=lambda scene: any(item.get("flashing") for item in _governing(scene)),
        promise=lambda r: any(item.get("flashing") and item["visible"] for item in _governing(r)),
    ),
    "lights_off": Recipe(
        text="traffic lights without power",
        how="placement",
        changes={"roads": LIT, "weather": PLAIN, "light": {"day": 0.7, "dusk": 0.3}, "lamp": {"off": 1.0}},
        accept=lambda scene: bool(_governing(scene)),
        promise=lambda r: _lamp(r, "off"),
    ),
    "end_of_limit": Recipe(
        text="a sign that ends a speed limit",
        how="placement",
        changes={"posted": 1.0, "plates": {"end": 1.0}, "weather": PLAIN},
        accept=lambda scene: _plate(scene, "end"),
        promise=lambda r: _plate(r, "end", visible=True) and r["facts"]["posted"] is None,
    ),
    "school_zone": Recipe(
        text="the speed limit of a school zone",
        how="placement",
        changes={
            "roads": {"straight": 1.0, "cross": 1.0, "tee": 0.5}, "area": {"urban": 1.0, "suburban": 1.0},
            "light": {"day": 1.0}, "weather": PLAIN, "posted": 1.0, "plates": {"school": 1.0}, "pedestrians": 2.0,
        },
        accept=lambda scene: _plate(scene, "school"),
        promise=lambda r: _plate(r, "school", visible=True),
    ),
    "work_zone_plate": Recipe(
        text="the speed limit of a work zone, with cones",
        how="placement",
        changes={"posted": 1.0, "plates": {"work_zone": 1.0}, "weather": PLAIN, "cones": MANY, "closures": 1.0},
        accept=lambda scene: _plate(scene, "work_zone"),
        promise=lambda r: _plate(r, "work_zone", visible=True) and _some_cones(r),
    ),
    "ego_lane_closed": Recipe(
        text="cones that close the lane in which the car drives",
        how="rejection",
        changes={"cones": MANY, "closures": 1.0, "weather": PLAIN, "traffic": 1.5},
        accept=_ego_lane_closed,
        promise=lambda r: _ego_lane_closed(r) and r["facts"]["cones_in_path"],
    ),
    "night_highway_closure": Recipe(
        text="a closed lane of a highway at night",
        how="rejection",
        changes={
            "roads": {"highway": 1.0, "ramp": 0.4}, "light": {"night": 1.0}, "weather": PLAIN, "cones": MANY,
            "closures": 1.0,
        },
        accept=lambda scene: bool(scene["setting"]["closures"]),
        promise=lambda r: r["facts"]["light"] == "night" and _some_cones(r),
    ),
    "walker_on_crosswalk": Recipe(
        text="a walker on the crosswalk ahead",
        how="rejection",
        changes={"roads": {"cross": 1.0, "tee": 1.0}, "weather": PLAIN, "pedestrians": 3.0, "cones": {"0": 1.0}},
        accept=_walker_crosses,
        promise=lambda r: _walker_crosses(r, visible=True),
    ),
    "dirty_lens_sign": Recipe(
        text="a speed sign through a dirty windscreen",
        how="placement",
        changes={
            "posted": 1.0, "plates": {"limit": 1.0}, "dirty_lens": 1.0, "sign_px": (24.0, 44.0), "sign_far": 0.0,
            "roads": {"straight": 1.0, "cross": 1.0, "highway": 0.5}, "weather": PLAIN, "traffic": 1.5,
            "occluders": 0.0,
        },
        accept=lambda scene: scene["world"].get("dirt", 0.0) > 0.3 and bool(_kinds(scene, "speed_sign")),
        promise=lambda r: r["world"].get("dirt", 0.0) > 0.3 and r["facts"]["posted"] is not None,
    ),
}  # fmt: skip
"""Name -> recipe."""
