"""Rotations undo and join, boxes keep their place without one, a static point triangulates, a moving one does not."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivelet.core.geometry import (
    CAR_TO_CAMERA_33,
    ground_distance,
    horizon_y,
    intrinsics,
    rotation,
    rotation_homography,
    triangulate,
    warp_box,
    warp_points,
)

WIDTH, HEIGHT = 320, 192
angles = st.floats(-0.3, 0.3)
focals = st.floats(150, 2000)
pixels = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))
sides = st.floats(1, 80)


def k_of(focal: float) -> np.ndarray:
    return intrinsics(focal, width=WIDTH, height=HEIGHT)


def project(point: np.ndarray, pose: tuple[float, float, float], k_33: np.ndarray) -> np.ndarray:
    """Pixel of a point (x forward, y left, z up of the camera) from a pose, by turning the car's axes."""
    x, y, yaw = pose
    east, north = point[0] - x, point[1] - y
    ahead = east * math.cos(yaw) + north * math.sin(yaw)
    left = -east * math.sin(yaw) + north * math.cos(yaw)
    return np.array([k_33[0, 2] - k_33[0, 0] * left / ahead, k_33[1, 2] - k_33[1, 1] * point[2] / ahead])


@given(yaw=angles, pitch=angles, roll=angles, focal=focals, point=pixels)
def test_a_turn_and_its_inverse_leave_every_pixel(
    yaw: float, pitch: float, roll: float, focal: float, point: tuple[float, float]
) -> None:
    there = rotation_homography(k_of(focal), yaw=yaw, pitch=pitch, roll=roll)
    k_33 = k_of(focal)
    back = k_33 @ rotation(yaw, pitch, roll).T @ np.linalg.inv(k_33)
    warped = warp_points(there, [point])
    assume(not np.isnan(warped).any())
    assert warp_points(back, warped)[0] == pytest.approx(point, abs=1e-5)


@given(first=angles, second=angles, focal=focals, point=pixels)
def test_turns_one_after_the_other_add_up(
    first: float, second: float, focal: float, point: tuple[float, float]
) -> None:
    k_33 = k_of(focal)
    one_by_one = rotation_homography(k_33, yaw=second) @ rotation_homography(k_33, yaw=first)
    at_once = rotation_homography(k_33, yaw=first + second)
    assert warp_points(one_by_one, [point]) == pytest.approx(warp_points(at_once, [point]), abs=1e-6, nan_ok=True)


@given(yaw=angles, pitch=angles, roll=angles)
def test_rotations_keep_lengths_and_hands(yaw: float, pitch: float, roll: float) -> None:
    turned = rotation(yaw, pitch, roll)
    assert turned @ turned.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1)


@given(yaw=st.floats(0.01, 0.3), focal=focals)
def test_a_left_turn_moves_the_far_scene_right(yaw: float, focal: float) -> None:
    centre = (WIDTH / 2, HEIGHT / 2)
    moved = warp_points(rotation_homography(k_of(focal), yaw=yaw), [centre])[0]
    assert moved == pytest.approx((WIDTH / 2 + focal * math.tan(yaw), HEIGHT / 2))
    nodded = warp_points(rotation_homography(k_of(focal), pitch=yaw), [centre])[0]
    assert nodded == pytest.approx((WIDTH / 2, horizon_y(k_of(focal), pitch=yaw)))
    assert nodded[1] < HEIGHT / 2


@given(corner=pixels, width=sides, height=sides, focal=focals)
def test_no_turn_leaves_boxes(corner: tuple[float, float], width: float, height: float, focal: float) -> None:
    box = (*corner, corner[0] + width, corner[1] + height)
    assert warp_box(rotation_homography(k_of(focal)), box) == pytest.approx(box, abs=1e-6)


@given(corner=pixels, width=sides, height=sides, yaw=angles, pitch=angles, roll=angles)
def test_a_warped_box_holds_its_warped_corners(
    corner: tuple[float, float], width: float, height: float, yaw: float, pitch: float, roll: float
) -> None:
    box = (*corner, corner[0] + width, corner[1] + height)
    turn = rotation_homography(k_of(400.0), yaw=yaw, pitch=pitch, roll=roll)
    x0, y0, x1, y1 = warp_box(turn, box)
    for x, y in warp_points(turn, [(box[0], box[1]), (box[2], box[3]), (box[2], box[1]), (box[0], box[3])]):
        assert x0 <= x <= x1
        assert y0 <= y <= y1


def test_what_turns_behind_the_camera_is_no_number() -> None:
    turn = rotation_homography(k_of(100.0), yaw=2.0)
    assert np.isnan(warp_points(turn, [(WIDTH / 2, HEIGHT / 2)])).all()
    assert math.isnan(warp_box(turn, (100, 50, 120, 80))[0])


@pytest.mark.parametrize("focal", [0.0, -3.0, math.nan])
def test_a_focal_length_must_be_positive(focal: float) -> None:
    with pytest.raises(ValueError, match="focal"):
        intrinsics(focal, width=WIDTH, height=HEIGHT)


@given(distance=st.floats(2, 200), height=st.floats(0.8, 3), focal=focals, pitch=st.floats(-0.05, 0.05))
def test_the_foot_of_a_thing_tells_its_distance(distance: float, height: float, focal: float, pitch: float) -> None:
    foot = focal * height / distance
    found = ground_distance(foot + 90, horizon=90, focal_px=focal, camera_height_m=height)
    assert found == pytest.approx(distance)
    assert ground_distance(90 - foot, horizon=90, focal_px=focal, camera_height_m=height) == math.inf
    assert horizon_y(k_of(focal), pitch=pitch) <= HEIGHT / 2 if pitch >= 0 else True


points = st.tuples(st.floats(25, 80), st.floats(-12, 12), st.floats(-1.4, 6))
turns = st.lists(st.floats(-0.08, 0.08), min_size=4, max_size=9)


def poses_of(turns: list[float], length: float) -> list[tuple[float, float, float]]:
    poses = [(0.0, 0.0, 0.0)]
    for turn in turns:
        x, y, yaw = poses[-1]
        poses.append((x + length * math.cos(yaw), y + length * math.sin(yaw), yaw + turn))
    return poses


@given(point=points, turns=turns, focal=focals)
def test_a_static_point_triangulates(point: tuple[float, float, float], turns: list[float], focal: float) -> None:
    assume(math.hypot(point[1], point[2]) > 1.5)
    poses = poses_of(turns, 2.0)
    seen = [project(np.array(point), pose, k_of(focal)) for pose in poses]
    found = triangulate(seen, k_of(focal), poses)
    axes = CAR_TO_CAMERA_33 @ np.array([point[0], point[1], point[2]])
    assert found.point == pytest.approx(CAR_TO_CAMERA_33.T @ axes, rel=1e-4, abs=1e-3)
    assert found.residual_px.max() < 0.01
    assert (found.depth_m > 0).all()


@given(point=points, speed=st.floats(2.0, 6.0), side=st.sampled_from([-1, 1]))
def test_a_thing_that_weaves_does_not_triangulate(point: tuple[float, float, float], speed: float, side: int) -> None:
    poses = poses_of([0.0] * 7, 2.0)
    seen = []
    for step, pose in enumerate(poses):
        weave = side * speed * math.sin(step)
        seen.append(project(np.array(point) + np.array([0, weave, 0]), pose, k_of(400.0)))
    found = triangulate(seen, k_of(400.0), poses)
    worst = np.where(np.isnan(found.residual_px), np.inf, found.residual_px).max()
    assert worst > 400 * 0.015
