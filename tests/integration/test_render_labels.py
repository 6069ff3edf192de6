"""Labels of rendered frames against a projection of their own, and what the command writes beside the frames."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from cli_calls import done
from drivelet.adapters import blender
from drivelet.core.errors import MissingBackendError
from drivelet.synth.domain import narrow
from drivelet.synth.facts import finish
from drivelet.synth.render import frame_jobs
from drivelet.synth.scene import sample_scene

try:
    blender.find_blender()
except MissingBackendError as error:
    pytest.skip(str(error), allow_module_level=True)

Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Centre and size of a box whose sides lie along the axes, in metres."""
CAMERA = {"at": [0.4, 0.0, 1.5], "yaw": -1.5, "pitch": 2.0, "hfov": 50.0}
STRAIGHT = {**CAMERA, "yaw": 0.0, "pitch": 0.0}


def scene_of(boxes: list[Box], camera: dict[str, Any]) -> dict[str, Any]:
    """A bare plain in clear daylight with grey boxes; box k is object k."""
    scene = sample_scene(1, 0, narrow())
    ground = next(part for part in scene["parts"] if part["asset"] == "ground")
    parts, objects = [ground], []
    for number, (at, size) in enumerate(boxes, start=1):
        parts.append(
            {**ground, "asset": "box", "at": list(at), "scale": list(size), "color": [0.5] * 3, "index": number}
        )
        objects.append({"kind": "car", "id": number, "at": list(at)})
    return {**scene, "id": "boxes", "camera": camera, "parts": parts, "objects": objects}


def projected(box: Box, camera: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """The box around a box's eight corners in pixels, by the pinhole model written out."""
    (cx, cy, cz), (wx, wy, wz) = box
    yaw, pitch = math.radians(camera["yaw"]), math.radians(camera["pitch"])
    focal = size[0] / 2 / math.tan(math.radians(camera["hfov"]) / 2)
    spots = []
    for k in range(8):
        x = cx + wx * (k % 2 - 0.5) - camera["at"][0]
        y = cy + wy * (k // 2 % 2 - 0.5) - camera["at"][1]
        z = cz + wz * (k // 4 - 0.5) - camera["at"][2]
        right, ahead = x * math.cos(yaw) + y * math.sin(yaw), y * math.cos(yaw) - x * math.sin(yaw)
        depth, up = ahead * math.cos(pitch) + z * math.sin(pitch), z * math.cos(pitch) - ahead * math.sin(pitch)
        spots.append((size[0] / 2 + focal * right / depth, size[1] / 2 - focal * up / depth))
    corners = np.array(spots)
    return np.concatenate([corners.min(0), corners.max(0)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two free boxes; and a board of which another hides the right half."""
    free: list[Box] = [((-2.0, 14.0, 1.0), (1.5, 2.0, 2.0)), ((2.5, 22.0, 2.4), (1.2, 0.8, 1.1))]
    hidden: list[Box] = [((0.4, 20.0, 1.5), (2.0, 0.1, 1.6)), ((0.9, 10.0, 1.5), (1.0, 0.1, 2.4))]
    out = tmp_path_factory.mktemp("boxes")
    scenes = [scene_of(free, CAMERA), scene_of(hidden, STRAIGHT)]
    jobs = list(frame_jobs(scenes, out))
    assert len(list(blender.render(jobs, log=out / "blender.log"))) == 2
    found = [finish(job.scene, json.loads(job.labels.read_text(encoding="utf-8"))["objects"]) for job in jobs]
    for record, boxes in zip(found, (free, hidden), strict=True):
        record["boxes"] = boxes
    return found


def test_amodal_boxes_and_distances_are_those_of_the_pinhole_model(finished: list[dict[str, Any]]) -> None:
    for record in finished:
        for item, box in zip(record["objects"], record["boxes"], strict=True):
            assert np.allclose(item["amodal"], projected(box, record["camera"], record["size"]), atol=0.2)
            at, eye = box[0], record["camera"]["at"]
            assert item["distance_m"] == pytest.approx(math.hypot(at[0] - eye[0], at[1] - eye[1]), abs=0.01)


def test_the_visible_box_of_a_free_object_is_its_amodal_one(finished: list[dict[str, Any]]) -> None:
    for item in finished[0]["objects"]:
        assert np.abs(np.subtract(item["box"], item["amodal"])).max() <= 1.5
        assert item["visible_fraction"] > 0.93
        assert item["visible"]


def test_half_a_board_is_half_visible_and_its_box_ends_where_the_other_begins(finished: list[dict[str, Any]]) -> None:
    board, cover = finished[1]["objects"]
    assert board["visible_fraction"] == pytest.approx(0.5, abs=0.06)
    assert board["box"][2] == pytest.approx(cover["amodal"][0], abs=1.5)
    assert board["amodal"][2] - board["box"][2] == pytest.approx(board["box"][2] - board["box"][0], abs=3)
    assert cover["visible_fraction"] > 0.93


def test_the_command_plans_renders_exports_and_draws(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frames = ("--num-frames", 2, "--domain", "world", "--seed", 6)
    plan = done(capfd, "render", "--out", tmp_path / "plan", *frames, "--plan").strip()
    printed = done(capfd, "render", "--out", tmp_path / "a", "--scenes", plan, "--coco", "--overlay", "--sheet")
    assert "sheet.jpg: 2 frames drawn with seed 0: frames/000000.png frames/000001.png" in printed
    coco = COCO(str(tmp_path / "a" / "coco.json"))
    assert len(coco.getImgIds()) == 2
    assert len(coco.getAnnIds()) > 4
    assert len(list((tmp_path / "a" / "overlay").iterdir())) == 2
    done(capfd, "render", "--out", tmp_path / "b", *frames, "--workers", 2)
    for name in ("000000", "000001"):
        planned, drawn = (np.asarray(Image.open(tmp_path / x / "frames" / f"{name}.png")) for x in "ab")
        assert np.array_equal(planned, drawn)
