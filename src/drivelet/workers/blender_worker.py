# Drivelet's Blender worker: renders scene records with Cycles.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render scene records: JSON lines on standard input, a PNG and a label JSON for each, one JSON line back for each.

A request is `{"scene": {...}, "key": text, "image": path, "labels": path}`; the answer is `{"image": path,
"seconds": s}` or `{"image": path, "error": text}`. Both files are written under a temporary name and renamed, labels
first, so that a file with its final name is always whole. The scene's `parts` place meshes of a pool that is built
once: `{"asset", "at": [x, y, z] m, "yaw": degrees, "roll": degrees, "scale": [x, y, z], "color": [r, g, b],
"glow": float, "index": instance id}`, and perhaps `"pitch"`. Coordinates: x right, y forward, z up, in metres. A part
whose asset is `sweep` or `patch` is a mesh of this scene alone, made from its `points` and `material`: see
`blender_surfaces.py`.

The label file is `{"key": the request's, "objects": {instance id: {"pixels": visible pixels, "box": [x0, y0, x1, y1]
visible, "amodal": the same of the whole object inside the picture, "area": pixels of its convex hull there}}}`.

Runs in an environment that has `bpy` (`python blender_worker.py`) or inside the program (`blender -b --python`).
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))  # inside the blender program it is not there
from blender_materials import Materials
from blender_meshes import ASSETS, NUMBERS, WORDS, text
from blender_pixels import develop, measure, read_exr, write_png
from blender_surfaces import BLANKS, SURFACES, fill


