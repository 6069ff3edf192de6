"""Ranges of settings: every number of every configuration has one, and it holds however the value comes in."""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

import drivelet
from drivelet.core.errors import InputError
from drivelet.core.ranges import adapters
from drivelet.dataset.mix import MixConfig
from drivelet.distil.train import DistilConfig
from drivelet.recipes.mini import mini
from drivelet.recipes.settings import apply_settings
from drivelet.synth.domain import DomainConfig

CONFIGURATION = re.compile(r"\w*(Config|Settings|Limits|Asking|Remote|Shape)$")
BEYOND = (float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 10**30, -(10**30))


def configurations() -> Iterator[type]:
    """Every dataclass of the package that holds settings."""
    for module in pkgutil.walk_packages(drivelet.__path__, "drivelet."):
        if ".workers" in module.name:
            continue
        for thing in vars(importlib.import_module(module.name)).values():
            own = isinstance(thing, type) and dataclasses.is_dataclass(thing) and thing.__module__ == module.name
            if own and CONFIGURATION.match(thing.__name__):
                yield thing


ALL = list(configurations())


def bare(hint: Any) -> set[Any]:
    """The types that an annotation is made of, ranges taken off."""
    return {hint} | {part for argument in get_args(hint) for part in bare(argument)}


def shapes(hint: Any, number: Any) -> list[Any]:
    """The values of an annotation's form with one number in them."""
    return [number, (number,), (number, number), {"day": number}, [number]]


@pytest.mark.parametrize("owner", ALL, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_every_number_of_every_configuration_has_a_range(owner: type) -> None:
    for name, hint in get_type_hints(owner, include_extras=True).items():
        if not bare(get_type_hints(owner)[name]) & {int, float}:
            continue
        for value in (shape for number in BEYOND for shape in shapes(hint, number)):
            with pytest.raises((ValidationError, InputError)):
                assert adapters(owner)[name].validate_python(value) is None, f"{name} takes {value!r}"


@pytest.mark.parametrize("owner", ALL, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_every_configuration_checks_itself(owner: type) -> None:
    assert "check_ranges" in owner.__post_init__.__code__.co_names  # pyright: ignore[reportAttributeAccessIssue]


def test_there_are_configurations() -> None:
    assert len(ALL) > 50


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("mix.real_share=2", "must be at most 1"),
        ("label.hz=-1", "must be more than 0"),
        ("label.hz=nan", "must be a finite number"),
        ("mix.val_share=5", "must be at most 1"),
        ("distil.steps=-1", "must be at least 0"),
        ("distil.steps=1000000000000000000", "must be at most 1,000,000,000"),
        ("distil.alpha=inf", "must be a finite number"),
        ("soft_labels.temperatures=[]", "must have at least 1 item"),
        ("soft_labels.temperatures=[1, 0]", "must be more than 0"),
        ("zoom.magnify=[3, 1]", "the first is not above the second"),
        ("distil.soft_target=all", "must be 'answers', 'tokens' or 'both'"),
        ("name=", "must have at least 1 character"),
        ('world.domain.light={"day": 0}', "must give a weight above 0"),
    ],
)
def test_a_setting_out_of_its_range_is_named(setting: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_settings(mini(), [setting])
    assert str(caught.value).startswith(f"--set {setting.partition('=')[0]}=")
    assert message in str(caught.value)


def test_a_configuration_made_in_python_is_checked_too() -> None:
    with pytest.raises(InputError, match=r"MixConfig\.real_share=2: must be at most 1"):
        MixConfig(real_share=2)
    with pytest.raises(InputError, match=r"DistilConfig\.steps=-1: must be at least 0"):
        dataclasses.replace(DistilConfig(), steps=-1)
    with pytest.raises(InputError, match=r"DomainConfig\.traffic=nan: must be a finite number"):
        DomainConfig(traffic=float("nan"))


def test_what_recipes_print_can_be_set_again() -> None:
    config = apply_settings(mini(), ["mix.real_share=None", "zoom.magnify=(1.0, 2.0)", "world.domain.light={'day': 1}"])
    assert config.mix.real_share is None
    assert config.zoom.magnify == (1.0, 2.0)
    assert config.world.domain.light == {"day": 1}
    assert TypeAdapter(int).validate_python(config.seed) == 0
