"""Configurations whose values have ranges: the types of settings, and the check when a configuration is made.

A setting's annotation says what it may be, for `--set` and for a recipe written in Python alike:

    @dataclass(frozen=True, kw_only=True)
    @ranged
    class MixConfig:
        real_share: Share | None = 0.5
"""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from drivelet.core.errors import InputError
from drivelet.core.outside import words

C = TypeVar("C")

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A share or a probability."""
Cosine = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""What may be nothing: a weight, a tolerance, a price."""
Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
"""What cannot be nothing: a rate, a temperature, a length of time."""
Signed = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Several = Annotated[int, Field(ge=1, le=10**9)]
"""A count of one or more."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Side = Annotated[int, Field(ge=16, le=8192)]
"""Width or height of a picture in pixels."""
Folds = Annotated[int, Field(ge=2, le=1000)]
"""Parts of data that are held out in turn, or a factor by which something is divided."""
Distance = Annotated[int, Field(ge=-1, le=64)]
"""Bits in which two picture hashes of 64 differ; -1 is below any."""
Quality = Annotated[int, Field(ge=1, le=100)]
"""Of a JPEG."""
Bits = Annotated[int, Field(ge=3, le=8)]
"""Of a quantised weight."""
Workers = Annotated[int, Field(ge=1, le=1024)]
"""Processes."""
Threads = Annotated[int, Field(ge=0, le=1024)]
"""0 takes every core."""
Dropout = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Temperatures = Annotated[tuple[Positive, ...], Field(min_length=1)]
Name = Annotated[str, Field(min_length=1)]


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("must be two numbers of which the first is not above the second")
    return span


def _with_weight(weights: dict[str, float]) -> dict[str, float]:
    if weights and not any(weights.values()):
        raise ValueError("must give a weight above 0 to one name or more")
    return weights


def _different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("must be numbers that differ: a seed that is given twice is one run counted twice")
    return seeds


Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_different)]
Span = Annotated[tuple[Signed, Signed], AfterValidator(_rising)]
"""The least and the largest of what is drawn."""
Weights = Annotated[dict[str, Amount], Field(min_length=1), AfterValidator(_with_weight)]
"""How often each of some names is drawn, in any unit."""
OwnWeights = Annotated[dict[str, Amount], AfterValidator(_with_weight)]
"""The same; empty leaves the choice to the rest of the configuration."""


MAY_BE_EMPTY = "may be empty"
"""Mark of a setting whose empty text means None; elsewhere it is a slip of a script."""


def ranged(cls: type[C]) -> type[C]:
    """Have a dataclass check its values against their annotations whenever one is made, or a part of one replaced.

    It stands beneath `@dataclass`, which calls what it adds. A value outside its range raises InputError, before the
    `__post_init__` of the class itself runs.
    """
    after: Callable[[Any], None] | None = cls.__dict__.get("__post_init__")

    def check(self: Any) -> None:
        check_ranges(self)
        if after is not None:
            after(self)

    cls.__post_init__ = check  # pyright: ignore[reportAttributeAccessIssue]
    return cls


def check_ranges(made: object) -> None:
    """Check every value of a configuration; its parts were checked when they were made.

    Raises:
        InputError: a value is out of its range or of another type; names the setting.
    """
    owner = type(made)
    for name, adapter in adapters(owner).items():
        value = getattr(made, name)
        if dataclasses.is_dataclass(value):
            continue
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InputError(f"{owner.__name__}.{name}={value!r}: {words(first)}") from error


@cache
def adapters(owner: type) -> dict[str, TypeAdapter[Any]]:
    """Return what reads and checks the value of each field of a configuration."""
    hints = get_type_hints(owner, include_extras=True)
    return {item.name: TypeAdapter(hints[item.name]) for item in dataclasses.fields(owner)}
