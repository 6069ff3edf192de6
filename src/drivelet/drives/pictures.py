"""Pictures inside messages: compressed stills, raw pixel arrays, and single packets of a compressed video."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.packet import Packet

from drivelet.core.artifacts import ImageArray
from drivelet.core.images import DAMAGED, decode_image, to_8_bit

RAW = {
    "rgb8": (3, None), "8uc3": (3, cv2.COLOR_BGR2RGB), "bgr8": (3, cv2.COLOR_BGR2RGB), "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8uc1": (1, cv2.COLOR_GRAY2RGB), "rgba8": (4, cv2.COLOR_RGBA2RGB), "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB), "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB), "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY), "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2), "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": (1, cv2.COLOR_YUV2RGB_NV12), "nv21": (1, cv2.COLOR_YUV2RGB_NV21),
}  # fmt: skip
"""ROS and Foxglove encoding -> (channels, OpenCV's conversion to RGB); `mono16`, `16UC3` and others follow."""
HALF_COLOUR = ("nv12", "nv21")
"""Half as many rows again hold the colour."""
CODECS = {"h264": "h264", "h265": "hevc"}
PARAMETER_SETS = {"h264": (7, 8), "h265": (32, 33, 34)}
"""NAL unit types without which no picture is decoded."""
INTRA = {"h264": (5,), "h265": tuple(range(16, 22))}
"""NAL unit types of pictures that need no other."""
MOST_UNITS = 256
"""Units before a packet's picture, and ..."""
LARGEST_SET = 4096
"""... bytes of a parameter set: what is beyond them is no video."""
MOST_PIXELS = 1 << 26
"""67 million: twice an 8K picture."""


class PictureError(ValueError):
    """The bytes of one picture are damaged."""


def decode_still(data: bytes, *, form: str = "") -> ImageArray:
    """Decode JPEG, PNG or WebP bytes to RGB.

    Args:
        data: the file.
        form: ROS's format string, such as `bayer_rggb8; png compressed`: a mosaic comes as a grey picture.
    """
    if "compresseddepth" in form.lower():
        raise PictureError(f"format {form!r} is a depth map, no picture")
    try:
        image = decode_image(data)
    except DAMAGED as error:
        # Pillow names the object in memory that it was given, which tells a user nothing.
        reason = f"no picture of a known format by its bytes; its message says {form!r}"
        raise PictureError(reason if "BytesIO" in str(error) else str(error)) from error
    _check_pixels(image.shape[1], image.shape[0])
    mosaic = re.search(r"bayer_[rgb]{4}", form.lower())
    if mosaic and (image == image[..., :1]).all():
        return _converted(image[..., 0], RAW[f"{mosaic.group()}8"][1])
    return image


def decode_raw(
    data: bytes | memoryview, *, encoding: str, width: int, height: int, step: int, big_endian: bool = False
) -> ImageArray:
    """Return an array of raw pixels as RGB; rows may be padded to `step` bytes, 16 bits are brought to 8."""
    name = encoding.lower()
    plain = re.sub(r"16$|^16(?=uc)", "8", name)
    if plain not in RAW:
        raise PictureError(f"encoding {encoding!r} is not supported; known are {', '.join(RAW)}")
    channels, conversion = RAW[plain]
    wide = 2 if plain != name else 1
    _check_pixels(width, height)
    across, step = width * channels * wide, step or width * channels * wide
    rows = height * 3 // 2 if plain in HALF_COLOUR else height
    pixels = np.frombuffer(data, np.uint8)
    if width <= 0 or height <= 0 or step < across or pixels.size < step * rows:
        raise PictureError(f"{pixels.size} bytes are no {width}x{height} picture of {encoding}")
    table = np.ascontiguousarray(pixels[: step * rows].reshape(rows, step)[:, :across])
    if wide == 2:
        table = to_8_bit(table.view(">u2" if big_endian else "<u2").astype(np.uint16))
    return _converted(table.reshape(rows, width, channels) if channels > 1 else table, conversion)


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise PictureError(f"a {width}x{height} picture has more than {MOST_PIXELS:,} pixels")


def _converted(picture: ImageArray, conversion: int | None) -> ImageArray:
    try:
        rgb = picture if conversion is None else cv2.cvtColor(np.ascontiguousarray(picture), conversion)
        return np.ascontiguousarray(rgb, np.uint8)
    except cv2.error as error:
        raise PictureError(str(error).splitlines()[0]) from error


@dataclass(frozen=True, kw_only=True)
class PacketHead:
    """What a packet of an Annex B stream begins with: parameter sets by unit type, and what kind of picture follows."""

    sets: dict[int, bytes]
    picture: bool
    key: bool


def packet_head(data: bytes, codec: str) -> PacketHead:
    """Return the parameter sets of a packet, and whether its picture (if it has one) needs none before it.

    H.264 streams may open with a picture of intra slices only; that is a key where parameter sets stand before it.
    """
    sets: dict[int, bytes] = {}
    start = data.find(b"\x00\x00\x01")
    for _ in range(MOST_UNITS):
        if not 0 <= start < len(data) - 3:
            break
        end = data.find(b"\x00\x00\x01", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)]
        start = end
        if not unit:
            continue
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind in PARAMETER_SETS[codec] and len(unit) <= LARGEST_SET:
            sets[kind] = sets.get(kind, b"") + b"\x00\x00\x00\x01" + unit.rstrip(b"\x00")
        elif 1 <= kind <= 5 if codec == "h264" else kind < 32:
            intra = kind in INTRA[codec] or (codec == "h264" and 7 in sets and _intra_slice(unit))
            return PacketHead(sets=sets, picture=True, key=intra)
    return PacketHead(sets=sets, picture=False, key=False)


def _intra_slice(unit: bytes) -> bool:
    """Read the slice type, the second Exp-Golomb number of an H.264 slice (7.3.3): 2 and 7 are I, 4 and 9 SI."""
    bits = "".join(f"{byte:08b}" for byte in unit[1:9])
    place = 0
    number = 0
    for _ in range(2):
        zeros = bits.find("1", place) - place
        if zeros < 0:
            return False
        number = int(bits[place + zeros : place + 2 * zeros + 1] or "0", 2) - 1
        place += 2 * zeros + 1
    return number in (2, 4, 7, 9)


def decode_packets(packets: Iterable[tuple[int, bytes]], codec: str) -> Iterator[tuple[int, ImageArray]]:
    """Yield (number, RGB image) of a run of (number, packet) that starts with a key packet; damaged ones left out."""
    context: Any = av.CodecContext.create(CODECS[codec], "r")
    # A packet of one message holds one whole picture: nothing may wait for the next.
    context.thread_type = "NONE"
    context.options = {"max_pixels": str(MOST_PIXELS)}
    for number, data in packets:
        packet = Packet(data)
        packet.pts = packet.dts = number
        yield from _decoded(context, packet)
    yield from _decoded(context, None)


def _decoded(context: Any, packet: Packet | None) -> Iterator[tuple[int, ImageArray]]:
    try:
        frames = context.decode(packet)
    except (FFmpegError, ValueError):
        return
    for frame in frames:
        if frame.pts is not None and not frame.is_corrupt:
            yield int(frame.pts), frame.to_ndarray(format="rgb24")
