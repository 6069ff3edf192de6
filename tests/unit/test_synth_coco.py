"""The COCO export, as the library that owns the format reads it."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from drivelet.core.errors import InputError
from drivelet.synth.coco import to_coco
from render_folders import write_render


def test_pycocotools_finds_every_seen_object_with_its_box_and_attributes(tmp_path: Path) -> None:
    records = write_render(tmp_path)
    coco = COCO(str(to_coco(tmp_path)))
    assert len(coco.getImgIds()) == len(records)
    for image, record in zip(coco.loadImgs(sorted(coco.getImgIds())), records, strict=True):
        assert (tmp_path / image["file_name"]).is_file()
        assert [image["width"], image["height"]] == record["size"]
        assert image["gold"] == record["gold"]
        found = {a["attributes"]["object"]: a for a in coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))}
        seen = [item for item in record["objects"] if item["visible"]]
        assert set(found) == {item["id"] for item in seen}
        for item in seen:
            annotation = found[item["id"]]
            x, y, width, height = annotation["bbox"]
            assert [x, y, x + width, y + height] == item["box"]
            assert annotation["area"] == item["pixels"]
            assert coco.loadCats(annotation["category_id"])[0]["name"] == item["kind"]
            assert annotation["attributes"]["distance_m"] == item["distance_m"]
            if "state" in item:
                assert annotation["attributes"]["state"] == item["state"]


def test_the_truth_scores_full_marks_in_cocos_own_evaluation(tmp_path: Path) -> None:
    write_render(tmp_path)
    coco = COCO(str(to_coco(tmp_path)))
    answers = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9}
        for a in coco.loadAnns(coco.getAnnIds())
    ]
    score = COCOeval(coco, coco.loadRes(answers), "bbox")
    score.evaluate()
    score.accumulate()
    score.summarize()
    assert np.isclose(score.stats[0], 1.0)


def test_categories_keep_their_numbers_and_new_kinds_come_last(tmp_path: Path) -> None:
    records = write_render(tmp_path, 2)
    known = {c["name"]: c["id"] for c in json.loads(to_coco(tmp_path).read_text())["categories"]}
    strange = {**records[0]["objects"][0], "kind": "zeppelin", "id": 999}
    records[0]["objects"].append(strange)
    (tmp_path / "scenes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    more = {c["name"]: c["id"] for c in json.loads(to_coco(tmp_path).read_text())["categories"]}
    assert more == {**known, "zeppelin": len(known) + 1}


def test_drives_share_one_file(tmp_path: Path) -> None:
    write_render(tmp_path / "drives" / "000", 1)
    write_render(tmp_path / "drives" / "001", 2)
    names = [image["file_name"] for image in json.loads(to_coco(tmp_path).read_text())["images"]]
    assert names == ["drives/000/frames/000000.png", "drives/001/frames/000000.png", "drives/001/frames/000001.png"]


def test_a_folder_without_frames_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no rendered frames \(scenes\.jsonl\); run `drivelet render"):
        to_coco(tmp_path)
    (tmp_path / "scenes.jsonl").write_text('{"image": "frames/000000.png", "obj', encoding="utf-8")
    with pytest.raises(InputError, match=r"scenes\.jsonl line 1: no finished scene record"):
        to_coco(tmp_path)
    assert not (tmp_path / "coco.json").exists()
