import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drivelet.mining.evidence import Evidence
from drivelet.mining.hard import LOG2, HardConfig, frame_scores, hardness, jensen_shannon, why

weights = hnp.arrays(float, 4, elements=st.floats(0, 1)).filter(lambda w: w.sum() > 0.1)
distributions = weights.map(lambda w: w / w.sum())


@given(distributions, distributions)
def test_the_divergence_is_symmetric_and_bounded(p, q):
    value = jensen_shannon(p, q)
    assert value == jensen_shannon(q, p)
    assert 0 <= value <= LOG2


@given(distributions, distributions)
def test_the_divergence_is_zero_for_equal_votes_alone(p, q):
    assert jensen_shannon(p, p) == 0
    # Pinsker: JS is at least an eighth of the squared L1 distance; closer than 1e-6, rounding swallows it.
    distance = abs(p - q).sum()
    if distance > 1e-6:
        assert jensen_shannon(p, q) >= distance**2 / 8 - 1e-15


def test_votes_without_common_answers_differ_by_log_2_and_silence_stays_silence():
    assert np.isclose(jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])), LOG2)
    assert np.isnan(jensen_shannon(np.array([1.0, 0.0]), np.array([np.nan, np.nan])))


@st.composite
def evidences(draw):
    frames, labelers = draw(st.integers(1, 6)), draw(st.integers(0, 3))
    votes = np.array([[draw(distributions) for _ in range(labelers)] for _ in range(frames)]).reshape(
        frames, labelers, 4
    )
    silent = draw(hnp.arrays(bool, (frames, labelers)))
    votes[silent] = np.nan
    probs = np.stack([draw(distributions) for _ in range(frames)])
    unlabelled = draw(hnp.arrays(bool, frames))
    probs[unlabelled] = np.nan
    stability = np.where(unlabelled, np.nan, draw(hnp.arrays(float, frames, elements=st.floats(0, 1))))
    reasons = draw(st.lists(st.sampled_from(("", "low_confidence")), min_size=frames, max_size=frames))
    return Evidence(
        choices=("a", "b", "c", "unknown"), labelers=tuple("xyz"[:labelers]), votes_FLC=votes, probs_FC=probs,
        stability_F=stability, reasons=reasons,
    )  # fmt: skip


@given(evidences())
def test_every_sign_lies_in_its_bounds_and_every_frame_has_words(evidence):
    config = HardConfig()
    hard = hardness(config, evidence)
    for sign in (hard.disagreement_F, hard.doubt_F, hard.wavering_F):
        assert ((sign >= 0) & (sign <= 1)).all()
    most = config.disagreement + config.doubt + config.wavering + config.rejection
    assert ((hard.score_F >= 0) & (hard.score_F <= most + 1e-12)).all()
    assert (hard.score_F[~evidence.labelled()] == 0).all()
    scores, names = frame_scores({"f": hard})
    assert (scores >= 0).all()
    assert set(names) == {"f"}
    for frame in np.flatnonzero(evidence.labelled()):
        assert why("f", evidence, hard, int(frame)).startswith("f: ")


@given(evidences())
def test_the_order_of_labelers_does_not_matter(evidence):
    turned = Evidence(
        **{**vars(evidence), "votes_FLC": evidence.votes_FLC[:, ::-1], "labelers": evidence.labelers[::-1]}
    )
    assert (hardness(HardConfig(), turned).score_F == hardness(HardConfig(), evidence).score_F).all()
