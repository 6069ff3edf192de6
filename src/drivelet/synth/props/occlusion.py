"""Trucks that stand where they hide a part of the governing light or of the speed sign."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from drivelet.synth.build import Builder
from drivelet.synth.roads import scenery
from drivelet.synth.roads.road import Road

WIDTH_M, TOP_M, REAR_M = 2.45, 3.3, 4.02
"""The pool's truck: its width, the height of its box, and how far its rear is from its middle."""
NEAREST_M, STEP_M = 6.5, 0.5
COVER = {"traffic_light": (-0.16, -0.03), "speed_sign": (-0.22, 0.0)}
"""How far beyond the middle of a target the truck's side hides it, in metres."""
HANGING_M = 3.8
"""Height from which the edge of the roof hides a target, not the side."""

Eye = tuple[float, float]
"""Place of the camera: x and height."""


def occlude(b: Builder, road: Road, camera: dict[str, Any]) -> int | None:
    """Place a truck between the camera and a target so that a part of the target stays visible.

    Returns:
        The id of the target, or None where no truck fits.
    """
    targets = [item for item in b.objects if _target(item)]
    eye = camera["at"][0], camera["at"][2]
    order = b.rng.permutation(len(targets))
    return next((targets[k]["id"] for k in order if _hide(b, road, eye, targets[k])), None)


def _target(item: dict[str, Any]) -> bool:
    return item["kind"] == "speed_sign" or (item["kind"] == "traffic_light" and item["governing"] and item["facing"])


def _hide(b: Builder, road: Road, eye: Eye, item: dict[str, Any]) -> bool:
    x, y, z = item["at"]
    across = (x - eye[0]) / y
    for lane in b.rng.permutation(road.lanes):
        d = road.lane_d(int(lane)) + float(b.rng.uniform(-0.3, 0.3))
        if z > HANGING_M:
            cut = z - float(b.rng.uniform(0.05, 0.25)) if item.get("state") != "green" else z - 0.42
            wanted, border = (cut - eye[1]) / y, 2
        else:
            side = 1 if item["d"] > d else -1
            wanted, border = across + float(b.rng.uniform(*COVER[item["kind"]])) * side / y, (1 + side) // 2
        stations = np.arange(NEAREST_M, item["s"] - 9.0, STEP_M).tolist()
        rear = _crossing(stations, [_outline(road, eye, d, s)[border] - wanted for s in stations])
        if rear is None or not _room(b, d, rear):
            continue
        left, right, roof = _outline(road, eye, d, rear)
        slack = 0.25 / road.place(d, rear)[1]
        if left + slack < across < right - slack if border == 2 else (z + 0.5 - eye[1]) / y < roof:
            scenery.vehicle(b, d, rear + REAR_M, yaw=0.0, kind="truck")
            b.keep((d - 2.0, d + 2.0), (rear - 5.0, rear + 2 * REAR_M + 5.0))
            return True
    return False


def _outline(road: Road, eye: Eye, d: float, rear: float) -> tuple[float, float, float]:
    """Left and right border of a truck and the edge of its roof, seen from the eye: x over y, and height over y."""
    x, y, z = road.place(d, rear + REAR_M)
    heading = road.pose(rear + REAR_M).heading
    cos, sin = math.cos(heading), math.sin(heading)
    sides, ends = (-WIDTH_M / 2, WIDTH_M / 2), (-REAR_M, REAR_M)
    corners = [(x + side * cos - end * sin, y + side * sin + end * cos) for side in sides for end in ends]
    across = [(cx - eye[0]) / max(cy, 1.0) for cx, cy in corners]
    return min(across), max(across), (z + TOP_M - eye[1]) / max(min(cy for _, cy in corners), 1.0)


def _crossing(stations: Sequence[float], gaps: Sequence[float]) -> float | None:
    """The first station, interpolated, at which the gap closes, or None."""
    for (a, before), (c, after) in pairwise(zip(stations, gaps, strict=True)):
        if before * after <= 0 and before != after:
            return a + (c - a) * before / (before - after)
    return None


def _room(b: Builder, d: float, rear: float) -> bool:
    """Whether the truck would stand clear of cones and of all that was placed before it."""
    low, high = rear - 0.5, rear + 2 * REAR_M + 0.5
    solid = [item for item in b.objects if "lane_offset" in item or item["kind"] in ("car", "truck", "person")]
    beside = any(abs(item["d"] - d) < WIDTH_M / 2 + 0.4 and low < item["s"] < high for item in solid)
    return not beside and b.free(d, rear + REAR_M, -1.0)