class Stage:
    """The Blender scene with its pool of hidden objects."""

    def __init__(self, threads):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.materials = Materials()
        self.pool = {}
        self.points = {}
        self.shown = []
        for name, (count, shape) in ASSETS.items():
            self._stock(name, count, shape().build(name, self.materials))
        for body in [*map(str, NUMBERS), *WORDS]:
            self._stock(f"text_{body}", 2, text(body, f"text_{body}", self.materials))
        for name in SURFACES:
            self._stock(name, BLANKS, bpy.data.meshes.new(name))
            for member in self.pool[name]:
                member.data = bpy.data.meshes.new(member.name)
        self._lights()
        self._world()
        self._settings(threads)

    def _stock(self, name, count, mesh):
        points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
        mesh.vertices.foreach_get("co", points)
        self.points[name] = points.reshape(-1, 3)
        self.pool[name] = []
        for k in range(count):
            member = bpy.data.objects.new(f"{name}.{k:03d}", mesh)
            member.hide_render = True
            self.scene.collection.objects.link(member)
            self.pool[name].append(member)

    def _light(self, name, kind):
        light = bpy.data.objects.new(name, bpy.data.lights.new(name, kind))
        self.scene.collection.objects.link(light)
        return light

    def _lights(self):
        self.sun = self._light("sun", "SUN")
        self.beams = [self._light(f"beam{k}", "SPOT") for k in range(2)]
        for beam in self.beams:
            beam.data.spot_size, beam.data.spot_blend, beam.data.shadow_soft_size = math.radians(62), 0.6, 0.1
            beam.data.use_nodes = True  # falls off as 1/r: a real low beam throws its light far ahead
            nodes, link = beam.data.node_tree.nodes, beam.data.node_tree.links.new
            falloff = nodes.new("ShaderNodeLightFalloff")
            falloff.inputs["Strength"].default_value = 1.0
            link(falloff.outputs["Linear"], nodes["Emission"].inputs["Strength"])
        self.lanterns = [self._light(f"lantern{k}", "POINT") for k in range(8)]
        for lantern in self.lanterns:
            lantern.data.shadow_soft_size = 0.4
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera

    def _world(self):
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        world.cycles.sampling_method = "NONE"
        self.scene.world = world
        nodes, link = world.node_tree.nodes, world.node_tree.links.new
        place, split, lift, blend = (
            nodes.new("ShaderNodeTexCoord"),
            nodes.new("ShaderNodeSeparateXYZ"),
            nodes.new("ShaderNodeMapRange"),
            nodes.new("ShaderNodeMix"),
        )
        link(place.outputs["Generated"], split.inputs[0])
        lift.inputs["From Min"].default_value, lift.inputs["From Max"].default_value = 0.0, 0.45
        link(split.outputs["Z"], lift.inputs["Value"])
        blend.data_type = "RGBA"
        link(lift.outputs[0], blend.inputs["Factor"])
        shift, noise, cover, cloudy = (
            nodes.new("ShaderNodeVectorMath"),
            nodes.new("ShaderNodeTexNoise"),
            nodes.new("ShaderNodeMapRange"),
            nodes.new("ShaderNodeMix"),
        )
        shift.operation = "MULTIPLY_ADD"
        shift.inputs[1].default_value = (1, 1, 3.2)
        link(place.outputs["Generated"], shift.inputs[0])
        link(shift.outputs[0], noise.inputs["Vector"])
        noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 2.6, 5.0
        link(noise.outputs[0], cover.inputs["Value"])
        cloudy.data_type = "RGBA"
        link(cover.outputs[0], cloudy.inputs["Factor"])
        link(blend.outputs["Result"], cloudy.inputs["A"])
        link(cloudy.outputs["Result"], nodes["Background"].inputs["Color"])
        self.sky = {"blend": blend, "cover": cover, "cloudy": cloudy, "shift": shift, "background": nodes["Background"]}

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

    # ---------------------------------------------------------------------------------------------- one scene

    def show(self, scene):
        """Place everything that the scene names and hide the rest."""
        for member in self.shown:
            member.hide_render = True
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
            member.hide_render = False
            self.shown.append(member)
        self._look(scene["camera"], scene["size"])
        self._light_up(scene["world"], scene["camera"])
        self.scene.cycles.seed = scene["seed"] % (2**31)

    def _look(self, camera, size):
        self.camera.location = camera["at"]
        self.camera.rotation_euler = (math.radians(90 + camera["pitch"]), 0, math.radians(camera["yaw"]))
        self.camera.data.angle = math.radians(camera["hfov"])
        self.camera.data.clip_end = 1000
        self.scene.render.resolution_x, self.scene.render.resolution_y = size
        self.scene.render.resolution_percentage = 100

    def _light_up(self, world, camera):
        self.materials.set(world)
        sun = self.sun
        sun.data.energy, sun.data.color = world["sun"], world["sun_color"]
        sun.data.angle = math.radians(world["sun_size"])
        sun.rotation_euler = (math.radians(90 - world["sun_elevation"]), 0, math.radians(world["sun_azimuth"]))
        blend, cover, cloudy = self.sky["blend"], self.sky["cover"], self.sky["cloudy"]
        blend.inputs["A"].default_value, blend.inputs["B"].default_value = (*world["horizon"], 1), (*world["zenith"], 1)
        cloudy.inputs["B"].default_value = (*world["cloud_color"], 1)
        edge = 0.72 - 0.35 * world["clouds"]
        cover.inputs["From Min"].default_value, cover.inputs["From Max"].default_value = edge, edge + 0.16
        self.sky["shift"].inputs[2].default_value = world["cloud_shift"]
        self.sky["background"].inputs["Strength"].default_value = 1.0
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

    def render(self, scene):
        """Return (linear colour HxWx3, instance ids HxW)."""
        self.show(scene)
        bpy.ops.render.render(write_still=True)
        return read_exr(self.scene.render.filepath)

    def project(self, scene):
        """Projected corners of each instance's parts: id -> Nx2 pixels (points behind the camera left out)."""
        bpy.context.view_layer.update()
        width, height = scene["size"]
        focal = width / 2 / math.tan(math.radians(scene["camera"]["hfov"]) / 2)
        view = np.array(self.camera.matrix_world.inverted())
        found = {}
        for part, member in zip(scene["parts"], self.shown, strict=True):
            if not part.get("index"):
                continue
            points = self.points[part["asset"]]
            if part["asset"] in SURFACES:
                points = np.array([vertex.co for vertex in member.data.vertices], dtype=np.float32)
            world = np.array(member.matrix_world)
            seen = (points @ world[:3, :3].T + world[:3, 3]) @ view[:3, :3].T + view[:3, 3]
            seen = seen[seen[:, 2] < -0.2]
            if not len(seen):
                continue
            uv = np.array([width, height]) / 2 + focal * seen[:, :2] / seen[:, 2:] * (-1, 1)
            found.setdefault(part["index"], []).append(uv)
        return {key: np.concatenate(parts) for key, parts in found.items()}


def answer(stage, request):
    """Render one request and write its files; returns the reply."""
    began, scene = time.perf_counter(), request["scene"]
    linear, ids = stage.render(scene)
    labels = {"key": request.get("key"), **measure(ids, stage.project(scene), scene["size"])}
    partial = Path(request["labels"] + ".partial")
    partial.write_text(json.dumps(labels), encoding="utf-8")
    partial.replace(request["labels"])
    write_png(request["image"], develop(linear, scene["world"], scene["seed"]))
    return {"image": request["image"], "seconds": round(time.perf_counter() - began, 4)}


def main():
    """Serve requests until standard input ends; Blender's own prints go to standard error."""
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description="Render scene records from standard input.")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    stage = Stage(options.threads)
    replies.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = answer(stage, request)
        except Exception as error:
            traceback.print_exc()
            reply = {"image": request.get("image"), "error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
