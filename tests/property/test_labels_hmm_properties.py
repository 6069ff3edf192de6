from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.labels import hmm
from drivelet.labels.phases import chain_of

FIELDS = tasks.fields()
CHAINS = {name: chain_of(spec) for name, spec in FIELDS.items()}
PATH = CHAINS["cone.in_path"]
unit = st.floats(0.01, 1.0)


def drawn(data, chain, frames):
    rows = data.draw(st.lists(st.lists(unit, min_size=4, max_size=4), min_size=frames, max_size=frames))
    rng = np.random.default_rng(int(1e6 * sum(map(sum, rows))))
    loglik_FS = np.log(rng.uniform(0.01, 1.0, (frames, len(chain.shows))))
    times = np.cumsum(rng.uniform(0.05, 1.0, frames))
    standing = [None, False, True]
    passed = [bool(i) for i in rng.integers(2, size=frames)]
    ride = hmm.Ride(times=list(times), standing=[standing[int(i)] for i in rng.integers(3, size=frames)], passed=passed)
    return loglik_FS, ride


@given(st.sampled_from(sorted(CHAINS)), st.integers(1, 12), st.data())
def test_states_are_distributions_and_the_last_frame_needs_no_future(name, frames, data):
    chain = CHAINS[name]
    loglik_FS, ride = drawn(data, chain, frames)
    offline = hmm.forward_backward(loglik_FS, chain, ride)
    online = hmm.filtered(loglik_FS, chain, ride)
    assert np.allclose(offline.states_FS.sum(axis=1), 1)
    assert (offline.states_FS >= 0).all()
    assert np.allclose(offline.states_FS[-1], online.states_FS[-1])
    assert np.isclose(offline.log_evidence, online.log_evidence)


@given(st.integers(1, 6), st.data())
def test_forward_backward_equals_the_sum_over_all_paths(frames, data):
    loglik_FS, ride = drawn(data, PATH, frames)
    ride, times = replace(ride, standing=[False] * frames), ride.times
    steps = [hmm.transition(PATH.driving, times[f] - times[f - 1]) for f in range(1, frames)]
    weights = np.zeros((frames, len(PATH.shows)))
    total = 0.0
    for path in product(range(len(PATH.shows)), repeat=frames):
        weight = PATH.start[path[0]] * np.exp(loglik_FS[0, path[0]])
        for f in range(1, frames):
            weight *= steps[f - 1][path[f - 1], path[f]] * np.exp(loglik_FS[f, path[f]])
        total += weight
        for f, state in enumerate(path):
            weights[f, state] += weight
    found = hmm.forward_backward(loglik_FS, PATH, ride)
    assert np.allclose(found.states_FS, weights / total)
    assert np.isclose(found.log_evidence, np.log(total))


@given(st.sampled_from(sorted(CHAINS)), st.booleans(), st.floats(0.01, 3.0), st.floats(0.01, 3.0))
def test_transitions_are_stochastic_and_compose(name, standing, a, b):
    rates = CHAINS[name].standing if standing else CHAINS[name].driving
    first, second, both = (hmm.transition(rates, seconds) for seconds in (a, b, a + b))
    assert np.allclose(both.sum(axis=1), 1)
    assert (both >= 0).all()
    assert np.allclose(first @ second, both, atol=0.02)


@given(st.sampled_from(sorted(CHAINS)), st.lists(st.lists(unit, min_size=8, max_size=8), min_size=1, max_size=6))
def test_a_frame_without_votes_says_nothing(name, rows):
    spec, chain = FIELDS[name], CHAINS[name]
    probs_FC = np.full((len(rows), len(spec.choices)), np.nan)
    loglik_FS = hmm.evidence(probs_FC, chain, list(range(len(rows))), unknown=len(spec.choices) - 1, independent_s=0.4)
    assert np.ptp(loglik_FS, axis=1).max() < 1e-9


@given(st.floats(0.05, 2.0), st.integers(2, 20))
def test_frames_weigh_by_the_time_they_span(step, frames):
    spec, chain = FIELDS["cone.in_path"], PATH
    probs_FC = np.tile([0.8, 0.1, 0.1], (frames, 1))
    times = list(np.arange(frames) * step)
    loglik_FS = hmm.evidence(probs_FC, chain, times, unknown=spec.choices.index("unknown"), independent_s=0.4)
    gap_F = np.ptp(loglik_FS, axis=1)
    assert np.allclose(gap_F, min(step / 0.4, 1.0) * np.log(0.85 / 0.15), atol=1e-6)
