"""The worker's lens and sensor: every effect is off at 0, depends on the scene alone, and does what it says."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from worker_modules import worker_module

lens, jpeg = worker_module("blender_lens"), worker_module("blender_jpeg")
OFF: dict[str, Any] = {"exposure": 1.0, "bloom": 0.0, "streaks": 0, "noise": 0.0}
SUN = {"sun_azimuth": 180.0, "sun_elevation": 5.0}
CAMERA = {"at": [0.0, 0.0, 1.4], "yaw": 0.0, "pitch": 0.0, "hfov": 50.0}
EFFECTS: dict[str, dict[str, Any]] = {
    "glare": {"glare": 0.8, **SUN}, "halo": {"halo": 0.3}, "dirt": {"dirt": 0.6, "dirt_seed": 4},
    "rain": {"streaks": 120}, "vignette": {"vignette": 0.3}, "chroma": {"chroma": 1.5}, "shake": {"shake": [2.0, 0.5]},
    "tone": {"tone": 1.0}, "noise": {"noise": 0.02}, "blotches": {"blotches": 0.05}, "jpeg": {"jpeg": 60},
}  # fmt: skip


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """Linear light with a gradient, edges and a lamp."""
    rng = np.random.default_rng(0)
    light = np.linspace(0.8, 0.05, 64)[:, None, None] * np.ones((64, 96, 3)) * np.array([0.9, 1.0, 1.1])
    light[30:50, 20:40] = rng.uniform(0.1, 0.5, (20, 20, 1))
    light[10:14, 60:64] = (6.0, 0.4, 0.2)
    return light


def shown(light: np.ndarray, seed: int = 1, **world: Any) -> np.ndarray:
    return lens.develop(light, {**OFF, **world}, seed, CAMERA).astype(int)


def test_zeros_are_the_same_as_effects_that_are_not_named(street: np.ndarray) -> None:
    zeros: dict[str, Any] = dict.fromkeys(["glare", "halo", "dirt", "vignette", "chroma", "blotches", "tone"], 0)
    assert np.array_equal(shown(street), shown(street, **zeros, shake=None, jpeg=100))


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_changes_the_picture_the_same_way_each_time(street: np.ndarray, name: str) -> None:
    once = shown(street, **EFFECTS[name])
    assert np.array_equal(once, shown(street, **EFFECTS[name]))
    assert not np.array_equal(once, shown(street))
    assert np.abs(once - shown(street)).mean() < 90, "the picture is still there"


@pytest.mark.parametrize("name", EFFECTS)
def test_only_rain_and_noise_depend_on_the_frames_seed(street: np.ndarray, name: str) -> None:
    same = np.array_equal(shown(street, 1, **EFFECTS[name]), shown(street, 2, **EFFECTS[name]))
    assert same is (name not in ("rain", "noise", "blotches"))


def test_the_sun_stands_where_its_angles_say() -> None:
    row, column = lens.sun_spot({"sun_azimuth": 180.0, "sun_elevation": 0.0}, CAMERA, (192, 320, 3))
    assert (row, column) == pytest.approx((96, 160))
    row, column = lens.sun_spot({"sun_azimuth": 170.0, "sun_elevation": 8.0}, CAMERA, (192, 320, 3))
    assert row < 70 and column > 200, "above the horizon; a smaller azimuth is to the right"
    assert lens.sun_spot({"sun_azimuth": 0.0, "sun_elevation": 8.0}, CAMERA, (192, 320, 3)) is None


def test_glare_is_weaker_behind_something_dark() -> None:
    dark, bright = np.full((96, 160, 3), 0.05), np.full((96, 160, 3), 0.05)
    row, column = lens.sun_spot(SUN, CAMERA, dark.shape)
    bright[int(row) - 3 : int(row) + 4, int(column) - 3 : int(column) + 4] = 5.0
    hidden, free = lens.glare(dark, (row, column), 1.0) - dark, lens.glare(bright, (row, column), 1.0) - bright
    assert hidden.mean() < 0.5 * free.mean()


def test_the_tone_curve_keeps_black_and_white_and_order() -> None:
    steps = np.linspace(0, 12, 200)
    curve = lens.tone(steps, 1.0)
    assert curve[0] == 0 and curve[-1] > 0.97 and (np.diff(curve) >= 0).all() and curve.max() <= 1


@pytest.mark.parametrize("quality", [25, 50, 80])
def test_jpeg_does_to_a_picture_what_a_real_encoder_does(quality: int) -> None:
    rows, columns = np.mgrid[0:48, 0:64]
    grey = (128 + 60 * np.sin(rows / 5) + 60 * np.cos(columns / 3)).astype(np.uint8)
    image = np.stack([grey] * 3, -1)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    real = np.asarray(Image.open(stream)).astype(int)
    ours = jpeg.compressed(image, quality).astype(int)
    assert np.abs(ours - real).mean() < 0.5, "the same blocks, but for rounding"
    assert np.abs(real - image.astype(int)).mean() > 0.5


def test_jpeg_blurs_colour_more_than_brightness() -> None:
    colour, bright = np.full((32, 32, 3), 128, np.uint8), np.full((32, 32, 3), 128, np.uint8)
    colour[:, ::2] = (178, 103, 128)
    bright[:, ::2] = 178
    spread = lambda image: np.ptp(jpeg.compressed(image, 80)[8, 8:24].astype(int), axis=0).max()  # noqa: E731
    assert spread(colour) < 0.5 * spread(bright)


def test_jpeg_at_100_is_the_picture_itself_whatever_its_size() -> None:
    image = np.random.default_rng(0).integers(0, 256, (19, 33, 3), dtype=np.uint8)
    assert jpeg.compressed(image, 100) is image
    assert jpeg.compressed(image, 50).shape == image.shape
