import numpy as np
import pytest

from drivelet.drives.pictures import PictureError, decode_packets, decode_raw, decode_still, is_key
from log_files import FRAMES, video_packets


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_bayer_mosaic_of_one_colour_becomes_that_colour(pattern):
    colour = {"r": 200, "g": 120, "b": 40}
    tile = np.array([colour[letter] for letter in pattern], np.uint8).reshape(2, 2)
    image = decode_raw(np.tile(tile, (8, 8)).tobytes(), encoding=f"bayer_{pattern}8", width=16, height=16, step=16)
    assert image[8, 8].tolist() == [200, 120, 40]


@pytest.mark.parametrize(
    ("encoding", "pixel", "rgb"),
    [
        ("rgb8", [9, 8, 7], [9, 8, 7]),
        ("bgr8", [9, 8, 7], [7, 8, 9]),
        ("rgba8", [9, 8, 7, 255], [9, 8, 7]),
        ("bgra8", [9, 8, 7, 255], [7, 8, 9]),
        ("mono8", [5], [5, 5, 5]),
    ],
)
def test_raw_encodings_become_rgb_and_padding_is_cut(encoding, pixel, rgb):
    row = bytes(pixel * 4) + b"\xee" * 3
    image = decode_raw(row * 2, encoding=encoding, width=4, height=2, step=len(row))
    assert image.shape == (2, 4, 3)
    assert (image == rgb).all()


def test_grey_of_yuv_is_grey():
    for encoding, pair in (("yuv422_yuy2", [126, 128, 126, 128]), ("uyvy", [128, 126, 128, 126])):
        image = decode_raw(bytes(pair * 4), encoding=encoding, width=4, height=2, step=8)
        assert np.ptp(image) == 0
        assert abs(int(image[0, 0, 0]) - 128) < 3


@pytest.mark.parametrize(
    ("encoding", "width", "height", "step", "words"),
    [
        ("32FC1", 1, 1, 4, "encoding '32FC1' is not supported"),
        ("rgb8", 0, 0, 0, "are no 0x0 picture"),
        ("rgb8", 4, 4, 3, "are no 4x4 picture"),
        ("rgb8", 100, 100, 300, "12 bytes are no 100x100 picture"),
        ("rgb8", -1, 4, 0, "are no -1x4 picture"),
    ],
)
def test_pixels_that_do_not_fit_are_named(encoding, width, height, step, words):
    with pytest.raises(PictureError, match=words):
        decode_raw(bytes(12), encoding=encoding, width=width, height=height, step=step)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no picture at all"])
def test_damaged_stills_are_named(data):
    with pytest.raises(PictureError):
        decode_still(data)


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "h265")])
def test_key_packets_are_told_from_others(codec, name):
    packets = list(video_packets(codec=codec, key_every=4))
    assert [n for n, packet in enumerate(packets) if is_key(packet, name)] == [0, 4, 8]
    assert [n for n, _ in decode_packets(list(enumerate(packets))[4:7], name)] == [4, 5, 6]
    assert not is_key(b"", name)
    assert len(packets) == FRAMES
