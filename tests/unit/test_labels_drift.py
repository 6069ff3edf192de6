import numpy as np

from drivelet import tasks
from drivelet.labels.drift import DriftConfig, drift
from drivelet.labels.hmm import Ride
from drivelet.labels.smooth import SmoothConfig

ALERT = tasks.fields()["intersection.alert"]
PATH = tasks.fields()["cone.in_path"]


def found(spec, answers, standing, *, hz=5.0, p=0.9, **settings):
    rest = (1 - p) / (len(spec.choices) - 1)
    probs_FC = np.stack([np.where(np.array(spec.choices) == answer, p, rest) for answer in answers])
    times = [i / hz for i in range(len(answers))]
    return drift(DriftConfig(), SmoothConfig(**settings), spec, probs_FC, Ride(times=times, standing=standing))


def test_a_steady_drive_raises_no_alarm():
    result = found(PATH, ["no"] * 40 + ["yes"] * 40, [False] * 80)
    assert result.fault == ""
    assert result.overruled < 0.05
    assert result.evidence["full"] > result.evidence["without_window"]


def test_an_imu_that_says_standing_while_the_scene_moves_is_at_fault():
    answers = (["no"] * 8 + ["yes"] * 8) * 6
    result = found(PATH, answers, [True] * 96, p=0.7)
    assert result.fault == "imu"
    assert found(PATH, answers, [False] * 96, p=0.7).fault == ""


def test_frames_that_change_faster_than_the_window_blame_the_window():
    answers = ["no", "no", "yes"] * 30
    alone = found(PATH, answers, [False] * 90, hz=1.0, p=0.95)
    assert alone.fault == ""
    wide = found(PATH, answers, [False] * 90, hz=1.0, p=0.95, method="window", window_s=8.0)
    assert wide.overruled > 0.25
    assert wide.fault == "window"


def test_wavering_labelers_blame_no_link():
    rng = np.random.default_rng(0)
    answers = [str(a) for a in rng.choice(["none", "ahead"], size=100, p=[0.6, 0.4])]
    result = found(ALERT, answers, [False] * 100, p=0.6)
    assert result.overruled > 0.25
    assert result.fault in ("labelers", "window")
