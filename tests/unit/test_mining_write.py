import json

import numpy as np
import pytest
from PIL import Image

from drivelet import tasks
from drivelet.core.artifacts import Frame
from drivelet.core.errors import InputError
from drivelet.core.manifest import read_manifest
from drivelet.mining.write import Mined, write_mined

FIELDS = tasks.fields()


def found(*indices, fields=("cone.count", "cone.in_path")):
    return [
        Mined(frame=Frame(drive="a/b", file="/a.mp4", frame=i, t=i / 10), score=1 / (1 + i), why=f"n{i}", fields=fields)
        for i in indices
    ]


def read_frames(file, indices):
    assert list(indices) == sorted(indices)
    for index in indices:
        if index != 3:
            yield index, np.full((8, 12, 3), 20 * index, np.uint8)


def test_frames_become_lines_pictures_and_rows_without_labels(tmp_path):
    write_mined(found(5, 1, 3), read_frames=read_frames, out=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "mined.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["t"], line["why"]) for line in lines] == [(5, 0.5, "n5"), (1, 0.1, "n1")]
    assert lines[0]["image"] == "mined/0001-a_b-000005.jpg"
    assert np.asarray(Image.open(tmp_path / lines[0]["image"])).mean() == pytest.approx(100, abs=1)
    rows = read_manifest(tmp_path / "manifest.csv", tasks=FIELDS, need_labels=False)
    assert [(row.task, row.label, row.split, row.group) for row in rows[:2]] == [
        ("cone.count", "", "train", "a/b"),
        ("cone.in_path", "", "train", "a/b"),
    ]
    assert len(rows) == 4


def test_a_second_search_replaces_the_first_and_leaves_other_files_alone(tmp_path):
    write_mined(found(5, 1), read_frames=read_frames, out=tmp_path)
    (tmp_path / "mined" / "notes.txt").write_text("mine")
    write_mined(found(2), read_frames=read_frames, out=tmp_path)
    assert sorted(path.name for path in (tmp_path / "mined").iterdir()) == ["0001-a_b-000002.jpg", "notes.txt"]


def test_labels_that_someone_filled_in_are_never_overwritten(tmp_path):
    manifest = write_mined(found(5), read_frames=read_frames, out=tmp_path)
    manifest.write_text(manifest.read_text().replace("cone.count,,", "cone.count,3-5,"))
    before = manifest.read_text()
    with pytest.raises(InputError, match="has labels in it; choose another --out"):
        write_mined(found(1), read_frames=read_frames, out=tmp_path)
    assert manifest.read_text() == before
    assert read_manifest(manifest, tasks=FIELDS, need_labels=False)[0].label == "3-5"
