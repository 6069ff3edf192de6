# Drivelet's Blender worker: meshes.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool of meshes: what a scene's parts may name, built from code, in metres or in unit size."""

import math
from itertools import pairwise

import bpy  # first: it puts bmesh and mathutils on the path
import numpy as np

import bmesh  # isort: skip
from mathutils import Matrix, Vector  # isort: skip

NUMBERS = sorted({*range(5, 145, 5)})
WORDS = ("SPEED", "LIMIT", "STOP", "P")


class Shape:
    """Collects faces with material names, then becomes one mesh."""

    def __init__(self):
        self.mesh = bmesh.new()
        self.names = []

    def _name(self, faces, material):
        if material not in self.names:
            self.names.append(material)
        for face in faces:
            face.material_index = self.names.index(material)
        return self

    def _placed(self, made, material, at=(0, 0, 0), scale=(1, 1, 1), turn=None):
        verts = made["verts"]
        move = Matrix.Translation(Vector(at)) @ (turn or Matrix()) @ Matrix.Diagonal((*scale, 1))
        bmesh.ops.transform(self.mesh, matrix=move, verts=verts)
        return self._name({face for vert in verts for face in vert.link_faces}, material)

    def box(self, material, at, scale):
        return self._placed(bmesh.ops.create_cube(self.mesh, size=1), material, at, scale)

    def cone(self, material, at, low, high, depth, segments=16, turn=None, caps=True):
        made = bmesh.ops.create_cone(
            self.mesh, cap_ends=caps, segments=segments, radius1=low, radius2=high, depth=depth
        )
        return self._placed(made, material, at, turn=turn)

    def ball(self, material, at, scale, detail=2):
        return self._placed(bmesh.ops.create_icosphere(self.mesh, subdivisions=detail, radius=0.5), material, at, scale)

    def face(self, material, points):
        return self._name([self.mesh.faces.new([self.mesh.verts.new(p) for p in points])], material)

    def build(self, name, materials):
        data = bpy.data.meshes.new(name)
        self.mesh.to_mesh(data)
        self.mesh.free()
        for key in self.names:
            data.materials.append(materials.table[key])
        return data


def circle(radius, count, phase=0.0):
    """Points of a regular polygon in the xz plane, as seen by a driver."""
    angles = [phase + 2 * math.pi * k / count for k in range(count)]
    return [(radius * math.cos(a), 0.0, radius * math.sin(a)) for a in angles]


def upright(material, points):
    return Shape().face(material, points)


def flat(material, boxes):
    """Rectangles on the ground, each (x0, y0, x1, y1)."""
    shape = Shape()
    for x0, y0, x1, y1 in boxes:
        shape.face(material, [(x0, y0, 0), (x1, y0, 0), (x1, y1, 0), (x0, y1, 0)])
    return shape


def ring(inner):
    shape, out, hole = Shape(), circle(0.5, 40), circle(inner, 40)
    for k in range(40):
        n = (k + 1) % 40
        shape.face("paint", [out[k], out[n], hole[n], hole[k]])
    return shape


def head_body():
    """Housing of a vertical three-lamp head with visors, 0.42 x 1.26 m, lamps at z = +-0.4 and 0."""
    shape = Shape().box("paint", (0, 0.08, 0), (0.42, 0.16, 1.26))
    for z in (-0.4, 0.0, 0.4):
        points = [(math.cos(a) * 0.185, math.sin(a) * 0.185) for a in np.linspace(-0.35, math.pi + 0.35, 11)]
        for (x0, z0), (x1, z1) in pairwise(points):
            back = [(x0, 0, z + z0), (x1, 0, z + z1)]
            shape.face("paint", [*back, (x1 * 0.97, -0.2, z + z1), (x0 * 0.97, -0.2, z + z0)])
    return shape


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


def tree():
    shape = Shape().cone("bark", (0, 0, 0.2), 0.035, 0.022, 0.4, 8)
    crown = ((0, 0, 0.66, 0.62), (0.15, 0.1, 0.55, 0.42), (-0.17, -0.05, 0.58, 0.44), (0.02, -0.1, 0.83, 0.36))
    for x, y, z, size in crown:
        shape.ball("leaf", (x, y, z), (size, size, size * 0.85))
    return shape


def pine():
    shape = Shape().cone("bark", (0, 0, 0.1), 0.03, 0.025, 0.2, 8)
    for z, radius in ((0.3, 0.24), (0.52, 0.19), (0.75, 0.13)):
        shape.cone("leaf", (0, 0, z), radius, 0.02, 0.38, 10)
    return shape


