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


def fog_group():
    """A node group that mixes any surface with the fog colour by distance from the camera."""
    group = bpy.data.node_groups.new("Fog", "ShaderNodeTree")
    group.interface.new_socket("Surface", in_out="INPUT", socket_type="NodeSocketShader")
    group.interface.new_socket("Surface", in_out="OUTPUT", socket_type="NodeSocketShader")
    nodes, link = group.nodes, group.links.new
    entry, leave = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    camera, density, exponent, factor = (
        nodes.new("ShaderNodeCameraData"),
        nodes.new("ShaderNodeValue"),
        nodes.new("ShaderNodeMath"),
        nodes.new("ShaderNodeMath"),
    )
    density.name = "density"
    exponent.operation = "MULTIPLY"
    link(camera.outputs["View Distance"], exponent.inputs[0])
    link(density.outputs[0], exponent.inputs[1])
    power = nodes.new("ShaderNodeMath")
    power.operation = "POWER"
    power.inputs[0].default_value = math.exp(-1)
    link(exponent.outputs[0], power.inputs[1])
    factor.operation = "SUBTRACT"
    factor.inputs[0].default_value = 1.0
    link(power.outputs[0], factor.inputs[1])
    veil, mix = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeMixShader")
    veil.name = "veil"
    link(factor.outputs[0], mix.inputs[0])
    link(entry.outputs[0], mix.inputs[1])
    link(veil.outputs[0], mix.inputs[2])
    link(mix.outputs[0], leave.inputs[0])
    return group


class Materials:
    """All materials, each behind the fog group; `paint` and its kin take colour and glow from the object."""

    def __init__(self):
        self.fog = fog_group()
        self.wet = []
        self.windows = []
        self.table = {
            "paint": self._make("paint"),
            "asphalt": self._make("asphalt", noise=(7.0, 0.22), wet=True),
            "ground": self._make("ground", noise=(1.2, 0.35)),
            "wall": self._make("wall", noise=(0.5, 0.12)),
            "leaf": self._make("leaf", noise=(2.5, 0.55)),
            "gloss": self._make("gloss", roughness=0.25),
            "black": self._make("black", color=(0.015, 0.015, 0.016)),
            "bark": self._make("bark", color=(0.09, 0.055, 0.03)),
            "roof": self._make("roof", color=(0.14, 0.06, 0.045)),
            "glass": self._make("glass", color=(0.03, 0.04, 0.05), roughness=0.1),
            "tail": self._make("tail", color=(0.45, 0.01, 0.01), glow=0.35),
            "head": self._make("head", color=(0.85, 0.85, 0.8), glow=0.5),
            "plate": self._make("plate", color=(0.6, 0.6, 0.55)),
            "window": self._window(),
        }

    def _make(self, name, color=None, glow=None, noise=None, roughness=0.7, wet=False):
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        material.cycles.emission_sampling = "NONE"
        nodes, link = material.node_tree.nodes, material.node_tree.links.new
        surface = nodes["Principled BSDF"]
        surface.inputs["Roughness"].default_value = roughness
        surface.inputs["Specular IOR Level"].default_value = 0.5 if roughness < 0.5 else 0.15
        if color is None:
            info = nodes.new("ShaderNodeObjectInfo")
            tint = info.outputs["Color"]
            if noise:
                tint = self._grain(material, tint, *noise)
            link(tint, surface.inputs["Base Color"])
            link(tint, surface.inputs["Emission Color"])
            link(info.outputs["Alpha"], surface.inputs["Emission Strength"])
        else:
            surface.inputs["Base Color"].default_value = (*color, 1)
            surface.inputs["Emission Color"].default_value = (*color, 1)
            surface.inputs["Emission Strength"].default_value = glow or 0.0
        if wet:
            self.wet.append(surface)
        self._veil(material, surface)
        return material

    def _grain(self, material, tint, scale, amount):
        nodes, link = material.node_tree.nodes, material.node_tree.links.new
        place, noise, level, mix = (
            nodes.new("ShaderNodeNewGeometry"),
            nodes.new("ShaderNodeTexNoise"),
            nodes.new("ShaderNodeMapRange"),
            nodes.new("ShaderNodeVectorMath"),
        )
        noise.inputs["Scale"].default_value = scale
        noise.inputs["Detail"].default_value = 3.0
        link(place.outputs["Position"], noise.inputs["Vector"])
        level.inputs["From Min"].default_value, level.inputs["From Max"].default_value = 0.3, 0.7
        level.inputs["To Min"].default_value, level.inputs["To Max"].default_value = 1 - amount, 1 + amount
        link(noise.outputs[0], level.inputs["Value"])
        mix.operation = "SCALE"
        link(tint, mix.inputs[0])
        link(level.outputs[0], mix.inputs["Scale"])
        return mix.outputs[0]

    def _window(self):
        """Dark glass; at night a part of the panes is lit, chosen by position."""
        material = self._make("window", color=(0.05, 0.07, 0.09), roughness=0.12)
        nodes, link = material.node_tree.nodes, material.node_tree.links.new
        place, cell, dice, lit, glow = (
            nodes.new("ShaderNodeNewGeometry"),
            nodes.new("ShaderNodeVectorMath"),
            nodes.new("ShaderNodeTexWhiteNoise"),
            nodes.new("ShaderNodeMath"),
            nodes.new("ShaderNodeMath"),
        )
        cell.operation = "SNAP"
        cell.inputs[1].default_value = (4.0, 4.0, 3.0)
        link(place.outputs["Position"], cell.inputs[0])
        link(cell.outputs[0], dice.inputs["Vector"])
        lit.operation, glow.operation = "GREATER_THAN", "MULTIPLY"
        link(dice.outputs["Value"], lit.inputs[0])
        lit.inputs[1].default_value = 0.6
        link(lit.outputs[0], glow.inputs[0])
        self.windows.append(glow)
        surface = nodes["Principled BSDF"]
        surface.inputs["Emission Color"].default_value = (1.0, 0.7, 0.35, 1)
        link(glow.outputs[0], surface.inputs["Emission Strength"])
        return material

    def _veil(self, material, surface):
        nodes, link = material.node_tree.nodes, material.node_tree.links.new
        veil = nodes.new("ShaderNodeGroup")
        veil.node_tree = self.fog
        link(surface.outputs[0], veil.inputs[0])
        link(veil.outputs[0], nodes["Material Output"].inputs["Surface"])

    def set(self, world):
        """Apply one scene's fog, wetness and lit windows."""
        self.fog.nodes["density"].outputs[0].default_value = world["fog_density"]
        self.fog.nodes["veil"].inputs["Color"].default_value = (*world["fog_color"], 1)
        for surface in self.wet:
            surface.inputs["Roughness"].default_value = 0.7 - 0.58 * world["wet"]
            surface.inputs["Specular IOR Level"].default_value = 0.15 + 0.5 * world["wet"]
        for glow in self.windows:
            glow.inputs[1].default_value = world["window_glow"]
