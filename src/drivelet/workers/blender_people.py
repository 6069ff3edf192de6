# Drivelet's Blender worker: people and their bicycles.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walkers, workers and cyclists of real size, heading +y; the jacket takes the object's colour."""

import math
from itertools import pairwise

from blender_shapes import Shape

HIP, NECK = 0.9, 1.42


def figure(stride, *, trousers="cloth", swing=None, vest=False):
    """A person in mid-step: `stride` is how far the front foot stands ahead, in metres."""
    shape, swing = Shape(smooth=True), stride if swing is None else swing
    for side, step in ((-1, stride), (1, -stride)):
        x = 0.09 * side
        knee = (x, 0.35 * step + 0.06, 0.48)
        shape.limb(trousers, (x, 0, HIP), knee, 0.1, 0.07).limb(trousers, knee, (x, 0.8 * step, 0.08), 0.07, 0.05)
        shape.box("black", (x, 0.8 * step + 0.05, 0.045), (0.1, 0.27, 0.09))
        elbow, hand = (0.27 * side, 0.2 * swing * side - 0.06, 1.13), (0.26 * side, 0.55 * swing * side + 0.06, 0.9)
        shape.limb("paint", (0.2 * side, 0, NECK - 0.04), elbow, 0.065, 0.055).limb("paint", elbow, hand, 0.055, 0.04)
        shape.ball("skin", hand, (0.09, 0.09, 0.11), 1)
    for (z0, w0), (z1, w1) in pairwise(((0.84, 0.17), (1.05, 0.16), (1.3, 0.215), (1.44, 0.15))):
        shape.cone("paint", (0, 0, (z0 + z1) / 2), w0, w1, z1 - z0, 10)
    if vest:
        for z in (1.0, 1.2):
            shape.cone("reflex", (0, 0, z), 0.19, 0.195, 0.05, 10)
        shape.ball("helmet", (0, 0, 1.68), (0.25, 0.28, 0.2), 2)
    shape.cone("skin", (0, 0, 1.48), 0.06, 0.06, 0.12, 7).ball("skin", (0, 0.01, 1.61), (0.19, 0.22, 0.25), 2)
    return shape if vest else shape.ball("hair", (0, -0.025, 1.645), (0.2, 0.22, 0.2), 2)


def person():
    return figure(0.3)


def walker():
    """The other step, in jeans, with a bag on the back."""
    return figure(-0.36, trousers="denim").box("cloth", (0, -0.2, 1.22), (0.3, 0.16, 0.4))


def stander():
    return figure(0.05, trousers="denim", swing=0.12)


def worker():
    return figure(0.16, trousers="denim", vest=True)


def hoop(shape, material, y, z, radius, thick):
    """A thin wheel in the yz plane."""
    for k in range(14):
        a, b = 2 * math.pi * k / 14, 2 * math.pi * (k + 1) / 14
        start = (0, y + radius * math.cos(a), z + radius * math.sin(a))
        shape.limb(material, start, (0, y + radius * math.cos(b), z + radius * math.sin(b)), thick, thick, 5)


def cyclist():
    shape, seat, bar, crank = Shape(smooth=True), (0, -0.25, 0.98), (0, 0.42, 1.02), (0, 0.0, 0.32)
    for y in (-0.52, 0.52):
        hoop(shape, "black", y, 0.34, 0.33, 0.022)
    for start, end in ((crank, seat), (crank, bar), (seat, (0, -0.52, 0.34)), ((0, -0.2, 0.85), (0, 0.38, 0.88)),
                       (bar, (0, 0.52, 0.34)), (crank, (0, -0.52, 0.34))):  # fmt: skip
        shape.limb("trim", start, end, 0.022, 0.022, 5)
    shape.box("black", (0, -0.25, 1.0), (0.14, 0.26, 0.06)).box("tail", (0, -0.42, 0.78), (0.07, 0.04, 0.06))
    for side, lift in ((-1, 0.16), (1, -0.12)):
        foot, knee = (0.1 * side, 0.02, 0.34 + lift), (0.1 * side, 0.2, 0.72 + 0.6 * lift)
        shape.limb("denim", (0.08 * side, -0.24, 1.04), knee, 0.1, 0.07).limb("denim", knee, foot, 0.07, 0.05)
        shape.box("black", (0.1 * side, 0.06, 0.3 + lift), (0.09, 0.26, 0.08))
        hand = (0.24 * side, 0.42, 1.06)
        shape.limb("paint", (0.19 * side, 0.12, 1.5), (0.26 * side, 0.3, 1.24), 0.06, 0.05)
        shape.limb("paint", (0.26 * side, 0.3, 1.24), hand, 0.05, 0.04).ball("skin", hand, (0.09, 0.1, 0.09), 1)
    shape.limb("paint", (0, -0.24, 1.02), (0, 0.1, 1.5), 0.16, 0.2, 10).limb(
        "skin", (0, 0.1, 1.5), (0, 0.16, 1.6), 0.06, 0.06
    )
    shape.ball("skin", (0, 0.18, 1.68), (0.19, 0.22, 0.25), 2)
    return shape.ball("helmet", (0, 0.16, 1.73), (0.23, 0.3, 0.2), 2)
