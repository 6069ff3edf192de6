# Drivelet's Blender worker: the stage.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender scene: a pool of objects that is built once; those of a record are placed, lit and in the scene.

The others are outside it: Blender looks at every object of a scene for every frame, hidden ones too.
"""

import math
import tempfile
from pathlib import Path

import bpy
import numpy as np
from blender_materials import Materials
from blender_meshes import ASSETS, NUMBERS, WORDS, text
from blender_pixels import read_exr
from blender_sky import Lights, Sky
from blender_surfaces import BLANKS, SURFACES, corners, fill
from mathutils import Matrix


def matrix(member):
    """Where an object without a parent stands; Blender's own matrix waits for an update of the whole scene."""
    return Matrix.LocRotScale(member.location, member.rotation_euler, member.scale)


class Stage:
    """The Blender scene with its pool of objects."""

    def __init__(self, threads):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.materials = Materials()
        self.pool = {}
        self.points = {}
        self.shown = []
        self.usual = {}
        for name, (count, shape) in ASSETS.items():
            self._stock(name, count, shape().build(name, self.materials))
        for body in [*map(str, NUMBERS), *WORDS]:
            self._stock(f"text_{body}", 2, text(body, f"text_{body}", self.materials))
        for name in SURFACES:
            self._stock(name, BLANKS, bpy.data.meshes.new(name))
            for member in self.pool[name]:
                member.data = bpy.data.meshes.new(member.name)
        self.lights = Lights(self.scene)
        self.sky = Sky(self.scene)
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera
        self._settings(threads)

    def _stock(self, name, count, mesh):
        self.points[name] = corners(mesh)
        self.pool[name] = []
        for k in range(count):
            member = bpy.data.objects.new(f"{name}.{k:03d}", mesh)
            member.visible_diffuse = name != "lamp_pair"  # two samples of such small bright lamps are specks
            self.pool[name].append(member)

    def _settings(self, threads):
        scene, render, cycles = self.scene, self.scene.render, self.scene.cycles
        render.engine = "CYCLES"
        cycles.device = "CPU"
        cycles.samples, cycles.max_bounces, cycles.use_adaptive_sampling = 2, 1, False
        cycles.use_light_tree = False
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.denoising_quality = "FAST"
        cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "NONE"
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect = 2.0
        scene.view_settings.view_transform = "Standard"
        scene.view_layers[0].use_pass_object_index = True
        render.use_persistent_data = False
        render.threads_mode, render.threads = "FIXED", threads
        render.use_file_extension = False
        render.use_compositing = render.use_sequencer = False
        settings = render.image_settings
        settings.media_type = "MULTI_LAYER_IMAGE"
        settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
        settings.use_exr_interleave = True
        self.folder = tempfile.TemporaryDirectory(prefix="drivelet-blender-")
        render.filepath = str(Path(self.folder.name) / "frame.exr")

    def tune(self, wanted):
        """Change named settings (`cycles.samples`) until the next call, and give the others their own value back."""
        roots = {"cycles": self.scene.cycles, "render": self.scene.render, "world": self.scene.world.cycles}
        for name, value in [*self.usual.items(), *wanted.items()]:
            root, _, attribute = name.partition(".")
            self.usual.setdefault(name, getattr(roots[root], attribute))
            setattr(roots[root], attribute, value)

    def show(self, scene):
        """Place everything that the scene names and take out what the last one named."""
        linked = self.scene.collection.objects
        for member in self.shown:
            linked.unlink(member)
            if member.data.name.split(".")[0] in SURFACES:
                member.data.clear_geometry()
        used, self.shown = {}, []
        for part in scene["parts"]:
            name = part["asset"]
            used[name] = used.get(name, -1) + 1
            if name not in self.pool:
                raise ValueError(f"scene {scene['id']} wants the asset {name!r}, which is not in the pool")
            if used[name] >= len(self.pool[name]):
                raise ValueError(f"scene {scene['id']} wants more than {len(self.pool[name])} of {name}")
            member = self.pool[name][used[name]]
            member.location = part["at"]
            if name in SURFACES:
                fill(member.data, part, self.materials)
            member.rotation_euler = [math.radians(part.get(turn, 0)) for turn in ("pitch", "roll", "yaw")]
            member.scale = part["scale"]
            member.color = (*part["color"], part.get("glow", 0.0))
            member.pass_index = part.get("index", 0)
            linked.link(member)
            self.shown.append(member)
        self._look(scene["camera"], scene["size"])
        self.materials.set(scene["world"])
        self.sky.set(scene["world"])
        self.lights.set(scene["world"], scene["camera"])
        self.scene.cycles.seed = scene["seed"] % (2**31)

    def _look(self, camera, size):
        self.camera.location = camera["at"]
        self.camera.rotation_euler = (math.radians(90 + camera["pitch"]), 0, math.radians(camera["yaw"]))
        self.camera.data.angle = math.radians(camera["hfov"])
        self.camera.data.clip_end = 1000
        self.scene.render.resolution_x, self.scene.render.resolution_y = size
        self.scene.render.resolution_percentage = 100

    def render(self, scene):
        """Return (linear colour HxWx3, instance ids HxW)."""
        self.show(scene)
        Path(self.scene.render.filepath).unlink(missing_ok=True)  # a full disk must not leave the last frame's pixels
        bpy.ops.render.render(write_still=True)
        try:
            return read_exr(self.scene.render.filepath)
        except Exception as error:  # Blender says nothing of a disk that is full
            path = self.scene.render.filepath
            raise RuntimeError(f"{path} is missing or cut short: make room there, or set TMPDIR") from error

    def project(self, scene):
        """Projected corners of each instance's parts: id -> Nx2 pixels (points behind the camera left out)."""
        width, height = scene["size"]
        focal = width / 2 / math.tan(math.radians(scene["camera"]["hfov"]) / 2)
        view = np.array(matrix(self.camera).inverted())
        found = {}
        for part, member in zip(scene["parts"], self.shown, strict=True):
            if not part.get("index"):
                continue
            points = self.points[part["asset"]]
            if part["asset"] in SURFACES:
                points = corners(member.data)
            world = np.array(matrix(member))
            seen = (points @ world[:3, :3].T + world[:3, 3]) @ view[:3, :3].T + view[:3, 3]
            seen = seen[seen[:, 2] < -0.2]
            if not len(seen):
                continue
            uv = np.array([width, height]) / 2 + focal * seen[:, :2] / seen[:, 2:] * (-1, 1)
            found.setdefault(part["index"], []).append(uv)
        return {key: np.concatenate(parts) for key, parts in found.items()}
