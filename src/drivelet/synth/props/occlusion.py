"""Trucks that stand where they hide a part of the governing light or of the speed sign."""

from typing import Any

from drivelet.synth.build import Builder
from drivelet.synth.roads import scenery
from drivelet.synth.roads.road import Road

WIDTH_M, TOP_M, REAR_M = 2.45, 3.3, 4.02
"""The pool's truck: its width, the height of its box, and how far its rear is from its middle."""
NEAREST_M = 6.5
COVER = {"traffic_light": (-0.16, -0.03), "speed_sign": (-0.22, 0.0)}
"""How far beyond the middle of a target the truck's side hides it, in metres."""


def occlude(b: Builder, road: Road, camera: dict[str, Any]) -> int | None:
    """Place a truck between the camera and a target so that a part of the target stays visible.

    Returns:
        The id of the target, or None where no truck fits or the road bends.
    """
    targets = [] if road.bends else [item for item in b.objects if _target(item)]
    order = b.rng.permutation(len(targets))
    return next((targets[k]["id"] for k in order if _hide(b, road, camera, targets[k])), None)


def _target(item: dict[str, Any]) -> bool:
    return item["kind"] == "speed_sign" or (item["kind"] == "traffic_light" and item["governing"] and item["facing"])


def _hide(b: Builder, road: Road, camera: dict[str, Any], item: dict[str, Any]) -> bool:
    rng = b.rng
    eye_x, _, eye_z = camera["at"]
    x, y, z = item["at"]
    for lane in rng.permutation(road.lanes):
        middle = road.lane_d(int(lane)) + float(rng.uniform(-0.3, 0.3))
        if z > 3.8:  # it hangs: the edge of the truck's roof cuts it
            cut = z - float(rng.uniform(0.05, 0.25)) if item.get("state") != "green" else z - 0.42
            rear = y * (TOP_M - eye_z) / (cut - eye_z)
            hidden = abs(eye_x + (x - eye_x) * rear / y - middle) < WIDTH_M / 2 - 0.25
        else:  # it stands beside the road: the truck's side cuts it
            side = 1 if x > middle else -1
            cover = float(rng.uniform(*COVER[item["kind"]])) * side
            rear = y * (middle + side * WIDTH_M / 2 - eye_x) / (x + cover - eye_x)
            hidden = eye_z + (z - eye_z) * rear / y < TOP_M - 0.5
        if hidden and NEAREST_M < rear < y - 9.0 and _room(b, middle, rear):
            scenery.vehicle(b, middle, rear + REAR_M, yaw=0.0, kind="truck")
            b.keep((middle - 2.0, middle + 2.0), (rear - 5.0, rear + 2 * REAR_M + 5.0))
            return True
    return False


def _room(b: Builder, d: float, rear: float) -> bool:
    """Whether the truck would stand clear of cones and of all that was placed before it."""
    low, high = rear - 0.5, rear + 2 * REAR_M + 0.5
    solid = [item for item in b.objects if "lane_offset" in item or item["kind"] in ("car", "truck", "person")]
    beside = any(abs(item["d"] - d) < WIDTH_M / 2 + 0.4 and low < item["s"] < high for item in solid)
    return not beside and b.free(d, rear + REAR_M, -1.0)
