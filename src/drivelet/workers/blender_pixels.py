# Drivelet's Blender worker: pixels and files.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles' buffers, picture files, and the measures of instances; needs NumPy alone."""

import struct
import zlib
from pathlib import Path

import numpy as np


def read_exr(path):
    """Read an uncompressed single-part scanline OpenEXR file: (Combined RGB, object index)."""
    raw = Path(path).read_bytes()
    position, channels, window = 8, [], (0, 0, 0, 0)
    while raw[position] != 0:
        name, position = _cstring(raw, position)
        _, position = _cstring(raw, position)
        size = struct.unpack_from("<i", raw, position)[0]
        position += 4
        if name == "channels":
            channels = _channels(raw, position)
        elif name == "dataWindow":
            window = struct.unpack_from("<4i", raw, position)
        elif name == "compression" and raw[position] != 0:
            raise ValueError(f"{path} is compressed")
        position += size
    wide, high = window[2] - window[0] + 1, window[3] - window[1] + 1
    first = struct.unpack_from("<Q", raw, position + 1)[0]
    row = 8 + sum(wide * size for _, size in channels)
    planes = {}
    lines = np.frombuffer(raw, np.uint8, row * high, first).reshape(high, row)
    offset = 8
    for name, size in channels:
        cut = np.ascontiguousarray(lines[:, offset : offset + wide * size])
        planes[name] = cut.view(np.float32 if size == 4 else np.float16).reshape(high, wide).astype(np.float32)
        offset += wide * size
    rgb = [next(v for k, v in planes.items() if k.endswith(f"Combined.{c}")) for c in "RGB"]
    ids = next(v for k, v in planes.items() if "IndexOB" in k or "Object Index" in k)
    return np.stack(rgb, -1), np.rint(ids).astype(np.int64)


def _cstring(raw, position):
    end = raw.index(b"\0", position)
    return raw[position:end].decode(), end + 1


def _channels(raw, position):
    found = []
    while raw[position] != 0:
        name, position = _cstring(raw, position)
        kind = struct.unpack_from("<i", raw, position)[0]
        found.append((name, 2 if kind == 1 else 4))
        position += 16
    return found


def write_png(path, pixels):
    """Write an RGB image (H, W, 3) uint8 under a temporary name and rename it."""
    high, wide, _ = pixels.shape
    steps = pixels.copy()
    steps[1:] -= pixels[:-1]  # PNG's "up" filter: smaller files than raw rows
    lines = np.concatenate([np.full((high, 1), 2, np.uint8), steps.reshape(high, -1)], 1).tobytes()
    header = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    partial = Path(f"{path}.partial")
    with partial.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for tag, body in ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")):
            stream.write(struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body)))
    partial.replace(path)


def hull_area(points):
    """Area of the convex hull of Nx2 points (Andrew's monotone chain)."""
    order = sorted(set(map(tuple, np.round(points, 2).tolist())))
    if len(order) < 3:
        return 0.0
    chain = []
    for walk in (order, order[::-1]):
        part = []
        for p in walk:
            while len(part) > 1 and _turn(part[-2], part[-1], p) <= 0:
                part.pop()
            part.append(p)
        chain += part[:-1]
    x, y = np.array(chain).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def measure(ids, projected, size):
    """Visible pixels and box of each instance, with the box and hull area that it would have unobstructed."""
    width, height = size
    found = {}
    for key, points in projected.items():
        inside = np.clip(points, (0, 0), (width, height))
        rows, columns = np.nonzero(ids == key)
        low, high = inside.min(0), inside.max(0)
        box = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1] if rows.size else None
        found[str(key)] = {
            "pixels": int(rows.size),
            "box": box,
            "amodal": [round(float(v), 1) for v in (*low, *high)],
            "area": round(hull_area(inside), 1),
        }
    return {"objects": found}
