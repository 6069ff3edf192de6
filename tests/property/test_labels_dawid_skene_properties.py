import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.labels.dawid_skene import NO_VOTE, confusion_counts, fit, patterns

ANSWERS = 3


@st.composite
def votes(draw, labelers=3):
    rows = draw(st.lists(st.lists(st.integers(NO_VOTE, ANSWERS - 1), min_size=labelers, max_size=labelers),
                         min_size=1, max_size=40))  # fmt: skip
    return np.array(rows)


def simulated(rng, items, rights, answers=ANSWERS):
    truth = rng.integers(answers, size=items)
    guesses = rng.integers(answers, size=(items, len(rights)))
    return truth, np.where(rng.random((items, len(rights))) < rights, truth[:, None], guesses)


@given(votes())
def test_patterns_give_the_rows_back(rows):
    found = patterns(rows, ANSWERS)
    assert np.array_equal(found.votes_PL[found.of_item_N], rows)
    assert found.counts_P.sum() == len(rows)
    assert len({tuple(row) for row in rows}) == len(found.counts_P)


@given(votes())
def test_posteriors_and_confusions_are_distributions(rows):
    found = patterns(rows, ANSWERS)
    model = fit(found, ANSWERS)
    assert np.allclose(model.posterior(found.votes_PL).sum(axis=1), 1)
    assert np.allclose(model.confusion_LKK.sum(axis=2), 1)
    assert np.isclose(model.prior_K.sum(), 1)


@given(st.integers(0, 10_000), st.permutations(range(ANSWERS)))
def test_renaming_the_answers_renames_the_outcome(seed, order):
    _, rows = simulated(np.random.default_rng(seed), 60, [0.8, 0.7, 0.6])
    renamed = np.array(order)[rows]
    plain, other = patterns(rows, ANSWERS), patterns(renamed, ANSWERS)
    a = fit(plain, ANSWERS).posterior(rows)
    b = fit(other, ANSWERS).posterior(renamed)
    assert np.allclose(a, b[:, list(order)], atol=1e-4)


@given(st.integers(0, 10_000))
def test_the_likelihood_never_falls(seed):
    _, rows = simulated(np.random.default_rng(seed), 80, [0.9, 0.6, 0.5])
    gained = fit(patterns(rows, ANSWERS), ANSWERS, smoothing=1e-9, tolerance=1e-12).log_likelihoods
    assert (np.diff(gained) > -1e-7).all()


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_a_family_that_repeats_itself_counts_once(seed, copies):
    _, rows = simulated(np.random.default_rng(seed), 80, [0.8, 0.7, 0.6])
    repeated = np.concatenate([rows, *[rows[:, :1]] * (copies - 1)], axis=1)
    families = ["a", "b", "c", *["a"] * (copies - 1)]
    alone = fit(patterns(rows, ANSWERS), ANSWERS, steps=5).posterior(rows)
    found = fit(patterns(repeated, ANSWERS), ANSWERS, families=families, steps=5).posterior(repeated)
    assert np.allclose(alone, found, atol=1e-6)


def test_confusions_are_found_and_weigh_more_than_a_majority():
    rng = np.random.default_rng(0)
    truth, rows = simulated(rng, 4000, [0.95, 0.5, 0.5, 0.5])
    found = patterns(rows, ANSWERS)
    model = fit(found, ANSWERS)
    assert np.diagonal(model.confusion_LKK[0]) == pytest.approx(0.95 + 0.05 / 3, abs=0.03)
    right = (model.posterior(rows).argmax(axis=1) == truth).mean()
    majority = np.array([np.bincount(row, minlength=ANSWERS).argmax() for row in rows])
    assert right > (majority == truth).mean() + 0.03


def test_labelers_that_err_together_are_not_believed_together():
    rng = np.random.default_rng(1)
    truth, rows = simulated(rng, 3000, [0.75, 0.85, 0.85])
    twins = np.concatenate([rows[:, :1]] * 3 + [rows[:, 1:]], axis=1)
    families = ["vlm", "vlm", "vlm", "colour", "ocr"]
    plain = fit(patterns(twins, ANSWERS), ANSWERS).posterior(twins).argmax(axis=1)
    aware = fit(patterns(twins, ANSWERS), ANSWERS, families=families).posterior(twins).argmax(axis=1)
    assert (aware == truth).mean() > (plain == truth).mean() + 0.02


def test_hand_checked_items_anchor_the_answers():
    rng = np.random.default_rng(2)
    truth, rows = simulated(rng, 500, [0.8, 0.8])
    swapped = np.where(rows == 0, 1, np.where(rows == 1, 0, rows))
    known = confusion_counts(swapped[:100], truth[:100], ANSWERS)
    model = fit(patterns(swapped, ANSWERS), ANSWERS, known_LKK=known)
    assert (model.posterior(swapped).argmax(axis=1) == truth).mean() > 0.8


def test_too_many_patterns_for_one_number_are_refused():
    with pytest.raises(ValueError, match="too many patterns"):
        patterns(np.zeros((2, 40), int), 5)
