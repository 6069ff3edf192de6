"""Boxes of one object joined over the frames of a drive, each foretold by the car's turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from drivelet.core.artifacts import Box, EgoMotion
from drivelet.core.boxes import iou_matrix
from drivelet.core.geometry import intrinsics, rotation_homography, warp_box
from drivelet.core.ranges import Amount, Count, Share, ranged

Floats = NDArray[np.float64]
Edges = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
@ranged
class TrackConfig:
    """Settings of `associate`.

    Attributes:
        margin: boxes are compared after growing by this share of their size on every side, because a car that drives
            ahead moves small boxes by more than their size (buffered IoU, Yang et al. 2023).
        margin_standing: the same while the car stands.
        slack: and by this share of the image's width.
        min_iou: grown boxes that overlap less are two objects.
        max_missed: frames that an object may be missed in a row.
    """

    margin: Amount = 0.7
    margin_standing: Amount = 0.2
    slack: Amount = 0.006
    min_iou: Share = 0.1
    max_missed: Count = 2


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A box in its track.

    Attributes:
        frame: position of its frame.
        place: its place in that frame's list.
        box: left, top, right, bottom in pixels.
        foretold: the track's box before, warped by the turn since; NaN for the first and where the turn is unknown.
    """

    frame: int
    place: int
    box: Edges
    foretold: Edges


@dataclass(frozen=True, kw_only=True)
class Track:
    """One object over the frames in which it is seen."""

    kind: str
    sightings: tuple[Sighting, ...]


UNKNOWN_BOX: Edges = (nan, nan, nan, nan)


def associate(
    frames: Sequence[Sequence[Box]],
    motion: EgoMotion | None,
    *,
    width: int,
    height: int,
    config: TrackConfig = TrackConfig(),
) -> list[Track]:
    """Join the boxes of consecutive frames into tracks; every box is in exactly one.

    Boxes of one kind are matched by the assignment with the largest sum of IoU after warping (Kuhn 1955). Where the
    turn is unknown they are compared as they lie.

    Args:
        frames: the boxes of every frame.
        motion: a step a frame, or None.
        width: of the image in pixels.
        height: the same.

    Raises:
        ValueError: there are not as many steps as frames.
    """
    if motion is not None and len(motion.steps) != len(frames):
        raise ValueError(f"{len(motion.steps)} steps for {len(frames)} frames of boxes; they must be as many")
    tracks: list[tuple[str, list[Sighting]]] = []
    alive: list[tuple[str, list[Sighting]]] = []
    view = _View(motion=motion, width=width, height=height, config=config)
    for frame, boxes in enumerate(frames):
        alive = [track for track in alive if frame - track[1][-1].frame <= config.max_missed + 1]
        for kind in sorted({box.kind for box in boxes}):
            known = [sightings for name, sightings in alive if name == kind]
            places = [place for place, box in enumerate(boxes) if box.kind == kind]
            begun = _extend(view, known, frame, places, [boxes[place].xyxy for place in places])
            tracks += [(kind, sightings) for sightings in begun]
            alive += [(kind, sightings) for sightings in begun]
    return [Track(kind=kind, sightings=tuple(sightings)) for kind, sightings in tracks]


@dataclass(frozen=True, kw_only=True)
class _View:
    motion: EgoMotion | None
    width: int
    height: int
    config: TrackConfig


def _extend(
    view: _View, known: Sequence[list[Sighting]], frame: int, places: Sequence[int], found: Sequence[Edges]
) -> list[list[Sighting]]:
    """Append a frame's boxes of one kind to the known tracks, and return the tracks that begin with the others."""
    foretold = [_foretell(view, sightings[-1], frame) for sightings in known]
    matched = _match(view, known, foretold, found, frame)
    begun: list[list[Sighting]] = []
    for number, (place, box) in enumerate(zip(places, found, strict=True)):
        track = matched.get(number)
        expected = UNKNOWN_BOX if track is None else foretold[track]
        sighting = Sighting(frame=frame, place=place, box=box, foretold=expected)
        if track is None:
            begun.append([sighting])
        else:
            known[track].append(sighting)
    return begun


def _foretell(view: _View, last: Sighting, frame: int) -> Edges:
    """The last box as the camera, had it only turned, would see it now."""
    if view.motion is None:
        return UNKNOWN_BOX
    yaw = sum(step.yaw_rad for step in view.motion.steps[last.frame + 1 : frame + 1])
    if yaw == 0:
        return last.box
    if isnan(yaw) or not isfinite(view.motion.focal_px):
        return UNKNOWN_BOX
    k_33 = intrinsics(view.motion.focal_px, width=view.width, height=view.height)
    return warp_box(rotation_homography(k_33, yaw=yaw), last.box)


def _match(
    view: _View, known: Sequence[list[Sighting]], foretold: Sequence[Edges], found: Sequence[Edges], frame: int
) -> dict[int, int]:
    """Number of a found box -> number of its track."""
    if not known or not found:
        return {}
    config, slack = view.config, view.config.slack * view.width
    stands = view.motion is not None and view.motion.steps[frame].standing is True
    margin = config.margin_standing if stands else config.margin
    # Where the turn is unknown the last box is the best guess.
    expected = [track[-1].box if isnan(box[0]) else box for track, box in zip(known, foretold, strict=True)]
    iou_TB = iou_matrix(_grown(expected, margin, slack), _grown(found, margin, slack))
    rows, columns = linear_sum_assignment(-iou_TB)
    return {int(b): int(t) for t, b in zip(rows, columns, strict=True) if iou_TB[t, b] >= config.min_iou}


def _grown(boxes: Sequence[Edges], margin: float, slack: float) -> Floats:
    boxes_N4 = np.asarray(boxes, dtype=np.float64)
    more_N2 = margin * (boxes_N4[:, 2:] - boxes_N4[:, :2]) + slack
    return np.concatenate([boxes_N4[:, :2] - more_N2, boxes_N4[:, 2:] + more_N2], axis=1)


def jitter(tracks: Sequence[Track]) -> float:
    """Return the warped-box jitter in pixels: mean over tracks of the RMS error of centre and size; NaN without any.

    A box is compared with the middle of its two neighbours, both warped into its frame, so that a steady approach does
    not count: the second difference of noise has 6 times its variance, and is divided by that root.
    Only three consecutive frames in a row with known turns count.
    """
    errors = [error for track in tracks if not isnan(error := _jitter(track))]
    return float(np.mean(errors)) if errors else nan


def _jitter(track: Track) -> float:
    if len(track.sightings) < 3:
        return nan
    boxes_N4 = _centre_and_size([s.box for s in track.sightings])
    moved_M4 = (boxes_N4 - _centre_and_size([s.foretold for s in track.sightings]))[1:]
    next_M = np.diff([s.frame for s in track.sightings]) == 1
    second_L4 = np.diff(moved_M4, axis=0)[next_M[1:] & next_M[:-1]]
    second_L4 = second_L4[~np.isnan(second_L4).any(axis=1)]
    return float(np.sqrt(np.mean(second_L4**2) / 6)) if len(second_L4) else nan


def _centre_and_size(boxes: Sequence[Edges]) -> Floats:
    boxes_N4 = np.asarray(boxes, dtype=np.float64)
    low_N2, high_N2 = boxes_N4[:, :2], boxes_N4[:, 2:]
    return np.concatenate([(low_N2 + high_N2) / 2, high_N2 - low_N2], axis=1)
