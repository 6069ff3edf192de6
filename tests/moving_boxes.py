"""Boxes of things that stand or move in the picture of a car that stands or moves, for tests of their consistency."""

import math
from collections.abc import Callable, Sequence

from drivelet.core.artifacts import Box, EgoMotion, EgoStep

WIDTH, HEIGHT, FOCAL, HZ = 640, 384, 700.0, 5.0
Place = Callable[[float], tuple[float, float, float]]
"""Seconds -> (x forward, y left, z above the camera) in metres in the first pose's axes."""


def motion_of(count: int, *, speed: float, yaw_rate: float = 0.0, focal: float = FOCAL) -> EgoMotion:
    """A steady drive; a speed of 0 stands."""
    turn, length = yaw_rate / HZ, speed / HZ
    half = turn / 2
    chord = length * (math.sin(half) / half if half else 1.0)
    step = {"forward_m": chord * math.cos(half), "left_m": chord * math.sin(half), "yaw_rad": turn}
    state = {"standing": speed == 0, "standing_source": "speed"}
    steps = tuple(EgoStep(t=i / HZ, **state, **(step if i else {})) for i in range(count))
    return EgoMotion(steps=steps, focal_px=focal)


def box_at(
    motion: EgoMotion, frame: int, place: Place, *, kind: str, tall: float, wide: float | None = None
) -> Box | None:
    """The box of a thing of this height in metres in one frame; None where it is not before the camera."""
    x = y = yaw = 0.0
    for step in motion.steps[1 : frame + 1]:
        x += step.forward_m * math.cos(yaw) - step.left_m * math.sin(yaw)
        y += step.forward_m * math.sin(yaw) + step.left_m * math.cos(yaw)
        yaw += step.yaw_rad
    px, py, pz = place(motion.steps[frame].t)
    ahead = (px - x) * math.cos(yaw) + (py - y) * math.sin(yaw)
    left = -(px - x) * math.sin(yaw) + (py - y) * math.cos(yaw)
    if ahead < 1:
        return None
    scale = FOCAL / ahead
    u, v, w, h = WIDTH / 2 - scale * left, HEIGHT / 2 - scale * pz, scale * (wide or tall), scale * tall
    inside = -50 < u < WIDTH + 50 and -50 < v < HEIGHT + 50
    return Box(kind=kind, xyxy=(u - w / 2, v - h / 2, u + w / 2, v + h / 2), score=0.9) if inside else None


def seen(motion: EgoMotion, *things: tuple[Place, str, float]) -> list[list[Box]]:
    """The boxes of every frame, in the order of (place, kind, height)."""
    found = [
        [box_at(motion, frame, place, kind=kind, tall=tall) for place, kind, tall in things]
        for frame in range(len(motion.steps))
    ]
    return [[box for box in boxes if box is not None] for boxes in found]


def still(x: float, y: float, z: float) -> Place:
    return lambda _: (x, y, z)


def reasons(frames: Sequence[Sequence[object]]) -> set[str]:
    return {check.reason for checks in frames for check in checks}  # type: ignore[attr-defined]
