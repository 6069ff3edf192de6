"""A small folder with one good file of every kind that a command reads, and a look at whether it is unharmed."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from drive_files import write_images, write_sensors, write_video
from drivelet import tasks
from drivelet.core.flow import write_json
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.labels.calibrate import Calibration, CalibrationMap
from drivelet.prompts.library import default_library, save_library
from drivelet.prompts.router import PresenceRule, SignalRouter, save_router
from drivelet.recipes.settings import mini
from drivelet.synth.domain import full
from drivelet.synth.scene import sample_scene
from render_folders import write_render
from review_folders import labelled, write_lines

HEADER = "path,task,label,split,group\n"
Spoil = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command line that must be refused after `spoil` did its work in the world's folder."""

    name: str
    command: str
    spoil: Callable[[], None] = lambda: None


def make_world(folder: Path, model: Path) -> Path:
    """Write one good file of every kind that a command reads."""
    images = write_images(folder / "images", [f"{number}.png" for number in range(6)])
    splits = ("train", "train", "train", "val", "val", "test")
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images / f"{number}.png")
    rows = [f"{n}.png,traffic_light.state,{('red', 'green')[n % 2]},{split},g{n}" for n, split in enumerate(splits)]
    (images / "manifest.csv").write_text(HEADER + "\n".join(rows) + "\n")
    for split in ("train", "test"):
        lines = [f"images/{row}" for row in rows if f",{split}," in row]
        (folder / f"{split}_only.csv").write_text(HEADER + "\n".join(lines) + "\n")
    (folder / "other_drive.csv").write_text(HEADER + "images/5.png,traffic_light.state,green,test,g5\n")
    write_video(folder / "drive.mp4")
    write_sensors(folder / "drive.csv")
    ingest(IngestConfig(), source=folder / "drive.mp4", out=folder / "ingested")
    labelled(folder / "labels")
    part = folder / "labels" / "drives" / "000-d0"
    for name in ("labels.lance", "votes.lance"):
        shutil.copytree(folder / "labels" / name, part / name)
    maps = {"teacher": {"traffic_light.state": CalibrationMap(note="no gold")}}
    write_json(part / "calibration.json", Calibration(maps=maps).as_json())
    said = {"review": "skipped", "drive": "d0", "frame": 0, "task": "cone.count", "answer": "0", "by": "ada", "at": "1"}
    write_lines(folder / "labels" / "reviews.jsonl", [said])
    write_render(folder / "render", 3)
    scenes = (json.dumps(sample_scene(0, number, full())) for number in range(2))
    (folder / "plan.jsonl").write_text("\n".join(scenes) + "\n")
    fields = tasks.fields()
    library = default_library(fields)
    save_library(folder / "prompts", library)
    rules = {"cone.count": PresenceRule(signal="orange", threshold=0.5)}
    save_router(folder / "prompts", SignalRouter(library, fields=fields, rules=rules))
    _write_run(folder / "run")
    shutil.copytree(model, folder / "model")
    (folder / "painter").symlink_to(mini("painter-mini"))
    (folder / "notes.txt").write_text("Drive carefully.\n")
    return folder


def _write_run(folder: Path) -> None:
    """The files that `drivelet report` reads."""
    folder.mkdir()
    Image.new("RGB", (32, 24)).save(folder / "sample.png")
    score = {"score": 0.5, "low": 0.4, "high": 0.6}
    facts = {**score, "n": 10, "majority": 0.4, "blind": 0.3, "ece": 0.1, "invalid": 0, "abstained": 1}
    row = {"average": score, "fields": {"cone.count": facts}, "fps": 3.0, "weight_mb": 9.0, "peak_rss_mb": 500.0}
    tests = [{"a": "awq", "b": "base", "task": "average", "difference": 0.1, "low": 0.0, "high": 0.2, "p": 0.04}]
    summary = {"recipe": "mini", "data": {"test": "t", "images": 3, "rows": 9, "kind": "real"}, "tests": tests}
    write_json(folder / "summary.json", {**summary, "rows": [{"name": "base", **row}, {"name": "awq", **row}]})
    answer = {"task": "cone.count", "answer": "0", "gold": "0", "prob": 0.9, "right": True}
    write_json(folder / "samples.json", [{"image": "sample.png", "caption": "A street", "answers": [answer]}])
    each = {"round": 1, "rejected": {"blank": 0.25}, "kept": 3, "loop": {"light": score}, "control": {"light": score}}
    write_json(folder / "painter.json", {"base": {"light": score}, "rounds": [each]})
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    parts = {"real": value, "synthetic": value, "gap": value}
    gap = {"accuracy": {"tasks": {"cone": parts}, "average": parts}, "features": [{"name": "sky", "difference": 0.5}]}
    write_json(folder / "domain_gap.json", {**gap, "classifier": {"auc": 0.9}})
    write_json(folder / "labels.json", [{"task": "cone.count", "accepted": 5, "rejected": {"unsure": 2}}])


def digest(folder: Path, *, outputs: Sequence[str] = ()) -> dict[str, str]:
    """Return what every file of a folder holds, links and special files by their kind; `outputs` are left out."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in outputs]
        for name in sorted([*files, *folders]):
            path = Path(root, name)
            if name not in outputs:
                found[str(path.relative_to(folder))] = _content(path)
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    return blake2b(path.read_bytes()).hexdigest() if path.is_file() else str(path.stat().st_mode)


def replace_file(path: Path, content: bytes | str) -> None:
    """Put other content in a file's place; the old one may be a hard link to the world's own."""
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
