"""Why a painted picture is thrown away: the checks of the text-to-image loop.

The checks are thin, each in its own way: what `unsafe` and `floats` cannot see is said there. A picture that passes
all of them may still be wrong; what the loop's scorers and detector get wrong is measured by a scorer that it never
sees.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import imagehash
import numpy as np
from PIL import Image

from drivelet.core.artifacts import Box, ImageArray, Painted
from drivelet.core.ranges import Amount, Distance, Positive, Share, ranged
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, POSTED

CONTRADICTS = {
    LAMP: "lamp_contradicts",
    CONES: "cones_contradict",
    LIGHT: "light_contradicts",
    POSTED: "sign_unreadable",
}
"""Fact -> the reason where a scorer gives it too little; a sign's value is also unreadable where no scorer reads it."""
UNSAFE, TWO_LAMPS, FLOATS = "unsafe", "two_governing_lamps", "cone_floats"
BLURRED, ARTEFACT, DUPLICATE = "blurred", "artefact", "near_duplicate"
REASONS = (UNSAFE, *CONTRADICTS.values(), TWO_LAMPS, FLOATS, BLURRED, ARTEFACT, DUPLICATE)
"""In the order in which they are looked for; a picture is rejected for the first."""
BANNED = ("nude", "naked", "nsfw", "sex", "gore", "blood", "corpse", "dead", "weapon", "gun")


@dataclass(frozen=True, kw_only=True)
@ranged
class RejectConfig:
    """When a painted picture is thrown away.

    Attributes:
        least_prob: a stated fact below this probability contradicts the text.
        least_sharpness: variance of the Laplacian of the grey picture.
        least_contrast: standard deviation of the grey picture.
        clipped: share of pure black or white pixels above which it is an artefact.
        hash_distance: a perceptual hash at most this far from a kept or training picture's makes a near-duplicate.
        least_box: a detector's box below this score is passed over.
        lamp_ratio: two lamps of different colours govern both where one is at most so many times as large.
        horizon: no cone can stand above this share of the picture's height.
        sky_likeness: distance in CIE Lab within which what is below a cone's foot is like the picture's top edge.
        banned: whole words that no prompt may hold.
    """

    least_prob: Share = 0.5
    least_sharpness: Amount = 15.0
    least_contrast: Amount = 8.0
    clipped: Share = 0.5
    hash_distance: Distance = 2
    least_box: Amount = 0.3
    lamp_ratio: Positive = 2.0
    horizon: Share = 0.2
    sky_likeness: Amount = 8.0
    banned: tuple[str, ...] = BANNED


def perceptual_hash(image: ImageArray) -> imagehash.ImageHash:
    """Return the DCT hash (64 bits) of a picture."""
    return imagehash.phash(Image.fromarray(image))


def sharpness(image: ImageArray) -> float:
    """Return the variance of the Laplacian of the grey picture."""
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def nearest(image: ImageArray, known: Sequence[imagehash.ImageHash]) -> int:
    """Return the fewest bits by which the picture's hash differs from a known one; 64 where none is known."""
    own = perceptual_hash(image)
    return min((own - other for other in known), default=64)


def rejection(
    painted: Painted,
    caption: str,
    scores: Mapping[str, float],
    facts: Mapping[str, str],
    boxes: Sequence[Box],
    known: Sequence[imagehash.ImageHash],
    config: RejectConfig,
) -> str:
    """Return why a picture is rejected, one of `REASONS`, or an empty string.

    Args:
        scores: fact -> probability that the picture shows it.
        facts: what the caption states.
        boxes: `lamp` (with its colour as answer) and `cone` boxes that a detector sees, in pixels.
        known: hashes of the pictures kept so far, and of those that are trained on.
    """
    image = painted.image
    if unsafe(painted, caption, config):
        return UNSAFE
    for name, reason in CONTRADICTS.items():
        missing = 0.0 if name == POSTED else 1.0
        if name in facts and scores.get(name, missing) < config.least_prob:
            return reason
    if two_lamps(boxes, config):
        return TWO_LAMPS
    if any(floats(image, box, config) for box in boxes if box.kind == "cone" and box.score >= config.least_box):
        return FLOATS
    if sharpness(image) < config.least_sharpness:
        return BLURRED
    if is_artefact(image, config):
        return ARTEFACT
    return DUPLICATE if nearest(image, known) <= config.hash_distance else ""


def unsafe(painted: Painted, caption: str, config: RejectConfig) -> bool:
    """Return whether the pipeline's own safety checker refused the picture, or the caption holds a banned word.

    A pipeline without a safety checker, such as the shipped one, has nothing that looks at the pixels: its captions are
    made of a closed list of words about streets, and it has seen nothing but rendered streets.
    """
    words = set(re.findall(r"\w+", caption.lower()))
    return painted.unsafe or not words.isdisjoint(config.banned)


def two_lamps(boxes: Sequence[Box], config: RejectConfig) -> bool:
    """Return whether two apart, lit lamps of different colours are of similar size, so that either may govern.

    One that is much smaller is taken for a light further on. Rear lights look like a red lamp to a colour detector.
    """
    lamps = [box for box in boxes if box.kind == "lamp" and box.score >= config.least_box]
    return any(
        a.answer != b.answer and not _overlap(a, b) and _ratio(a, b) <= config.lamp_ratio
        for a, b in combinations(lamps, 2)
    )


def _overlap(a: Box, b: Box) -> bool:
    """Whether two boxes overlap or touch: the halo of one lamp has other hues than its middle."""
    return all(max(a.xyxy[i], b.xyxy[i]) <= min(a.xyxy[i + 2], b.xyxy[i + 2]) for i in range(2))


def _ratio(a: Box, b: Box) -> float:
    areas = sorted((box.xyxy[2] - box.xyxy[0]) * (box.xyxy[3] - box.xyxy[1]) for box in (a, b))
    return areas[1] / max(areas[0], 1e-6)


def floats(image: ImageArray, cone: Box, config: RejectConfig) -> bool:
    """Return whether a cone stands on what looks like sky, or above any horizon.

    What lies just below its foot is compared in colour (CIE Lab) with the top and the bottom edge of the picture in
    the cone's columns. So it finds a cone in an even sky, and misses one before a facade, in fog, or at night, when
    the sky is as dark as the road.
    """
    height, width = image.shape[:2]
    left, _, right, foot = (round(v) for v in cone.xyxy)
    band = max(2, height // 16)
    if foot < config.horizon * height:
        return True
    if foot + band > height - band:
        return False
    columns = slice(max(left, 0), min(max(right, left + 1), width))
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    below, top, bottom = (
        lab[rows, columns].reshape(-1, 3).mean(axis=0)
        for rows in (slice(foot, foot + band), slice(0, band), slice(height - band, height))
    )
    to_sky, to_ground = (float(np.linalg.norm(below - other)) for other in (top, bottom))
    return to_sky < config.sky_likeness and 2 * to_sky < to_ground


def is_artefact(image: ImageArray, config: RejectConfig) -> bool:
    """Return whether a picture is nearly one tone, or mostly pure black and white."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    clipped = float(((grey < 3) | (grey > 252)).mean())
    return float(grey.std()) < config.least_contrast or clipped > config.clipped
