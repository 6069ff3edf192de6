import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.core.artifacts import Vote
from drivelet.labels.calibrate import FITS, Calibration, CalibrationMap, as_distribution
from drivelet.labels.fuse import FuseConfig, confusion, fuse
from drivelet.labels.ledger import REASONS, LedgerConfig, judge, yield_curve
from drivelet.labels.smooth import bounds, smooth, stability

FIELDS = tasks.fields()
SPEC = FIELDS["traffic_light.state"]
CHOICES = SPEC.choices
weights = st.lists(st.floats(0.0, 1.0), min_size=len(CHOICES), max_size=len(CHOICES)).filter(lambda w: sum(w) > 0.1)


def votes_of(rows, families=None):
    return [
        Vote(
            drive="d",
            frame=0,
            field=SPEC.name,
            labeler=f"l{i}",
            family=families[i] if families else f"f{i}",
            probs=dict(zip(CHOICES, as_distribution(row), strict=True)),
        )
        for i, row in enumerate(rows)
    ]


def fused(rows, families=None, **settings):
    return fuse(votes_of(rows, families), Calibration(), FIELDS, FuseConfig(**settings))["d", 0, SPEC.name]


@given(st.lists(weights, min_size=1, max_size=5), st.floats(0, 1))
def test_fused_votes_are_a_distribution(rows, discount):
    probs = fused(rows, ["same"] * len(rows), family_discount=discount).probs
    assert np.isclose(probs.sum(), 1)
    assert (probs > 0).all()


@given(st.lists(weights, min_size=1, max_size=4), st.permutations(range(len(CHOICES))))
def test_renaming_the_answers_renames_the_outcome(rows, order):
    plain = fused(rows).probs
    renamed = fused([[row[i] for i in order] for row in rows]).probs
    assert np.allclose(renamed, plain[list(order)], atol=1e-9)


@given(st.lists(weights, min_size=1, max_size=4))
def test_the_order_of_labelers_does_not_matter(rows):
    assert np.allclose(fused(rows).probs, fused(rows[::-1]).probs)


@given(st.lists(weights, min_size=1, max_size=5), st.integers(0, len(CHOICES) - 1))
def test_a_unanimous_answer_wins_and_gains(rows, winner):
    raised = [[w + (1.5 if i == winner else 0.0) for i, w in enumerate(row)] for row in rows]
    outcome = fused(raised, prior_floor=0.0)
    assert outcome.probs.argmax() == winner
    assert outcome.dissent == 0
    assert outcome.probs[winner] >= min(as_distribution(row)[winner] for row in raised) - 1e-3


@given(st.lists(weights, min_size=1, max_size=4))
def test_an_uninformative_labeler_changes_nothing(rows):
    assert np.allclose(fused([*rows, [1.0] * len(CHOICES)]).probs, fused(rows).probs)


@given(weights, st.integers(2, 5))
def test_a_family_that_repeats_itself_counts_once(row, times):
    repeated = fused([row] * times, ["same"] * times, family_discount=1.0)
    assert np.allclose(repeated.probs, fused([row]).probs)
    independent = fused([row] * times)
    assert independent.probs.max() >= repeated.probs.max() - 1e-9


@given(weights, st.sampled_from(["temperature", "platt", "isotonic"]), st.data())
def test_every_calibration_map_returns_a_distribution(row, method, data):
    if method == "temperature":
        params = (data.draw(st.floats(0.1, 20)),)
    elif method == "platt":
        params = (data.draw(st.floats(0, 5)), data.draw(st.floats(-10, 10)))
    else:
        params = (0.2, 0.9, 0.1, 0.95)
    assert method in FITS
    probs = CalibrationMap(method=method, params=params).apply(row)
    assert np.isclose(probs.sum(), 1)
    assert (probs > 0).all()


rows = st.lists(st.tuples(weights, st.booleans()), min_size=1, max_size=40)


def table(drawn):
    return np.stack([as_distribution(w) if known else np.full(len(CHOICES), np.nan) for w, known in drawn])


@given(rows, st.floats(0.1, 5))
def test_smoothing_stays_within_its_window(drawn, window):
    probs = table(drawn)
    times = np.arange(len(probs)) * 0.2
    result = smooth(probs, times, window_s=window)
    first, last = bounds(times, window)
    for i in range(len(probs)):
        inside = probs[first[i] : last[i]]
        inside = inside[~np.isnan(inside).any(axis=1)]
        assert abs(times[first[i] : last[i]] - times[i]).max() <= window / 2 + 1e-5
        if len(inside):
            assert (result[i] >= inside.min(axis=0) - 1e-9).all()
            assert (result[i] <= inside.max(axis=0) + 1e-9).all()
            assert np.isclose(result[i].sum(), 1)
        else:
            assert np.isnan(result[i]).all()


