"""Whatever a message says of its picture: an array of that size, or one clear error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.drives.pictures import RAW, PictureError, decode_packets, decode_raw, decode_still, packet_head
from drivelet.drives.unpacking import unpack, unzstd
from log_files import video_packets

NAMES = [*RAW, "mono16", "rgb16", "16UC1", "bayer_gbrg16", "32FC1", "", "nv12"]
SIZES = st.integers(-2, 9)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), name=st.sampled_from(NAMES), width=SIZES, height=SIZES, step=st.integers(-9, 40))
def test_raw_pixels_become_a_picture_of_their_size_or_are_refused(data, name, width, height, step):
    try:
        image = decode_raw(data, encoding=name, width=width, height=height, step=step)
    except PictureError as error:
        assert "\n" not in str(error)
    else:
        assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), form=st.text(max_size=30))
def test_any_bytes_of_a_still_are_a_picture_or_refused(data, form):
    with pytest.raises(PictureError):
        decode_still(data, form=form)


@settings(max_examples=300, deadline=None)
@given(data=st.lists(st.sampled_from([b"\x00\x00\x01", b"\x67", b"\x65", b"\x40\x01", b"\x26", b"\xff", b"\x00"])))
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_any_bytes_of_a_packet_have_a_head(codec, data):
    head = packet_head(b"".join(data), codec)
    assert head.picture or not head.key
    assert all(len(unit) > 4 for unit in head.sets.values())


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), place=st.integers(0, 3), noise=st.binary(min_size=1, max_size=40))
@pytest.mark.parametrize(("library", "codec"), [("libx264", "h264"), ("libx265", "h265")])
def test_damaged_packets_are_frames_of_their_own_numbers_or_none(library, codec, cut, place, noise):
    packets = PACKETS[library].copy()
    packets[place] = packets[place][:cut] + noise + packets[place][cut + len(noise) :]
    found = [number for number, image in decode_packets(enumerate(packets), codec) if image.shape[2] == 3]
    assert found == sorted(set(found))
    assert set(found) <= set(range(len(packets)))


PACKETS = {library: list(video_packets(4, codec=library)) for library in ("libx264", "libx265")}


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), compression=st.sampled_from(["bz2", "lz4", "zstd", "none", ""]))
def test_any_bytes_unpack_or_are_a_value_error(data, compression):
    for read in (
        lambda: unpack(compression, data, what="chunks"),
        lambda: unzstd(b"\x28\xb5\x2f\xfd" + data, what="x"),
    ):
        try:
            assert isinstance(read(), (bytes, bytearray))
        except ValueError as error:
            assert "\n" not in str(error)
