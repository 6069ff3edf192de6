"""How long other processes may keep silent, as the environment says."""

import math
import os

from drivelet.core.errors import InputError


def patience_s(variable: str, default: float) -> float:
    """Return the seconds that an environment variable sets.

    Raises:
        InputError: it is no number above 0.
    """
    text = os.environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"{variable}={text}: give seconds, a number above 0")
    return seconds
