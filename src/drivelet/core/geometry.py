"""Plain geometry of a camera on a car: rotations, what they do to boxes, distances, and points from several views.

Axes: the car's are x forward, y left, z up, angles right-handed about them, so that a left turn is a positive yaw and
nose down a positive pitch (ROS REP 103). The camera looks along the car's x axis: its own axes are x right, y down,
z forward, and pixels count from the upper left corner.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drivelet.core.boxes import Box

Floats = NDArray[np.float64]

CAR_TO_CAMERA_33: Floats = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True, kw_only=True)
class Triangulation:
    """A point seen from several places.

    Attributes:
        point: (x, y, z) in metres in the axes of the poses.
        depth_m: along every view's optical axis.
        residual_px: distance of every view's pixel from the point's projection; NaN where the point lies behind it.
        parallax_rad: largest angle between the first view's ray and another's: with hardly any there is no distance.
    """

    point: Floats
    depth_m: Floats
    residual_px: Floats
    parallax_rad: float


def intrinsics(focal_px: float, *, width: int, height: int) -> Floats:
    """Return the pinhole matrix K (3, 3) of square pixels with the principal point in the middle.

    Raises:
        ValueError: the focal length is not positive.
    """
    if not focal_px > 0:
        raise ValueError(f"focal length {focal_px!r} px is not positive")
    return np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """Return R (3, 3) from camera axes before a turn of the car to camera axes after it; angles in radians.

    The car turns by yaw about z, then pitch about its new y, then roll about its new x.
    """
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    turned_33 = about_z @ about_y @ about_x
    return CAR_TO_CAMERA_33 @ turned_33.T @ CAR_TO_CAMERA_33.T


def rotation_homography(k_33: Floats, *, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """Return K R K^-1, which moves pixels as a turn on the spot does (Hartley and Zisserman 2004, section 8.4)."""
    return k_33 @ rotation(yaw, pitch, roll) @ np.linalg.inv(k_33)


def warp_points(homography_33: Floats, points_N2: ArrayLike) -> Floats:
    """Return the points (N, 2) under a homography; NaN where they turn behind the camera."""
    given_N2 = np.asarray(points_N2, dtype=np.float64).reshape(-1, 2)
    mapped_N3 = np.column_stack([given_N2, np.ones(len(given_N2))]) @ homography_33.T
    depth_N1 = np.where(mapped_N3[:, 2:] > 1e-9, mapped_N3[:, 2:], np.nan)
    return mapped_N3[:, :2] / depth_N1


def warp_box(homography_33: Floats, box: Box) -> Box:
    """Return the upright hull of a box's warped corners; NaN where a corner turns behind the camera."""
    left, top, right, bottom = box
    corners_42 = warp_points(homography_33, [(left, top), (right, top), (right, bottom), (left, bottom)])
    (x0, y0), (x1, y1) = np.min(corners_42, axis=0), np.max(corners_42, axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def horizon_y(k_33: Floats, *, pitch: float = 0.0) -> float:
    """Return the row of the horizon straight ahead of a camera that is pitched nose down by `pitch` radians."""
    return float(k_33[1, 2] - k_33[1, 1] * np.tan(pitch))


def ground_distance(foot_y: float, *, horizon: float, focal_px: float, camera_height_m: float) -> float:
    """Return the distance along the optical axis of a point on flat ground, in metres.

    Args:
        foot_y: row where the object meets the ground.
        horizon: row of the horizon.

    Infinite at or above the horizon.
    """
    below = foot_y - horizon
    return camera_height_m * focal_px / below if below > 0 else float("inf")


def triangulate(pixels_N2: ArrayLike, k_33: Floats, poses_N3: ArrayLike, *, rounds: int = 4) -> Triangulation:
    """Return the static point that explains its pixels in several views of a camera that moves over flat ground.

    Linear least squares on (r1 - u r3) . (X - c) = 0 and (r2 - v r3) . (X - c) = 0, each round weighted by the depths
    of the one before, so that pixel distances are minimised (Hartley and Sturm 1997, section 4.3).

    Args:
        pixels_N2: where the point is seen, at least two views.
        k_33: the camera matrix.
        poses_N3: the camera's x and y in metres and its yaw in radians, in axes that do not move.
        rounds: solutions, the first unweighted.
    """
    rays_N3 = _normalised(np.asarray(pixels_N2, dtype=np.float64), k_33)
    places_N3 = np.asarray(poses_N3, dtype=np.float64)
    origins_N3 = np.column_stack([places_N3[:, :2], np.zeros(len(places_N3))])
    turns_N33 = np.stack([rotation(yaw) @ CAR_TO_CAMERA_33 for yaw in places_N3[:, 2]])
    rows_N23 = turns_N33[:, :2] - rays_N3[:, :2, None] * turns_N33[:, 2:]
    sides_N2 = np.einsum("nij,nj->ni", rows_N23, origins_N3)
    weight_N = np.ones(len(places_N3))
    seen_N3 = point_3 = np.zeros(3)
    for _ in range(rounds):
        weighted_M3 = (rows_N23 * weight_N[:, None, None]).reshape(-1, 3)
        point_3 = np.linalg.pinv(weighted_M3) @ (sides_N2 * weight_N[:, None]).ravel()
        seen_N3 = np.einsum("nij,nj->ni", turns_N33, point_3 - origins_N3)
        weight_N = 1 / np.maximum(np.abs(seen_N3[:, 2]), 1e-3)
    depth_N1 = np.where(seen_N3[:, 2:] > 1e-6, seen_N3[:, 2:], np.nan)
    gap_N2 = (seen_N3[:, :2] / depth_N1 - rays_N3[:, :2]) * (k_33[0, 0], k_33[1, 1])
    return Triangulation(
        point=point_3,
        depth_m=seen_N3[:, 2],
        residual_px=np.hypot(gap_N2[:, 0], gap_N2[:, 1]),
        parallax_rad=_parallax(rays_N3, turns_N33),
    )


def _normalised(pixels_N2: Floats, k_33: Floats) -> Floats:
    """Rays (N, 3) with depth 1."""
    return np.column_stack([pixels_N2, np.ones(len(pixels_N2))]) @ np.linalg.inv(k_33).T


def _parallax(rays_N3: Floats, turns_N33: NDArray[np.float64]) -> float:
    outward_N3 = np.einsum("nij,ni->nj", turns_N33, rays_N3)
    outward_N3 = outward_N3 / np.linalg.norm(outward_N3, axis=1, keepdims=True)
    return float(np.arccos(np.clip(outward_N3 @ outward_N3[0], -1.0, 1.0)).max())
