"""Spatial checks on drawn drives: what stands passes, what does not fails for its own reason."""

import math

import pytest

from drivelet.core.artifacts import Box, EgoMotion
from drivelet.labels.spatial import MOVES, NO_POINT, WRONG_SIZE, Spatial, SpatialConfig, check_boxes
from drivelet.labels.tracks import associate, jitter
from moving_boxes import HEIGHT, WIDTH, motion_of, reasons, seen, still


def check(frames: list[list[Box]], motion: EgoMotion | None) -> Spatial:
    return check_boxes(SpatialConfig(), frames, motion, width=WIDTH, height=HEIGHT)


def test_a_lamp_that_is_approached_passes_and_its_distance_is_known() -> None:
    motion = motion_of(11, speed=8.0)
    result = check(seen(motion, (still(50, 3, 4.5), "lamp", 0.3)), motion)
    assert reasons(result.frames) == {""}
    assert len(result.tracks) == 1
    last = result.frames[-1][0]
    assert last.distance_m == pytest.approx(50 - 8.0 * 2, rel=0.01)
    assert set(last.checks) == {"triangulation", "size"}
    assert result.ran["triangulation"] > 6


def test_a_turn_alone_is_foretold_by_the_gyro() -> None:
    motion = motion_of(8, speed=0.001, yaw_rate=0.25)
    result = check(seen(motion, (still(60, -8, 4), "lamp", 0.9)), motion)
    assert len(result.tracks) == 1
    assert min(c.iou for checks in result.frames[1:] for c in checks) > 0.85
    unturned = associate(seen(motion, (still(60, -8, 4), "lamp", 0.9)), None, width=WIDTH, height=HEIGHT)
    assert len(unturned) > 1


def test_boxes_that_move_while_the_car_stands_are_refused() -> None:
    motion = motion_of(15, speed=0.0)
    tail_light = (lambda t: (15.0 + 1.0 * t, 0.5 - 0.7 * t, -0.5), "lamp", 0.25)
    result = check(seen(motion, (still(30, 3, 4), "lamp", 0.3), tail_light), motion)
    assert reasons([checks[:1] for checks in result.frames]) == {""}
    assert reasons([checks[1:] for checks in result.frames]) == {MOVES}
    assert result.ran["standing"] == 30
    assert result.ran["triangulation"] == 0


def test_one_box_that_jumps_aside_does_not_condemn_the_others() -> None:
    motion = motion_of(15, speed=0.0)
    frames = seen(motion, (still(30, 3, 4), "lamp", 0.9))
    left, top, right, bottom = frames[7][0].xyxy
    frames[7] = [Box(kind="lamp", xyxy=(left + 20, top, right + 20, bottom), score=0.5)]
    result = check(frames, motion)
    assert len(result.tracks) == 1
    assert [checks[0].reason for checks in result.frames] == [MOVES if f == 7 else "" for f in range(15)]


def test_a_vehicle_may_move_while_the_car_stands() -> None:
    motion = motion_of(10, speed=0.0)
    result = check(seen(motion, (lambda t: (15.0, 4 - 2 * t, 0.0), "vehicle", 1.5)), motion)
    assert reasons(result.frames) == {""}
    assert not any(result.ran.values())


def test_a_car_that_is_taken_for_a_lamp_does_not_triangulate() -> None:
    motion = motion_of(12, speed=8.0)
    crossing = (lambda t: (45.0, 12 - 5 * t - 3 * t * t, 0.5), "lamp", 0.6)
    result = check(seen(motion, crossing), motion)
    assert NO_POINT in reasons(result.frames)


def test_a_lamp_of_the_wrong_size_is_refused() -> None:
    motion = motion_of(11, speed=8.0)
    result = check(seen(motion, (still(50, 4, 4.5), "lamp", 3.5)), motion)
    assert reasons(result.frames) == {WRONG_SIZE}
    last = result.frames[-1][0]
    assert last.size_ratio == pytest.approx(3.5 / 1.1, rel=0.02)


def test_a_cones_foot_tells_its_distance_while_the_car_stands() -> None:
    motion = motion_of(6, speed=0.0)
    small, huge = (
        check(seen(motion, (still(14, 2, -1.4 + tall / 2), "cone", tall)), motion).frames[3][0] for tall in (0.7, 2.4)
    )
    assert small.distance_m == pytest.approx(14)
    assert (small.reason, huge.reason) == ("", WRONG_SIZE)
    assert "size" in small.checks


def test_without_motion_nothing_can_be_checked_and_the_result_says_so() -> None:
    frames = seen(motion_of(6, speed=8.0), (still(50, 3, 4.5), "lamp", 0.9))
    result = check(frames, None)
    assert reasons(result.frames) == {""}
    assert result.ran == {"standing": 0, "triangulation": 0, "size": 0}
    assert all(not c.checks and math.isnan(c.iou) for checks in result.frames for c in checks)


def test_without_a_focal_length_standing_is_still_checked() -> None:
    motion = motion_of(8, speed=0.0, focal=math.nan)
    result = check(seen(motion, (lambda t: (15.0, 3 - t, 1.0), "lamp", 0.3)), motion)
    assert reasons(result.frames) == {MOVES}
    assert result.ran == {"standing": 8, "triangulation": 0, "size": 0}


def test_tracks_outlast_a_missed_frame_and_kinds_do_not_mix() -> None:
    motion = motion_of(8, speed=0.0)
    frames = seen(motion, (still(30, 3, 4), "lamp", 0.9), (still(30, 3.2, 4), "cone", 0.9))
    frames[3] = []
    tracks = associate(frames, motion, width=WIDTH, height=HEIGHT)
    assert sorted((t.kind, len(t.sightings)) for t in tracks) == [("cone", 7), ("lamp", 7)]


def test_an_approach_is_no_jitter() -> None:
    motion = motion_of(10, speed=6.0)
    smooth = associate(seen(motion, (still(60, 4, 4), "lamp", 0.9)), motion, width=WIDTH, height=HEIGHT)
    assert jitter(smooth) < 0.3
    assert math.isnan(jitter([]))


def test_steps_must_be_as_many_as_frames() -> None:
    with pytest.raises(ValueError, match="as many"):
        associate([[], []], motion_of(3, speed=0.0), width=WIDTH, height=HEIGHT)
