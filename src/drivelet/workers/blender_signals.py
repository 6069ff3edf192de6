# Drivelet's Blender worker: signals and figures of signs.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Housings of traffic lights, and the flat figures that lamps and signs show."""

import math
from itertools import pairwise

import numpy as np
from blender_shapes import Shape, circle, upright

SQUARE = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
ARROW = [(-0.5, 0.0), (-0.05, 0.42), (-0.05, 0.15), (0.5, 0.15), (0.5, -0.15), (-0.05, -0.15), (-0.05, -0.42)]


def visors(shape, x, z):
    """A hood over one lamp."""
    points = [(math.cos(a) * 0.185, math.sin(a) * 0.185) for a in np.linspace(-0.35, math.pi + 0.35, 11)]
    for (x0, z0), (x1, z1) in pairwise(points):
        back = [(x + x0, 0, z + z0), (x + x1, 0, z + z1)]
        shape.face("paint", [*back, (x + x1 * 0.97, -0.2, z + z1), (x + x0 * 0.97, -0.2, z + z0)])
    return shape


def head_body():
    """Housing of a vertical three-lamp head with visors, 0.42 x 1.26 m, lamps at z = +-0.4 and 0."""
    shape = Shape().box("paint", (0, 0.08, 0), (0.42, 0.16, 1.26))
    for z in (-0.4, 0.0, 0.4):
        visors(shape, 0, z)
    return shape


def level_body():
    """The same lying down, lamps at x = +-0.4 and 0."""
    shape = Shape().box("paint", (0, 0.08, 0), (1.26, 0.16, 0.42))
    for x in (-0.4, 0.0, 0.4):
        visors(shape, x, 0)
    return shape


def walker_body():
    """Housing of a pedestrian signal, 0.36 x 0.66 m, lamps at z = +-0.16."""
    shape = Shape().box("paint", (0, 0.08, 0), (0.36, 0.16, 0.66))
    for z in (-0.16, 0.16):
        shape.box("paint", (0, -0.05, z + 0.15), (0.34, 0.12, 0.02))
    return shape


def ring(inner, low=0.0, high=2 * math.pi, count=40):
    """A ring, or the part of one between two angles."""
    shape = Shape()
    angles = np.linspace(low, high, count + 1)
    spots = [[(r * math.cos(a), 0.0, r * math.sin(a)) for a in angles] for r in (0.5, inner)]
    for k in range(count):
        shape.face("paint", [spots[0][k], spots[0][k + 1], spots[1][k + 1], spots[1][k]])
    return shape


def stripes():
    """The bars across an end-of-limit sign: five parallel lines from lower left to upper right, inside the disc."""
    outlines = []
    for k in range(-2, 3):
        off = 0.085 * k
        reach, half = math.sqrt(0.25 - off * off) * 0.92, 0.017
        along, across = np.array([1.0, 1.0]) / math.sqrt(2), np.array([-1.0, 1.0]) / math.sqrt(2)
        ends = [(reach, half), (-reach, half), (-reach, -half), (reach, -half)]
        outlines.append([tuple(p * along + (off + q) * across) for p, q in ends])
    return upright("paint", *outlines)


def figure(walks):
    """The little man of a pedestrian signal, standing or walking, in the unit square."""
    head = [(0.12 * x, 0.12 * z + 0.38) for x, _, z in circle(1, 10)]
    if walks:
        body = [(-0.08, 0.24), (0.1, 0.24), (0.08, -0.08), (0.28, -0.5), (0.16, -0.5), (-0.02, -0.16), (-0.2, -0.5),
                (-0.32, -0.48), (-0.1, -0.05)]  # fmt: skip
        return upright("paint", head, body, [(-0.06, 0.22), (-0.3, 0.0), (-0.24, -0.06), (-0.02, 0.1)])
    body = [
        (-0.2, 0.24),
        (0.2, 0.24),
        (0.2, -0.1),
        (0.11, -0.1),
        (0.11, -0.5),
        (-0.11, -0.5),
        (-0.11, -0.1),
        (-0.2, -0.1),
    ]
    return upright("paint", head, body)


def hand():
    """The raised hand of American pedestrian signals."""
    fingers = [[(x, 0.0), (x + 0.09, 0.0), (x + 0.09, top), (x, top)] for x, top in
               ((-0.24, 0.36), (-0.12, 0.46), (0.0, 0.48), (0.12, 0.4))]  # fmt: skip
    palm = [
        (-0.24, 0.03),
        (0.21, 0.03),
        (0.4, 0.2),
        (0.44, 0.12),
        (0.2, -0.3),
        (0.1, -0.48),
        (-0.14, -0.48),
        (-0.24, -0.2),
    ]
    return upright("paint", palm, *fingers)


def truss():
    """One metre of a gantry's lattice beam along x, in a unit square of y and z."""
    shape = Shape()
    for y in (-0.5, 0.5):
        for z in (-0.5, 0.5):
            shape.box("paint", (0, y, z), (1, 0.14, 0.14))
        for k in range(12):
            a, b = -0.5 + k / 12, -0.5 + (k + 1) / 12
            z = -0.45 if k % 2 else 0.45
            shape.face("paint", [(a, y, z), (a + 0.012, y, z), (b + 0.012, y, -z), (b, y, -z)])
    return shape
