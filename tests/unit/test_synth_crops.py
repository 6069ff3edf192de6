import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivelet.core.errors import InputError
from drivelet.core.rng import generator
from drivelet.synth.painting.captions import CONES, LAMP, presence
from drivelet.synth.painting.crops import (
    LOOKALIKES,
    CropConfig,
    Cropper,
    CutConfig,
    Scene,
    cut_crops,
    read_crops,
    read_scenes,
    shown,
)
from painter_toys import COLOURS, toy_scene

SCENES = [toy_scene(number) for number in range(32)]


def _write(folder: Path) -> None:
    (folder / "frames").mkdir(parents=True)
    lines = []
    for number, scene in enumerate(SCENES):
        name = f"frames/{number:06d}.png"
        cv2.imwrite(str(folder / name), cv2.cvtColor(scene.frame, cv2.COLOR_RGB2BGR))
        lines.append(json.dumps({"image": name, **scene.record}))
    (folder / "scenes.jsonl").write_text("\n".join(lines) + "\n")


def test_facts_are_those_of_the_window() -> None:
    scene = toy_scene(4)  # a red lamp, two cones
    lamp = next(item for item in scene.record["objects"] if item["kind"] == "lamp")["box"]
    whole = shown(scene.record, (0, 0, 192, 192), 1.0)
    around = shown(scene.record, (lamp[0] - 20, lamp[1] - 15, lamp[0] + 40, lamp[1] + 45), 1.0)
    assert whole is not None and around is not None
    assert (around[LAMP], around[CONES]) == ("red", "0")
    assert whole[CONES] != "0"


def test_a_halved_lamp_or_a_tiny_cone_is_not_judged() -> None:
    scene = toy_scene(4)
    lamp = next(item for item in scene.record["objects"] if item["kind"] == "lamp")["box"]
    middle = (lamp[0] + lamp[2]) / 2
    assert shown(scene.record, (middle, 0, middle + 60, 60), 1.0) is None
    assert shown(scene.record, (0, 60, 320, 192), 0.12) is None


def test_lamps_that_disagree_are_not_judged() -> None:
    red, green = toy_scene(0).record["objects"], toy_scene(2).record["objects"]
    others = [{**item, "id": item["id"] + 50, "parent": 51} for item in green]
    record = {**toy_scene(0).record, "objects": [*red, *others]}
    assert shown(record, (0, 0, 320, 192), 1.0) is None


def test_crops_show_the_colour_that_their_facts_name() -> None:
    cropper = Cropper(SCENES, CropConfig(jitter=False))
    for index in range(150):
        image, facts = cropper.draw(generator(0, "test", index))
        assert image.shape == (64, 64, 3)
        if facts["view"] == "close" and facts[LAMP] != "none":
            distance = np.abs(image.astype(int) - COLOURS[facts[LAMP]]).sum(axis=2)
            assert distance.min() < 60, facts


def test_joined_crops_balance_lamp_and_cones() -> None:
    cropper = Cropper(SCENES, CropConfig(joined=1.0, lamp=0.0, cone=0.0))
    facts = [cropper.draw(generator(0, "joined", index))[1] for index in range(400)]
    strata = Counter((fact[LAMP], presence(fact[CONES])) for fact in facts)
    assert len(strata) == 8 and min(strata.values()) > 25


def test_draws_depend_on_the_generator_alone() -> None:
    first = Cropper(SCENES, CropConfig()).draw(generator(1, "x"))
    again = Cropper(SCENES, CropConfig()).draw(generator(1, "x"))
    assert np.array_equal(first[0], again[0]) and first[1] == again[1]


def test_cut_crops_writes_what_read_crops_reads(tmp_path: Path) -> None:
    _write(tmp_path / "render")
    scenes = read_scenes([tmp_path])
    assert len(scenes) == len(SCENES) and np.array_equal(scenes[3].frame, SCENES[3].frame)
    crops = read_crops(cut_crops(CutConfig(num_crops=6), folders=[tmp_path], out=tmp_path / "cut"))
    assert len(crops) == 6 and crops[0][0].shape == (64, 64, 3) and LAMP in crops[0][1]


def test_missing_frames_and_crops_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="drivelet render"):
        read_scenes([tmp_path])
    with pytest.raises(InputError, match=r"crops\.jsonl"):
        read_crops(tmp_path)


def test_what_passes_for_a_cone_or_a_lamp_makes_a_crop_a_matter_of_taste() -> None:
    record = dict(toy_scene(3).record)  # neither lamp nor cone
    whole = (0.0, 0.0, 192.0, 192.0)
    assert shown(record, whole, 1.0) is not None
    for kind in LOOKALIKES:
        there = {"id": 9, "kind": kind, "box": [60, 60, 90, 110], "pixels": 700, "visible": True}
        assert shown({**record, "objects": [there]}, whole, 1.0) is None
        gone = {**there, "box": [250, 60, 280, 110]}
        assert shown({**record, "objects": [gone]}, whole, 1.0) is not None


def test_frames_of_two_sizes_are_cut_each_by_its_own() -> None:
    scenes = [*SCENES[:8], *map(_twice, SCENES[8:])]
    cropper = Cropper(scenes, CropConfig(joined=0.0, lamp=1.0, cone=0.0, jitter=False))
    for index in range(80):
        image, facts = cropper.draw(generator(0, "sizes", index))
        assert facts[LAMP] in COLOURS
        assert np.abs(image.astype(int) - COLOURS[facts[LAMP]]).sum(axis=2).min() < 60


def _twice(scene: Scene) -> Scene:
    frame = np.repeat(np.repeat(scene.frame, 2, axis=0), 2, axis=1)
    objects = [
        {**item, "box": [2 * value for value in item["box"]], "pixels": 4 * item["pixels"]}
        for item in scene.record["objects"]
    ]
    return Scene(frame=frame, record={**scene.record, "objects": objects}, part=scene.part)
