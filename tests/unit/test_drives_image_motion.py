"""Motion of the picture on drawn drives: the far scene's shift follows the turn, and standing looks still."""

import numpy as np
import pytest

from drivelet.drives.image_motion import ImageMotion, far_shift, image_motion, pair_motion, small_grey
from drivelet.drives.image_motion import MotionConfig as Config
from turning_drive import FOCAL, STEP_S, course, film


def drive(*, yaw_rate: float, speed: float, frames: int = 12, cars: int = 3, seed: int = 0) -> list[np.ndarray]:
    steps = round((frames + 1) * 0.1 / STEP_S)
    path = course(np.full(steps, speed), np.full(steps, yaw_rate))
    return list(film(np.random.default_rng(seed), path, np.arange(frames) * 0.1, cars=cars))


@pytest.mark.parametrize("yaw_rate", [0.25, -0.25, 0.0])
def test_the_shift_follows_the_turn_while_driving(yaw_rate: float) -> None:
    motions = list(image_motion(drive(yaw_rate=yaw_rate, speed=8.0), full_width=320))
    assert np.isnan(motions[0].shift_px)
    assert motions[0].quality == 0
    shifts = [m.shift_px for m in motions[1:]]
    assert np.median(shifts) == pytest.approx(FOCAL * yaw_rate * 0.1, abs=0.4)
    assert np.median([m.quality for m in motions[1:]]) > 0.5


def test_pixels_are_those_of_the_full_image() -> None:
    frames = drive(yaw_rate=0.2, speed=5.0, frames=4)
    small, full = (list(image_motion(frames, full_width=width))[1:] for width in (320, 1280))
    for a, b in zip(small, full, strict=True):
        assert b.shift_px == pytest.approx(4 * a.shift_px)
        assert (b.flow_px, b.quality, b.moving) == (a.flow_px, a.quality, a.moving)


def test_standing_looks_still_though_cars_pass() -> None:
    standing = list(image_motion(drive(yaw_rate=0.0, speed=0.0, cars=8), full_width=320))[1:]
    driving = list(image_motion(drive(yaw_rate=0.0, speed=5.0, cars=8), full_width=320))[1:]
    assert max(m.flow_px for m in standing) < 0.17
    assert np.median([m.flow_px for m in driving]) > 0.25
    assert max(m.moving for m in standing) < np.median([m.moving for m in driving])


def test_a_picture_without_corners_says_nothing() -> None:
    flat = np.full((192, 320), 90, np.uint8)
    motion = pair_motion(flat, flat)
    assert motion.quality == 0
    assert np.isnan([motion.shift_px, motion.flow_px, motion.moving]).all()


def test_a_change_of_size_says_nothing() -> None:
    frames = drive(yaw_rate=0.0, speed=5.0, frames=2)
    motions = list(image_motion([frames[0], frames[1][:100]], full_width=320))
    assert motions[1].quality == ImageMotion().quality == 0


def test_the_depth_of_points_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    place = rng.uniform(-90, 90, (60, 2))
    flow = np.array([3.0, -0.5]) + rng.uniform(0, 0.2, (60, 1)) * place
    flow[:12] += rng.uniform(-20, 20, (12, 2))
    shift, quality = far_shift(place, flow, Config())
    assert shift == pytest.approx(3.0, abs=0.1)
    assert 0.5 < quality <= 1
    assert far_shift(place[:3], flow[:3], Config())[1] == 0


def test_a_large_image_is_made_small_and_grey() -> None:
    image = np.random.default_rng(0).integers(0, 255, (300, 640, 3)).astype(np.uint8)
    assert small_grey(image).shape == (150, 320)
    assert small_grey(image[:40, :60]).shape == (40, 60)
