"""Quadratic kappa of the cone counts agrees with scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from drivelet.tasks.cone import COUNTS, TASK


@pytest.mark.parametrize("seed", range(5))
def test_quadratic_kappa(seed):
    gold, answers = np.random.default_rng(seed).choice(COUNTS, size=(2, 60))
    expected = cohen_kappa_score(gold, answers, labels=list(COUNTS), weights="quadratic")
    assert TASK.measures["cone.count.quadratic_kappa"](list(gold), list(answers)) == pytest.approx(expected)