def building(columns, rows):
    """A unit block with a grid of windows on the four walls; base at z = 0."""
    shape = Shape().box("wall", (0, 0, 0.5), (1, 1, 1))
    wide, high = 1 / columns, 1 / rows
    for i in range(columns):
        a0, a1 = -0.5 + (i + 0.22) * wide, -0.5 + (i + 0.78) * wide
        for k in range(rows):
            z0, z1 = (k + 0.3) * high, (k + 0.82) * high
            for s in (-0.502, 0.502):
                shape.face("window", [(a0, s, z0), (a1, s, z0), (a1, s, z1), (a0, s, z1)])
                shape.face("window", [(s, a0, z0), (s, a1, z0), (s, a1, z1), (s, a0, z1)])
    return shape


def house():
    shape = Shape().box("wall", (0, 0, 0.3), (1, 1, 0.6))
    ridge = [(-0.56, 0, 1.0), (0.56, 0, 1.0)]
    for y in (-0.58, 0.58):
        shape.face("roof", [(-0.56, y, 0.56), (0.56, y, 0.56), ridge[1], ridge[0]])
    for x in (-0.5, 0.5):
        shape.face("wall", [(x, -0.5, 0.6), (x, 0.5, 0.6), (x, 0, 0.98)])
    for x in (-0.28, 0.25):
        for s in (-0.502, 0.502):
            shape.face("window", [(x - 0.12, s, 0.2), (x + 0.12, s, 0.2), (x + 0.12, s, 0.45), (x - 0.12, s, 0.45)])
            shape.face("window", [(s, x - 0.12, 0.2), (s, x + 0.12, 0.2), (s, x + 0.12, 0.45), (s, x - 0.12, 0.45)])
    return shape


def cabin(shape, low, high, z0, z1, wide):
    """The glass house of a car: a trapezoid between the y ranges `low` (at z0) and `high` (at z1), with a roof."""
    a, b = wide / 2, wide / 2 - 0.16
    base = [(-a, low[0], z0), (a, low[0], z0), (a, low[1], z0), (-a, low[1], z0)]
    top = [(-b, high[0], z1), (b, high[0], z1), (b, high[1], z1), (-b, high[1], z1)]
    for k in range(4):
        n = (k + 1) % 4
        shape.face("glass", [base[k], base[n], top[n], top[k]])
    return shape.box("gloss", (0, sum(high) / 2, z1 + 0.02), (2 * b + 0.04, high[1] - high[0] + 0.06, 0.07))


def wheels(shape, wide, fronts, radius):
    for x in (-wide / 2 + 0.08, wide / 2 - 0.08):
        for y in fronts:
            shape.cone("black", (x, y, radius), radius, radius, 0.22, 14, Matrix.Rotation(math.pi / 2, 4, "Y"))
    return shape


def car(length, wide, sill, roof, low, high):
    """A car of real size heading +y; origin on the ground at its centre."""
    shape = Shape().box("gloss", (0, 0, 0.25 + (sill - 0.25) / 2), (wide, length, sill - 0.25))
    shape.box("black", (0, 0, 0.3), (wide * 0.98, length * 1.01, 0.18))
    cabin(shape, low, high, sill, roof, wide - 0.12)
    for x in (-wide / 2 + 0.2, wide / 2 - 0.2):
        shape.box("tail", (x, -length / 2, sill - 0.17), (0.32, 0.06, 0.17))
        shape.box("head", (x, length / 2, sill - 0.22), (0.34, 0.06, 0.16))
    shape.box("plate", (0, -length / 2 - 0.01, 0.55), (0.5, 0.03, 0.12))
    return wheels(shape, wide, (-length * 0.3, length * 0.3), 0.33)


def truck():
    shape = Shape().box("gloss", (0, -1.0, 2.05), (2.45, 6.0, 2.5)).box("black", (0, 0, 0.7), (2.2, 8.0, 0.3))
    shape.box("paint", (0, 3.1, 1.6), (2.3, 1.8, 1.9)).box("glass", (0, 4.0, 2.0), (2.1, 0.1, 0.8))
    shape.box("black", (0, -4.02, 2.0), (0.05, 0.04, 2.3))
    for x in (-0.95, 0.95):
        shape.box("tail", (x, -4.0, 0.75), (0.35, 0.06, 0.16)).box("head", (x, 4.03, 0.95), (0.35, 0.06, 0.2))
    return wheels(shape, 2.4, (-3.0, -1.9, 3.0), 0.48)


