from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.dataset.balance import origin_counts, select, side_counts


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 1), st.one_of(st.none(), st.integers(0, 800)))
def test_the_ratio_holds_to_the_nearest_image(real: int, synthetic: int, share: float, budget: int | None) -> None:
    a, b = side_counts(real, synthetic, share=share, budget=budget)
    assert 0 <= a <= real
    assert 0 <= b <= synthetic
    assert budget is None or a + b <= budget
    if real and synthetic:
        assert abs(a - share * (a + b)) <= 1
    else:
        assert a + b == min(real + synthetic, real + synthetic if budget is None else budget)


@given(st.integers(0, 500), st.integers(0, 500), st.one_of(st.none(), st.integers(0, 800)))
def test_without_a_share_the_budget_is_filled(real: int, synthetic: int, budget: int | None) -> None:
    a, b = side_counts(real, synthetic, share=None, budget=budget)
    assert 0 <= a <= real
    assert 0 <= b <= synthetic
    assert a + b == min(real + synthetic, real + synthetic if budget is None else budget)


@given(
    st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("abc")), max_size=60),
    st.integers(0, 60),
    st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_strata_are_as_even_as_the_stock_allows(items: list[tuple[str, str]], count: int, seed: int) -> None:
    rows = [
        Row(path=str(n), task=task, label=label, split="train", group=str(n)) for n, (task, label) in enumerate(items)
    ]
    chosen = select(rows, count, seed)
    assert len(chosen) == min(count, len(rows))
    assert chosen == select(list(reversed(rows)), count, seed)
    stock = Counter((row.task, row.label) for row in rows)
    taken = Counter((row.task, row.label) for row in rows if row.path in chosen)
    for task in "xy":
        open_strata = [s for s in stock if s[0] == task and taken[s] < stock[s]]
        most = max((taken[s] for s in stock if s[0] == task), default=0)
        assert all(taken[s] >= most - 1 for s in open_strata)


def test_hand_made_labels_come_before_pseudo_labels() -> None:
    rows = [
        Row(path=str(n), task="x", label="a", split="train", group="", weight=1.0 if n >= 7 else 0.9) for n in range(10)
    ]
    assert select(rows, 3, seed=1) == {"7", "8", "9"}


NAMES = ("real", "drive", "render", "paint")


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 300), min_size=1),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9), min_size=1),
    st.one_of(st.none(), st.integers(0, 600)),
)
def test_shares_by_source_hold_and_neither_stock_nor_budget_is_exceeded(
    there: dict[str, int], shares: dict[str, int], budget: int | None
) -> None:
    wanted = {name: share / max(sum(shares.values()), 1) for name, share in shares.items() if share}
    if not wanted or any(name not in there for name in wanted):
        with pytest.raises(InputError):
            origin_counts(there, shares=shares, budget=budget)
        return
    counts = origin_counts(there, shares=shares, budget=budget)
    total = sum(counts.values())
    assert counts.keys() == wanted.keys()
    assert all(0 <= counts[name] <= there[name] for name in counts)
    assert budget is None or total <= budget
    assert all(abs(counts[name] - total * share) <= 1 for name, share in wanted.items())
    full = min(there[name] / share for name, share in wanted.items())
    assert total >= int(min(full, full if budget is None else budget) + 1e-9) - (len(wanted) - 1)


@given(st.lists(st.sampled_from("aab"), min_size=20, max_size=60), st.integers(1, 20), st.integers(0, 3))
@settings(max_examples=50)
def test_uneven_selection_depends_on_the_images_alone(labels: list[str], count: int, seed: int) -> None:
    rows = [Row(path=str(n), task="x", label=label, split="train", group=str(n)) for n, label in enumerate(labels)]
    chosen = select(rows, count, seed, even=False)
    assert len(chosen) == count
    assert chosen == select(rows[::-1], count, seed, even=False)
    assert chosen <= select(rows, count + 1, seed, even=False)
