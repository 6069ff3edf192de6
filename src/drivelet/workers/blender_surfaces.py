# Drivelet's Blender worker: meshes of one scene.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes that are made for one scene: cross-sections that follow a line, and polygons.

A `sweep` has `points` [[x, y, z], ...] and a `profile` [[to the right, up], ...]; with `dash` [length, gap] it is cut
into dashes. A `patch` has `points`, its outline, and perhaps `drop`, the height of walls beneath it. They fill meshes
of a pool, which the next scene empties again, so that neither memory nor the order of objects depends on the scenes.
"""

import numpy as np

SURFACES = ("sweep", "patch")
BLANKS = 64


def fill(mesh, part, materials):
    """Give an empty mesh the geometry and material of a part."""
    if part["material"] not in materials.table:
        raise ValueError(f"a {part['asset']} wants the material {part['material']!r}, which is none")
    points = np.array(part["points"], dtype=float)
    verts, faces = _sweep(points, part) if part["asset"] == "sweep" else _patch(points, part.get("drop", 0.0))
    mesh.from_pydata(verts.tolist(), [], faces)
    mesh.materials.clear()
    mesh.materials.append(materials.table[part["material"]])


def corners(mesh):
    """The vertices of a mesh, (N, 3)."""
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def _sweep(points, part):
    profile = np.array(part["profile"], dtype=float)
    pieces = [points] if "dash" not in part else _dashes(points, *part["dash"])
    verts, faces, first, wide = [], [], 0, len(profile)
    for piece in pieces:
        ring = _rings(piece, profile)
        verts.append(ring.reshape(-1, 3))
        for k in range(len(piece) - 1):
            a = first + k * wide
            faces += [(a + j, a + j + 1, a + wide + j + 1, a + wide + j) for j in range(wide - 1)]
        first += len(piece) * wide
    return (np.concatenate(verts) if verts else np.empty((0, 3))), faces


def _rings(points, profile):
    """Cross-sections (N, P, 3) at each point of a line, square to it and mitred at its corners."""
    steps = np.diff(points, axis=0)
    along = steps[:, :2] / np.maximum(np.linalg.norm(steps[:, :2], axis=1, keepdims=True), 1e-9)
    closed = np.allclose(points[0], points[-1])
    before = np.concatenate([along[-1:] if closed else along[:1], along])
    after = np.concatenate([along, along[:1] if closed else along[-1:]])
    middle = before + after
    middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-9)
    stretch = 1 / np.maximum((middle * after).sum(1), 0.5)
    right = np.stack([middle[:, 1], -middle[:, 0], np.zeros(len(points))], 1) * stretch[:, None]
    up = np.array([0.0, 0.0, 1.0])
    return points[:, None] + profile[None, :, :1] * right[:, None] + profile[None, :, 1:] * up


def _dashes(points, length, gap):
    """Cut a line into pieces of `length` with `gap` between."""
    reach = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    pieces = []
    for start in np.arange(0, reach[-1] - length / 2, length + gap):
        stop = min(start + length, reach[-1])
        at = np.array([start, *reach[(reach > start + 0.05) & (reach < stop - 0.05)], stop])
        pieces.append(np.stack([np.interp(at, reach, points[:, axis]) for axis in range(3)], 1))
    return pieces


def _patch(points, drop):
    count = len(points)
    faces = [tuple(range(count))]
    if not drop:
        return points, faces
    faces += [(k, (k + 1) % count, count + (k + 1) % count, count + k) for k in range(count)]
    return np.concatenate([points, points - [0, 0, drop]]), faces
