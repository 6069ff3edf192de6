import json

import numpy as np
import pytest
from PIL import Image

from drivelet.core.errors import InputError
from drivelet.core.tables import write_table
from drivelet.labels.label import LabelConfig
from drivelet.recipes.label_check import blind_votes, check, hand_checked

HEADER = "path,task,label,split,group\n"


def labelled(tmp_path, answers, singles):
    """Write a labelled folder whose smoothed answers and single-frame votes are given."""
    labels, votes = [], []
    for frame, (answer, single) in enumerate(zip(answers, singles, strict=True)):
        base = {"drive": "monday", "frame": 10 * frame}
        labels.append({**base, "task": "cone.in_path", "answer": answer, "prob": 0.5 + 0.1 * frame})
        probs = {"yes": 0.9 if single == "yes" else 0.1, "no": 0.1 if single == "yes" else 0.9}
        vote = {"field": "cone.in_path", "labeler": "l", "family": "f", "probs": json.dumps(probs)}
        votes.append({**base, **vote})
    folder = tmp_path / "labels"
    write_table(folder / "labels.lance", labels)
    write_table(folder / "votes.lance", votes)
    (folder / "calibration.json").write_text("{}")
    return folder


def manifest(tmp_path, labels, stem="monday_{:04d}"):
    lines = [HEADER]
    for frame, label in enumerate(labels):
        name = stem.format(10 * frame) + ".png"
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
        lines.append(f"{name},cone.in_path,{label},val,g\n")
    (tmp_path / "gold.csv").write_text("".join(lines))
    return tmp_path / "gold.csv"


def test_smoothed_single_majority_and_blind_stand_side_by_side(tmp_path):
    folder = labelled(tmp_path, ["yes", "yes", "no", "no"], ["yes", "no", "no", "no"])
    gold = manifest(tmp_path, ["yes", "yes", "no", "yes"])
    blind = {"cone.in_path": {"no": 0.8, "yes": 0.2}}
    (record,) = check(LabelConfig(), labelled=folder, gold=hand_checked(gold), blind=blind)
    assert record["smoothed"] == 0.75
    assert record["single frame"] == 0.5
    assert record["blind"] == 0.25
    assert record["majority"] == 0.75
    assert record["yield"][0]["kept"] == 1.0
    assert record["yield"][0]["precision"] == 0.75
    assert json.loads((folder / "check.json").read_text())[0]["frames"] == 4


def test_pictures_that_name_no_frame_are_refused(tmp_path):
    with pytest.raises(InputError, match="<drive>_<frame>"):
        hand_checked(manifest(tmp_path, ["yes"], stem="picture-{:d}"))


def test_frames_of_other_drives_are_refused(tmp_path):
    folder = labelled(tmp_path, ["yes"], ["yes"])
    gold = hand_checked(manifest(tmp_path, ["yes"], stem="sunday_{:04d}"))
    with pytest.raises(InputError, match="none of the 1 hand-checked frames were labelled"):
        check(LabelConfig(), labelled=folder, gold=gold, blind={})


def test_blind_votes_come_from_a_grey_picture():
    class Level:
        name, family, fields = "level", "level", ("cone.in_path",)

        def label(self, image):
            assert image.shape == (4, 6, 3)
            return {"cone.in_path": {"yes": float(image.mean()) / 255, "no": 1 - float(image.mean()) / 255}}

    assert blind_votes([Level()], (4, 6))["cone.in_path"]["yes"] == pytest.approx(128 / 255)
