"""Images are read as RGB as a viewer shows them, and an unreadable one is named."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.images import (
    SUFFIXES,
    decode_image,
    grey_like,
    image_size,
    is_deep,
    is_plain,
    read_image,
    to_8_bit,
)

ORIENTATION = 0x0112


def turned(path: Path, orientation: int, size: tuple[int, int] = (12, 7)) -> Path:
    """Write a picture with four unlike corners, to be shown in another orientation than it is stored."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:2, :2], pixels[:2, -2:], pixels[-2:, :2], pixels[-2:, -2:] = 50, 120, 190, 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_every_mode_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert (image == 255).all()


@pytest.mark.parametrize("suffix", sorted(set(SUFFIXES) - {".pgm"}))
def test_every_suffix_that_is_listed_is_read(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (6, 4), (255, 255, 255)).save(tmp_path / f"a{suffix}")
    assert read_image(tmp_path / f"a{suffix}").shape == (4, 6, 3)
    assert read_image(tmp_path / f"a{suffix}").min() > 250


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


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_cut_picture_of_16_bit_colour_is_named(tmp_path: Path, keep: float) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (40, 40, 3), dtype=np.uint16)
    content = cv2.imencode(".png", noise)[1].tobytes()
    (tmp_path / "a.png").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match=r"a\.png: no readable image"):
        read_image(tmp_path / "a.png")


def test_the_blind_image_is_grey_and_of_the_same_size() -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    assert grey_like(image).shape == image.shape
    assert set(grey_like(image).ravel().tolist()) == {128}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_picture_is_upright_whatever_its_orientation_and_format(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path = turned(tmp_path / f"a{suffix}", orientation)
    with Image.open(path) as image:
        image.load()
        shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(read_image(path), shown)
    assert np.array_equal(decode_image(path.read_bytes()), shown)
    assert image_size(path) == (shown.shape[1], shown.shape[0])
    assert is_plain(path) == (orientation == 1 and suffix != ".tif")


@pytest.mark.filterwarnings("ignore:.*EXIF")
def test_damaged_exif_takes_no_picture_away(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xffrest")
    assert read_image(tmp_path / "a.jpg").shape == (4, 6, 3)
    assert image_size(tmp_path / "a.jpg") == (6, 4)


def test_16_bits_that_hold_an_8_bit_picture_show_that_picture(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(3, 120, (9, 11), dtype=np.uint8)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    assert is_deep(tmp_path / "a.png") and not is_plain(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize(("low", "high"), [(7000, 9000), (0, 1023), (0, 65535)])
def test_16_bit_grey_is_neither_white_nor_black(tmp_path: Path, suffix: str, low: int, high: int) -> None:
    values = np.linspace(low, high, 40 * 30).round().astype(np.uint16).reshape(30, 40)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    assert image.shape == (30, 40, 3)
    assert (image.min(), image.max()) == (0, 255)
    assert (np.diff(image[..., 0].ravel().astype(int)) >= 0).all()
    assert 120 < image.mean() < 135


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_colour_of_a_12_bit_camera_keeps_its_colours(tmp_path: Path, suffix: str) -> None:
    values = np.zeros((30, 40, 3), np.uint16)
    values[:, :20] = (0, 0, 4095)
    values[:, 20:] = (4095, 2048, 0)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), values)
    image = read_image(tmp_path / f"a{suffix}")
    assert image[0, 0].tolist() == [255, 0, 0]
    assert image[0, 30].tolist() == [0, 128, 255]
    assert is_deep(tmp_path / f"a{suffix}")


def test_values_that_are_no_numbers_are_black() -> None:
    values = np.array([[np.nan, 0.25], [0.5, np.inf]])
    assert to_8_bit(values).tolist() == [[0, 0], [255, 0]]
    assert to_8_bit(np.full((2, 2), np.nan)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("size", [(1, 1), (2000, 10), (10, 2000)])
def test_the_smallest_and_the_thinnest_pictures_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (9, 9, 9)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (size[1], size[0], 3)
    assert image_size(tmp_path / "a.png") == size


def test_more_pixels_than_memory_holds_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    # 100 million pixels that a few kilobytes promise.
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")
    for read in (read_image, image_size):
        with pytest.raises(InputError, match=r"a\.png: no readable image.*pixels"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("format", ["EPS", "GIF", "ICNS", "PCX", "TGA"])
def test_only_listed_formats_are_opened_whatever_a_file_is_called(tmp_path: Path, format: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, format=format)
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    with pytest.raises(InputError, match=r"a\.png: no readable image \(not of PNG"):
        read_image(tmp_path / "a.png")


def test_a_pipe_or_folder_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for place in (tmp_path / "a.png", tmp_path, Path(os.devnull)):
        with pytest.raises(InputError, match="no image file"):
            read_image(place)


def test_nobody_else_opens_pictures() -> None:
    source = Path(__file__).parents[2] / "src"
    found = [path.name for path in source.rglob("*.py") if "Image.open(" in path.read_text()]
    assert set(found) <= {"images.py", "pictures.py"}


def as_shown(path: Path) -> ImageArray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_plain_pictures_are_what_every_reader_sees(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    for name in ("a.png", "a.jpg", "a.webp", "a.bmp"):
        Image.fromarray(noise).save(tmp_path / name)
        assert is_plain(tmp_path / name)
        assert np.array_equal(read_image(tmp_path / name), as_shown(tmp_path / name))
