"""The render stage's own logic, the client's bookkeeping and the worker's pixel functions, without Blender."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from drivelet.adapters import blender
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.synth.domain import full
from drivelet.synth.render import RenderConfig, label_rows, split_of
from drivelet.synth.scene import sample_scene
from worker_modules import worker_module


@pytest.fixture(scope="module")
def pixels() -> ModuleType:
    """The worker's pixel functions."""
    return worker_module("blender_pixels")


def job(folder: Path, index: int = 0) -> blender.Job:
    scene = sample_scene(1, index, full())
    return blender.Job(scene=scene, image=folder / f"{index:06d}.png", labels=folder / f"{index:06d}.json")


PNG = b"\x89PNG\r\n\x1a\n...IEND\xaeB`\x82"


def finished(folder: Path, index: int = 0) -> blender.Job:
    done = job(folder, index)
    Image.new("RGB", (320, 192)).save(done.image)
    done.labels.write_text(json.dumps({"key": done.key, "objects": {}}), encoding="utf-8")
    return done


def test_a_job_is_done_only_when_both_files_stand_for_this_scene(tmp_path: Path) -> None:
    first = job(tmp_path)
    assert not first.done
    (tmp_path / "000000.png.partial").write_bytes(b"half")
    first.labels.write_text(json.dumps({"key": first.key, "objects": {}}), encoding="utf-8")
    assert not first.done, "the picture is only half written"
    first.image.write_bytes(PNG[:-3])
    assert not first.done, "the picture was cut short"
    first.image.write_bytes(PNG)
    assert first.done
    whole = first.labels.read_text(encoding="utf-8")
    for half in ("", whole[: len(whole) // 2], "[]", json.dumps({"key": first.key})):
        first.labels.write_text(half, encoding="utf-8")
        assert not first.done, "the labels are not whole"
    first.labels.write_text(whole, encoding="utf-8")
    other = blender.Job(scene=sample_scene(2, 0, full()), image=first.image, labels=first.labels)
    assert not other.done, "the files belong to another scene"


def test_labels_make_a_row_for_each_frame_and_field(tmp_path: Path) -> None:
    jobs = [finished(tmp_path, 0), finished(tmp_path, 1)]
    gold = lambda record: {"cone.count": str(record["facts"]["cone_count_visible"]), "cone.in_path": "no"}  # noqa: E731
    rows = list(label_rows(jobs, splits=["train", "val"], gold=gold, out=tmp_path))
    assert [(row.task, row.label, row.split) for row in rows] == [
        ("cone.count", "0", "train"),
        ("cone.in_path", "no", "train"),
        ("cone.count", "0", "val"),
        ("cone.in_path", "no", "val"),
    ]
    assert len({row.group for row in rows}) == 2
    records = [json.loads(line) for line in (tmp_path / "scenes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["image"] for record in records] == ["000000.png", "000001.png"]
    assert [record["gold"] for record in records] == [{"cone.count": "0", "cone.in_path": "no"}] * 2


def test_splits_follow_the_shares_and_do_not_depend_on_the_number_of_frames() -> None:
    few, many = RenderConfig(num_frames=10, seed=3), RenderConfig(num_frames=2000, seed=3)
    splits = [split_of(many, i) for i in range(2000)]
    assert [split_of(few, i) for i in range(10)] == splits[:10]
    assert splits.count("test") / 2000 == pytest.approx(0.1, abs=0.03)
    assert splits.count("val") / 2000 == pytest.approx(0.1, abs=0.03)


def test_a_named_program_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVELET_BLENDER", "/nowhere/python")
    with pytest.raises(MissingBackendError, match="DRIVELET_BLENDER=/nowhere/python"):
        blender.find_blender()


def test_a_blender_binary_gets_the_worker_as_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "blender"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("DRIVELET_BLENDER", str(program))
    command = blender.find_blender()
    assert command[0] == str(program)
    assert command[-2:] == [str(blender.WORKER), "--"]


def test_a_worker_that_does_not_start_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"did not start \(exit code 1\); see .*blender\.log"):
        list(blender.render([job(tmp_path)], log=tmp_path / "blender.log", command=["false"]))


def test_nothing_to_render_starts_nothing(tmp_path: Path) -> None:
    assert list(blender.render([], log=tmp_path / "blender.log", command=["false"])) == []
    assert not (tmp_path / "blender.log").exists()


def test_png_round_trip(pixels: ModuleType, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (19, 32, 3), dtype=np.uint8)
    pixels.write_png(str(tmp_path / "a.png"), image)
    with Image.open(tmp_path / "a.png") as read:
        assert np.array_equal(np.asarray(read), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_hull_area_of_a_square_with_points_inside(pixels: ModuleType) -> None:
    points = np.array([(0, 0), (4, 0), (4, 4), (0, 4), (1, 2), (3, 3)], dtype=float)
    assert pixels.hull_area(points) == pytest.approx(16.0)
    assert pixels.hull_area(points[:2]) == 0.0


def test_measure_counts_what_is_left_of_a_hidden_object(pixels: ModuleType) -> None:
    ids = np.zeros((10, 20), dtype=int)
    ids[2:6, 3:7] = 1
    ids[2:6, 5:7] = 2
    square = np.array([(3, 2), (7, 2), (7, 6), (3, 6)], dtype=float)
    found = pixels.measure(ids, {1: square, 3: square + 100}, (20, 10))["objects"]
    assert found["1"] == {"pixels": 8, "box": [3, 2, 5, 6], "amodal": [3.0, 2.0, 7.0, 6.0], "area": 16.0}
    assert found["3"]["pixels"] == 0 and found["3"]["box"] is None and found["3"]["area"] == 0.0


def test_develop_keeps_black_black_and_clips_white() -> None:
    world = {"exposure": 1.0, "bloom": 0.0, "streaks": 0, "noise": 0.0}
    linear = np.array([[[0.0, 0.0, 0.0], [0.2158605, 0.2158605, 0.2158605], [9.0, 9.0, 9.0]]])
    assert worker_module("blender_lens").develop(linear, world, 1).tolist() == [[[0] * 3, [128] * 3, [255] * 3]]
