import json

import numpy as np

from drivelet import tasks
from drivelet.core.artifacts import Box
from drivelet.core.tables import read_rows, write_table
from drivelet.labels.label import LabelConfig, label_drive
from drivelet.labels.place import place_reasons

LAMP = {"traffic_light.state": tasks.fields()["traffic_light.state"]}


class Red:
    name, family, fields = "red", "red", ("traffic_light.state",)

    def label(self, image):
        return {"traffic_light.state": {"red": 0.95, "none": 0.05}}


class Places:
    """Sees a red lamp at the place that the brightness of a frame tells."""

    name = "places"

    def detect(self, image):
        left = float(image.mean())
        return [Box(kind="lamp", xyxy=(left, 40.0, left + 8, 48.0), score=0.9, answer="red")]


def labelled(tmp_path, lefts, *, standing=True):
    folder = tmp_path / "drive"
    folder.mkdir()
    motion = {"standing": standing, "forward_m": 0.0, "left_m": 0.0, "yaw_rad": 0.0}
    write_table(
        folder / "frames.lance",
        [{"drive": "d", "file": "d.mp4", "frame": i, "t": i / 5, **motion} for i in range(len(lefts))],
    )
    (folder / "drive.json").write_text(json.dumps({"width": 320, "height": 192, "focal_px": 300.0}))

    def read(file, indices):
        for index in indices:
            yield index, np.full((192, 320, 3), lefts[index], np.uint8)

    label_drive(
        LabelConfig(hz=5), drive=folder, labelers=[Red()], detectors=[Places()], fields=LAMP, calibration=None,
        read_frames=read, out=tmp_path / "out",
    )  # fmt: skip
    return read_rows(tmp_path / "out" / "labels.lance"), read_rows(tmp_path / "out" / "boxes.lance")


def test_a_lamp_that_jumps_while_the_car_stands_rejects_its_frame(tmp_path):
    lefts = [100] * 20
    lefts[10] = 106
    lefts[11] = 112
    labels, boxes = labelled(tmp_path, lefts)
    assert [label["reason"] for label in labels[:10]] == [""] * 10
    assert labels[11]["reason"] == "moves_while_standing"
    assert boxes[11]["reason"] == "moves_while_standing"
    assert len({box["track"] for box in boxes}) == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["spatial"]["failed"]["moves_while_standing"] >= 1
    assert summary["fields"]["traffic_light.state"]["rejected"]["moves_while_standing"] >= 1


def test_a_lamp_that_stands_with_the_car_passes(tmp_path):
    labels, boxes = labelled(tmp_path, [100] * 20)
    assert all(label["accepted"] for label in labels)
    assert {box["reason"] for box in boxes} == {""}


def test_one_good_box_is_enough():
    rows = [
        {"frame": 1, "kind": "lamp", "answer": "red", "reason": "moves_while_standing"},
        {"frame": 1, "kind": "lamp", "answer": "red", "reason": ""},
        {"frame": 2, "kind": "lamp", "answer": "green", "reason": "does_not_triangulate"},
        {"frame": 3, "kind": "cone", "answer": "", "reason": "wrong_size_for_distance"},
    ]
    found = place_reasons(rows)
    assert (1, "traffic_light.state", "red") not in found
    assert found[2, "traffic_light.state", "green"] == "does_not_triangulate"
    assert found[3, "cone.in_path", "yes"] == "wrong_size_for_distance"
    assert (3, "cone.count", "0") not in found
