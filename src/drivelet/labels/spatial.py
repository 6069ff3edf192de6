"""Spatial consistency: a box must move as a thing of its kind moves in the picture of this car."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, isnan, nan

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Box, EgoMotion
from drivelet.core.boxes import iou
from drivelet.core.geometry import Triangulation, ground_distance, intrinsics, triangulate
from drivelet.core.ranges import Amount, Positive, Several, Share, ranged
from drivelet.labels.tracks import Edges, Sighting, Track, TrackConfig, associate

MOVES, NO_POINT, WRONG_SIZE = "moves_while_standing", "does_not_triangulate", "wrong_size_for_distance"
REASONS = (MOVES, NO_POINT, WRONG_SIZE)
STANDING, POINT, SIZE = "standing", "triangulation", "size"

HEIGHT_M: Mapping[str, tuple[float, float]] = {
    "lamp": (0.2, 1.1),
    "traffic_light": (0.65, 1.1),
    "cone": (0.45, 0.92),
    "speed_sign": (0.6, 0.92),
}
"""Kind -> least and greatest height in metres of kinds that stand still.

Lamps: lenses of 200 and 300 mm (EN 12368; 8 and 12 inches in MUTCD 2009, section 4D.07), three of them in a head of
0.65 to 1.1 m. A detector's `lamp` may be the lit lens or the whole head. Cones: 18 to 36 inches (MUTCD 2009, section
6F.64). Speed signs: discs of 0.6 to 0.9 m, plates of 24 x 30 and 30 x 36 inches (MUTCD 2009, table 2B-1).
"""
STATIC = tuple(HEIGHT_M)
ON_GROUND = ("cone",)


@dataclass(frozen=True, kw_only=True)
@ranged
class SpatialConfig:
    """What a box must pass.

    Attributes:
        track: how boxes are joined over frames.
        standing_iou: while the car stands, a box that overlaps its usual place by less has moved,
        standing_slack: if its middle also moved by more than this share of the image's width.
        moved_share: where more than this share of a stand's boxes have moved, all have.
        window_s: a point is sought in the frames within half of this.
        min_views: fewer views tell nothing.
        min_baseline_m: nor do views from places that are no further apart,
        min_parallax_rad: or rays that differ by less.
        max_residual: largest error of a standing thing's projection, as a share of the focal length.
        size_factor: how far height may be from the kind's range; detectors' boxes and distances are rough.
        camera_height_m: above the ground, for the distance of what stands on it.
        horizon: row of the horizon as a share of the image's height.
        min_below: a foot must lie below the horizon by this share of the height for its distance to be known.
    """

    track: TrackConfig = field(default_factory=TrackConfig)
    standing_iou: Share = 0.3
    standing_slack: Amount = 0.008
    moved_share: Share = 0.34
    window_s: Positive = 2.0
    min_views: Several = 4
    min_baseline_m: Amount = 1.0
    min_parallax_rad: Amount = 0.02
    max_residual: Amount = 0.015
    size_factor: Positive = 2.0
    camera_height_m: Positive = 1.4
    horizon: Share = 0.5
    min_below: Amount = 0.05


@dataclass(frozen=True, kw_only=True)
class BoxCheck:
    """What was found about one box.

    Attributes:
        box: as the detector gave it.
        track: number of its track.
        iou: overlap with the box before, warped by the turn since; NaN where there is none or the turn is unknown.
        residual_px: distance from the projection of the point that its track speaks of; NaN where it was not sought,
            infinite where the point would lie behind the camera.
        distance_m: along the optical axis, from that point or from the foot on the ground; NaN where unknown.
        size_ratio: its height in metres at that distance over the nearest height of its kind; 1 within the range.
        checks: those that could be run.
        reason: the first that failed, or empty.
    """

    box: Box
    track: int
    iou: float = nan
    residual_px: float = nan
    distance_m: float = nan
    size_ratio: float = nan
    checks: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Spatial:
    """The checks of every frame's boxes in their order, the tracks, and how often each check ran."""

    frames: tuple[tuple[BoxCheck, ...], ...]
    tracks: tuple[Track, ...]
    ran: Mapping[str, int]


def check_boxes(
    config: SpatialConfig, frames: Sequence[Sequence[Box]], motion: EgoMotion | None, *, width: int, height: int
) -> Spatial:
    """Check the boxes of a drive against the car's motion; without motion only what needs none is checked.

    Args:
        config: thresholds.
        frames: the boxes of every frame, in pixels of an image of `width` x `height`.
        motion: a step for every one of these frames, or None.
    """
    tracks = associate(frames, motion, width=width, height=height, config=config.track)
    table: dict[tuple[int, int], BoxCheck] = {}
    for number, track in enumerate(tracks):
        moved = _moved_while_standing(config, track, motion, width)
        for index, sighting in enumerate(track.sightings):
            view = _View(track=track, index=index, number=number, width=width, height=height)
            box = frames[sighting.frame][sighting.place]
            table[sighting.frame, sighting.place] = _check(config, view, box, moved.get(index), motion)
    checked = tuple(tuple(table[f, p] for p in range(len(boxes))) for f, boxes in enumerate(frames))
    ran = {name: sum(name in check.checks for check in table.values()) for name in (STANDING, POINT, SIZE)}
    return Spatial(frames=checked, tracks=tuple(tracks), ran=ran)


@dataclass(frozen=True, kw_only=True)
class _View:
    """One box of a track, in an image of this size."""

    track: Track
    index: int
    number: int
    width: int
    height: int

    @property
    def own(self) -> Sighting:
        return self.track.sightings[self.index]


