"""What study `t2i` says of its rounds."""

import pytest

from drivelet.recipes.studies.t2i_measures import rejected_share


def test_the_rejected_share_of_a_round_is_that_of_all_seeds_pictures() -> None:
    rounds = [
        {"seed": 2, "round": 0, "generated": 100, "rejection_rate": 0.5},
        {"seed": 2, "round": 1, "generated": 100, "rejection_rate": 0.9},
        {"seed": 3, "round": 0, "generated": 300, "rejection_rate": 0.7},
    ]
    assert rejected_share(rounds, 0) == pytest.approx(0.65)
    assert rejected_share(rounds, 1) == pytest.approx(0.9)
