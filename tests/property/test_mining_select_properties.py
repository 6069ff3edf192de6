from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drivelet.core.artifacts import Frame
from drivelet.mining.cover import BLOCK, LazyGreedy, Objective
from drivelet.mining.select import SelectConfig, quotas, scenes, select

whole = st.integers(-3, 3)


@st.composite
def objectives(draw, most=12):
    """Small whole numbers, so that every sum is exact and equal gains are equal."""
    count, clients, size = draw(st.integers(1, most)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    return Objective(
        vectors_ND=draw(hnp.arrays(np.float32, (count, size), elements=whole)),
        clients_MD=draw(hnp.arrays(np.float32, (clients, size), elements=whole)),
        weights_M=draw(hnp.arrays(np.float32, clients, elements=st.integers(0, 3))),
        values_N=draw(hnp.arrays(float, count, elements=st.integers(0, 3))),
    )


def worth(objective, chosen):
    """F(S) from its definition."""
    if not chosen:
        return 0.0
    near = (objective.clients_MD @ objective.vectors_ND[list(chosen)].T).max(axis=1)
    return float(objective.weights_M @ np.maximum(near, 0)) + float(objective.values_N[list(chosen)].sum())


def plain_greedy(objective, steps, open_N):
    chosen = []
    for _ in range(steps):
        gains = {j: worth(objective, [*chosen, j]) for j in np.flatnonzero(open_N) if j not in chosen}
        if gains:
            chosen.append(max(gains, key=lambda j: (gains[j], -j)))
    return chosen


@given(objectives(), st.integers(1, 8), st.data())
def test_lazy_greedy_is_plain_greedy(objective, steps, data):
    open_N = data.draw(hnp.arrays(bool, len(objective.vectors_ND)))
    lazy = LazyGreedy(objective)
    for _ in range(steps):
        lazy.pick(open_N)
    assert lazy.chosen == plain_greedy(objective, steps, open_N)
    assert sum(lazy.gains) == worth(objective, lazy.chosen)


@given(st.integers(0, 20))
def test_lazy_greedy_is_plain_greedy_over_many_blocks_too(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-3, 4, (5 * BLOCK, 3)).astype(np.float32)
    objective = Objective(
        vectors_ND=vectors, clients_MD=vectors[:40], weights_M=rng.integers(0, 3, 40).astype(np.float32),
        values_N=rng.integers(0, 9, len(vectors)).astype(float),
    )  # fmt: skip
    lazy, open_N = LazyGreedy(objective), np.ones(len(vectors), bool)
    for _ in range(6):
        lazy.pick(open_N)
    assert lazy.chosen == plain_greedy(objective, 6, open_N)


@given(objectives(), st.data())
def test_the_objective_is_monotone_and_submodular(objective, data):
    places = st.lists(st.integers(0, len(objective.vectors_ND) - 1), max_size=6, unique=True)
    large = data.draw(places)
    small = [place for place in large if data.draw(st.booleans())]
    every = np.arange(len(objective.vectors_ND))

    def gains(chosen):
        covered = np.zeros(len(objective.clients_MD), np.float32)
        for place in chosen:
            covered = objective.cover(place, covered)
        return objective.gains(every, covered)

    outside = [place for place in every if place not in large]
    assert (gains(large) >= 0).all()
    assert (gains(small) >= gains(large)).all()
    for place in outside:
        assert gains(large)[place] == worth(objective, [*large, place]) - worth(objective, large)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50)), st.integers(0, 80))
def test_quotas_share_what_there_is_and_favour_the_rare(counts, units):
    given_out = quotas(counts, units=units)
    assert sum(given_out.values()) == min(units, sum(counts.values()))
    for answer, quota in given_out.items():
        assert 0 <= quota <= counts[answer]
        for other, theirs in given_out.items():
            if counts[answer] < counts[other] and quota < counts[answer]:
                assert quota >= theirs


@st.composite
def drives(draw):
    count = draw(st.integers(1, 40))
    frames = [
        Frame(drive=f"d{drive}", file=f"/{drive}.mp4", frame=place, t=float("nan") if drive == 2 else place * 1.5)
        for place, drive in enumerate(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    ]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    vectors[rng.random(count) < 0.1] = np.nan
    weights = np.where(rng.random(count) < 0.2, 0.0, rng.random(count))
    answers = {f"a{p}": rng.random(count) < p for p in (0.05, 0.3, 0.8)}
    return frames, vectors, weights, answers


@given(drives(), st.integers(1, 20), st.integers(1, 3), st.sampled_from((None, 2, 5)), st.floats(0, 1))
def test_a_selection_keeps_budget_limits_and_quotas(drive, budget, per_scene, per_drive, share):
    frames, vectors, weights, answers = drive
    config = SelectConfig(per_scene=per_scene, per_drive=per_drive, rare_share=share, clients=16)
    picks = select(config, vectors_ND=vectors, weights_N=weights, frames=frames, answers=answers, budget=budget)
    chosen = [pick.position for pick in picks]
    assert len(set(chosen)) == len(chosen) <= budget
    ready = ~np.isnan(vectors).any(axis=1) & (weights > 0)
    assert ready[chosen].all()
    scene_of = scenes(frames, config.scene_s)
    per_scene_count = Counter(scene_of[place] for place in chosen)
    per_file = Counter(frames[p].drive if np.isnan(frames[p].t) else frames[p].file for p in chosen)
    assert max(per_scene_count.values(), default=0) <= per_scene
    assert max(per_file.values(), default=0) <= (per_drive or budget)

    def is_open(place):
        file = frames[place].drive if np.isnan(frames[place].t) else frames[place].file
        full = per_scene_count[scene_of[place]] >= per_scene or per_file[file] >= (per_drive or budget + 1)
        return ready[place] and place not in chosen and not full

    if len(chosen) < budget:
        assert not any(is_open(place) for place in range(len(frames)))
    counts = {name: int((mask & ready).sum()) for name, mask in answers.items()}
    for name, quota in quotas(counts, units=round(share * min(budget, len(frames)))).items():
        got = sum(bool(answers[name][place]) for place in chosen)
        assert got >= quota or not any(is_open(p) for p in np.flatnonzero(answers[name]))
    again = select(config, vectors_ND=vectors, weights_N=weights, frames=frames, answers=answers, budget=budget)
    assert again == picks
