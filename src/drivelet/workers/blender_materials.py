# Drivelet's Blender worker: materials.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces: each stands behind the fog group; `paint` and its kin take colour and glow from the object."""

import math

import bpy

# name -> (colour, roughness, glow) of surfaces that look the same on every object
FIXED = {
    "black": ((0.015, 0.015, 0.016), 0.7, 0.0), "bark": ((0.09, 0.055, 0.03), 0.8, 0.0),
    "roof": ((0.15, 0.065, 0.045), 0.8, 0.0), "glass": ((0.018, 0.024, 0.03), 0.06, 0.0),
    "tail": ((0.45, 0.01, 0.01), 0.3, 0.35), "head": ((0.85, 0.85, 0.8), 0.3, 0.5),
    "plate": ((0.6, 0.6, 0.55), 0.7, 0.0), "rim": ((0.42, 0.43, 0.45), 0.35, 0.0),
    "trim": ((0.045, 0.046, 0.048), 0.55, 0.0), "cloth": ((0.03, 0.03, 0.035), 0.9, 0.0),
    "denim": ((0.05, 0.075, 0.15), 0.9, 0.0), "hair": ((0.03, 0.018, 0.01), 0.7, 0.0),
    "helmet": ((0.75, 0.7, 0.6), 0.4, 0.0), "reflex": ((0.75, 0.75, 0.7), 0.5, 0.12),
    "skin": ((0.45, 0.26, 0.17), 0.7, 0.0), "frame": ((0.5, 0.48, 0.45), 0.7, 0.0),
    "rail": ((0.12, 0.13, 0.14), 0.5, 0.0), "brick": ((0.22, 0.08, 0.05), 0.8, 0.0),
    "pane": ((0.16, 0.2, 0.2), 0.1, 0.0), "amber": ((1.0, 0.42, 0.05), 0.6, 0.7),
    "shadow": ((0.018, 0.03, 0.012), 0.9, 0.0),
}  # fmt: skip
# name -> a colour of its own for each object: (saturation, value, glow)
VARIED = {"awning": (0.75, 0.4, 0.0), "fascia": (0.6, 0.22, 0.0), "door": (0.5, 0.1, 0.0), "poster": (0.35, 0.45, 0.08)}


def fog_group():
    """A node group that mixes any surface with the fog colour by distance from the camera."""
    group = bpy.data.node_groups.new("Fog", "ShaderNodeTree")
    group.interface.new_socket("Surface", in_out="INPUT", socket_type="NodeSocketShader")
    group.interface.new_socket("Surface", in_out="OUTPUT", socket_type="NodeSocketShader")
    nodes, link = group.nodes, group.links.new
    entry, leave = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    camera, density = nodes.new("ShaderNodeCameraData"), nodes.new("ShaderNodeValue")
    density.name = "density"
    exponent = maths(group, "MULTIPLY", camera.outputs["View Distance"], density.outputs[0])
    factor = maths(group, "SUBTRACT", 1.0, maths(group, "POWER", math.exp(-1), exponent))
    veil, mix = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeMixShader")
    veil.name = "veil"
    link(factor, mix.inputs[0])
    link(entry.outputs[0], mix.inputs[1])
    link(veil.outputs[0], mix.inputs[2])
    link(mix.outputs[0], leave.inputs[0])
    return group


def maths(tree, operation, *values, clamp=False):
    """A Math node over sockets or numbers; returns its output."""
    node = tree.nodes.new("ShaderNodeMath")
    node.operation, node.use_clamp = operation, clamp
    return feed(tree, node, values).outputs[0]


def vectors(tree, operation, *values, out="Vector"):
    """A Vector Math node over sockets or triples; returns its output."""
    node = tree.nodes.new("ShaderNodeVectorMath")
    node.operation = operation
    return feed(tree, node, values).outputs[out]


def feed(tree, node, values):
    """Link or set the first inputs of a node."""
    for socket, value in zip(node.inputs, values, strict=False):
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, socket)
        else:
            socket.default_value = value
    return node


def ramp(tree, value, low, high, bottom=0.0, top=1.0):
    """Map a socket's range [low, high] to [bottom, top]; returns the node."""
    node = tree.nodes.new("ShaderNodeMapRange")
    return feed(tree, node, (value, low, high, bottom, top))


