"""Whatever a log holds: cleaned streams rise in time, are finite and plausible, and every sample is accounted for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drivelet.drives.reading import Stream, by_time, first_rising
from drivelet.drives.sensors import LARGEST, SensorLog, align, choose, clean
from drivelet.drives.units import SCALES, UnitConfig, column, in_units

NUMBERS = st.floats(width=64, allow_nan=True, allow_infinity=True)
TIMES = st.one_of(st.floats(-5, 5), NUMBERS)
PAIRS = st.lists(st.tuples(TIMES, st.one_of(st.floats(-9, 9), NUMBERS)), max_size=40)


def stream(pairs, channel="yaw_rate_radps", source="/imu"):
    table = np.array(pairs, float).reshape(-1, 2)
    return Stream(channel=channel, source=source, time_N=table[:, 0], value_N=table[:, 1])


@given(PAIRS)
def test_a_cleaned_stream_rises_is_plausible_and_accounts_for_every_sample(pairs):
    cleaned = clean(stream(pairs))
    if isinstance(cleaned, str):
        assert cleaned
        return
    samples, report = cleaned
    assert (np.diff(samples.time_N) > 0).all()
    assert np.isfinite(samples.value_N).all()
    assert (np.abs(samples.value_N) <= LARGEST["yaw_rate_radps"]).all()
    assert report.samples == len(samples.time_N) >= 2
    assert report.samples + report.skipped == len(pairs)
    assert set(zip(*samples, strict=True)) <= set(pairs)


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(-9, 9)), min_size=2, max_size=30, unique_by=lambda p: p[0]),
       st.randoms())  # fmt: skip
def test_shuffling_changes_nothing_but_the_count(pairs, random):
    whole = clean(stream(sorted(pairs)))
    shuffled = list(pairs)
    random.shuffle(shuffled)
    again = clean(stream(shuffled))
    if isinstance(again, str):
        assert again == "its times never rise"
        return
    assert not isinstance(whole, str)
    assert all(np.array_equal(a, b) for a, b in zip(whole[0], again[0], strict=True))
    assert whole[1].unsorted == 0


@given(st.lists(PAIRS, max_size=5))
def test_every_stream_is_in_use_or_left_out_with_a_reason(several):
    streams = [stream(pairs, source=str(n)) for n, pairs in enumerate(several)]
    chosen = choose(streams, end=3.0, max_gap_s=0.5)
    assert len(chosen.streams) == len(chosen.log.channels) <= 1
    assert sorted([s.source for s in chosen.streams] + [d.source for d in chosen.dropped]) == [
        str(n) for n in range(len(several))
    ]
    assert all(dropped.reason for dropped in chosen.dropped)


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=20, unique=True),
    st.lists(st.floats(-2, 12), min_size=1, max_size=20),
    st.sampled_from(["linear", "nearest"]),
)
def test_aligned_values_lie_between_samples_and_gaps_are_empty(times, frames, method):
    cleaned = clean(stream([(time, time / 2) for time in sorted(times)]))
    if isinstance(cleaned, str):
        return
    samples = cleaned[0]
    log = SensorLog(channels={"yaw_rate_radps": samples})
    values = align(log, frames, method=method, max_gap_s=0.5)["yaw_rate_radps"]
    for frame, value in zip(frames, values, strict=True):
        far = np.abs(samples.time_N - frame).min() > 0.5
        assert np.isnan(value) == far
        assert far or samples.value_N.min() <= value <= samples.value_N.max()


@given(st.lists(st.integers(-5, 5), max_size=20))
def test_by_time_orders_every_distinct_time_once(times):
    order = by_time(times)
    assert [times[place] for place in order] == sorted(set(times))
    assert all(times.index(times[place]) == place for place in order)


@given(arrays(float, st.integers(0, 20), elements=NUMBERS))
def test_first_rising_keeps_places_of_finite_rising_times(times):
    kept = first_rising(times)
    assert kept == sorted(set(kept))
    assert np.isfinite(times[kept]).all()
    assert (np.diff(times[kept]) > 0).all()
    if len(times) and (np.abs(times) < 40_000).all() and (np.diff(times) > 0).all():
        assert len(kept) == len(times)


UNITS = [(quantity, unit) for quantity, units in SCALES.items() for unit in units]


@given(st.sampled_from(UNITS), st.floats(-100, 100))
def test_a_column_in_any_unit_holds_the_same(named, value):
    quantity, unit = named
    kept, factor = column(f" {quantity.title()}_{unit.upper()} ")
    assert kept == f"{quantity}_{next(iter(SCALES[quantity]))}"
    assert value / SCALES[quantity][unit] * factor == pytest.approx(value)
    assert column(f"{quantity}_{unit}x") is None


@given(
    st.sampled_from([("speed_mps", "kmh"), ("speed_mps", "mph"), ("speed_mps", "kn"), ("yaw_rate_radps", "degps"),
                     ("acceleration_mps2", "g")]),
    st.lists(st.floats(-9, 9), min_size=1, max_size=9),
)  # fmt: skip
def test_a_stream_in_any_unit_that_is_set_holds_the_same(named, values):
    channel, unit = named
    quantity = channel.rpartition("_")[0]
    given_in = stream(list(enumerate(np.array(values) / SCALES[quantity][unit])), channel=channel)
    found = in_units(given_in, UnitConfig(**{quantity: unit}))
    assert found.value_N == pytest.approx(np.array(values))
    assert in_units(found, UnitConfig(**{quantity: unit})) == found
    assert in_units(given_in, UnitConfig()) == given_in
