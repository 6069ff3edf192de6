# Drivelet's Blender worker: vehicles.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cars, vans, trucks and buses of real size, heading +y; origin on the ground at the centre."""

from blender_shapes import Shape

# A station along the body: y, bottom, shoulder, top, half widths at bottom, shoulder and top. Where the top is higher
# than the belt line there is glass between shoulder and top; where it rises there is a windscreen.
SEDAN = (
    (-2.25, 0.42, 0.66, 0.80, 0.74, 0.80, 0.66), (-2.16, 0.28, 0.74, 0.98, 0.80, 0.87, 0.72),
    (-1.62, 0.24, 0.82, 1.02, 0.82, 0.90, 0.72), (-0.98, 0.22, 0.87, 1.38, 0.83, 0.90, 0.56),
    (-0.20, 0.22, 0.88, 1.42, 0.83, 0.90, 0.59), (0.38, 0.22, 0.88, 1.39, 0.83, 0.90, 0.57),
    (1.18, 0.22, 0.85, 0.98, 0.83, 0.90, 0.72), (1.98, 0.24, 0.74, 0.83, 0.82, 0.87, 0.70),
    (2.25, 0.36, 0.56, 0.68, 0.72, 0.79, 0.62),
)  # fmt: skip
HATCH = (
    (-2.02, 0.40, 0.68, 0.86, 0.76, 0.82, 0.66), (-1.95, 0.26, 0.78, 1.02, 0.80, 0.87, 0.70),
    (-1.62, 0.22, 0.84, 1.42, 0.82, 0.89, 0.57), (-0.55, 0.22, 0.86, 1.49, 0.82, 0.89, 0.60),
    (0.30, 0.22, 0.86, 1.45, 0.82, 0.89, 0.58), (1.12, 0.22, 0.84, 0.98, 0.82, 0.89, 0.70),
    (1.82, 0.24, 0.72, 0.82, 0.80, 0.86, 0.68), (2.02, 0.36, 0.56, 0.66, 0.72, 0.79, 0.60),
)  # fmt: skip
SUV = (
    (-2.35, 0.48, 0.80, 0.98, 0.80, 0.86, 0.76), (-2.28, 0.34, 0.92, 1.14, 0.85, 0.93, 0.78),
    (-2.02, 0.30, 0.98, 1.66, 0.86, 0.95, 0.64), (-0.60, 0.28, 1.00, 1.72, 0.87, 0.95, 0.68),
    (0.42, 0.28, 1.00, 1.66, 0.87, 0.95, 0.65), (1.12, 0.28, 0.98, 1.14, 0.87, 0.95, 0.80),
    (2.10, 0.32, 0.90, 1.02, 0.86, 0.92, 0.78), (2.35, 0.44, 0.66, 0.84, 0.78, 0.84, 0.70),
)  # fmt: skip
VAN = (
    (-2.60, 0.50, 1.10, 1.20, 0.90, 0.96, 0.90), (-2.55, 0.36, 1.15, 2.15, 0.92, 0.99, 0.84),
    (-0.20, 0.34, 1.15, 2.22, 0.92, 0.99, 0.86), (1.05, 0.34, 1.15, 2.16, 0.92, 0.99, 0.82),
    (1.95, 0.34, 1.05, 1.22, 0.92, 0.98, 0.84), (2.50, 0.38, 0.85, 0.98, 0.88, 0.93, 0.78),
    (2.60, 0.50, 0.70, 0.82, 0.80, 0.86, 0.70),
)  # fmt: skip


def body(stations, belt, panel=()):
    """A smooth body with glass above the belt line; segments whose lower station is in `panel` keep sheet metal."""
    shape = Shape(smooth=True)
    halves = [
        (y, [(low, bottom), (shoulder, 0.55 * bottom + 0.45 * z), (shoulder, z), (top, lid)])
        for y, bottom, z, lid, low, shoulder, top in stations
    ]

    def name(k, j):
        high = [stations[k][3] > belt, stations[k + 1][3] > belt]
        if (j == 2 and any(high) and k not in panel) or (j == 3 and high[0] != high[1] and k not in panel):
            return "glass"
        return "gloss" if j else "trim"

    return shape.loft(halves, name)


def fittings(shape, stations, tail, head, axles, radius):
    """Lamps, plates, bumpers and wheels; `tail` and `head` are the heights of the lamps."""
    back, front, wide = stations[0][0], stations[-1][0], max(s[5] for s in stations)
    for x in (-1, 1):
        shape.box("tail", (x * (wide - 0.23), back + 0.05, tail), (0.3, 0.16, 0.15))
        shape.box("head", (x * (wide - 0.28), front - 0.1, head), (0.34, 0.22, 0.13))
        shape.box("trim", (x * (wide + 0.06), 0.17 * front + 0.42, 1.02 * stations[2][2]), (0.14, 0.1, 0.12))
        for y in axles:
            shape.wheel((x * (wide - 0.1), y, radius), radius, 0.24)
    shape.box("plate", (0, back - 0.01, tail - 0.18), (0.5, 0.03, 0.12))
    shape.box("plate", (0, front + 0.005, head - 0.26), (0.46, 0.03, 0.11))
    shape.box("trim", (0, back + 0.04, 0.42), (1.7 * wide, 0.14, 0.16))
    return shape.box("trim", (0, front - 0.02, 0.42), (1.5 * wide, 0.1, 0.2))