def _check(config: SpatialConfig, view: _View, box: Box, moved: bool | None, motion: EgoMotion | None) -> BoxCheck:
    focal = motion.focal_px if motion is not None else nan
    point, own = _seek_point(config, view, motion)
    residual = float(point.residual_px[own]) if point is not None else nan
    if point is not None and isnan(residual):
        residual = inf
    distance = _distance(config, view, point, own, focal)
    ratio = _size_ratio(view.track.kind, box, distance, focal)
    ran = {STANDING: moved is not None, POINT: not isnan(residual), SIZE: not isnan(ratio)}
    failed = {
        MOVES: moved is True,
        NO_POINT: residual > config.max_residual * focal,
        WRONG_SIZE: not isnan(ratio) and not 1 / config.size_factor <= ratio <= config.size_factor,
    }
    return BoxCheck(
        box=box,
        track=view.number,
        iou=nan if isnan(view.own.foretold[0]) else iou(box.xyxy, view.own.foretold),
        residual_px=residual,
        distance_m=distance,
        size_ratio=ratio,
        checks=tuple(name for name, done in ran.items() if done),
        reason=next((name for name, bad in failed.items() if bad), ""),
    )


def _moved_while_standing(config: SpatialConfig, track: Track, motion: EgoMotion | None, width: int) -> dict[int, bool]:
    """Place in the track -> whether the box left its usual place, for static kinds while the car stands."""
    if motion is None or track.kind not in STATIC:
        return {}
    first = track.sightings[0].frame
    stands_F = np.array([s.standing is True for s in motion.steps[first : track.sightings[-1].frame + 1]])
    # Standing frames with as many moving ones before them belong to one stand.
    moves_F = np.cumsum(~stands_F)
    stands: dict[int, list[int]] = {}
    for index, sighting in enumerate(track.sightings):
        if stands_F[sighting.frame - first]:
            stands.setdefault(int(moves_F[sighting.frame - first]), []).append(index)
    moved: dict[int, bool] = {}
    for stand in stands.values():
        if len(stand) > 1:
            boxes = [track.sightings[index].box for index in stand]
            moved |= zip(stand, _left_place(config, boxes, width), strict=True)
    return moved


def _left_place(config: SpatialConfig, boxes: Sequence[Edges], width: int) -> list[bool]:
    usual_4 = np.median(boxes, axis=0)
    usual = (float(usual_4[0]), float(usual_4[1]), float(usual_4[2]), float(usual_4[3]))
    gone = [
        iou(box, usual) < config.standing_iou and _apart(box, usual) > config.standing_slack * width for box in boxes
    ]
    return [True] * len(boxes) if np.mean(gone) > config.moved_share else gone


def _apart(a: Edges, b: Edges) -> float:
    return float(np.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3])) / 2


def _seek_point(config: SpatialConfig, view: _View, motion: EgoMotion | None) -> tuple[Triangulation | None, int]:
    """The point that the box's track speaks of around its frame, and the box's place among the views."""
    if motion is None or not isfinite(motion.focal_px) or view.track.kind not in STATIC:
        return None, 0
    times = [motion.steps[sighting.frame].t for sighting in view.track.sightings]
    near = [i for i, t in enumerate(times) if abs(t - times[view.index]) <= config.window_s / 2 + 1e-6]
    poses_N3 = _poses(motion, [view.track.sightings[i].frame for i in near])
    baseline = np.linalg.norm(poses_N3[-1, :2] - poses_N3[0, :2])
    if len(near) < config.min_views or not baseline >= config.min_baseline_m:
        return None, 0
    boxes_N4 = np.asarray([view.track.sightings[i].box for i in near])
    middles_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    k_33 = intrinsics(motion.focal_px, width=view.width, height=view.height)
    point = triangulate(middles_N2, k_33, poses_N3)
    # A box that hardly moves against a car that drives is far away, or drives with it: neither is a point to measure.
    return (point if point.parallax_rad >= config.min_parallax_rad else None), near.index(view.index)


def _poses(motion: EgoMotion, frames: Sequence[int]) -> NDArray[np.float64]:
    """x, y and yaw (N, 3) of the camera in these frames, in the axes of the first; NaN after an unknown step."""
    pose, poses = np.zeros(3), [np.zeros(3)]
    for before, now in pairwise(frames):
        for step in motion.steps[before + 1 : now + 1]:
            cos, sin = np.cos(pose[2]), np.sin(pose[2])
            ahead, left = step.forward_m, step.left_m
            pose = pose + np.array([ahead * cos - left * sin, ahead * sin + left * cos, step.yaw_rad])
        poses.append(pose)
    return np.asarray(poses)


def _distance(config: SpatialConfig, view: _View, point: Triangulation | None, own: int, focal_px: float) -> float:
    """Distance by the triangulated point if it fits, else by the foot of what stands on the ground."""
    if not isfinite(focal_px):
        return nan
    if point is not None and point.residual_px[own] <= config.max_residual * focal_px:
        return float(point.depth_m[own])
    foot = view.own.box[3]
    # A foot at the lower edge is cut off.
    if view.track.kind not in ON_GROUND or foot > view.height - 2:
        return nan
    if foot / view.height - config.horizon < config.min_below:
        return nan
    horizon = config.horizon * view.height
    return ground_distance(foot, horizon=horizon, focal_px=focal_px, camera_height_m=config.camera_height_m)


def _size_ratio(kind: str, box: Box, distance: float, focal_px: float) -> float:
    if kind not in HEIGHT_M or isnan(distance):
        return nan
    low, high = HEIGHT_M[kind]
    tall = (box.xyxy[3] - box.xyxy[1]) * distance / focal_px
    return tall / min(max(tall, low), high)
