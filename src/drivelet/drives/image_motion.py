"""What the picture says about the car's motion: how far the far scene shifts sideways, and how much moves at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import nan

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import ImageArray
from drivelet.core.ranges import Positive, Several, Share, ranged

Grey = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
@ranged
class MotionConfig:
    """Settings of `image_motion`; pixels are those of the small image.

    Attributes:
        corners: points tracked from frame to frame, at most.
        spacing: share of the width that two points keep apart.
        window_px: side of the patch that is followed.
        round_trip_px: a point that comes back further than this from where it began is dropped.
        fit_px: a point within this of the fitted motion agrees with it; the scale of the robust fit is half of it.
        error_px: standard error of the shift that halves its quality.
        still_px: a point that moved less stands.
    """

    corners: Several = 80
    spacing: Share = 0.03
    window_px: Several = 13
    round_trip_px: Positive = 0.4
    fit_px: Positive = 0.6
    error_px: Positive = 0.2
    still_px: Positive = 0.25


@dataclass(frozen=True, kw_only=True)
class ImageMotion:
    """What moved between a frame and the one before it.

    Attributes:
        shift_px: how far the far scene moved, to the right positive, in pixels of the full image; NaN where unknown.
            A car that turns left by `a` radians shifts it by about focal length times `a`.
        quality: how far `shift_px` may be believed (0..1): most points agree on it, and they are enough.
        flow_px: lower quartile of the points' motion in pixels of the small image; NaN where nothing could be followed.
            It speaks of other cars only where they hold more than three quarters of the points.
        moving: share of the points that moved.
    """

    shift_px: float = nan
    quality: float = 0.0
    flow_px: float = nan
    moving: float = nan


SMALL = 320


def small_size(width: int, height: int, *, most: int = SMALL) -> tuple[int, int]:
    """Return (width, height) of the small image: at most `most` pixels wide."""
    return (width, height) if width <= most else (most, max(1, round(height * most / width)))


def small_grey(image: ImageArray, *, width: int = SMALL) -> Grey:
    """Return an RGB image (H, W, 3) in grey, at most `width` pixels wide."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    size = small_size(grey.shape[1], grey.shape[0], most=width)
    return (
        grey if size == grey.shape[::-1] else np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    )


def image_motion(
    greys: Iterable[Grey], *, full_width: int, config: MotionConfig = MotionConfig()
) -> Iterator[ImageMotion]:
    """Yield the motion into every frame, unknown for the first; two frames are in memory at a time.

    Args:
        greys: small grey images (h, w) of one size, in order of time.
        full_width: width in pixels of the images that they were made from.
    """
    before: Grey | None = None
    for grey in greys:
        yield motion_into(before, grey, scale=full_width / grey.shape[1], config=config)
        before = grey


def motion_into(
    before: Grey | None, grey: Grey, *, scale: float = 1.0, config: MotionConfig = MotionConfig()
) -> ImageMotion:
    """Return the motion into a small grey image from the one before; unknown without one of its size."""
    if before is None or before.shape != grey.shape:
        return ImageMotion()
    return pair_motion(before, grey, scale=scale, config=config)


def pair_motion(before: Grey, after: Grey, *, scale: float = 1.0, config: MotionConfig = MotionConfig()) -> ImageMotion:
    """Return what moved from one small grey image to the next; `scale` is full width over small width."""
    start_N2, end_N2 = _track(before, after, config)
    if not len(start_N2):
        return ImageMotion()
    size_N = np.hypot(*(end_N2 - start_N2).T)
    centre = np.array(before.shape[::-1]) / 2
    shift, quality = far_shift(start_N2 - centre, end_N2 - start_N2, config)
    return ImageMotion(
        shift_px=shift * scale,
        quality=quality,
        flow_px=float(np.quantile(size_N, 0.25)),
        moving=float(np.mean(size_N > config.still_px)),
    )


def far_shift(place_N2: Floats, flow_N2: Floats, config: MotionConfig) -> tuple[float, float]:
    """Return (horizontal shift of a scene at infinity in pixels, quality 0..1) from the flow of points at any depth.

    A car that drives ahead moves a point (x, y) away from the middle by an amount that its depth decides, and a turn
    and a nod move all points by (a, c): (u, v) = (a, c) + s (x, y). Without the unknown s this is one linear equation a
    point, a y - c x = u y - v x (the epipolar constraint of small motions, Longuet-Higgins and Prazdny 1980), solved
    by reweighted least squares with Cauchy weights, so that other cars do not count.

    Args:
        place_N2: points from the middle of the picture, where the car is heading.
        flow_N2: how far each moved.
    """
    if len(place_N2) < 4:
        return nan, 0.0
    reach_N1 = np.maximum(np.hypot(*place_N2.T), 1.0)[:, None]
    rows_N2 = place_N2[:, ::-1] * (1.0, -1.0) / reach_N1
    across_N = np.sum(rows_N2 * flow_N2, axis=1)
    turn_2 = np.median(flow_N2, axis=0)
    for _ in range(8):
        gap_N = np.abs(across_N - rows_N2 @ turn_2)
        weight_N = 1 / (1 + (gap_N / (config.fit_px / 2)) ** 2)
        normal_22 = (rows_N2.T * weight_N) @ rows_N2 + 1e-6 * np.eye(2)
        turn_2 = np.linalg.solve(normal_22, rows_N2.T @ (weight_N * across_N))
    gap_N = np.abs(across_N - rows_N2 @ turn_2)
    agree = gap_N < config.fit_px
    # Corners are never followed better than to a twentieth of a pixel.
    variance = max(float(np.mean(gap_N[agree] ** 2)) if agree.any() else np.inf, 0.05**2)
    error = variance * float(np.linalg.inv(normal_22)[0, 0])
    return float(turn_2[0]), float(np.mean(agree)) / (1 + error / config.error_px**2)


def _track(before: Grey, after: Grey, config: MotionConfig) -> tuple[Floats, Floats]:
    """Corners of `before` and where they went: pyramidal Lucas-Kanade there and back (Kalal et al. 2010)."""
    nothing = np.zeros((0, 2))
    corners = cv2.goodFeaturesToTrack(before, config.corners, 0.01, max(3.0, config.spacing * before.shape[1]))
    if corners is None:
        return nothing, nothing
    window, room = (config.window_px, config.window_px), np.zeros_like(corners)
    ends, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, room.copy(), winSize=window, maxLevel=3)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, ends, room.copy(), winSize=window, maxLevel=3)
    astray_N = np.hypot(*(back - corners).reshape(-1, 2).T)
    kept_N = (found.ravel() == 1) & (returned.ravel() == 1) & (astray_N < config.round_trip_px)
    return corners.reshape(-1, 2)[kept_N].astype(float), ends.reshape(-1, 2)[kept_N].astype(float)