def sedan():
    return fittings(body(SEDAN, 1.1), SEDAN, 0.80, 0.62, (-1.38, 1.38), 0.33)


def hatchback():
    return fittings(body(HATCH, 1.1), HATCH, 0.84, 0.64, (-1.28, 1.28), 0.32)


def suv():
    shape = fittings(body(SUV, 1.2), SUV, 0.98, 0.82, (-1.42, 1.42), 0.38)
    for x in (-0.62, 0.62):
        shape.box("trim", (x, -0.7, 1.75), (0.05, 2.2, 0.05))
    return shape


def van():
    shape = fittings(body(VAN, 1.3, panel=(0, 1)), VAN, 1.05, 0.85, (-1.6, 1.65), 0.36)
    for x in (-0.42, 0.42):
        shape.box("glass", (x, -2.585, 1.68), (0.62, 0.03, 0.6))
    return shape.box("black", (0, -2.6, 1.3), (0.03, 0.03, 1.7))


def truck():
    """A box truck, 8.1 m long and 3.3 m high."""
    shape = (
        Shape(smooth=True).box("gloss", (0, -1.0, 2.05), (2.45, 6.0, 2.5)).box("black", (0, 0, 0.7), (2.2, 8.0, 0.3))
    )
    for x in (-1.235, 1.235):
        shape.box("trim", (x, -1.0, 0.86), (0.03, 6.0, 0.12))
    cab = ((2.1, 0.55, 1.9, 2.6, 1.1, 1.15, 1.1), (3.3, 0.55, 1.75, 2.6, 1.1, 1.15, 1.1),
           (3.85, 0.55, 1.6, 2.45, 1.1, 1.15, 1.0), (4.02, 0.6, 1.55, 1.6, 1.08, 1.12, 1.08))  # fmt: skip
    halves = [(y, [(low, b), (mid, (b + s) / 2), (mid, s), (top, t)]) for y, b, s, t, low, mid, top in cab]
    shape.loft(halves, lambda k, j: "glass" if (j == 2 and k > 0) or (j == 3 and k == 2) else "paint")
    shape.box("trim", (0, 4.03, 1.1), (1.5, 0.06, 0.5)).box("trim", (0, 3.98, 0.6), (2.2, 0.2, 0.3))
    shape.box("black", (0, -4.02, 2.0), (0.05, 0.04, 2.3)).box("trim", (0, -4.0, 0.62), (2.3, 0.1, 0.14))
    shape.box("plate", (0, -4.03, 0.84), (0.5, 0.03, 0.12))
    for x in (-0.95, 0.95):
        shape.box("tail", (x, -4.0, 0.78), (0.4, 0.1, 0.16)).box("head", (x, 4.04, 0.92), (0.35, 0.08, 0.2))
        shape.box("trim", (1.32 * x, 3.7, 1.95), (0.16, 0.12, 0.5))
        for y in (-3.0, -1.9, 3.0):
            shape.wheel((1.14 * x, y, 0.48), 0.48, 0.32)
    return shape


def bus():
    """A city bus, 11.5 m long: a box with a band of windows and a lit sign above the windscreen."""
    shape = (
        Shape(smooth=True).box("gloss", (0, 0, 0.85), (2.5, 11.5, 1.0)).box("gloss", (0, 0, 2.75), (2.46, 11.4, 0.5))
    )
    shape.box("glass", (0, 0, 1.92), (2.44, 11.4, 1.2)).box("trim", (0, 0, 0.32), (2.4, 11.3, 0.2))
    for k in range(7):
        shape.box("gloss", (0, -5.2 + 1.72 * k, 1.92), (2.47, 0.12, 1.2))
    for y in (-5.72, 5.72):
        shape.box("glass", (0, y, 1.75), (2.2, 0.1, 1.5 if y > 0 else 0.9))
    shape.box("amber", (0, 5.79, 2.72), (1.7, 0.03, 0.3)).box("amber", (0, -5.72, 2.72), (0.5, 0.06, 0.26))
    shape.box("plate", (0, -5.77, 0.62), (0.5, 0.03, 0.12)).box("trim", (0, 0, 3.05), (1.6, 4.0, 0.14))
    for x in (-1.02, 1.02):
        shape.box("tail", (x, -5.74, 1.0), (0.26, 0.08, 0.42)).box("head", (x, 5.75, 0.72), (0.36, 0.08, 0.2))
        for y in (-3.4, 3.7):
            shape.wheel((1.1 * x, y, 0.48), 0.48, 0.3)
    return shape


def lamp_pair():
    """Two lit lamps, one metre apart at the outside, that are laid over a vehicle's own."""
    return Shape().box("paint", (-0.4, 0, 0), (0.2, 1, 1)).box("paint", (0.4, 0, 0), (0.2, 1, 1))
