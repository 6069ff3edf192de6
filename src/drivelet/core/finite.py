"""NaN and infinity are told where they first appear: later they are answers, or weights on a disk."""

import math
from collections.abc import Iterable
from typing import Any

from drivelet.core.errors import InputError
from drivelet.core.model_folder import few

DAMAGED = "the model is damaged, get it again"
BROKEN = "nothing is saved; lower the learning rate, and see that the other settings are numbers"
"""What to do, where weights were read and where they were trained."""


def check_finite(where: object, tensors: Iterable[tuple[str, Any]], *, advice: str = DAMAGED) -> None:
    """Check that no torch tensor holds NaN or infinity, in one pass over each and without a copy.

    Raises:
        InputError: some do.
    """
    bad = [name for name, tensor in tensors if tensor.numel() and not _is_finite(tensor)]
    if bad:
        raise InputError(f"{where}: NaN or infinite values in {few(sorted(bad))}; {advice}")


def _is_finite(tensor: Any) -> bool:
    low, high = tensor.detach().aminmax() if tensor.is_floating_point() else (0.0, 0.0)
    return math.isfinite(float(low)) and math.isfinite(float(high))


def check_step(where: object, step: int, **values: Any) -> None:
    """Check the numbers of a training step (its loss, the norm of its gradient) before the weights take them in.

    Raises:
        InputError: one is NaN or infinite.
    """
    for name, value in values.items():
        if not math.isfinite(float(value)):
            raise InputError(f"{where}: the {name} of step {step} is {float(value)}; {BROKEN}")