def person():
    shape = Shape().cone("paint", (0, 0, 1.1), 0.2, 0.23, 0.65, 10).ball("bark", (0, 0, 1.6), (0.23, 0.23, 0.28))
    return shape.cone("black", (-0.09, 0, 0.4), 0.08, 0.1, 0.8, 8).cone("black", (0.09, 0.06, 0.4), 0.08, 0.1, 0.8, 8)


def text(body, name, materials):
    """Mesh of a word in the built-in font, fitted into the unit square and facing the driver."""
    curve = bpy.data.curves.new(name, "FONT")
    curve.body, curve.offset, curve.resolution_u = body, 0.022, 3
    carrier = bpy.data.objects.new(name, curve)
    bpy.context.scene.collection.objects.link(carrier)
    graph = bpy.context.evaluated_depsgraph_get()
    data = bpy.data.meshes.new_from_object(carrier.evaluated_get(graph))
    bpy.data.objects.remove(carrier)
    points = np.empty(len(data.vertices) * 3, dtype=np.float32)
    data.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3)
    low, high = points.min(0), points.max(0)
    fitted = (points - (low + high) / 2) / np.maximum(high - low, 1e-6)
    data.vertices.foreach_set("co", np.stack([fitted[:, 0], 0 * fitted[:, 0], fitted[:, 1]], 1).ravel())
    data.update()
    data.materials.clear()
    data.materials.append(materials.table["paint"])
    return data


SEDAN = (4.5, 1.8, 0.92, 1.42, (-1.7, 1.2), (-0.95, 0.35))
SUV = (4.7, 1.9, 1.08, 1.72, (-2.2, 1.2), (-2.0, 0.5))
SQUARE = [(-0.5, 0, -0.5), (0.5, 0, -0.5), (0.5, 0, 0.5), (-0.5, 0, 0.5)]

# asset -> (how many a scene may hold, its shape); the pool is built once, in this order, so that the order of
# objects never depends on what was rendered before.
ASSETS = {
    "box": (70, lambda: Shape().box("paint", (0, 0, 0), (1, 1, 1))),
    "asphalt": (6, lambda: flat("asphalt", [(-0.5, -0.5, 0.5, 0.5)])),
    "ground": (8, lambda: flat("ground", [(-0.5, -0.5, 0.5, 0.5)])),
    "line": (24, lambda: flat("paint", [(-0.5, -0.5, 0.5, 0.5)])),
    "dashes": (16, lambda: flat("paint", [(-0.5, 9 * k, 0.5, 9 * k + 3.2) for k in range(14)])),
    "zebra": (4, lambda: flat("paint", [((k + 0.25) / 12 - 0.5, -0.5, (k + 0.78) / 12 - 0.5, 0.5) for k in range(12)])),
    "panel": (48, lambda: upright("paint", SQUARE)),
    "disc": (12, lambda: upright("paint", circle(0.5, 40))),
    "lamp": (30, lambda: upright("paint", circle(0.5, 20))),
    "ring": (6, lambda: ring(0.385)),
    "octagon": (4, lambda: upright("paint", circle(0.5, 8, math.pi / 8))),
    "triangle": (6, lambda: upright("paint", circle(0.5, 3, math.pi / 2))),
    "diamond": (6, lambda: upright("paint", circle(0.5, 4))),
    "pole": (40, lambda: Shape().cone("paint", (0, 0, 0.5), 0.5, 0.5, 1, 10)),
    "head": (10, head_body),
    "cone_body": (20, lambda: cone_bands("paint", (0, 2, 4)).box("paint", (0, 0, 0.03), (0.5, 0.5, 0.06))),
    "cone_bands": (20, lambda: cone_bands("paint", (1, 3))),
    "drum_body": (16, lambda: drum(False)),
    "drum_bands": (16, lambda: drum(True)),
    "tree": (34, tree),
    "pine": (34, pine),
    "bush": (16, lambda: Shape().ball("leaf", (0, 0, 0.3), (1, 1, 0.8))),
    "house": (24, house),
    "block_a": (26, lambda: building(5, 4)),
    "block_b": (26, lambda: building(7, 7)),
    "block_c": (14, lambda: building(9, 12)),
    "sedan": (8, lambda: car(*SEDAN)),
    "suv": (8, lambda: car(*SUV)),
    "truck": (8, truck),
    "person": (8, person),
}
