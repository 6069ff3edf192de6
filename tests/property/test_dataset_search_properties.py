"""The mix search: within its budget, deterministic, and right where the score says what is best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.core.errors import InputError
from drivelet.dataset.search import SearchConfig, cost, search_mix, simplex, trial_records

CONFIGS = st.builds(
    SearchConfig,
    parts=st.integers(1, 6),
    rungs=st.integers(1, 4),
    halving=st.integers(2, 4),
    budget=st.floats(0.1, 60),
)
NAMES = ("real", "render", "paint", "drive")


@given(CONFIGS, st.integers(1, 4), st.tuples(*[st.floats(0, 1)] * 4))
def test_it_keeps_its_budget_and_ends_at_the_grid_point_nearest_to_the_best(config, count, wish) -> None:
    sources = NAMES[:count]
    total = sum(wish[:count]) + 1e-9
    target = {name: weight / total for name, weight in zip(sources, wish, strict=False)}
    spent: list[float] = []

    def evaluate(mix, effort: float) -> float:
        assert sum(mix.values()) == pytest.approx(1) and set(mix) == set(sources)
        assert 0 < effort <= 1
        spent.append(effort)
        return -sum((mix[name] - target[name]) ** 2 for name in sources)

    if cost(count, config) > config.budget + 1e-9:
        with pytest.raises(InputError, match="too small"):
            search_mix(config, sources=sources, evaluate=evaluate)
        return
    found = search_mix(config, sources=sources, evaluate=evaluate)
    assert sum(spent) <= config.budget + 1e-6
    first = [trial.mix for trial in found.trials if trial.rung == 0]
    scores = {tuple(trial.mix.values()): trial.score for trial in found.trials}
    assert scores[tuple(found.best.values())] == max(scores.values())
    assert max(trial.effort for trial in found.trials if trial.mix == found.best) == 1.0
    assert all({name: 1.0 if name == pure else 0.0 for name in sources} in first for pure in sources)
    assert found == search_mix(config, sources=sources, evaluate=evaluate)
    records = trial_records(found)
    assert [record["chosen"] for record in records].count("yes") == 1
    assert len(records) == len(spent) // 2


@given(st.integers(1, 4), st.integers(1, 6))
def test_the_grid_holds_every_mix_once(count: int, parts: int) -> None:
    grid = [tuple(round(share * parts) for share in mix.values()) for mix in simplex(NAMES[:count], parts)]
    assert len(set(grid)) == len(grid)
    expected = [c for c in _all(count, parts) if sum(c) == parts]
    assert sorted(grid) == sorted(expected)


def _all(count: int, parts: int) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for _ in range(count):
        found = [(*part, n) for part in found for n in range(parts + 1)]
    return found


def test_equal_scores_go_to_the_first_and_a_short_training_that_misleads_is_forgotten() -> None:
    config = SearchConfig(parts=2, rungs=2, halving=2, budget=9)
    flat = search_mix(config, sources=NAMES[:2], evaluate=lambda mix, effort: 0.5)
    assert flat.best == {"real": 1.0, "render": 0.0}
    turned = search_mix(
        config, sources=NAMES[:2], evaluate=lambda mix, effort: mix["real"] if effort < 1 else mix["render"]
    )
    assert turned.best == {"real": 0.5, "render": 0.5}
