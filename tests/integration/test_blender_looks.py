"""Real Blender: lamps of every kind are lit in their colour, and lens effects reach the picture."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drivelet.adapters import blender
from drivelet.core.errors import MissingBackendError
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.facts import finish
from drivelet.synth.render import frame_jobs
from drivelet.synth.scene import sample_scene

try:
    blender.find_blender()
except MissingBackendError as error:
    pytest.skip(str(error), allow_module_level=True)

NEAR = replace(
    world(), roads={"straight": 1.0}, light={"day": 1.0}, weather={"overcast": 1.0}, mount={"pole": 1.0},
    lamp_m=(13.0, 15.0), lamp_far=0.0, traffic=0.0, pedestrians=0.0, cyclists=0.0, extra_heads=0.0, flashing=0.0,
    posted=0.0, occluders=0.0, distractors=0.0, dirty_lens=0.0, jpeg=(100, 100), cones={"0": 1.0}, lanes={"1": 1.0},
    area={"rural": 1.0},
)  # fmt: skip


def scenes() -> list[dict[str, Any]]:
    """A round lamp of each colour upright, a lying one, a straight arrow, and a dark head."""
    wanted: list[DomainConfig] = [
        *(replace(NEAR, lamp={state: 1.0}, signal_kinds={"ball": 1.0}) for state in ("red", "yellow", "green", "off")),
        replace(NEAR, lamp={"red": 1.0}, signal_layout={"horizontal": 1.0}, signal_kinds={"ball": 1.0}),
        replace(NEAR, lamp={"green": 1.0}, signal_kinds={"arrow_straight": 1.0}, signal_layout={"vertical": 1.0}),
    ]
    return [sample_scene(5, i, domain, size=(160, 96)) for i, domain in enumerate(wanted)]


def measurements(job: blender.Job) -> dict[str, Any]:
    return json.loads(job.labels.read_text(encoding="utf-8"))["objects"]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(float)


def test_lit_lamps_have_pixels_of_their_colour_and_dark_heads_none(tmp_path: Path) -> None:
    jobs = list(frame_jobs(scenes(), tmp_path))
    list(blender.render(jobs, log=tmp_path / "blender.log"))
    lamps = []
    for job in jobs:
        record = finish(job.scene, measurements(job))
        lamps.append(record["facts"]["governing_lamp"])
        for item in record["objects"]:
            if item["kind"] == "lamp":
                x0, y0, x1, y1 = item["box"]
                r, g, b = pixels(job.image)[y0:y1, x0:x1].reshape(-1, 3).mean(0)
                assert item["pixels"] >= 4
                assert {"red": r > 1.3 * g, "yellow": r > b + 50 and g > b + 30, "green": g > 1.15 * r}[item["state"]]
    assert lamps == ["red", "yellow", "green", "off", "red", "green"]


def test_a_low_sun_veils_the_picture_and_leaves_the_labels(tmp_path: Path) -> None:
    scene = sample_scene(5, 0, replace(NEAR, weather={"clear": 1.0}, glare=1.0), size=(160, 96))
    without = {**scene, "world": {**scene["world"], "glare": 0.0}}
    jobs = list(frame_jobs([scene, without], tmp_path))
    list(blender.render(jobs, log=tmp_path / "blender.log"))
    assert measurements(jobs[0]) == measurements(jobs[1])
    assert pixels(jobs[0].image).mean() > pixels(jobs[1].image).mean() + 5
