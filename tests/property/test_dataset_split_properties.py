from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.manifest import Row
from drivelet.dataset.split import assign_splits


def rows_of(groups: list[int]) -> list[Row]:
    return [
        Row(path=str(n), task="cone.count", label="0", split="train", group=f"g{group}")
        for n, group in enumerate(groups)
    ]


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=80),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=10),
    st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_no_group_and_no_link_crosses(groups: list[int], pairs: list[tuple[int, int]], seed: int) -> None:
    links = [(f"g{a}", f"g{b}") for a, b in pairs]
    rows = assign_splits(rows_of(groups), val_share=0.3, test_share=0.2, seed=seed, links=links)
    side = {row.group: row.split for row in rows}
    assert all(side[row.group] == row.split for row in rows)
    assert all(side[a] == side[b] for a, b in links if a in side and b in side)
    assert "train" in side.values()


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_shares_come_out_about_right(seed: int) -> None:
    rows = assign_splits(rows_of(list(range(600))), val_share=0.2, test_share=0.1, seed=seed)
    shares = {split: sum(row.split == split for row in rows) / 600 for split in ("train", "val", "test")}
    assert abs(shares["val"] - 0.2) < 0.08
    assert abs(shares["test"] - 0.1) < 0.06


@given(st.integers(1, 100), st.integers(1, 100))
@settings(max_examples=30, deadline=None)
def test_added_groups_move_nobody(before: int, more: int) -> None:
    small = assign_splits(rows_of(list(range(before + 100))), val_share=0.3)
    large = assign_splits(rows_of(list(range(before + 100 + more))), val_share=0.3)
    assert small == large[: len(small)]


def test_two_groups_give_one_to_val() -> None:
    for seed in range(10):
        assert {row.split for row in assign_splits(rows_of([0, 1]), val_share=0.1, seed=seed)} == {"train", "val"}
