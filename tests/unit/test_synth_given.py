"""Scene records from a user: good ones come back as they are, bad ones are one clear line."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from drivelet.core.errors import InputError
from drivelet.synth.domain import full, world
from drivelet.synth.given import open_scenes
from drivelet.synth.scene import sample_scene


def write(path: Path, *records: Any) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n", encoding="utf-8")
    return path


def test_sampled_scenes_of_every_edition_come_back_as_they_are(tmp_path: Path) -> None:
    scenes = [sample_scene(4, i, domain()) for domain in (full, world) for i in range(6)]
    path = write(tmp_path / "plan.jsonl", *scenes)
    path.write_text(path.read_text(encoding="utf-8").replace("\n", "\n\n"), encoding="utf-8")
    file = open_scenes(path)
    assert [file.at(i) for i in range(len(file.offsets))] == scenes


def changed(path: str, value: Any) -> dict[str, Any]:
    """A good scene with one place changed, or taken out where `value` is None."""
    scene = copy.deepcopy(sample_scene(4, 0, full()))
    *way, last = path.split(".")
    place: Any = scene
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return scene


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("camera", None, "camera: is missing"),
        ("camera.hfov", 0, "camera.hfov: must be more than 5"),
        ("camera.at", [1.0, 2.0], "camera.at: List must have at least 3 items"),
        ("camera.at.2", float("nan"), "camera.at.2: must be a finite number"),
        ("size", [320, 0], "size.1: must be at least 16"),
        ("size.0", 320.5, "size.0: must be a valid integer"),
        ("id", "", "id: String must have at least 1 character"),
        ("seed", "x", "seed: must be a valid integer"),
        ("parts", [], "parts: List must have at least 1 item"),
        ("parts.0.asset", 7, "parts.0.asset: must be a valid string"),
        ("parts.0.scale.0", "wide", "parts.0.scale.0: must be a valid number"),
        ("parts.0.index", 99999, "parts.index 99999 names no object's id"),
        ("objects.0.kind", None, "objects.0.kind: is missing"),
        ("world.exposure", None, "world lacks exposure"),
        ("setting.unit", None, "setting lacks unit"),
    ],
)
def test_what_is_wrong_with_a_scene_is_named_by_line_and_key(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    file = write(tmp_path / "a.jsonl", sample_scene(4, 1, full()), changed(path, value))
    with pytest.raises(InputError) as caught:
        open_scenes(file)
    assert str(caught.value).startswith(f"{file} line 2: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it holds no scene"),
        (b"\n\n", "it holds no scene"),
        (b"{", "line 1: no JSON"),
        (b"\xff\xfe{}", "line 1: no JSON"),
        (b"[1, 2]", "line 1: must be an object"),
        (b'{"image": "frames/000000.png", "objects": []}', "line 1: this is a finished record of scenes.jsonl"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jsonl") as caught:
        open_scenes(path)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file"):
        open_scenes(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("asset", "key", "value", "message"),
    [
        ("sweep", "points", [[0.0, 0.0, 0.0]], "points: List must have at least 2 items"),
        ("sweep", "profile", None, "profile: is missing"),
        ("sweep", "dash", [3.0, 0.0], "dash.1: must be more than 0"),
        ("patch", "material", None, "material: is missing"),
        ("patch", "points", [[0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], "points.0: List must have at least 3"),
    ],
)
def test_surfaces_of_a_scene_are_checked_like_its_parts(
    tmp_path: Path, asset: str, key: str, value: Any, message: str
) -> None:
    scene = sample_scene(4, 0, world())
    number = next(i for i, part in enumerate(scene["parts"]) if part["asset"] == asset)
    if value is None:
        del scene["parts"][number][key]
    else:
        scene["parts"][number][key] = value
    path = write(tmp_path / "plan.jsonl", sample_scene(4, 0, full()), scene)
    with pytest.raises(InputError, match=re.escape(f"{path} line 2: parts.{number}.{message}")):
        open_scenes(path)
