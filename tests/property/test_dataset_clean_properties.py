import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.core.manifest import Row
from drivelet.dataset.clean import clean_rows
from drivelet.dataset.duplicates import near_duplicates
from drivelet.dataset.looks import Look, LookConfig

CONFIG = LookConfig()
FIELDS = tasks.fields()
GREY = np.full((16, 16, 3), 90, np.uint8)


def looks_of(hashes: list[int]) -> dict[str, Look]:
    return {f"{n:03d}": Look(pixels=str(n), perceptual=value, thumbnail=GREY) for n, value in enumerate(hashes)}


@given(st.lists(st.integers(0, 2**20 - 1).map(lambda bits: bits * 0x1000100001), max_size=40), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_the_banded_search_finds_what_comparing_all_pairs_finds(hashes: list[int], distance: int) -> None:
    hashes = [value % 2**64 for value in hashes]
    looks = looks_of(hashes)
    found = list(near_duplicates(looks, LookConfig(near_distance=distance)))
    expected = [
        (f"{a:03d}", f"{b:03d}")
        for a, b in itertools.combinations(range(len(hashes)), 2)
        if (hashes[a] ^ hashes[b]).bit_count() <= distance
    ]
    assert sorted(found) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["p", "q", "r"]),
            st.sampled_from([0, 1, 2**30 - 1]),
            st.sampled_from(["train", "val", "test"]),
            st.sampled_from(["red", "green"]),
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_one_of_each_picture_is_kept_and_no_picture_crosses_splits(items: list[tuple[str, int, str, str]]) -> None:
    rows, looks = [], {}
    for n, (pixels, perceptual, split, label) in enumerate(items):
        path = f"{n:02d}"
        rows.append(Row(path=path, task="traffic_light.state", label=label, split=split, group=path))
        looks[path] = Look(pixels=f"{pixels}{perceptual}", perceptual=perceptual, thumbnail=GREY)
    result = clean_rows(rows, looks=looks, fields=FIELDS, config=CONFIG)
    assert len(result.rows) + len(result.rejected) == len(rows)
    kept = {row.path: row.split for row in result.rows}
    assert kept.keys() >= {row.path for row in rows if row.split == "test"}
    for first, second in near_duplicates({path: looks[path] for path in kept}, CONFIG):
        assert kept[first] == kept[second]
    left = {r.row.path: r for r in result.rejected if r.row.path not in kept}
    for rejection in result.rejected:
        end = rejection
        while end.detail in left and end.reason != "contradicting labels":
            end = left[end.detail]
        assert end.detail in kept or end.reason == "contradicting labels"


PICTURES = st.lists(
    st.tuples(
        st.sampled_from("pqr"),
        st.sampled_from([0, 1, 2**30 - 1]),
        st.sampled_from(["train", "val", "test"]),
        st.sampled_from(["traffic_light.state:red", "traffic_light.state:green", "cone.count:0", "cone.count:some"]),
        st.sampled_from([1.0, 0.7]),
        st.sampled_from(["", "too dark"]),
        st.sampled_from([0.0, 0.001, 1.5]),
    ),
    min_size=1,
    max_size=12,
)


@given(PICTURES, st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_cleaning_twice_is_cleaning_once_and_the_order_of_rows_decides_nothing(items, random) -> None:
    rows, looks = [], {}
    for n, (pixels, perceptual, split, said, weight, flaw, angle) in enumerate(items):
        path, (task, label) = f"{n:02d}", said.split(":")
        rows.append(Row(path=path, task=task, label=label, split=split, group=path, weight=weight))
        vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
        looks[path] = Look(
            pixels=f"{pixels}{perceptual}", perceptual=perceptual, thumbnail=GREY, flaw=flaw, vector=vector
        )
    once = clean_rows(rows, looks=looks, fields=FIELDS, config=CONFIG)
    twice = clean_rows(once.rows, looks=looks, fields=FIELDS, config=CONFIG)
    assert twice.rows == once.rows
    assert twice.rejected == []
    shuffled = random.sample(rows, len(rows))
    again = clean_rows(shuffled, looks=looks, fields=FIELDS, config=CONFIG)
    assert sorted(again.rows, key=str) == sorted(once.rows, key=str)
    assert sorted(again.rejected, key=str) == sorted(once.rejected, key=str)
