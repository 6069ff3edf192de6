"""Images are read as RGB, and an unreadable one is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drivelet.core.errors import InputError
from drivelet.core.images import grey_like, read_image


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_every_mode_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert (image == 255).all()


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png: no such image"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("keep", [0, 20, 90])
def test_a_cut_image_is_named(tmp_path: Path, keep: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:keep])
    with pytest.raises(InputError, match=r"a\.png: no readable image"):
        read_image(tmp_path / "a.png")


def test_the_blind_image_is_grey_and_of_the_same_size() -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    assert grey_like(image).shape == image.shape
    assert set(grey_like(image).ravel().tolist()) == {128}
