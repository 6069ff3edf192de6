# Drivelet's Blender worker: buildings.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buildings in a unit cube that stands on the ground: x is depth, y length along the street, z height."""

from blender_shapes import Shape


def walls(shape, material, a0, a1, z0, z1, out, sides="xy"):
    """A rectangle on the walls, `out` in front of them: along y on the street and yard sides, along x on the gables."""
    for s in (-0.5 - out, 0.5 + out):
        if "x" in sides:
            shape.face(material, [(s, a0, z0), (s, a1, z0), (s, a1, z1), (s, a0, z1)])
        if "y" in sides:
            shape.face(material, [(a0, s, z0), (a1, s, z0), (a1, s, z1), (a0, s, z1)])
    return shape


def ledge(shape, material, z, high, out):
    """A band around the block."""
    return shape.box(material, (0, 0, z), (1 + 2 * out, 1 + out, high))


def shops(shape, top, count):
    """A ground floor of shop windows with doors, fascia boards and awnings."""
    wide = 1 / count
    ledge(shape, "frame", top, 0.012, 0.006)
    for i in range(count):
        a = -0.5 + i * wide
        walls(shape, "shop", a + 0.1 * wide, a + 0.66 * wide, 0.12 * top, 0.72 * top, 0.003)
        walls(shape, "door", a + 0.72 * wide, a + 0.9 * wide, 0, 0.7 * top, 0.003)
        walls(shape, "fascia", a + 0.05 * wide, a + 0.95 * wide, 0.76 * top, 0.95 * top, 0.004)
        if i % 2:
            for s in (-1, 1):
                edge = [(s * 0.5, a + 0.08 * wide, 0.77 * top), (s * 0.5, a + 0.68 * wide, 0.77 * top)]
                low = [(s * 0.585, a + 0.68 * wide, 0.66 * top), (s * 0.585, a + 0.08 * wide, 0.66 * top)]
                shape.face("awning", edge + low)
    return shape


def windows(shape, columns, rows, first, *, wide=0.52, high=0.56, sills=True):
    """Rows of framed windows from height `first` to the roof."""
    step, rise = 1 / columns, (0.96 - first) / rows
    for i in range(columns):
        middle = -0.5 + (i + 0.5) * step
        for k in range(rows):
            z, a = first + (k + 0.5 * (1 - high)) * rise, 0.5 * wide * step
            walls(
                shape, "frame", middle - 1.16 * a, middle + 1.16 * a, z - 0.05 * rise, z + (high + 0.05) * rise, 0.002
            )
            walls(shape, "window", middle - a, middle - 0.06 * a, z, z + high * rise, 0.004)
            walls(shape, "window", middle + 0.06 * a, middle + a, z, z + high * rise, 0.004)
            if sills:
                shape.box("frame", (0, middle, z - 0.06 * rise), (1.022, 2.4 * a, 0.05 * rise))
    return shape


def roof(shape, edge):
    """A parapet, and what stands on flat roofs."""
    ledge(shape, "frame", 0.985, 0.022, edge)
    for x, y, z in ((0.2, -0.2, 0.05), (-0.15, 0.25, 0.07)):
        shape.box("trim", (x, y, 1 + z / 2), (0.18, 0.12, z))
    return shape


def low_block():
    """Shops below three storeys."""
    shape = shops(Shape().box("wall", (0, 0, 0.5), (1, 1, 1)), 0.3, 4)
    return roof(windows(shape, 6, 3, 0.32), 0.02)


def flats():
    """Shops below six storeys, every second column with balconies."""
    shape = shops(Shape().box("wall", (0, 0, 0.5), (1, 1, 1)), 0.17, 5)
    windows(shape, 6, 6, 0.18)
    for i in (1, 4):
        for k in range(1, 6):
            z, y = 0.18 + 0.13 * k, -0.5 + (i + 0.5) / 6
            shape.box("wall", (0, y, z), (1.16, 0.13, 0.008)).box("rail", (0, y, z + 0.03), (1.165, 0.135, 0.045))
    return roof(shape, 0.012)


