import json
import math

import numpy as np
import pytest

from drivelet import tasks
from drivelet.core.artifacts import Prompt, Scored, Vote
from drivelet.core.tables import read_rows, write_table
from drivelet.labels.calibrate import Calibration
from drivelet.labels.label import LabelConfig, car_stands, decide, label_drive
from drivelet.labels.ledger import LedgerConfig, judge
from drivelet.labels.tables import join_labels
from drivelet.labels.vlm import VlmLabeler

FIELDS = {name: tasks.fields()[name] for name in ("traffic_light.state", "cone.count")}


class LevelLabeler:
    """Calls bright frames red and dark ones green; says nothing about black ones."""

    family = "level"
    fields = ("traffic_light.state",)

    def __init__(self, name="level", family="level"):
        self.name, self.family = name, family
        self.seen = 0

    def label(self, image):
        self.seen += 1
        level = float(image.mean())
        if level == 0:
            return {}
        return {"traffic_light.state": {"red": 0.95, "green": 0.05} if level > 100 else {"red": 0.05, "green": 0.95}}


def drive(tmp_path, levels, name="d"):
    rows = [{"drive": name, "file": f"/{name}.mp4", "frame": i, "t": i / 10} for i in range(len(levels))]
    folder = tmp_path / f"ingested-{name}"
    folder.mkdir(exist_ok=True)
    write_table(folder / "frames.lance", rows)

    def read(file, indices):
        assert file == f"/{name}.mp4"
        for index in indices:
            if levels[index] is not None:
                yield index, np.full((4, 4, 3), levels[index], np.uint8)

    return folder, read


def run(tmp_path, levels, labelers, *, config=None, out="out", name="d"):
    folder, read = drive(tmp_path, levels, name)
    config = config or LabelConfig(hz=10, chunk=4)
    label_drive(
        config, drive=folder, labelers=labelers, fields=FIELDS, calibration=None, read_frames=read, out=tmp_path / out
    )
    return [json.loads(line) for line in (tmp_path / out / "labels.jsonl").read_text().splitlines()]


def test_every_frame_and_field_has_a_line_with_the_promised_keys(tmp_path):
    lines = run(tmp_path, [200] * 10, [LevelLabeler()])
    assert len(lines) == 20
    assert list(lines[0]) == [
        "drive",
        "file",
        "frame",
        "t",
        "task",
        "answer",
        "prob",
        "accepted",
        "reason",
        "state",
        "hidden",
        "drive_id",
    ]
    lamp = [line for line in lines if line["task"] == "traffic_light.state"]
    assert all(line["answer"] == "red" and line["accepted"] and line["prob"] > 0.9 for line in lamp)
    cones = [line for line in lines if line["task"] == "cone.count"]
    assert all(not line["accepted"] and line["reason"] == "no_votes" for line in cones)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["fields"]["traffic_light.state"]["accepted"] == 10
    assert summary["fields"]["cone.count"]["rejected"]["no_votes"] == 10
    assert len(read_rows(tmp_path / "out" / "votes.lance")) == 10
    assert len(read_rows(tmp_path / "out" / "labels.lance")) == 20


def test_an_isolated_flip_is_smoothed_and_an_unread_frame_is_filled_but_rejected(tmp_path):
    levels = [200] * 20
    levels[7], levels[13] = 50, None
    lamp = [line for line in run(tmp_path, levels, [LevelLabeler()]) if line["task"] == "traffic_light.state"]
    assert [line["answer"] for line in lamp] == ["red"] * 20
    assert lamp[7]["accepted"]
    assert (lamp[13]["accepted"], lamp[13]["reason"]) == (False, "no_votes")


def test_a_flickering_drive_is_unstable_or_unsure(tmp_path):
    lines = run(tmp_path, [200, 50] * 10, [LevelLabeler()])
    lamp = [line for line in lines if line["task"] == "traffic_light.state"]
    assert {line["reason"] for line in lamp} == {"unstable_in_window"}


def test_labelers_that_contradict_reject_the_frame(tmp_path):
    class Contrary(LevelLabeler):
        def label(self, image):
            return {"traffic_light.state": {"yellow": 0.95, "red": 0.05}}

    lines = run(tmp_path, [200] * 6, [LevelLabeler(), Contrary("other", "other")])
    assert {line["reason"] for line in lines if line["task"] == "traffic_light.state"} == {"labelers_disagree"}


def test_a_killed_run_goes_on_at_the_next_chunk_with_the_same_result(tmp_path):
    class Dying(LevelLabeler):
        def label(self, image):
            if self.seen == 9:
                raise KeyboardInterrupt
            return super().label(image)

    levels = [200] * 12
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, levels, [Dying()])
    assert not (tmp_path / "out" / "labels.jsonl").exists()
    second = LevelLabeler()
    resumed = run(tmp_path, levels, [second])
    assert second.seen == 4
    assert resumed == run(tmp_path, levels, [LevelLabeler()], out="fresh")


