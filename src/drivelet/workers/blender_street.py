# Drivelet's Blender worker: street furniture.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands along a street: bins, shelters, rails, masts and wires, in metres or in unit size."""

import math
from itertools import pairwise

from blender_shapes import Shape


def bin_():
    shape = (
        Shape(smooth=True)
        .box("paint", (0, 0, 0.55), (0.5, 0.55, 0.95))
        .box("paint", (0, 0.02, 1.06), (0.56, 0.62, 0.08))
    )
    return shape.wheel((0.2, -0.22, 0.1), 0.1, 0.06).wheel((-0.2, -0.22, 0.1), 0.1, 0.06)


def shelter():
    """A bus stop: glass walls under a flat roof, open towards -x, with a bench and a lit poster."""
    shape = Shape().box("trim", (0, 0, 2.45), (1.5, 4.2, 0.12)).box("bark", (0.45, 0.4, 0.48), (0.4, 2.4, 0.07))
    for y in (-2.0, -0.7, 0.7, 2.0):
        shape.box("trim", (0.7, y, 1.2), (0.07, 0.07, 2.4))
    for y in (-1.35, 0.0, 1.35):
        shape.box("pane", (0.7, y, 1.3), (0.02, 1.2, 1.7))
    return shape.box("trim", (0, 2.0, 1.2), (1.3, 0.1, 2.2)).box("poster", (0, 1.98, 1.3), (1.1, 0.14, 1.7))


def bench():
    shape = Shape().box("bark", (0, 0, 0.46), (0.5, 1.7, 0.06)).box("bark", (0.24, 0, 0.75), (0.05, 1.7, 0.3))
    for y in (-0.7, 0.7):
        shape.box("trim", (0, y, 0.23), (0.45, 0.08, 0.46))
    return shape


def hydrant():
    shape = (
        Shape(smooth=True)
        .cone("paint", (0, 0, 0.3), 0.13, 0.11, 0.6, 10)
        .ball("paint", (0, 0, 0.62), (0.24, 0.24, 0.24))
    )
    return shape.limb("paint", (-0.2, 0, 0.42), (0.2, 0, 0.42), 0.06, 0.06)


def bollard():
    return (
        Shape(smooth=True)
        .cone("trim", (0, 0, 0.45), 0.06, 0.06, 0.9, 10)
        .cone("reflex", (0, 0, 0.78), 0.063, 0.063, 0.08, 10)
    )


def fence():
    """Pickets in a unit cube, along y."""
    shape = Shape().box("paint", (0, 0, 0.3), (0.3, 1, 0.08)).box("paint", (0, 0, 0.75), (0.3, 1, 0.08))
    for k in range(24):
        shape.box("paint", (0.1, -0.48 + k / 24, 0.48), (0.2, 0.024, 0.96))
    return shape


def wood_mast():
    """A utility pole of 8 m with a crossarm."""
    shape = Shape(smooth=True).cone("bark", (0, 0, 4), 0.14, 0.1, 8, 8).box("bark", (0, 0, 7.4), (1.8, 0.1, 0.12))
    for x in (-0.8, 0.0, 0.8):
        shape.cone("plate", (x, 0, 7.52), 0.04, 0.03, 0.14, 6)
    return shape.cone("rim", (0.25, 0, 6.4), 0.2, 0.2, 0.6, 10)


def wire():
    """Three wires that hang between masts one unit apart in y and sag by one unit."""
    shape = Shape()
    for x in (-0.8, 0.0, 0.8):
        spots = [(x, k / 10, 4 * ((k / 10 - 0.5) ** 2 - 0.25)) for k in range(11)]
        for (_, y0, z0), (_, y1, z1) in pairwise(spots):
            shape.face("black", [(x - 0.012, y0, z0), (x + 0.012, y0, z0), (x + 0.012, y1, z1), (x - 0.012, y1, z1)])
            shape.face("black", [(x, y0, z0 - 0.014), (x, y0, z0 + 0.014), (x, y1, z1 + 0.014), (x, y1, z1 - 0.014)])
    return shape


def street_lamp():
    """A bent mast of unit height whose arm reaches over the road, towards -x; the lamp is another part."""
    shape, last = Shape(smooth=True).cone("paint", (0, 0, 0.06), 0.016, 0.012, 0.12, 8), (0.0, 0.0, 0.0)
    for k in range(8):
        a = math.pi / 2 * max(k - 1, 0) / 6
        here = (-0.24 * (1 - math.cos(a)), 0.0, 0.86 * min(k, 1) + 0.14 * math.sin(a) * min(k, 1))
        if k:
            shape.limb("paint", last, here, 0.011, 0.009, 6)
        last = here
    return shape


def board():
    """A poster wall on two legs, 4 x 2.6 m, facing the driver."""
    shape = Shape().box("poster", (0, 0, 2.7), (4.0, 0.12, 2.4)).box("trim", (0, 0.02, 2.7), (4.16, 0.14, 2.56))
    for x in (-1.5, 1.5):
        shape.box("trim", (x, 0.1, 1.0), (0.14, 0.14, 2.0))
    return shape.box("poster", (0, -0.04, 2.7), (4.0, 0.1, 2.4))
