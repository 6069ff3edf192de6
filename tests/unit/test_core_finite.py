"""NaN and infinity are found wherever they stand, and named."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drivelet.core.errors import InputError
from drivelet.core.finite import check_finite, check_step

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@given(
    size=st.integers(1, 40),
    place=st.integers(0, 39),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
    dtype=st.sampled_from(DTYPES),
)
def test_one_wrong_value_is_found(size: int, place: int, value: float, dtype: torch.dtype) -> None:
    whole, wrong = torch.linspace(-3e4, 3e4, size).to(dtype), torch.zeros(size, dtype=dtype)
    codes = torch.full((3,), 2**31 - 1, dtype=torch.int32)
    check_finite("here", [("whole", whole), ("codes", codes), ("empty", torch.zeros(0)), ("zeros", wrong)])
    wrong[place % size] = value
    with pytest.raises(InputError, match=r"here: NaN or infinite values in wrong; "):
        check_finite("here", [("whole", whole), ("wrong", wrong), ("codes", codes)])


def test_many_wrong_tensors_are_counted() -> None:
    tensors = [(f"t{number}", torch.tensor(math.nan)) for number in range(7)]
    with pytest.raises(InputError, match=r"in t0, t1, t2 and 4 more"):
        check_finite("here", tensors)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_names_what_went_wrong(value: float) -> None:
    check_step("m", 3, loss=torch.tensor(1.0), gradient=torch.tensor(0.0))
    with pytest.raises(InputError, match=rf"m: the gradient of step 3 is {value}; nothing is saved"):
        check_step("m", 3, loss=torch.tensor(1.0), gradient=torch.tensor(value))
