"""Whatever bytes a picture's file holds, it is read or named as damaged; the tone curve only ever rises."""

import io
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from drivelet.core.errors import InputError
from drivelet.core.images import image_size, is_deep, is_plain, read_image, to_8_bit

KINDS = ("PNG", "JPEG", "WEBP", "BMP", "PPM", "TIFF", "AVIF", "16 bit grey", "16 bit colour", "TIFF 16 bit colour")


@cache
def content(kind: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (12, 17, 3), dtype=np.uint8)
    deep = noise.astype(np.uint16) * 200
    if kind == "16 bit grey":
        return cv2.imencode(".png", deep[..., 0])[1].tobytes()
    if "16 bit colour" in kind:
        return cv2.imencode(".tif" if "TIFF" in kind else ".png", deep)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, format=kind, exif=exif)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore")  # what Pillow's decoders say of damage
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    spots=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_any_bytes_are_read_or_named(tmp_path: Path, kind: str, spots: list[tuple[float, int]], keep: float) -> None:
    data = bytearray(content(kind))
    # Heads are short, and their damage tells most.
    for place, value in spots:
        data[int(place**3 * (len(data) - 1))] = value
    path = tmp_path / "a.png"
    path.write_bytes(data[: int(keep * len(data))])
    try:
        image = read_image(path)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
        assert image_size(path) == (image.shape[1], image.shape[0])
        assert is_plain(path) in (True, False) and is_deep(path) in (True, False)


@given(
    values=arrays.arrays(
        st.sampled_from([np.uint16, np.int32, np.float32]), arrays.array_shapes(min_dims=2, max_dims=3, max_side=9)
    )
)
def test_a_brighter_value_is_never_shown_darker(values: np.ndarray) -> None:
    shown = to_8_bit(values)
    assert shown.shape == values.shape and shown.dtype == np.uint8
    assert np.array_equal(shown, to_8_bit(values))
    known = np.isfinite(values)
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(shown[known][order].astype(int)) >= 0).all()


@given(grey=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_an_8_bit_picture_in_16_bits_stays_itself(grey: np.ndarray) -> None:
    assert np.array_equal(to_8_bit(grey.astype(np.uint16) * 257), grey)
