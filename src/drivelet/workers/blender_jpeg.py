# Drivelet's Blender worker: JPEG without a file.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""What JPEG does to a picture (ITU-T T.81: 8x8 cosine transform, the tables of its annex K, colour at half size)."""

import numpy as np

BRIGHT = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
COLOUR = np.full((8, 8), 99)
COLOUR[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
STEPS = np.arange(8)
WAVES = np.sqrt(2 / 8) * np.cos((2 * STEPS[None, :] + 1) * STEPS[:, None] * np.pi / 16)
WAVES[0] /= np.sqrt(2)
TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def compressed(image, quality):
    """(H, W, 3) uint8 after JPEG at `quality` 1..99; 100 and more return the picture itself."""
    if quality >= 100:
        return image
    high, wide, _ = image.shape
    padded = np.pad(image, [(0, -high % 16), (0, -wide % 16), (0, 0)], mode="edge").astype(float)
    luma, blue, red = np.moveaxis(padded @ TO_YCC.T, -1, 0)
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    tables = [np.clip((table * scale + 50) // 100, 1, 255) for table in (BRIGHT, COLOUR)]
    planes = [_quantised(luma - 128, tables[0]) + 128]
    for plane in (blue, red):
        half = plane.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).mean(axis=(1, 3))
        planes.append(_quantised(half, tables[1]).repeat(2, 0).repeat(2, 1))
    shown = np.stack(planes, -1) @ np.linalg.inv(TO_YCC).T
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)[:high, :wide]


def _quantised(plane, table):
    high, wide = plane.shape
    blocks = plane.reshape(high // 8, 8, wide // 8, 8).swapaxes(1, 2)
    waves = WAVES @ blocks @ WAVES.T
    return (WAVES.T @ (np.rint(waves / table) * table) @ WAVES).swapaxes(1, 2).reshape(high, wide)
