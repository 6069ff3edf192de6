"""crowd-kit's Dawid-Skene is the oracle of the independent case."""

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene

from drivelet.labels.dawid_skene import NO_VOTE, fit, patterns

STEPS = 25


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_posteriors_agree_with_crowd_kit(seed: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(4, size=300)
    guesses = rng.integers(4, size=(300, 5))
    votes = np.where(rng.random((300, 5)) < [0.9, 0.8, 0.7, 0.6, 0.5], truth[:, None], guesses)
    votes[rng.random(votes.shape) < missing] = NO_VOTE
    votes[(votes == NO_VOTE).all(axis=1), 0] = 0
    items, labelers = np.nonzero(votes != NO_VOTE)
    table = pd.DataFrame({"task": items, "worker": labelers, "label": votes[items, labelers]})
    # Its own stopping rule looks at a bound that may fall; equal numbers of steps compare the algorithm itself.
    theirs = DawidSkene(n_iter=STEPS + 1, tol=-np.inf).fit_predict_proba(table).sort_index()[range(4)].to_numpy()
    found = patterns(votes, 4)
    ours = fit(found, 4, smoothing=1e-10, steps=STEPS, tolerance=-np.inf).posterior(found.votes_PL)[found.of_item_N]
    assert np.abs(ours - theirs).max() < 1e-5
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()
