"""Real Blender: every kind of road renders, its surfaces leave no trace in the next frame, and wrong ones are named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drivelet.adapters import blender
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.synth.domain import world
from drivelet.synth.render import frame_jobs
from drivelet.synth.scene import sample_scene

try:
    blender.find_blender()
except MissingBackendError as error:
    pytest.skip(str(error), allow_module_level=True)

KINDS = tuple(world().roads)


def scene(kind: str) -> dict[str, Any]:
    domain = replace(
        world(), roads={kind: 1.0}, light={"day": 1.0}, weather={"clear": 1.0}, traffic=0.0, cones={"0": 1.0}
    )
    return sample_scene(3, 0, domain, size=(160, 96))


def render(scenes: list[dict[str, Any]], out: Path) -> list[blender.Job]:
    jobs = list(frame_jobs(scenes, out))
    assert len(list(blender.render(jobs, log=out / "blender.log"))) == len(jobs)
    return jobs


def pixels(job: blender.Job) -> np.ndarray:
    with Image.open(job.image) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, blender.Job]:
    jobs = render([scene(kind) for kind in KINDS], tmp_path_factory.mktemp("world"))
    return dict(zip(KINDS, jobs, strict=True))


def test_made_surfaces_are_measured_like_any_other(rendered: dict[str, blender.Job]) -> None:
    for kind in ("tee", "cross", "roundabout"):
        job = rendered[kind]
        found = json.loads(job.labels.read_text(encoding="utf-8"))["objects"]
        streets = [item["id"] for item in job.scene["objects"] if item["kind"] == "cross_street"]
        assert found[str(streets[0])]["pixels"] > 20
        assert found[str(streets[0])]["area"] > found[str(streets[0])]["pixels"] * 0.5


def test_surfaces_leave_no_trace_in_the_next_frame(rendered: dict[str, blender.Job], tmp_path: Path) -> None:
    kinds = ["crest", "roundabout", "curve"]
    again = render([scene(kind) for kind in kinds], tmp_path)
    for kind, job in zip(kinds, again, strict=True):
        assert np.array_equal(pixels(job), pixels(rendered[kind])), kind


def test_a_surface_of_an_unknown_material_is_refused_by_name(tmp_path: Path) -> None:
    wrong = scene("curve")
    next(part for part in wrong["parts"] if part["asset"] == "sweep")["material"] = "mud"
    with pytest.raises(InputError, match=r"000000\.png: ValueError: a sweep wants the material 'mud'"):
        render([wrong], tmp_path)
