# Drivelet's Blender worker: plants.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees, hedges and woods: trunks below crowns of small leaf patches, of unit height."""

import math

import numpy as np
from blender_shapes import Shape

CROWNS = (
    ((0, 0, 0.62, 0.27), (0.16, 0.1, 0.55, 0.19), (-0.17, -0.06, 0.56, 0.2), (0.03, -0.16, 0.6, 0.18),
     (-0.05, 0.15, 0.68, 0.17), (0.02, -0.04, 0.84, 0.17), (0.12, -0.06, 0.74, 0.16), (-0.11, 0.03, 0.77, 0.15)),
    ((0, 0, 0.56, 0.2), (0.07, 0.05, 0.68, 0.19), (-0.08, -0.02, 0.74, 0.17), (0.02, 0.0, 0.88, 0.13),
     (0.1, -0.08, 0.5, 0.13), (-0.1, 0.08, 0.48, 0.13)),
)  # fmt: skip


def tree(kind=0):
    """A broad crown (0) or a slender one (1)."""
    rng, shape = np.random.default_rng(31 + kind), Shape()
    shape.limb("bark", (0, 0, 0), (0.01, 0, 0.5), 0.028, 0.018)
    for x, y, z, radius in CROWNS[kind][1:5]:
        shape.limb("bark", (0, 0, 0.33), (x, y, z), 0.014, 0.006, 5)
        shape.ball("shadow", (x, y, z), (1.3 * radius, 1.3 * radius, 1.1 * radius), 1)
    return shape.leaves(rng, CROWNS[kind], 560, 0.05)


def slender():
    return tree(1)


def pine():
    """Whorls of drooping boughs around a trunk."""
    rng, shape = np.random.default_rng(37), Shape().limb("bark", (0, 0, 0), (0, 0, 0.9), 0.025, 0.006)
    shape.cone("shadow", (0, 0, 0.53), 0.17, 0.01, 0.8, 8)
    for k in range(15):
        z, reach = 0.14 + 0.057 * k, 0.27 * (1 - k / 15.5) ** 0.85
        for a in np.linspace(0, 2 * math.pi, 9 + (15 - k) // 3, endpoint=False) + rng.uniform(0, 1):
            tip, half = reach * rng.uniform(0.75, 1.1), rng.uniform(0.035, 0.055)
            c, s = math.cos(a), math.sin(a)
            low = z - 0.3 * tip - 0.01
            edges = [(0.7 * tip * c - side * s, 0.7 * tip * s + side * c, low) for side in (half, -half)]
            root, end = (0.02 * c, 0.02 * s, z + 0.045), (tip * c, tip * s, low - 0.012)
            shape.face("leaf", [root, edges[0], end, edges[1]])
    shape.puffs = [(0.0, 0.0, 0.3 + 0.1 * k, 0.1) for k in range(6)]
    return shape


def bush():
    rng = np.random.default_rng(41)
    puffs = [(0, 0, 0.3, 0.3), (0.24, 0.05, 0.22, 0.22), (-0.24, -0.04, 0.24, 0.23), (0.05, 0.24, 0.22, 0.21),
             (-0.04, -0.25, 0.2, 0.2)]  # fmt: skip
    shape = Shape()
    for x, y, z, radius in puffs:
        shape.ball("shadow", (x, y, z), (1.6 * radius, 1.6 * radius, 1.5 * radius), 1)
    return shape.leaves(rng, puffs, 360, 0.06)


def hill():
    """A soft rise with a wood on it, for the horizon."""
    rng = np.random.default_rng(43)
    puffs = [(float(x), float(rng.uniform(-0.2, 0.2)), float(0.42 * math.cos(2.6 * x) + rng.uniform(-0.06, 0.03)), 0.11)
             for x in np.linspace(-0.46, 0.46, 22)]  # fmt: skip
    shape = Shape(smooth=True).ball("leaf", (0, 0, 0), (1, 1, 0.9), 3)
    for x, y, z, radius in puffs:
        shape.ball("leaf", (x, y, z), (radius, radius, 1.6 * radius), 1)
    return shape


def woods():
    """The edge of a wood, one unit long in y and high in z: trunks under a ragged line of crowns."""
    rng, shape = np.random.default_rng(47), Shape()
    puffs = []
    for y in np.linspace(-0.48, 0.48, 17):
        tall = float(rng.uniform(0.55, 0.85))
        for z in (0.25, 0.5 * tall + 0.1, tall):
            wide = float(rng.uniform(0.05, 0.09))
            puffs.append((float(rng.uniform(-0.12, 0.12)), float(y + rng.uniform(-0.02, 0.02)), z, wide))
    shape.box("shadow", (0, 0, 0.3), (0.08, 0.98, 0.6))
    for x, y, z, radius in puffs:
        _patches(shape, rng, (x, y, z), radius)
    shape.puffs = puffs
    return shape


def _patches(shape, rng, middle, radius):
    """Leaf patches of one crown in a strip that is far longer than high: stretched in z."""
    for _ in range(16):
        a, b = rng.uniform(0, 2 * math.pi), rng.uniform(-1, 1)
        spot = np.add(middle, (1.6 * radius * math.cos(a), radius * math.sin(a), 2.2 * radius * b))
        s = radius * rng.uniform(0.35, 0.6)
        turn = rng.uniform(-0.6, 0.6)
        side, up = np.array([0.8 * turn * s, s, 0.6 * s * turn]), np.array([0.3 * s, -0.4 * turn * s, 2 * s])
        shape.face("leaf", [tuple(spot + p * side + q * up) for p, q in ((-1, -0.4), (0.2, -1), (1, 0.2), (0.1, 1))])


def hedge():
    """A clipped hedge in a unit cube, its length along y."""
    rng, shape = np.random.default_rng(53), Shape().box("leaf", (0, 0, 0.47), (0.84, 1, 0.94))
    puffs = [(0.0, float(y), 0.5, 0.4) for y in np.linspace(-0.45, 0.45, 8)]
    for _ in range(220):
        face = int(rng.integers(3))
        x, z = ((-0.44, rng.random()), (0.44, rng.random()), (rng.uniform(-0.45, 0.45), 0.97))[face]
        y, s = rng.uniform(-0.5, 0.5), rng.uniform(0.7, 1.2)
        dx, dy, dz = 0.1 * s * rng.uniform(-1, 1), 0.03 * s, 0.09 * s
        shape.face(
            "leaf", [(x - dx, y - dy, z - dz), (x + dx, y + dy, z - dz), (x + dx, y + dy, z + dz), (x - dx, y, z + dz)]
        )
    shape.puffs = puffs
    return shape


def tuft():
    """Blades of tall grass beside a road, one unit long in y."""
    rng, shape = np.random.default_rng(59), Shape()
    for _ in range(90):
        x, y, z = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.4, 1)
        lean = rng.uniform(-0.12, 0.12, 2)
        shape.face("leaf", [(x - 0.03, y, 0), (x + 0.03, y, 0), (x + lean[0], y + 0.2 * lean[1], z)])
    return shape
