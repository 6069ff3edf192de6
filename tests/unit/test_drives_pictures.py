import struct
import zlib

import cv2
import numpy as np
import pytest

from drivelet.drives import pictures
from drivelet.drives.pictures import PictureError, decode_packets, decode_raw, decode_still, packet_head
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
    heads = [packet_head(packet, name) for packet in packets]
    assert [n for n, head in enumerate(heads) if head.key] == [0, 4, 8]
    assert all(head.picture for head in heads)
    assert [n for n, _ in decode_packets(list(enumerate(packets))[4:7], name)] == [4, 5, 6]
    assert packet_head(b"", name) == packet_head(b"no start code", name) == packet_head(b"\x00\x00\x01" * 9, name)
    assert len(packets) == FRAMES


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "h265")])
def test_parameter_sets_are_told_from_pictures(codec, name):
    with_sets = next(video_packets(codec=codec))
    sets = packet_head(with_sets, name).sets
    assert sorted(sets) == ([7, 8] if name == "h264" else [32, 33, 34])
    alone = packet_head(b"".join(sets.values()), name)
    assert (alone.sets, alone.picture, alone.key) == (sets, False, False)


def test_an_intra_picture_behind_its_parameter_sets_is_a_key_and_any_other_is_not():
    # Slice header: first_mb_in_slice = 0 ("1"), slice_type = 7 ("0001000") or 5 ("00110").
    sets, intra, predicted = b"\x00\x00\x01\x67\x42\x00", b"\x00\x00\x01\x41\x88", b"\x00\x00\x01\x41\x98"
    assert packet_head(sets + intra, "h264").key
    assert not packet_head(intra, "h264").key
    assert not packet_head(sets + predicted, "h264").key


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_mosaic_inside_a_still_becomes_colour_by_its_format(pattern, depth):
    colour = {"r": 200, "g": 120, "b": 40}
    tile = np.array([colour[letter] for letter in pattern], np.uint8).reshape(2, 2)
    grey = np.tile(tile, (8, 8))
    file = cv2.imencode(".png", grey.astype(np.uint16) * 257 if depth == 16 else grey)[1].tobytes()
    assert decode_still(file, form=f"bayer_{pattern}{depth}; png compressed")[8, 8].tolist() == [200, 120, 40]
    assert decode_still(file, form="mono8; png compressed")[8, 8].tolist() == [grey[8, 8]] * 3


def test_a_still_that_is_colour_already_is_left_alone():
    picture = np.full((8, 8, 3), (200, 120, 40), np.uint8)
    file = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    assert (decode_still(file, form="bayer_rggb8; png compressed bgr8") == picture).all()


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("encoding", "channels"), [("mono16", 1), ("16UC1", 1), ("rgb16", 3), ("bgra16", 4)])
def test_sixteen_bits_become_eight_and_not_white(encoding, channels, big_endian):
    ramp = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None], channels, axis=2)
    data = ramp.astype(">u2" if big_endian else "<u2").tobytes()
    image = decode_raw(data, encoding=encoding, width=64, height=1, step=0, big_endian=big_endian)
    assert image.shape == (1, 64, 3)
    assert np.abs(image[0, :, 0] - np.linspace(0, 255, 64)).max() <= 1


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_half_colour_planes_are_read(encoding):
    data = np.concatenate([np.full(4 * 4, 126), np.full(4 * 2, 128)]).astype(np.uint8).tobytes()
    image = decode_raw(data, encoding=encoding, width=4, height=4, step=4)
    assert image.shape == (4, 4, 3)
    assert np.ptp(image) == 0


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_made():
    with pytest.raises(PictureError, match="a 100000x100000 picture has more than 67,108,864 pixels"):
        decode_raw(bytes(12), encoding="mono8", width=100_000, height=100_000, step=0)
    with pytest.raises(PictureError, match="decompression bomb"):
        decode_still(png_of_size(100_000, 100_000))


def png_of_size(width, height):
    """A PNG's head that promises a size, and nothing behind it."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">II4s", zlib.crc32(head), 9, b"IDAT")


def test_a_depth_map_is_no_picture():
    with pytest.raises(PictureError, match="depth map"):
        decode_still(b"", form="16uc1; compresseddepth png")


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "h265")])
def test_a_video_of_too_many_pixels_is_not_decoded(codec, name, monkeypatch):
    packets = list(enumerate(video_packets(codec=codec)))
    assert len(list(decode_packets(packets, name))) == FRAMES
    monkeypatch.setattr(pictures, "MOST_PIXELS", 64 * 48 - 1)
    assert list(decode_packets(packets, name)) == []
