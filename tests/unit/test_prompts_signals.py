import numpy as np
import pytest
from PIL import Image, ImageDraw

from drivelet.core.artifacts import ImageArray
from drivelet.prompts.signals import SIGNALS, image_signals


def street(grey: int = 110, noise: int = 20) -> Image.Image:
    pixels = np.random.default_rng(0).integers(grey - noise, grey + noise, (192, 320, 1)).repeat(3, 2)
    return Image.fromarray(pixels.astype(np.uint8))


def array(image: Image.Image) -> ImageArray:
    return np.asarray(image, np.uint8)


def test_every_signal_is_there_at_any_size() -> None:
    for size in ((20, 40), (320, 192), (1280, 720)):
        found = image_signals(array(street().resize(size)))
        assert tuple(found) == SIGNALS
        assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("colour", [(230, 30, 30), (250, 190, 30), (30, 220, 90)])
def test_a_lamp_raises_lamp(colour: tuple[int, int, int]) -> None:
    with_lamp = street()
    ImageDraw.Draw(with_lamp).ellipse((150, 40, 158, 48), fill=colour)
    assert image_signals(array(street()))["lamp"] < 0.05
    assert image_signals(array(with_lamp))["lamp"] > 0.5


def test_each_thing_raises_its_own_signal() -> None:
    plain = image_signals(array(street()))
    image = street()
    draw = ImageDraw.Draw(image)
    draw.polygon([(60, 160), (70, 130), (80, 160)], fill=(240, 100, 20))
    draw.ellipse((250, 60, 270, 80), outline=(200, 20, 20), width=3)
    draw.rectangle((20, 50, 40, 76), fill=(245, 245, 245))
    draw.rectangle((90, 170, 230, 176), fill=(240, 240, 240))
    seen = image_signals(array(image))
    for name in ("orange", "ring", "plate", "bars"):
        assert seen[name] > plain[name] + 1, name


def test_night_is_dark_and_fog_is_flat() -> None:
    assert image_signals(array(street(30, 10)))["brightness"] < 40 < image_signals(array(street()))["brightness"]
    assert image_signals(array(street(noise=2)))["contrast"] < image_signals(array(street(noise=60)))["contrast"]
