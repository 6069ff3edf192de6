"""Ego-motion over some of a drive's frames."""

from collections.abc import Sequence
from math import cos, sin

from drivelet.core.artifacts import EgoMotion, EgoStep


def thin(motion: EgoMotion, kept: Sequence[int]) -> EgoMotion:
    """Return the motion over some of the frames, steps between them joined.

    Args:
        kept: positions of frames, rising.

    Between two of them the car stands where it never moves, moves where it does, and else nobody knows.
    """
    bounds = zip([None, *kept], kept, strict=False)
    steps = tuple(
        _join(motion.steps[before + 1 : now + 1]) if before is not None else _first(motion.steps[now])
        for before, now in bounds
    )
    return EgoMotion(steps=steps, focal_px=motion.focal_px, sources=motion.sources)


def _first(step: EgoStep) -> EgoStep:
    return EgoStep(t=step.t, standing=step.standing, standing_source=step.standing_source)


def _join(steps: Sequence[EgoStep]) -> EgoStep:
    x = y = yaw = 0.0
    for step in steps:
        x += step.forward_m * cos(yaw) - step.left_m * sin(yaw)
        y += step.forward_m * sin(yaw) + step.left_m * cos(yaw)
        yaw += step.yaw_rad
    states = [step.standing for step in steps]
    standing = False if False in states else None if None in states else True
    source = steps[-1].standing_source if standing is not None else ""
    return EgoStep(t=steps[-1].t, standing=standing, standing_source=source, forward_m=x, left_m=y, yaw_rad=yaw)
