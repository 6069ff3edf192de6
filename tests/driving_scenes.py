"""Finished scene records and their pictures, drawn as flat rectangles, for tests that need no renderer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drivelet.core.artifacts import ImageArray

WIDTH, HEIGHT = 320, 192
LAMP_COLOURS = {"red": (230, 30, 30), "yellow": (240, 200, 30), "green": (30, 200, 60), "off": (30, 30, 30)}
Box = tuple[float, float, float, float]


def thing(kind: str, box: Box, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "box": list(box), "visible": True, "distance_m": 20.0, **more}


def light(box: Box, state: str = "red", *, governing: bool = True) -> list[dict[str, Any]]:
    """Return a traffic light and its lit lamp, a box in the upper third of it."""
    x0, y0, x1, y1 = box
    common = {"state": state, "governing": governing, "facing": True}
    return [thing("traffic_light", box, **common), thing("lamp", (x0, y0, x1, y0 + (y1 - y0) / 3), **common)]


def cone(box: Box, *, offset: float = 3.0, visible: bool = True) -> dict[str, Any]:
    return {**thing("cone", box, lane_offset=offset), "visible": visible}


def sign(box: Box, value: int = 50, *, visible: bool = True) -> dict[str, Any]:
    return {**thing("speed_sign", box, value=value), "visible": visible}


def scene(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "objects": list(objects),
        "setting": {"lane_width": 3.5, "region": "eu"},
        "facts": {"light": "day", "fog": False, "rain": False, "region_default": 50, "visibility_m": 1000.0},
        "sensor": "Sensors: ambient light bright; rain no; speed 40 km/h.",
    }


def gold(objects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the answers that follow from the objects, as the tasks would give them."""
    seen = [item for item in objects if item["visible"]]
    cones = [item for item in seen if item["kind"] == "cone"]
    lamps = [item["state"] for item in seen if item["kind"] == "lamp" and item["governing"]]
    signs = [str(item["value"]) for item in seen if item["kind"] == "speed_sign"]
    blocked = any(abs(item["lane_offset"]) < 1.55 for item in cones)
    number = len(cones)
    return {
        "traffic_light.state": lamps[0] if lamps else "none",
        "cone.count": "0" if not number else "1-2" if number < 3 else "3-5" if number < 6 else "6-10",
        "cone.in_path": "yes" if blocked else "no",
        "speed_limit.posted": signs[0] if signs else "none",
        "speed_limit.recommended": "30" if blocked else signs[0] if signs else "50",
        "intersection.alert": "ahead" if lamps else "none",
    }


def picture(objects: Sequence[Mapping[str, Any]]) -> ImageArray:
    """Draw every object as a rectangle of its colour on grey."""
    image = np.full((HEIGHT, WIDTH, 3), 110, dtype=np.uint8)
    for item in objects:
        colours = {"cone": (240, 110, 20), "speed_sign": (240, 240, 240), "traffic_light": (40, 40, 40)}
        colour = LAMP_COLOURS[item["state"]] if item["kind"] == "lamp" else colours.get(item["kind"], (200, 200, 200))
        x0, y0, x1, y1 = (round(edge) for edge in item["box"])
        image[y0:y1, x0:x1] = colour
    return image