@given(weights, st.integers(1, 30), st.floats(0.1, 5))
def test_a_constant_drive_stays_as_it_is(row, count, window):
    probs = np.tile(as_distribution(row), (count, 1))
    assert np.allclose(smooth(probs, np.arange(count) * 0.2, window_s=window), probs)


@given(st.integers(5, 20), st.integers(5, 20))
def test_an_isolated_flip_in_a_long_run_is_removed(before, after):
    sure, flip = as_distribution([9, 0, 0, 0, 0, 1]), as_distribution([0, 9, 0, 0, 0, 1])
    probs = np.stack([sure] * before + [flip] + [sure] * after)
    times = np.arange(len(probs)) * 0.2
    result = smooth(probs, times, window_s=1.5)
    assert (result.argmax(axis=1) == 0).all()
    shares = stability(list(probs.argmax(axis=1)), list(result.argmax(axis=1)), list(times), window_s=1.5)
    assert (shares >= 0.75).all()


def test_a_window_does_not_reach_across_a_gap():
    probs = np.stack([as_distribution([1, 0, 0, 0, 0, 0]), as_distribution([0, 1, 0, 0, 0, 0])])
    assert list(smooth(probs, [0.0, 60.0], window_s=1.5).argmax(axis=1)) == [0, 1]


unit = st.floats(0, 1)


@given(st.sampled_from(CHOICES), unit, st.integers(0, 5), unit, unit)
def test_every_answer_is_accepted_or_has_one_known_reason(answer, prob, votes, dissent, steady):
    config = LedgerConfig()
    reason = judge(config, answer=answer, prob=prob, votes=votes, dissent=dissent, stability=steady)
    assert reason in ("", *REASONS)
    if not reason:
        assert votes > 0
        assert prob >= config.min_prob


@given(st.lists(st.tuples(unit, st.booleans()), min_size=1, max_size=60))
def test_the_yield_falls_and_ends_with_the_surest(rows):
    probs, right = zip(*rows, strict=True)
    curve = yield_curve(probs, right)
    kept = [point.kept for point in curve]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == 1.0
    assert np.isclose(curve[0].precision, np.mean(right))
    top = [r for p, r in rows if p >= curve[-1].min_prob]
    assert np.isclose(curve[-1].precision, np.mean(top))


@given(st.lists(weights, min_size=1, max_size=4), st.sampled_from(["confusion", "dawid_skene"]))
def test_every_way_of_fusing_returns_distributions(rows, method):
    size = len(CHOICES)
    counts = tuple(tuple(8 if i == j else 1 for j in range(size)) for i in range(size))
    known = CalibrationMap(count=80, accuracy=0.6, confusion=counts)
    calibration = Calibration(maps={f"l{i}": {SPEC.name: known} for i in range(len(rows))})
    probs = fuse(votes_of(rows), calibration, FIELDS, FuseConfig(method=method))["d", 0, SPEC.name].probs
    assert np.isclose(probs.sum(), 1)
    assert (probs > 0).all()


counts = st.lists(st.lists(st.integers(0, 60), min_size=6, max_size=6), min_size=6, max_size=6)


@given(counts)
def test_confusions_are_distributions_and_gold_outweighs_habit(rows):
    counted = np.asarray(rows, float)
    found = confusion(counted)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found > 0).all()
    seen = counted.sum(axis=1) > 0
    shares = counted[seen] / counted[seen].sum(axis=1, keepdims=True)
    many = confusion(1e6 * counted)
    assert np.allclose(many[seen], shares, atol=1e-3)


@given(counts, st.integers(0, 5))
def test_a_truth_that_gold_lacks_is_confused_as_usual(rows, absent):
    counted = np.asarray(rows, float)
    counted[absent] = 0
    right = (np.trace(counted) + 1) / (counted.sum() + 2)
    assert np.isclose(confusion(counted)[absent, absent], right)


def test_a_rare_truth_does_not_explain_every_odd_answer():
    counted = np.zeros((len(CHOICES),) * 2, int)
    for truth, said, count in (("none", "none", 95), ("none", "yellow", 1), ("red", "red", 30), ("green", "green", 30),
                               ("yellow", "yellow", 15), ("off", "none", 3), ("off", "yellow", 1)):  # fmt: skip
        counted[CHOICES.index(truth), CHOICES.index(said)] = count
    known = CalibrationMap(count=180, accuracy=0.98, confusion=tuple(map(tuple, counted.tolist())))
    calibration = Calibration(maps={f"l{i}": {SPEC.name: known} for i in range(2)})
    odd = [[0.55 if c == "yellow" else 0.09 for c in CHOICES], [0.8 if c == "none" else 0.04 for c in CHOICES]]
    found = fuse(votes_of(odd), calibration, FIELDS)["d", 0, SPEC.name].probs
    assert CHOICES[int(found.argmax())] == "none"