def test_chunks_of_other_settings_are_not_taken_over(tmp_path):
    run(tmp_path, [200] * 8, [LevelLabeler()])
    other = LevelLabeler("another")
    run(tmp_path, [200] * 8, [other])
    assert other.seen == 8


def test_rate_selects_frames(tmp_path):
    lines = run(tmp_path, [200] * 20, [LevelLabeler()], config=LabelConfig(hz=5))
    assert [line["frame"] for line in lines if line["task"] == "cone.count"] == list(range(0, 20, 2))


def test_several_drives_join(tmp_path):
    run(tmp_path, [200] * 5, [LevelLabeler()], out="a", name="a")
    run(tmp_path, [50] * 5, [LevelLabeler()], out="b", name="b")
    join_labels([tmp_path / "a", tmp_path / "b"], out=tmp_path / "both")
    lines = [json.loads(line) for line in (tmp_path / "both" / "labels.jsonl").read_text().splitlines()]
    assert [line["drive"] for line in lines] == ["a"] * 10 + ["b"] * 10
    summary = json.loads((tmp_path / "both" / "summary.json").read_text())
    assert (summary["drives"], summary["frames"]) == (["a", "b"], 10)
    assert summary["fields"]["traffic_light.state"]["answers"] == {"green": 5, "red": 5}


def test_a_reviewed_drive_joins_others_with_its_decisions(tmp_path):
    run(tmp_path, [200] * 3, [LevelLabeler()], out="a", name="a")
    run(tmp_path, [50] * 3, [LevelLabeler()], out="b", name="b")
    rows = read_rows(tmp_path / "a" / "labels.lance")
    reviewed = [row | {"review": "rejected", "accepted": False, "reason": "rejected_by_reviewer"} for row in rows]
    write_table(tmp_path / "a" / "labels.lance", reviewed)
    join_labels([tmp_path / "a", tmp_path / "b"], out=tmp_path / "both")
    assert [row["review"] for row in read_rows(tmp_path / "both" / "labels.lance")] == ["rejected"] * 6 + [None] * 6
    summary = json.loads((tmp_path / "both" / "summary.json").read_text())
    assert summary["fields"]["traffic_light.state"]["rejected"]["rejected_by_reviewer"] == 3
    assert summary["fields"]["traffic_light.state"]["accepted"] == 3


def test_the_vlm_labeler_asks_its_prompt_and_votes_the_model_s_probabilities():
    class Model:
        name = "toy"

        def score(self, image, questions):
            self.asked = questions
            probs = {"red": 0.6, "none": 0.4}
            return [Scored(field=q.field, answer="red", probs=probs) for q in questions]

    model = Model()
    prompt = Prompt(field="traffic_light.state", text="Look up. {question}", version="v1")
    labeler = VlmLabeler(model, list(FIELDS.values()), prompts={prompt.field: prompt})
    votes = labeler.label(np.zeros((4, 4, 3), np.uint8))
    assert (labeler.name, labeler.family) == ("toy", "vlm")
    assert votes["traffic_light.state"] == {"red": 0.6, "none": 0.4}
    assert model.asked[0].text == "Look up. " + FIELDS["traffic_light.state"].question
    assert model.asked[1].text == FIELDS["cone.count"].question


def test_unknown_is_never_accepted():
    config = LedgerConfig()
    good = {"prob": 0.99, "votes": 2, "dissent": 0.0, "stability": 1.0}
    assert judge(config, answer="red", **good) == ""
    assert judge(config, answer="unknown", **good) == "low_confidence"


def test_votes_on_intersections_end_a_limit_in_force():
    fields = {name: tasks.fields()[name] for name in ("speed_limit.posted", "intersection.alert")}
    frames = [{"drive": "d", "file": "f", "frame": i, "t": i / 5, "standing": False} for i in range(60)]
    posted = ["50" if 10 <= i < 20 else "none" for i in range(60)]
    alerts = ["ahead" if 25 <= i < 40 else "none" for i in range(60)]
    votes = [
        Vote(drive="d", frame=i, field=name, labeler="l", family="f", probs={answer: 0.95})
        for name, answers in zip(fields, (posted, alerts), strict=True)
        for i, answer in enumerate(answers)
    ]
    found = decide(LabelConfig(hz=5), frames, votes, fields, Calibration())
    states = [label.state for label in found.labels if label.task == "speed_limit.posted"]
    assert states[12:40] == ["50"] * 28
    assert states[41:] == ["none"] * 19


def test_a_car_that_reverses_does_not_stand():
    assert [car_stands({"speed_mps": speed}) for speed in (-3.0, 0.0, 3.0, math.nan)] == [False, True, False, None]
