# Drivelet's Blender worker: the pool of meshes.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool: what a scene's parts may name, built from code, in metres or in unit size."""

import math

from blender_buildings import bungalow, flats, hall, house, low_block, tower
from blender_people import cyclist, person, stander, walker, worker
from blender_plants import bush, hedge, hill, pine, slender, tree, tuft, woods
from blender_shapes import Shape, circle, flat, text, upright
from blender_signals import ARROW, SQUARE, figure, hand, head_body, level_body, ring, stripes, truss, walker_body
from blender_street import (
    bench,
    bin_,
    board,
    bollard,
    fence,
    hydrant,
    shelter,
    street_lamp,
    wire,
    wood_mast,
)
from blender_vehicles import bus, hatchback, lamp_pair, sedan, suv, truck, van

__all__ = ["ASSETS", "NUMBERS", "WORDS", "text"]

NUMBERS = sorted({*range(5, 145, 5)})
WORDS = ("SPEED", "LIMIT", "STOP", "P", "SCHOOL", "WORK", "ZONE", "AHEAD", "YIELD", "END", "EXIT", "ONE WAY")

CONE = ((0.06, 0.185), (0.40, 0.105), (0.55, 0.09), (0.70, 0.062), (0.84, 0.05), (1.0, 0.028))


def cone_bands(material, picks):
    """Bands of a traffic cone of height 1 between the profile points named by `picks`."""
    shape = Shape()
    for k in picks:
        (z0, r0), (z1, r1) = CONE[k], CONE[k + 1]
        shape.cone(material, (0, 0, (z0 + z1) / 2), r0, r1, z1 - z0, caps=k == 4)
    return shape


def drum(bands):
    """A channelising drum of height 1: its orange rings with the foot, or its two white bands."""
    shape = Shape()
    rings = ((0.3, 0.47), (0.64, 0.81)) if bands else ((0.04, 0.3), (0.47, 0.64), (0.81, 1.0))
    for low, high in rings:
        shape.cone("paint", (0, 0, (low + high) / 2), 0.29 - 0.05 * low, 0.29 - 0.05 * high, high - low, caps=high == 1)
    return shape if bands else shape.cone("black", (0, 0, 0.03), 0.36, 0.34, 0.06)


# asset -> (how many a scene may hold, its shape); the pool is built once, in this order, so that the order of
# objects never depends on what was rendered before.
ASSETS = {
    "box": (110, lambda: Shape().box("paint", (0, 0, 0), (1, 1, 1))),
    "asphalt": (6, lambda: flat("asphalt", [(-0.5, -0.5, 0.5, 0.5)])),
    "ground": (8, lambda: flat("ground", [(-0.5, -0.5, 0.5, 0.5)])),
    "line": (24, lambda: flat("marking", [(-0.5, -0.5, 0.5, 0.5)])),
    "dashes": (16, lambda: flat("marking", [(-0.5, 9 * k, 0.5, 9 * k + 3.2) for k in range(14)])),
    "zebra": (
        4,
        lambda: flat("marking", [((k + 0.25) / 12 - 0.5, -0.5, (k + 0.78) / 12 - 0.5, 0.5) for k in range(12)]),
    ),
    "panel": (72, lambda: upright("paint", SQUARE)),
    "disc": (20, lambda: upright("paint", circle(0.5, 40))),
    "lamp": (44, lambda: upright("paint", circle(0.5, 20))),
    "ring": (8, lambda: ring(0.385)),
    "octagon": (4, lambda: upright("paint", circle(0.5, 8, math.pi / 8))),
    "triangle": (12, lambda: upright("paint", circle(0.5, 3, math.pi / 2))),
    "triangle_down": (4, lambda: upright("paint", circle(0.5, 3, -math.pi / 2))),
    "diamond": (8, lambda: upright("paint", circle(0.5, 4))),
    "pole": (70, lambda: Shape().cone("paint", (0, 0, 0.5), 0.5, 0.5, 1, 10)),
    "head": (14, head_body),
    "cone_body": (20, lambda: cone_bands("paint", (0, 2, 4)).box("paint", (0, 0, 0.03), (0.5, 0.5, 0.06))),
    "cone_bands": (20, lambda: cone_bands("paint", (1, 3))),
    "drum_body": (16, lambda: drum(False)),
    "drum_bands": (16, lambda: drum(True)),
    "tree": (40, tree),
    "pine": (40, pine),
    "bush": (16, hill),
    "house": (28, house),
    "block_a": (40, low_block),
    "block_b": (48, flats),
    "block_c": (24, tower),
    "sedan": (10, sedan),
    "suv": (10, suv),
    "truck": (10, truck),
    "person": (8, person),
    # The second edition: what `world` scenes add.
    "hatchback": (10, hatchback),
    "van": (8, van),
    "bus": (4, bus),
    "lamp_pair": (40, lamp_pair),
    "walker": (8, walker),
    "stander": (8, stander),
    "worker": (6, worker),
    "cyclist": (6, cyclist),
    "head_level": (10, level_body),
    "walker_head": (8, walker_body),
    "arrow": (44, lambda: upright("paint", ARROW)),
    "man_stands": (8, lambda: figure(False)),
    "man_walks": (8, lambda: figure(True)),
    "hand": (8, hand),
    "thin_ring": (8, lambda: ring(0.46)),
    "stripes": (4, stripes),
    "chevron": (
        8,
        lambda: upright("paint", [(-0.5, -0.5), (0.0, -0.5), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.5), (0.0, 0.0)]),
    ),
    "truss": (24, truss),
    "slender": (40, slender),
    "shrub": (40, bush),
    "hedge": (24, hedge),
    "woods": (16, woods),
    "tuft": (24, tuft),
    "bungalow": (20, bungalow),
    "hall": (20, hall),
    "bin": (8, bin_),
    "shelter": (3, shelter),
    "bench": (6, bench),
    "hydrant": (8, hydrant),
    "bollard": (24, bollard),
    "fence": (36, fence),
    "wood_mast": (8, wood_mast),
    "wire": (8, wire),
    "street_lamp": (12, street_lamp),
    "board": (3, board),
}
