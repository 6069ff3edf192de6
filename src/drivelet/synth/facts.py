"""From the instance index pass to what a scene shows: the facts that every gold answer is computed from."""

from collections.abc import Mapping
from typing import Any

SEEN: dict[str, tuple[int, float]] = {
    "lamp": (4, 0.35),
    "traffic_light": (36, 0.35),
    "cone": (14, 0.25),
    "speed_sign": (56, 0.6),
    "stop_sign": (40, 0.5),
    "yield_sign": (40, 0.5),
    "end_sign": (56, 0.6),
    "bus": (20, 0.1),
    "cyclist": (20, 0.2),
    "drum": (14, 0.25),
    "channeliser": (10, 0.25),
    "barrier": (30, 0.0),
    "arrow_board": (40, 0.4),
    "work_sign": (40, 0.5),
    "yield_line": (24, 0.0),
    "cross_street": (60, 0.0),
    "crosswalk": (30, 0.0),
    "stop_line": (24, 0.0),
    "car": (20, 0.1),
    "truck": (20, 0.1),
    "person": (20, 0.2),
}
"""Kind -> (least visible pixels, least visible fraction) for an object to count as seen at 320x192.

The visible fraction is visible pixels / area of the projected convex hull: for a cone or a sign, whose own outline
fills only a part of its hull, it stays below 1.
"""
ANY_KIND = (20, 0.2)
"""What holds for a kind that `SEEN` does not name."""
IN_PATH_MARGIN_M = 0.2
IN_PATH_RANGE_M = 45.0
JUNCTION_RANGE_M = 60.0
CLOSURE_RANGE_M = 60.0
JUNCTION_KINDS = {"cross_street", "crosswalk", "stop_line", "stop_sign", "yield_line", "yield_sign"}
"""By any of these a driver knows the junction."""
SPEED_SIGN_HEIGHT_PX = 9
FOG_RANGE = 0.7
"""Nothing beyond this share of the visibility counts as seen: the fog leaves it an eighth of its contrast."""
LEAST_CONTRAST = 8.0
"""Levels of 255 by which an object must stand out to count as seen: what fog and night swallow has no answer."""
DARK = {"day": "bright", "dusk": "dim", "night": "dark"}


