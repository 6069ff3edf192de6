import numpy as np
import pytest

from drivelet import tasks
from drivelet.core.artifacts import Vote
from drivelet.labels.calibrate import ENOUGH, Calibration, CalibrationMap, Gold, calibrate, vote_on_images

FIELDS = tasks.fields()
LAMP = FIELDS["traffic_light.state"]


def cell(accuracy, says, count, *, seed=0):
    """Votes of a labeler that is right with `accuracy` and claims `says`, and the gold."""
    rng = np.random.default_rng(seed)
    votes, gold = [], []
    for item in range(count):
        truth, other = rng.choice(["red", "green", "yellow"], 2, replace=False)
        answer = truth if rng.random() < accuracy else other
        vote = dict.fromkeys(LAMP.choices, (1 - says) / (len(LAMP.choices) - 1)) | {answer: says}
        votes.append(Vote(drive=str(item), frame=0, field=LAMP.name, labeler="a", family="a", probs=vote))
        gold.append(Gold(item=str(item), field=LAMP.name, label=str(truth)))
    return votes, gold


def test_an_overconfident_labeler_is_believed_as_far_as_it_is_right():
    votes, gold = cell(0.7, 0.98, 300)
    fitted = calibrate(votes, gold, FIELDS).of("a", LAMP.name)
    assert fitted.method != "identity"
    assert fitted.nll_after < fitted.nll_before
    corrected = fitted.apply([votes[0].probs[choice] for choice in LAMP.choices])
    assert corrected.max() == pytest.approx(fitted.accuracy, abs=0.05)


def test_a_humble_labeler_is_believed_more():
    votes, gold = cell(0.97, 0.5, 300)
    fitted = calibrate(votes, gold, FIELDS).of("a", LAMP.name)
    assert fitted.apply([votes[0].probs[choice] for choice in LAMP.choices]).max() > 0.9


def test_little_gold_leaves_votes_as_they_are_and_says_so():
    votes, gold = cell(0.5, 0.99, ENOUGH - 1)
    fitted = calibrate(votes, gold, FIELDS).of("a", LAMP.name)
    assert (fitted.method, fitted.count) == ("identity", ENOUGH - 1)
    assert "fewer than" in fitted.note


def test_one_group_of_gold_cannot_be_cross_validated_and_stays_as_it_is():
    votes, gold = cell(0.5, 0.99, 60)
    one = [Gold(item=row.item, field=row.field, label=row.label, group="one drive") for row in gold]
    assert calibrate(votes, one, FIELDS).of("a", LAMP.name).method == "identity"


def test_coarse_gold_counts_every_answer_it_allows():
    spec = FIELDS["cone.count"]
    votes = [
        Vote(drive=str(i), frame=0, field=spec.name, labeler="a", family="a", probs={"1-2": 0.4, "3-5": 0.4, "0": 0.2})
        for i in range(40)
    ]
    gold = [Gold(item=str(i), field=spec.name, label="some") for i in range(40)]
    fitted = calibrate(votes, gold, FIELDS).of("a", spec.name)
    assert fitted.accuracy == 1
    assert fitted.nll_after < 0.25


def test_calibration_survives_writing_and_reading():
    votes, gold = cell(0.7, 0.98, 100)
    fitted = calibrate(votes, gold, FIELDS)
    again = Calibration.from_json(fitted.as_json())
    assert again.of("a", LAMP.name) == fitted.of("a", LAMP.name)
    assert again.of("b", LAMP.name).method == "identity"


def test_labelers_vote_on_gold_images():
    class One:
        name, family, fields = "one", "f", (LAMP.name,)

        def label(self, image):
            return {LAMP.name: {"red": 1.0}, "no.such.field": {"x": 1.0}} if image.any() else {}

    images = [("a", np.ones((2, 2, 3), np.uint8)), ("b", np.zeros((2, 2, 3), np.uint8))]
    votes = vote_on_images([One()], images, FIELDS)
    assert [(v.drive, v.labeler, v.field) for v in votes] == [("a", "one", LAMP.name)]


@pytest.mark.parametrize(
    ("method", "params"),
    [("isotonic", ()), ("isotonic", (0.1, 0.2, 0.3)), ("platt", (1.0,)), ("temperature", ()), ("none", ()),
     ("temperature", (float("nan"),))],
)  # fmt: skip
def test_a_correction_that_cannot_be_applied_is_refused(method: str, params: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="is no correction"):
        CalibrationMap(method=method, params=params)
