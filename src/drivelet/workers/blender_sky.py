# Drivelet's Blender worker: sky and lights.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sun, sky with clouds and far hills, street lamps and headlights; everything that `world` of a scene sets."""

import math

import bpy
from blender_materials import feed, maths, noise, ramp, vectors

BEAMS, LANTERNS = 2, 8


def mixed(tree, factor, first, second):
    """A colour mix; `first` and `second` are sockets or None (set later); returns the node."""
    node = tree.nodes.new("ShaderNodeMix")
    node.data_type = "RGBA"
    for value, name in ((factor, "Factor"), (first, "A"), (second, "B")):
        if value is not None:
            tree.links.new(value, node.inputs[name])
    return node


class Sky:
    """The background: a gradient, a glow around the sun, clouds, and a line of hills."""

    def __init__(self, scene):
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        world.cycles.sampling_method = "NONE"
        scene.world = world
        tree = self.tree = world.node_tree
        direction = tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"]
        split = tree.nodes.new("ShaderNodeSeparateXYZ")
        tree.links.new(direction, split.inputs[0])
        height = split.outputs["Z"]
        self.blend = mixed(tree, maths(tree, "POWER", ramp(tree, height, 0.0, 0.6).outputs[0], 0.7), None, None)
        self._clouds(direction, height)
        self._halo(direction)
        self._hills(split, height)
        tree.links.new(self.hills.outputs["Result"], tree.nodes["Background"].inputs["Color"])

    def _clouds(self, direction, height):
        """Noise on a flat ceiling: small near the horizon, large overhead; lit from above, grey below."""
        tree = self.tree
        ceiling = maths(tree, "ADD", maths(tree, "MAXIMUM", height, 0.0), 0.16)
        flat = vectors(tree, "SCALE", direction)
        tree.links.new(maths(tree, "DIVIDE", 0.42, ceiling), flat.node.inputs["Scale"])
        self.shift = vectors(tree, "ADD", flat, (0, 0, 0)).node
        shape = noise(tree, self.shift.outputs[0], 1.6, 4.0)
        self.cover = ramp(tree, shape, 0.5, 0.7)
        self.shade = mixed(tree, ramp(tree, shape, 0.5, 0.85).outputs[0], None, None)
        self.cloudy = mixed(tree, self.cover.outputs[0], self.blend.outputs["Result"], self.shade.outputs["Result"])

    def _halo(self, direction):
        tree = self.tree
        self.toward = vectors(tree, "DOT_PRODUCT", direction, (0, 0, 1), out="Value").node
        near = maths(tree, "MAXIMUM", self.toward.outputs["Value"], 0.0)
        wide, tight = maths(tree, "POWER", near, 40.0), maths(tree, "POWER", near, 2500.0)
        self.halo = maths(tree, "MULTIPLY", maths(tree, "MULTIPLY_ADD", tight, 40.0, wide), 0.0).node
        self.warm = vectors(tree, "SCALE", (1.0, 0.85, 0.62)).node
        tree.links.new(self.halo.outputs[0], self.warm.inputs["Scale"])
        self.lit = vectors(tree, "ADD", self.cloudy.outputs["Result"], self.warm.outputs[0])

    def _hills(self, split, height):
        """Far hills: their outline follows noise over the bearing; no hill where `skyline` is 0."""
        tree = self.tree
        bearing = tree.nodes.new("ShaderNodeCombineXYZ")
        feed(tree, bearing, (split.outputs["X"], split.outputs["Y"], 0.0))
        self.turn = vectors(tree, "ADD", bearing.outputs[0], (0, 0, 0)).node
        outline = ramp(tree, noise(tree, self.turn.outputs[0], 3.2, 3.0), 0.3, 0.75, 0.0, 0.0)
        self.skyline = outline
        below = maths(tree, "LESS_THAN", height, outline.outputs[0])
        self.hills = mixed(tree, below, self.lit, None)

    def set(self, world):
        """Apply one scene's sky."""
        dull = [0.72 * c for c in world["cloud_color"]]
        self.blend.inputs["A"].default_value = (*world["horizon"], 1)
        self.blend.inputs["B"].default_value = (*world["zenith"], 1)
        self.shade.inputs["A"].default_value = (*world["cloud_color"], 1)
        self.shade.inputs["B"].default_value = (*dull, 1)
        edge = 0.72 - 0.35 * world["clouds"]
        self.cover.inputs["From Min"].default_value, self.cover.inputs["From Max"].default_value = edge, edge + 0.2
        self.shift.inputs[1].default_value = world["cloud_shift"]
        azimuth, elevation = math.radians(world["sun_azimuth"]), math.radians(world["sun_elevation"])
        side = math.cos(elevation)
        self.toward.inputs[1].default_value = (
            side * math.sin(azimuth), -side * math.cos(azimuth), math.sin(elevation),
        )  # fmt: skip
        self.halo.inputs[1].default_value = world.get("sun_glow", 0.0)
        self.skyline.inputs["To Max"].default_value = world.get("skyline", 0.0)
        self.turn.inputs[1].default_value = world["cloud_shift"]
        hills = [0.72 * f + 0.28 * g for f, g in zip(world["fog_color"], (0.05, 0.08, 0.05), strict=True)]
        self.hills.inputs["B"].default_value = (*hills, 1)


class Lights:
    """The sun, the ego's low beams and the street lamps."""

    def __init__(self, scene):
        self.scene = scene
        self.sun = self._light("sun", "SUN")
        self.beams = [self._light(f"beam{k}", "SPOT") for k in range(BEAMS)]
        for beam in self.beams:
            beam.data.spot_size, beam.data.spot_blend, beam.data.shadow_soft_size = math.radians(62), 0.6, 0.1
            beam.data.use_nodes = True  # falls off as 1/r: a real low beam throws its light far ahead
            tree = beam.data.node_tree
            falloff = tree.nodes.new("ShaderNodeLightFalloff")
            falloff.inputs["Strength"].default_value = 1.0
            falloff.inputs[
                "Smooth"
            ].default_value = 60.0  # what is near is not burnt out: the beam's core lies far ahead
            tree.links.new(falloff.outputs["Linear"], tree.nodes["Emission"].inputs["Strength"])
        self.lanterns = [self._light(f"lantern{k}", "POINT") for k in range(LANTERNS)]
        for lantern in self.lanterns:
            lantern.data.shadow_soft_size = 0.4

    def _light(self, name, kind):
        light = bpy.data.objects.new(name, bpy.data.lights.new(name, kind))
        self.scene.collection.objects.link(light)
        return light

    def set(self, world, camera):
        """Apply one scene's lights."""
        sun = self.sun
        sun.data.energy, sun.data.color = world["sun"], world["sun_color"]
        sun.data.angle = math.radians(world["sun_size"])
        sun.rotation_euler = (math.radians(90 - world["sun_elevation"]), 0, math.radians(world["sun_azimuth"]))
        x, y, _ = camera["at"]
        for side, beam in zip((-0.6, 0.6), self.beams, strict=True):
            beam.location = (x + side, y + 0.8, 0.75)
            beam.rotation_euler = (math.radians(89.0), 0, math.radians(camera["yaw"]))
            beam.data.energy = world["headlights"]
            beam.hide_render = world["headlights"] <= 0
        places = world["lanterns"]
        for k, lantern in enumerate(self.lanterns):
            lantern.hide_render = k >= len(places)
            if k < len(places):
                lantern.location, lantern.data.energy = places[k], world["lantern_watts"]
                lantern.data.color = world["lantern_color"]
