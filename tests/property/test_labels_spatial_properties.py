"""What stands passes every check whatever the car does; every box is checked once; jitter grows with noise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.artifacts import Box
from drivelet.labels.spatial import REASONS, SpatialConfig, check_boxes
from drivelet.labels.tracks import associate, jitter
from moving_boxes import HEIGHT, WIDTH, motion_of, seen, still

CONFIG = SpatialConfig()
edges = st.tuples(st.floats(0, 600), st.floats(0, 350), st.floats(2, 60), st.floats(2, 60))
boxes = st.builds(
    lambda kind, e: Box(kind=kind, xyxy=(e[0], e[1], e[0] + e[2], e[1] + e[3]), score=0.5),
    st.sampled_from(["lamp", "cone", "vehicle"]),
    edges,
)
drives = st.lists(st.lists(boxes, max_size=4), min_size=1, max_size=8)


@settings(max_examples=50)
@given(frames=drives, speed=st.sampled_from([0.0, 6.0]), known=st.booleans())
def test_every_box_is_checked_once_and_has_a_known_reason(frames: list[list[Box]], speed: float, known: bool) -> None:
    motion = motion_of(len(frames), speed=speed) if known else None
    result = check_boxes(CONFIG, frames, motion, width=WIDTH, height=HEIGHT)
    assert [[check.box for check in checks] for checks in result.frames] == frames
    joined = sorted((s.frame, s.place) for track in result.tracks for s in track.sightings)
    assert joined == [(f, p) for f, some in enumerate(frames) for p in range(len(some))]
    for checks in result.frames:
        for check in checks:
            assert check.reason in ("", *REASONS)
            assert check.checks or not check.reason
            assert math.isnan(check.iou) or 0 <= check.iou <= 1 + 1e-9
    if not known:
        assert not any(result.ran.values())


@settings(max_examples=30)
@given(
    x=st.floats(30, 60),
    y=st.floats(-5, 5),
    z=st.floats(3.0, 6.0),
    speed=st.floats(3, 10),
    yaw_rate=st.floats(-0.08, 0.08),
)
def test_a_standing_lamp_passes_from_any_drive(x: float, y: float, z: float, speed: float, yaw_rate: float) -> None:
    motion = motion_of(12, speed=speed, yaw_rate=yaw_rate)
    result = check_boxes(CONFIG, seen(motion, (still(x, y, z), "lamp", 0.9)), motion, width=WIDTH, height=HEIGHT)
    for checks in result.frames:
        for check in checks:
            assert check.reason == ""
            assert math.isnan(check.residual_px) or check.residual_px < 0.5
            assert math.isnan(check.size_ratio) or check.size_ratio == pytest.approx(1, abs=0.05)


@settings(max_examples=30)
@given(frames=st.integers(3, 12), place=edges, rate=st.floats(-0.2, 0.2), sigma=st.floats(0.2, 1.5))
def test_jitter_is_the_noise_of_a_box(frames: int, place: tuple[float, ...], rate: float, sigma: float) -> None:
    motion = motion_of(40, speed=0.0)
    rng = np.random.default_rng(frames)
    base = np.array([place[0], place[1], place[0] + 30, place[1] + 30])

    def at(noise: float) -> float:
        shaken = base + rng.normal(0, noise, (40, 2))[:, [0, 1, 0, 1]] if noise else np.tile(base, (40, 1))
        boxes = [[Box(kind="lamp", xyxy=tuple(row.tolist()), score=1.0)] for row in shaken]
        return jitter(associate(boxes, motion, width=WIDTH, height=HEIGHT))

    assert at(0.0) == pytest.approx(0, abs=1e-9)
    # Centre shakes by sigma, size not at all: two of four numbers.
    assert at(sigma) == pytest.approx(sigma / math.sqrt(2), rel=0.35)
