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

A request is `{"scene": {...}, "key": text, "image": path, "labels": path}`, with `"cycles": {"cycles.samples": 16}`
where a measurement wants other settings of `cycles`, `render` or `world` for this frame; the answer is `{"image": path,
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
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # inside the blender program it is not there
from blender_lens import develop
from blender_pixels import measure, write_png


def open_stage(threads):
    """Import Blender as if the machine had `threads` processors: it starts a thread for each, and idle ones spin."""
    usual = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if usual:
        os.sched_setaffinity(0, sorted(usual)[:threads])
    from blender_stage import Stage

    if usual:
        os.sched_setaffinity(0, usual)
    return Stage(threads)


def answer(stage, request):
    """Render one request and write its files; returns the reply."""
    began, scene = time.perf_counter(), request["scene"]
    stage.tune(request.get("cycles") or {})
    linear, ids = stage.render(scene)
    labels = {"key": request.get("key"), **measure(ids, stage.project(scene), scene["size"])}
    partial = Path(request["labels"] + ".partial")
    partial.write_text(json.dumps(labels), encoding="utf-8")
    partial.replace(request["labels"])
    write_png(request["image"], develop(linear, scene["world"], scene["seed"], scene["camera"]))
    return {"image": request["image"], "seconds": round(time.perf_counter() - began, 4)}


def main():
    """Serve requests until standard input ends; Blender's own prints go to standard error."""
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description="Render scene records from standard input.")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    stage = open_stage(options.threads)
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
