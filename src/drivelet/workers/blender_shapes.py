# Drivelet's Blender worker: how meshes are put together.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces with material names that become one mesh: boxes, cones, lofts, leaves, outlines and words."""

import math

import bpy  # first: it puts bmesh and mathutils on the path
import numpy as np

import bmesh  # isort: skip
from mathutils import Matrix, Vector  # isort: skip

SHARP = math.radians(38)


class Shape:
    """Collects faces with material names, then becomes one mesh."""

    def __init__(self, smooth=False):
        self.mesh = bmesh.new()
        self.names = []
        self.smooth = smooth
        self.puffs = []

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

    def box(self, material, at, scale, turn=None):
        return self._placed(bmesh.ops.create_cube(self.mesh, size=1), material, at, scale, turn)

    def cone(self, material, at, low, high, depth, segments=16, turn=None, caps=True):
        made = bmesh.ops.create_cone(
            self.mesh, cap_ends=caps, segments=segments, radius1=low, radius2=high, depth=depth
        )
        return self._placed(made, material, at, turn=turn)

    def ball(self, material, at, scale, detail=2):
        return self._placed(bmesh.ops.create_icosphere(self.mesh, subdivisions=detail, radius=0.5), material, at, scale)

    def limb(self, material, start, end, low, high, segments=7):
        """A tapered rod from `start` (radius `low`) to `end` (radius `high`)."""
        a, b = Vector(start), Vector(end)
        turn = (b - a).to_track_quat("Z", "Y").to_matrix().to_4x4()
        return self.cone(material, (a + b) / 2, low, high, (b - a).length, segments, turn)

    def face(self, material, points):
        return self._name([self.mesh.faces.new([self.mesh.verts.new(p) for p in points])], material)

    def wheel(self, at, radius, wide):
        """A tyre with a bright rim on both sides, axis along x."""
        turn = Matrix.Rotation(math.pi / 2, 4, "Y")
        self.cone("black", at, radius, radius, wide, 16, turn)
        return self.cone("rim", at, 0.6 * radius, 0.6 * radius, wide + 0.02, 10, turn)

    def loft(self, stations, name):
        """Skin over cross-sections of a symmetric body.

        A station is (y, [(half width, z), ...] from the bottom up); `name(k, j)` gives the material of segment j
        between stations k and k + 1, where the last segment is the lid over the top.
        """
        rings = [
            [self.mesh.verts.new((x, y, z)) for x, z in half]
            + [self.mesh.verts.new((-x, y, z)) for x, z in reversed(half)]
            for y, half in stations
        ]
        count = len(rings[0])
        for k in range(len(rings) - 1):
            for j in range(count):
                n = (j + 1) % count
                faces = [self.mesh.faces.new([rings[k][j], rings[k + 1][j], rings[k + 1][n], rings[k][n]])]
                self._name(faces, "black" if j == count - 1 else name(k, min(j, count - 2 - j)))
        self._name([self.mesh.faces.new(rings[0])], name(0, 0))
        return self._name([self.mesh.faces.new(rings[-1][::-1])], name(len(rings) - 2, 0))

    def leaves(self, rng, puffs, count, size):
        """Small leaf patches spread over ellipsoids (x, y, z, radius); light falls on them as on the whole crown."""
        weights = np.array([p[3] ** 2 for p in puffs])
        self.puffs = puffs
        for which in rng.choice(len(puffs), size=count, p=weights / weights.sum()):
            x, y, z, radius = puffs[which]
            out = rng.normal(size=3)
            out /= np.linalg.norm(out)
            spot = np.array([x, y, z]) + out * radius * rng.uniform(0.72, 1.04) * (1, 1, 0.85)
            side = np.cross(out, rng.normal(size=3))
            side /= np.linalg.norm(side)
            up = np.cross(side, out + 0.8 * rng.normal(size=3))
            up /= np.linalg.norm(up)
            s = size * rng.uniform(0.6, 1.3)
            corners = ((-1, -0.5), (0.1, -1), (1, 0.3), (0.3, 1), (-0.7, 0.7))
            if np.dot(np.cross(side, up), out) < 0:
                side = -side  # its face looks outwards: the renderer turns the normals of faces that look away
            self.face("leaf", [tuple(spot + s * (a * side + b * up)) for a, b in corners])
        return self

    def build(self, name, materials):
        data = bpy.data.meshes.new(name)
        self.mesh.to_mesh(data)
        self.mesh.free()
        for key in self.names:
            data.materials.append(materials.table[key])
        if self.smooth:
            data.shade_smooth()
            data.set_sharp_from_angle(angle=SHARP)
        if self.puffs:
            self._round(data)
        return data

    def _round(self, data):
        """Give leaf patches the normals of the crown that they are part of."""
        data.shade_smooth()
        points = np.empty(len(data.vertices) * 3, dtype=np.float32)
        data.vertices.foreach_get("co", points)
        points = points.reshape(-1, 1, 3)
        middles = np.array([p[:3] for p in self.puffs])
        nearest = np.linalg.norm(points - middles, axis=2).argmin(1)
        middle = np.average(middles, axis=0, weights=[p[3] for p in self.puffs])
        out = points[:, 0] - 0.5 * (middles[nearest] + middle) + (0, 0, 0.02)
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
        data.normals_split_custom_set_from_vertices(out.tolist())


def circle(radius, count, phase=0.0):
    """Points of a regular polygon in the xz plane, as seen by a driver."""
    angles = [phase + 2 * math.pi * k / count for k in range(count)]
    return [(radius * math.cos(a), 0.0, radius * math.sin(a)) for a in angles]


def upright(material, *outlines):
    """Flat figures that face the driver; each outline is a list of (x, z) or (x, y, z)."""
    shape = Shape()
    for points in outlines:
        shape.face(material, [(p[0], 0.0, p[-1]) for p in points])
    return shape


def flat(material, boxes):
    """Rectangles on the ground, each (x0, y0, x1, y1)."""
    shape = Shape()
    for x0, y0, x1, y1 in boxes:
        shape.face(material, [(x0, y0, 0), (x1, y0, 0), (x1, y1, 0), (x0, y1, 0)])
    return shape


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
