"""Toy streets for the painter's tests: a lamp on a grey sky, cones on a dark road, with records as the renderer's."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drivelet.adapters.diffusers import quiet, save_pipeline
from drivelet.synth.painting.captions import vocabulary
from drivelet.synth.painting.crops import Scene

COLOURS = {"red": (255, 40, 30), "yellow": (255, 190, 20), "green": (30, 250, 150)}


def toy_scene(number: int) -> Scene:
    """Lamp state and number of cones follow from the number: red, yellow, green, none by 0, 2 cones."""
    rng = np.random.default_rng(number)
    frame = np.full((192, 320, 3), 150, np.uint8)
    frame[110:] = 70
    frame = np.clip(frame + rng.integers(-12, 12, frame.shape), 0, 255).astype(np.uint8)
    objects: list[dict[str, Any]] = []
    state = ("red", "yellow", "green", "none")[number % 4]
    if state != "none":
        x, y = int(rng.integers(60, 250)), int(rng.integers(20, 50))
        cv2.rectangle(frame, (x, y), (x + 16, y + 40), (15, 15, 15), -1)
        middle = y + {"red": 8, "yellow": 20, "green": 32}[state]
        cv2.circle(frame, (x + 8, middle), 6, COLOURS[state], -1)
        objects.append(_object(1, "traffic_light", state, [x, y, x + 16, y + 40]))
        objects.append({**_object(2, "lamp", state, [x + 2, middle - 6, x + 14, middle + 6]), "parent": 1})
    for cone in range(2 * (number // 4 % 2)):
        x, y = int(rng.integers(40, 120)) + 120 * cone, int(rng.integers(125, 150))
        points = np.array([[x, y], [x - 8, y + 26], [x + 8, y + 26]])
        cv2.fillPoly(frame, [points], (255, 110, 10))
        objects.append(_object(10 + cone, "cone", "", [x - 8, y, x + 9, y + 27]))
    record = {
        "id": f"toy-{number}",
        "size": [320, 192],
        "objects": objects,
        "setting": {"light": "day", "weather": "clear"},
    }
    return Scene(frame=frame, record=record, part=number % 10)


def _object(index: int, kind: str, state: str, box: list[int]) -> dict[str, Any]:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return {"id": index, "kind": kind, "state": state, "box": box, "pixels": area // 2, "visible": True, "facing": True}


def toy_pipeline(out: Path) -> Path:
    """Write a random pipeline that paints 32x32 pictures."""
    with quiet():
        from drivelet.adapters.painter_parts import small_pipeline

        return save_pipeline(small_pipeline(vocabulary(), seed=0, channels=(16, 32), size=32, text_width=32), out)
