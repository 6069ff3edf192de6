"""`--set`: values are read by type, nested keys reach their part, nothing else changes."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivelet.adapters.chat_settings import Asking
from drivelet.core.errors import InputError
from drivelet.recipes.settings import apply_settings, flatten
from drivelet.recipes.teachers import Remote


@dataclass(frozen=True, kw_only=True)
class Part:
    share: float | None = 0.5
    views: tuple[str, ...] = ("near",)


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str = "x"
    steps: int = 3
    wet: bool = False
    kind: Literal["linear", "nearest"] = "linear"
    part: Part = field(default_factory=Part)


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("steps=7", "steps", 7),
        ("wet=true", "wet", True),
        ("wet=True", "wet", True),
        ("name=some model", "name", "some model"),
        ("name=a=b", "name", "a=b"),
        ("name='quoted'", "name", "quoted"),
        ("name=123", "name", "123"),
        ("kind=nearest", "kind", "nearest"),
        ("part.share=null", "part.share", None),
        ("part.share=None", "part.share", None),
        ("part.share=1", "part.share", 1.0),
        ('part.views=["far", "near"]', "part.views", ("far", "near")),
        ("part.views=('far',)", "part.views", ("far",)),
    ],
)
def test_a_value_is_read_by_its_type(setting: str, key: str, value: Any) -> None:
    before, after = dict(flatten(Whole())), dict(flatten(apply_settings(Whole(), [setting])))
    assert after == {**before, key: value}
    assert type(after[key]) is type(value)


@pytest.mark.parametrize("setting", ["steps=1.5", "steps=", "wet=maybe", "part.share=half", "part=1"])
def test_a_value_of_another_type_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=f"--set {setting}: no value of type"):
        apply_settings(Whole(), [setting])


@given(
    st.builds(
        Whole,
        name=st.text(),
        steps=st.integers(),
        wet=st.booleans(),
        part=st.builds(
            Part,
            share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            views=st.lists(st.text()).map(tuple),
        ),
    )
)
def test_what_show_prints_can_be_set(config: Whole) -> None:
    assert apply_settings(Whole(), [f"{key}={value!r}" for key, value in flatten(config)]) == config


def test_a_value_that_is_none_of_the_known_ones_is_told_them() -> None:
    with pytest.raises(InputError, match="--set kind=cubic: must be 'linear' or 'nearest'"):
        apply_settings(Whole(), ["kind=cubic"])


@pytest.mark.parametrize("text", ["", "null", "None"])
def test_an_optional_number_is_emptied(text: str) -> None:
    assert apply_settings(Asking(), [f"temperature={text}"]).temperature is None


def test_further_fields_of_a_request_are_given_as_json() -> None:
    extra = '{"chat_template_kwargs": {"enable_thinking": false}, "seed": 3}'
    found = apply_settings(Remote(), [f"endpoint.extra={extra}", "endpoint.temperature=0.6"]).endpoint
    assert found.extra == {"chat_template_kwargs": {"enable_thinking": False}, "seed": 3} and found.temperature == 0.6


@pytest.mark.parametrize("setting", ["extra=3", "extra=[1]", "extra={", "temperature=warm"])
def test_a_field_of_another_kind_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=f"--set {re.escape(setting)}: no value of type"):
        apply_settings(Asking(), [setting])
