"""Times that are written into names in any usual way come back; running numbers are never taken for times."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drivelet.drives.name_times import SECOND, name_times, spread

FIRST, LAST = 1_000_000_000, 4_000_000_000
WRITTEN = {
    "epoch s": (SECOND, lambda ns: f"{ns // SECOND}"),
    "epoch ms": (10**6, lambda ns: f"cam_{ns // 10**6}"),
    "epoch us": (10**3, lambda ns: f"{ns // 10**3}_front"),
    "epoch ns": (1, lambda ns: f"a__{ns}"),
    "compact": (SECOND, lambda ns: f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y%m%d%H%M%S}"),
    "ms": (10**6, lambda ns: f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y%m%d%H%M%S}{ns // 10**6 % 1000:03d}"),
    "lines": (SECOND, lambda ns: f"x {datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%d_%H-%M-%S}"),
    "dots": (
        10**6,
        lambda ns: f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%d %H.%M.%S}.{ns // 10**6 % 1000:03d}",
    ),
}


@given(
    start=st.integers(FIRST, LAST),
    steps=st.lists(st.integers(1, 10**10), min_size=2, max_size=12),
    way=st.sampled_from(list(WRITTEN)),
)
def test_what_is_written_comes_back(start: int, steps: list[int], way: str) -> None:
    unit, write = WRITTEN[way]
    times = [start * SECOND]
    for step in steps:
        times.append(times[-1] + step * unit // (1 + step * unit // (20 * SECOND)))
    expected = [time // unit * unit for time in times]
    found = name_times([write(time) for time in times])
    if len(set(expected)) < 2:
        assert found is None
    else:
        assert found is not None and found[1] == expected


@given(
    first=st.integers(0, 10**8), count=st.integers(2, 50), width=st.integers(1, 12), prefix=st.sampled_from(["", "f"])
)
def test_running_numbers_are_no_times(first: int, count: int, width: int, prefix: str) -> None:
    assert name_times([f"{prefix}{first + n:0{width}d}" for n in range(count)]) is None


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=8))
def test_spread_times_rise_and_stay_in_their_second(counts: list[int]) -> None:
    times = [second * SECOND for second, count in enumerate(counts) for _ in range(count)]
    even = spread(times)
    assert all(a is not None and b is not None and a < b for a, b in pairwise(even))
    inner = [(given, got) for given, got in zip(times, even, strict=True) if 0 < given < times[-1]]
    assert all(got is not None and given <= got < given + SECOND for given, got in inner)
