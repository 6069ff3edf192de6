"""Pictures inside messages: compressed stills, raw pixel arrays, and single packets of a compressed video."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from PIL import Image

from drivelet.core.artifacts import ImageArray
from drivelet.core.images import DAMAGED

RAW = {
    "rgb8": (3, None), "8uc3": (3, cv2.COLOR_BGR2RGB), "bgr8": (3, cv2.COLOR_BGR2RGB), "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8uc1": (1, cv2.COLOR_GRAY2RGB), "rgba8": (4, cv2.COLOR_RGBA2RGB), "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB), "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB), "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY), "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2), "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
}  # fmt: skip
"""ROS and Foxglove encoding -> (bytes a pixel, OpenCV's conversion to RGB)."""
CODECS = {"h264": "h264", "h265": "hevc"}
KEY_UNITS = {"h264": {5, 7}, "h265": {16, 17, 18, 19, 20, 21, 32, 33}}
"""NAL unit types that open a picture which needs no other: parameter sets and intra pictures."""


class PictureError(ValueError):
    """The bytes of one picture are damaged."""


def decode_still(data: bytes) -> ImageArray:
    """Decode JPEG, PNG or WebP bytes to RGB."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except DAMAGED as error:
        raise PictureError(str(error)) from error


def decode_raw(data: bytes | memoryview, *, encoding: str, width: int, height: int, step: int) -> ImageArray:
    """Return an array of raw pixels as RGB; rows may be padded to `step` bytes."""
    if encoding.lower() not in RAW:
        raise PictureError(f"encoding {encoding!r} is not supported; known are {', '.join(RAW)}")
    depth, conversion = RAW[encoding.lower()]
    step = step or width * depth
    pixels = np.frombuffer(data, np.uint8)
    if width <= 0 or height <= 0 or step < width * depth or pixels.size < step * height:
        raise PictureError(f"{pixels.size} bytes are no {width}x{height} picture of {encoding}")
    rows = pixels[: step * height].reshape(height, step)[:, : width * depth]
    picture = rows.reshape(height, width, depth) if depth > 1 else rows
    try:
        rgb = picture if conversion is None else cv2.cvtColor(picture, conversion)
        return np.ascontiguousarray(rgb, np.uint8)
    except cv2.error as error:
        raise PictureError(str(error).splitlines()[0]) from error


def is_key(data: bytes, codec: str) -> bool:
    """Return whether a packet of an Annex B stream can be decoded without those before it."""
    start = data.find(b"\x00\x00\x01")
    while 0 <= start < len(data) - 3:
        head = data[start + 3]
        unit = head & 31 if codec == "h264" else head >> 1 & 63
        if unit in KEY_UNITS[codec]:
            return True
        if 1 <= unit <= 5 if codec == "h264" else unit < 32:
            return False
        start = data.find(b"\x00\x00\x01", start + 3)
    return False


def decode_packets(packets: Iterable[tuple[int, bytes]], codec: str) -> Iterator[tuple[int, ImageArray]]:
    """Yield (number, RGB image) of a run of (number, packet) that starts with a key packet; damaged ones left out."""
    context: Any = av.CodecContext.create(CODECS[codec], "r")
    # A packet of one message holds one whole picture: nothing may wait for the next.
    context.thread_type = "NONE"
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
