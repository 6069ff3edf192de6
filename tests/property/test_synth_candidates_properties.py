"""How a round's prompts are spread: by any record of rejections, every stratum keeps its floor and none is lost."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.synth.painting.candidates import PromptConfig, prompts, shares, stratum
from drivelet.synth.painting.captions import CONES, LAMP, LIGHT, LIGHTS, POSTED, STRATA, caption
from drivelet.synth.painting.paint import kept_weights

RECORDS = st.lists(
    st.builds(
        lambda key, reason: {"facts": {LAMP: key[0], CONES: key[1]}, "reason": reason},
        st.sampled_from(STRATA),
        st.sampled_from(["", "blurred"]),
    ),
    max_size=60,
)
WEIGHT = st.floats(0, 1)


@given(RECORDS, WEIGHT)
def test_shares_are_a_distribution_with_a_floor(records: list[dict[str, object]], weight: float) -> None:
    found = shares(records, weight)
    assert sum(found.values()) == pytest.approx(1) and set(found) == set(STRATA)
    assert min(found.values()) >= (1 - weight) / len(STRATA) - 1e-9


@given(RECORDS, WEIGHT, st.integers(0, 80))
def test_prompts_follow_the_shares_to_within_one(records: list[dict[str, object]], weight: float, count: int) -> None:
    wanted = shares(records, weight)
    asked = prompts(PromptConfig(), seed=0, name=1, count=count, wanted=wanted)
    counts = Counter(stratum(facts) for facts in asked)
    assert len(asked) == count
    assert all(abs(counts[key] - share * count) < 1 + 1e-6 for key, share in wanted.items())


@given(st.integers(0, 5))
def test_without_shares_prompts_are_even_and_repeat_by_name(seed: int) -> None:
    asked = prompts(PromptConfig(), seed=seed, name=0, count=32)
    assert Counter(map(stratum, asked)) == dict.fromkeys(STRATA, 4)
    assert asked == prompts(PromptConfig(), seed=seed, name=0, count=32)
    assert asked != prompts(PromptConfig(), seed=seed, name=1, count=32)


def test_signs_and_style_enter_the_caption() -> None:
    config = PromptConfig(posted=("30", "50"), style="dash camera photo")
    (facts,) = prompts(config, seed=0, name=0, count=1)
    assert facts[POSTED] in ("30", "50")
    assert caption(facts, style=config.style).endswith(f"speed limit {facts[POSTED]} sign, dash camera photo")


KEPT = st.lists(
    st.builds(
        lambda key, light, kept: {"facts": {LAMP: key[0], CONES: key[1], LIGHT: light}, "kept": kept},
        st.sampled_from(STRATA[:3]),
        st.sampled_from(LIGHTS),
        st.booleans(),
    ),
    max_size=40,
)


@given(KEPT)
def test_kept_pictures_weigh_by_what_was_asked_for_and_not_by_what_passed(records: list[dict[str, Any]]) -> None:
    kept = [record for record in records if record["kept"]]
    weights = kept_weights(records)
    assert len(weights) == len(kept)
    assert sum(weights) == pytest.approx(1) or not kept
    by_cell: Counter[tuple[str, ...]] = Counter()
    for record, weight in zip(kept, weights, strict=True):
        by_cell[tuple(record["facts"].values())] += weight  # pyright: ignore[reportArgumentType]
    asked = Counter(tuple(record["facts"].values()) for record in records)
    whole = sum(asked[cell] for cell in by_cell)
    assert all(weight == pytest.approx(asked[cell] / whole) for cell, weight in by_cell.items())