def finish(scene: Mapping[str, Any], measured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Add what the picture shows to a sampled scene.

    Args:
        scene: a record of `sample_scene`.
        measured: instance id (as text) -> `pixels`, `box`, `amodal`, `area`, as the renderer measures them, and
            `contrast` (see `synth.contrast`), without which all that is there counts as clear.

    Returns:
        The record without `parts`, with `visible`, `box`, `amodal` (the box that it would have unobstructed, inside
        the picture), `pixels`, `visible_fraction` and `distance_m` (over ground, from the camera) on every object, and
        `facts`, `text` (a caption) and `sensor`. A light counts for `governing_lamp`
        only if its lit lamp is seen (a dark one: if its head is); seen lamps that govern the ego lane and disagree make
        it `unknown`.
    """
    reach = FOG_RANGE * scene["setting"]["visibility_m"]
    objects = [_seen(item, measured.get(str(item["id"]), {}), scene["camera"], reach) for item in scene["objects"]]
    record = {key: value for key, value in scene.items() if key != "parts"}
    record["objects"] = objects
    record["facts"] = facts(scene["setting"], objects)
    record["text"] = describe(record["facts"])
    record["sensor"] = sensor_text(record["facts"])
    return record


def _seen(item: Mapping[str, Any], found: Mapping[str, Any], camera: Mapping[str, Any], reach: float) -> dict[str, Any]:
    pixels, box = int(found.get("pixels", 0)), found.get("box")
    fraction = min(pixels / max(float(found.get("area", 0.0)), 1.0), 1.0)
    least, share = SEEN.get(item["kind"], ANY_KIND)
    x, y = item["at"][0] - camera["at"][0], item["at"][1] - camera["at"][1]
    distance = (x * x + y * y) ** 0.5
    visible = pixels >= least and fraction >= share and distance <= reach
    visible = visible and found.get("contrast", LEAST_CONTRAST) >= LEAST_CONTRAST
    if item["kind"] == "speed_sign" and box:
        visible = visible and box[3] - box[1] >= SPEED_SIGN_HEIGHT_PX
    return {
        **item,
        "visible": visible,
        "box": box,
        "amodal": found.get("amodal"),
        "pixels": pixels,
        "visible_fraction": round(fraction, 3),
        "distance_m": round(distance, 2),
        **({"contrast": found["contrast"]} if "contrast" in found else {}),
    }


def facts(setting: Mapping[str, Any], objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The explicit facts of a finished scene, from its setting and its measured objects."""
    seen = [item for item in objects if item["visible"]]
    cones = [item for item in seen if item["kind"] == "cone"]
    limit = setting["lane_width"] / 2 - IN_PATH_MARGIN_M
    in_path = [c for c in cones if abs(c["lane_offset"]) < limit and 0 < c["distance_m"] < IN_PATH_RANGE_M]
    posted = [item for item in seen if item["kind"] == "speed_sign"]
    lamp = _governing_lamp(seen)
    closed = closed_lanes(setting)
    return {
        "governing_lamp": lamp,
        "cone_count_visible": len(cones),
        "cones_in_path": bool(in_path),
        "nearest_cone_m": min((c["distance_m"] for c in cones), default=None),
        "posted": posted[0]["value"] if posted else None,
        "unit": setting["unit"],
        "region_default": setting["region_default"],
        "visibility_m": setting["visibility_m"],
        "rain": setting["weather"] == "rain",
        "fog": setting["weather"] == "fog",
        "light": setting["light"],
        "intersection": _intersection(setting, seen, lamp),
        "closed_lanes": closed,
        "lane_closed": setting.get("ego_lane") in closed,
        "speed_mps": setting["speed_mps"],
    }


def closed_lanes(setting: Mapping[str, Any]) -> list[int]:
    """The lanes of the ego's side that a closure of `setting.closures` blocks within `CLOSURE_RANGE_M` ahead.

    A closure is `{"lane", "start_m", "end_m"}`, in metres ahead of the camera, lanes counted from the centre line.
    """
    ahead = [c for c in setting.get("closures", ()) if c["end_m"] > 0 and c["start_m"] <= CLOSURE_RANGE_M]
    return sorted({int(c["lane"]) for c in ahead})


def _governing_lamp(seen: list[dict[str, Any]]) -> str:
    lamps = [item["state"] for item in seen if item["kind"] == "lamp" and item["governing"] and item["facing"]]
    if lamps:
        return lamps[0] if len(set(lamps)) == 1 else "unknown"
    heads = [i for i in seen if i["kind"] == "traffic_light" and i["governing"] and i["facing"]]
    return "off" if any(item["state"] == "off" for item in heads) else "none"


def _intersection(setting: Mapping[str, Any], seen: list[dict[str, Any]], lamp: str) -> str:
    """`stop_required` at a seen junction with a red or yellow governing light or a stop sign, else `ahead`."""
    junction = setting["junction"]
    if junction is None or not 0 < junction["stop_y"] <= JUNCTION_RANGE_M:
        return "none"
    kinds = {item["kind"] for item in seen}
    if not kinds & JUNCTION_KINDS and lamp == "none":
        return "none"
    return "stop_required" if lamp in ("red", "yellow") or "stop_sign" in kinds else "ahead"


def describe(found: Mapping[str, Any]) -> str:
    """One caption sentence, for a text-to-image model."""
    things = []
    if found["governing_lamp"] != "none":
        lamp = found["governing_lamp"]
        words = {"off": "a traffic light that is off", "unknown": "traffic lights that disagree"}
        things.append(words.get(lamp, f"a {lamp} traffic light"))
    if found["cone_count_visible"]:
        count = found["cone_count_visible"]
        things.append(f"{count} traffic cone{'s' * (count > 1)}{' in the lane' if found['cones_in_path'] else ''}")
    if found["posted"] is not None:
        things.append(f"a {found['posted']} {found['unit']} speed limit sign")
    if found["intersection"] != "none":
        things.append("an intersection ahead")
    time = {"day": "daytime", "dusk": "dusk", "night": "night"}[found["light"]]
    weather = " in fog" if found["fog"] else " in rain" if found["rain"] else ""
    listed = ", ".join(things[:-1]) + " and " + things[-1] if len(things) > 1 else things[0] if things else ""
    return f"a {time} street{weather}" + (f" with {listed}" if listed else "")


def sensor_text(found: Mapping[str, Any]) -> str:
    """What the car's own sensors would say."""
    rain = "yes" if found["rain"] else "no"
    return f"Sensors: ambient light {DARK[found['light']]}; rain {rain}; speed {round(found['speed_mps'] * 3.6)} km/h."
