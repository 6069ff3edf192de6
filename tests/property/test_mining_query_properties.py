import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.mining.evidence import Evidence
from drivelet.mining.match import match
from drivelet.mining.query import CHANNELS, OPERATORS, WORDS, parse

FIELDS = tasks.fields()
NUMBERED = ("cone.count", "speed_limit.posted")
numbers = st.floats(-1e6, 1e6, allow_nan=False)
equalities = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(("=", "!=")), st.sampled_from(FIELDS[name].choices))
)
measurements = st.tuples(st.sampled_from(CHANNELS), st.sampled_from(sorted(OPERATORS)), numbers.map(repr))
conditions = st.one_of(equalities.map("".join), measurements.map(" ".join), st.sampled_from(sorted(WORDS)))
queries = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.map(lambda q: f"not ({q})"),
        st.tuples(inner, st.sampled_from((" and ", " or ")), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
        st.tuples(inner, st.sampled_from((" AND ", " or ")), inner).map("".join),
    ),
    max_leaves=8,
)


def parsed(text):
    """The query, or None where conditions of one field leave no answer."""
    try:
        return parse(text, FIELDS)
    except InputError as error:
        assert "is left" in str(error)
        return None


@given(queries)
def test_a_query_that_is_printed_reads_back_as_itself(text):
    query = parsed(text)
    if query is not None:
        assert parse(str(query), FIELDS) == query


alphabet = st.sampled_from(
    [*"()<>=!\"' .,&|-", "and", "or", "not", "cone.count", "speed_mps", "red", "3-5", "1", "é\n"]
)


@given(
    st.one_of(st.text(), st.lists(alphabet, max_size=12).map(" ".join), st.lists(alphabet, max_size=12).map("".join))
)
def test_any_text_is_a_query_or_is_refused_in_one_line(text):
    try:
        parse(text, FIELDS)
    except InputError as error:
        assert "\n" not in str(error)
        assert "character " in str(error)


@pytest.mark.parametrize("text", ["(" * 100_000, "not " * 100_000, "cone.count=" + "9" * 10_000, "t<" + "9" * 10_000])
def test_monstrous_queries_are_refused_too(text):
    with pytest.raises(InputError):
        parse(text, FIELDS)


def table(seed, count=12):
    rng = np.random.default_rng(seed)
    evidence = {}
    for name, spec in FIELDS.items():
        probs = rng.dirichlet(np.ones(len(spec.choices)), size=count)
        evidence[name] = Evidence(
            choices=spec.choices, labelers=(), votes_FLC=np.zeros((count, 0, len(spec.choices))), probs_FC=probs,
            stability_F=np.ones(count), reasons=[""] * count,
        )  # fmt: skip
    channels = {name: rng.normal(0, 5, count) for name in CHANNELS}
    return evidence, channels


@given(queries, st.integers(0, 5))
def test_scores_are_probabilities_and_not_takes_the_rest(text, seed):
    evidence, channels = table(seed)
    query, opposite = parsed(text), parsed(f"not ({text})")
    if query is None or opposite is None:
        return
    scores = match(query, evidence=evidence, channels=channels)
    rest = match(opposite, evidence=evidence, channels=channels)
    assert ((scores > -1e-12) & (scores < 1 + 1e-12)).all()
    assert np.allclose(scores + rest, 1.0)


@given(queries, queries, st.integers(0, 5))
def test_and_narrows_and_or_widens(first, second, seed):
    evidence, channels = table(seed)
    alone, both, either = (parsed(q) for q in (first, f"({first}) and ({second})", f"({first}) or ({second})"))
    if alone is None:
        return
    score = match(alone, evidence=evidence, channels=channels)
    if both is not None:
        assert (match(both, evidence=evidence, channels=channels) <= score + 1e-9).all()
    if either is not None:
        assert (match(either, evidence=evidence, channels=channels) >= score - 1e-9).all()


@given(st.sampled_from(NUMBERED), st.data())
def test_an_order_splits_the_answers_that_are_numbers(name, data):
    value = data.draw(st.sampled_from([a for a in FIELDS[name].answers if a != "none"]))
    sets = {}
    for op in ("<", "=", ">"):
        query = parsed(f"{name}{op}{value}")
        sets[op] = set() if query is None else set(query.answers)
    numbered = {a for a in FIELDS[name].answers if a != "none"}
    assert sets["<"] | sets["="] | sets[">"] == numbered
    assert sum(map(len, sets.values())) == len(numbered)
    assert set(parse(f"{name}>={value}", FIELDS).answers) == sets[">"] | sets["="]
    assert set(parse(f"{name}<={value}", FIELDS).answers) == sets["<"] | sets["="]
