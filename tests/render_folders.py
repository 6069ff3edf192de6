"""A small finished render folder that needs no Blender."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from drivelet import tasks
from drivelet.synth.domain import full
from drivelet.synth.facts import finish
from drivelet.synth.scene import sample_scene

SIZE = (320, 192)


def measured_everywhere(scene: dict[str, Any]) -> dict[str, Any]:
    """Measures that make every object seen, each in a box of its own."""
    found = {}
    for number, item in enumerate(scene["objects"]):
        x, y = 10 + 7 * (number % 30), 20 + 5 * (number % 20)
        box = [x, y, x + 24, y + 26]
        found[str(item["id"])] = {"pixels": 500, "box": box, "amodal": [x - 1.5, y, x + 26, y + 30.5], "area": 560.0}
    return found


def write_render(folder: Path, count: int = 3) -> list[dict[str, Any]]:
    """Write `count` frames with their records, as the render stage leaves them; return the records."""
    (folder / "frames").mkdir(parents=True)
    records = []
    for i in range(count):
        scene = sample_scene(3, i, full())
        record = {"image": f"frames/{i:06d}.png", **finish(scene, measured_everywhere(scene))}
        record["gold"] = tasks.gold(record)
        Image.new("RGB", SIZE, (40 * i, 60, 90)).save(folder / record["image"])
        records.append(record)
    (folder / "scenes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return records