def tower():
    """Offices: bands of glass between piers over a tall entrance floor."""
    shape = Shape().box("window", (0, 0, 0.5), (0.985, 0.985, 0.99))
    for k in range(13):
        ledge(shape, "wall", 0.085 + 0.075 * k, 0.03, 0.0)
    for i in range(1, 8):
        a = -0.5 + i / 8
        shape.box("wall", (0, a, 0.5), (1.012, 0.022, 1)).box("wall", (a, 0, 0.5), (0.022, 1.012, 1))
    for x in (-0.488, 0.488):
        shape.box("wall", (x, -0.488, 0.5), (0.035, 0.035, 1)).box("wall", (x, 0.488, 0.5), (0.035, 0.035, 1))
    walls(shape, "shop", -0.44, 0.44, 0, 0.06, 0.002)
    return roof(shape, 0.01)


def hall():
    """A low shop or workshop: wide windows, a gate, a broad fascia."""
    shape = Shape().box("wall", (0, 0, 0.5), (1, 1, 1))
    walls(shape, "shop", -0.42, 0.1, 0.12, 0.6, 0.003, "x")
    walls(shape, "door", 0.2, 0.42, 0, 0.62, 0.003, "x")
    walls(shape, "fascia", -0.46, 0.46, 0.7, 0.9, 0.005, "x")
    return roof(shape, 0.015)


def gable(material, low, high, half, over, shape):
    """A roof with its ridge along x."""
    ridge = [(-over, 0, high), (over, 0, high)]
    for y in (-half, half):
        shape.face(material, [(-over, y, low), (over, y, low), ridge[1], ridge[0]])
        shape.box("frame", (0, y, low), (2 * over, 0.02, 0.035))
    return shape


def house():
    """A family house with a porch, a chimney and shuttered windows."""
    shape = gable("roof", 0.55, 1.0, 0.59, 0.57, Shape().box("wall", (0, 0, 0.3), (1, 1, 0.6)))
    for x in (-0.5, 0.5):
        shape.face("wall", [(x, -0.5, 0.6), (x, 0.5, 0.6), (x, 0, 0.98)])
        shape.box("frame", (1.004 * x, 0, 0.7), (0.02, 0.14, 0.16)).box("window", (1.01 * x, 0, 0.7), (0.02, 0.1, 0.12))
    shape.box("brick", (0.22, 0.16, 0.96), (0.09, 0.09, 0.26))
    for a in (-0.3, 0.28):
        for z in (0.12, 0.38):
            walls(shape, "frame", a - 0.1, a + 0.1, z - 0.015, z + 0.165, 0.003)
            walls(shape, "window", a - 0.085, a - 0.005, z, z + 0.15, 0.006)
            walls(shape, "window", a + 0.005, a + 0.085, z, z + 0.15, 0.006)
    walls(shape, "door", -0.06, 0.06, 0, 0.26, 0.006)
    for s in (-0.56, 0.56):
        shape.box("roof", (s, 0, 0.3), (0.16, 0.24, 0.02)).box("roof", (0, s, 0.3), (0.24, 0.16, 0.02))
        for k in (-0.1, 0.1):
            shape.box("frame", (1.12 * s, k, 0.15), (0.014, 0.014, 0.3)).box(
                "frame", (k, 1.12 * s, 0.15), (0.014, 0.014, 0.3)
            )
    return shape


def bungalow():
    """One broad storey with a hipped roof and a garage gate."""
    shape = Shape().box("wall", (0, 0, 0.27), (1, 1, 0.54))
    low = [(-0.57, -0.57, 0.52), (0.57, -0.57, 0.52), (0.57, 0.57, 0.52), (-0.57, 0.57, 0.52)]
    ridge = [(0, -0.25, 1.0), (0, 0.25, 1.0)]
    shape.face("roof", [low[0], low[1], ridge[0]]).face("roof", [low[2], low[3], ridge[1]])
    shape.face("roof", [low[1], low[2], ridge[1], ridge[0]]).face("roof", [low[3], low[0], ridge[0], ridge[1]])
    shape.box("frame", (0, 0, 0.51), (1.14, 1.14, 0.03))
    walls(shape, "frame", 0.1, 0.42, 0, 0.38, 0.004)
    walls(shape, "door", -0.1, 0.0, 0, 0.4, 0.005)
    walls(shape, "frame", -0.42, -0.18, 0.14, 0.42, 0.003)
    return walls(shape, "window", -0.4, -0.2, 0.17, 0.4, 0.006)
