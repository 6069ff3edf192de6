import numpy as np

from drivelet.mining.evidence import Evidence
from drivelet.mining.hard import HardConfig, frame_scores, hardness, why

CHOICES = ("red", "green", "unknown")
SURE, OTHER, SPLIT = [0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.5, 0.45, 0.05]
SILENT = [np.nan] * 3


def evidence(votes, probs, *, stability=None, reasons=None):
    count = len(probs)
    return Evidence(
        choices=CHOICES, labelers=("teacher", "colour"), votes_FLC=np.array(votes), probs_FC=np.array(probs),
        stability_F=np.ones(count) if stability is None else np.array(stability), reasons=reasons or [""] * count,
    )  # fmt: skip


def test_the_four_signs_are_told_apart_and_put_into_words():
    seen = evidence(
        [[SURE, SURE], [SURE, OTHER], [SPLIT, SPLIT], [SURE, SURE], [SURE, SILENT], [SILENT, SILENT]],
        [SURE, SURE, SPLIT, SURE, SURE, SILENT],
        stability=[1, 1, 1, 0.4, 1, np.nan],
        reasons=["", "labelers_disagree", "", "unstable_in_window", "", "no_votes"],
    )
    hard = hardness(HardConfig(), seen)
    assert hard.score_F.argsort()[::-1][:3].tolist() == [1, 2, 3]
    assert hard.disagreement_F[1] > 0.8
    assert hard.disagreement_F[[0, 2, 3, 4, 5]].max() == 0
    assert hard.score_F[5] == 0
    assert why("lamp", seen, hard, 1) == (
        f"lamp: teacher says red 0.98 but colour says green 0.98 (divergence {hard.disagreement_F[1]:.2f} of 1); "
        "rejected: labelers_disagree"
    )
    assert why("lamp", seen, hard, 2) == "lamp: close call between red 0.50 and green 0.45"
    assert why("lamp", seen, hard, 3) == "lamp: only 40% of the frames around agree; rejected: unstable_in_window"


def test_a_field_that_is_always_doubtful_does_not_outshine_a_rare_dispute():
    always = evidence([[SPLIT, SPLIT]] * 4, [SPLIT] * 4)
    once = evidence([[SURE, SURE]] * 3 + [[SURE, OTHER]], [SURE] * 4)
    hard = {"always": hardness(HardConfig(), always), "once": hardness(HardConfig(), once)}
    scores, names = frame_scores(hard)
    assert scores.argmax() == 3
    assert names[3] == "once"
    assert scores[:3].max() < 0.1


def test_one_labeler_alone_cannot_disagree():
    seen = Evidence(
        choices=CHOICES, labelers=("teacher",), votes_FLC=np.array([[SPLIT]]), probs_FC=np.array([SPLIT]),
        stability_F=np.ones(1), reasons=[""],
    )  # fmt: skip
    hard = hardness(HardConfig(), seen)
    assert hard.disagreement_F.tolist() == [0]
    assert np.isclose(hard.score_F[0], 0.3 * 0.95)