def noise(tree, place, scale, detail=2.0):
    """Noise in about 0.3..0.7 at a place; returns its output."""
    node = tree.nodes.new("ShaderNodeTexNoise")
    node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = scale, detail
    tree.links.new(place, node.inputs["Vector"])
    return node.outputs[0]


def dice(tree, place, size):
    """A random number in 0..1 for each cell of `size`; returns its output."""
    node = tree.nodes.new("ShaderNodeTexWhiteNoise")
    tree.links.new(vectors(tree, "SNAP", place, size), node.inputs["Vector"])
    return node.outputs["Value"]


class Materials:
    """All materials, each behind the fog group."""

    def __init__(self):
        self.fog = fog_group()
        self.wet, self.windows, self.table = [], [], {}
        for name, grain in (
            ("paint", None), ("gloss", None), ("asphalt", self._asphalt), ("ground", self._meadow),
            ("wall", self._plaster), ("leaf", self._foliage), ("marking", self._worn), ("pavement", self._slabs),
        ):  # fmt: skip
            self._coloured(name, grain)
        for name, look in FIXED.items():
            self._fixed(name, *look)
        for name, look in VARIED.items():
            self._varied(name, *look)
        self._window()
        self._shop()

    def _new(self, name, roughness, wet=False):
        """A material and its inputs: colour, colour of its glow, strength of it.

        What is rough gets a plain diffuse surface, which renders a tenth faster than a principled one without shine.
        """
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        material.cycles.emission_sampling = "NONE"
        tree = material.node_tree
        self.table[name] = material
        if roughness < 0.5 or wet:
            surface = tree.nodes["Principled BSDF"]
            surface.inputs["Roughness"].default_value = roughness
            surface.inputs["Specular IOR Level"].default_value = 0.15 if wet else 0.5
            inputs = [surface.inputs[socket] for socket in ("Base Color", "Emission Color", "Emission Strength")]
        else:
            tree.nodes.remove(tree.nodes["Principled BSDF"])
            matt, glow = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new("ShaderNodeEmission")
            surface = feed(tree, tree.nodes.new("ShaderNodeAddShader"), (matt.outputs[0], glow.outputs[0]))
            inputs = [matt.inputs["Color"], glow.inputs["Color"], glow.inputs["Strength"]]
        veil = tree.nodes.new("ShaderNodeGroup")
        veil.node_tree = self.fog
        tree.links.new(surface.outputs[0], veil.inputs[0])
        tree.links.new(veil.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
        if wet:
            self.wet.append(surface)
        return tree, inputs

    def _coloured(self, name, grain):
        """The object's colour, shaded by a texture; its alpha is the glow."""
        tree, (base, glow, strength) = self._new(
            name, {"gloss": 0.2}.get(name, 0.7), wet=name in ("asphalt", "marking")
        )
        info = tree.nodes.new("ShaderNodeObjectInfo")
        tint = info.outputs["Color"]
        if grain:
            place = tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]
            tint = vectors(tree, "SCALE", info.outputs["Color"])
            tree.links.new(grain(tree, place), tint.node.inputs["Scale"])
        for socket in (base, glow):
            tree.links.new(tint, socket)
        tree.links.new(info.outputs["Alpha"], strength)
        if name == "gloss":
            base.node.inputs["Coat Weight"].default_value, base.node.inputs["Coat Roughness"].default_value = 0.6, 0.15

    def _asphalt(self, tree, place):
        """Grain, patches of repair, and lighter and darker streaks along the road."""
        long = vectors(tree, "MULTIPLY", place, (1.1, 0.05, 1.0))
        streaks = ramp(tree, noise(tree, long, 1.3, 3.0), 0.3, 0.7, 0.8, 1.22).outputs[0]
        grain = ramp(tree, noise(tree, place, 9.0, 3.0), 0.3, 0.7, 0.82, 1.18).outputs[0]
        patch = ramp(tree, dice(tree, place, (2.6, 5.3, 9.0)), 0.95, 0.951, 1.0, 0.84).outputs[0]
        return maths(tree, "MULTIPLY", maths(tree, "MULTIPLY", streaks, grain), patch)

    def _meadow(self, tree, place):
        broad = ramp(tree, noise(tree, place, 0.12, 3.0), 0.35, 0.65, 0.7, 1.3).outputs[0]
        fine = ramp(tree, noise(tree, place, 3.0, 3.0), 0.3, 0.7, 0.55, 1.45).outputs[0]
        return maths(tree, "MULTIPLY", broad, fine)

    def _plaster(self, tree, place):
        """Stains that run down the wall, darker above the ground."""
        stains = ramp(
            tree, noise(tree, vectors(tree, "MULTIPLY", place, (1.0, 1.0, 0.25)), 0.9, 3.0), 0.3, 0.7, 0.82, 1.18
        )
        height = tree.nodes.new("ShaderNodeSeparateXYZ")
        tree.links.new(place, height.inputs[0])
        return maths(
            tree, "MULTIPLY", stains.outputs[0], ramp(tree, height.outputs["Z"], 0.0, 1.4, 0.6, 1.0).outputs[0]
        )

    def _foliage(self, tree, place):
        return ramp(tree, noise(tree, place, 2.5, 3.0), 0.3, 0.7, 0.6, 1.4).outputs[0]

    def _worn(self, tree, place):
        """Road paint with worn spots."""
        return ramp(tree, noise(tree, place, 3.5, 4.0), 0.34, 0.5, 0.5, 1.0).outputs[0]

    def _slabs(self, tree, place):
        """Paving stones of about 0.6 m with darker joints."""
        tone = ramp(tree, dice(tree, place, (0.7, 0.7, 9.0)), 0.0, 1.0, 0.88, 1.1).outputs[0]
        stains = ramp(tree, noise(tree, place, 0.8, 3.0), 0.3, 0.7, 0.8, 1.15).outputs[0]
        return maths(tree, "MULTIPLY", tone, stains)

    def _fixed(self, name, color, roughness, glow):
        _, (base, lit, strength) = self._new(name, roughness)
        base.default_value = lit.default_value = (*color, 1)
        strength.default_value = glow

    def _varied(self, name, saturation, value, glow):
        tree, (base, lit, strength) = self._new(name, 0.6)
        hue = tree.nodes.new("ShaderNodeCombineColor")
        hue.mode = "HSV"
        place = tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]
        feed(tree, hue, (dice(tree, place, (9.0, 6.0, 9.0)), saturation, value))
        for socket in (base, lit):
            tree.links.new(hue.outputs[0], socket)
        strength.default_value = glow

    def _panes(self, name, cell, share, color, curtains):
        """Glass, with curtains behind some panes; at night a part is lit, chosen by position."""
        tree, (base, glow, strength) = self._new(name, 0.08)
        place = tree.nodes.new("ShaderNodeNewGeometry").outputs["Position"]
        chance = dice(tree, place, cell)
        blend = tree.nodes.new("ShaderNodeMix")
        blend.data_type = "RGBA"
        tree.links.new(ramp(tree, chance, 0.1, 0.32, curtains, 0.0).outputs[0], blend.inputs["Factor"])
        blend.inputs["A"].default_value, blend.inputs["B"].default_value = (0.035, 0.05, 0.065, 1), (0.32, 0.3, 0.26, 1)
        tree.links.new(blend.outputs["Result"], base)
        lit = maths(tree, "MULTIPLY", maths(tree, "GREATER_THAN", chance, 1 - share), 0.0)
        self.windows.append(lit.node)
        glow.default_value = (*color, 1)
        tree.links.new(lit, strength)

    def _window(self):
        self._panes("window", (4.0, 4.0, 3.0), 0.4, (1.0, 0.7, 0.35), 1.0)

    def _shop(self):
        self._panes("shop", (9.0, 6.0, 9.0), 0.75, (1.0, 0.86, 0.6), 0.6)

    def set(self, world):
        """Apply one scene's fog, wetness and lit windows."""
        self.fog.nodes["density"].outputs[0].default_value = world["fog_density"]
        self.fog.nodes["veil"].inputs["Color"].default_value = (*world["fog_color"], 1)
        for surface in self.wet:
            surface.inputs["Roughness"].default_value = 0.7 - 0.5 * world["wet"]
            surface.inputs["Specular IOR Level"].default_value = 0.15 + 0.5 * world["wet"]
        for glow in self.windows:
            glow.inputs[1].default_value = world["window_glow"]
