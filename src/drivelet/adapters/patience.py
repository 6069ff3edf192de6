"""Waiting for others: how long they may keep silent, as the environment says, and that Ctrl-C ends the wait."""

import math
import os
from queue import Empty, SimpleQueue
from typing import TypeVar

from drivelet.core.errors import InputError

T = TypeVar("T")
TURN_S = 0.2


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


def take(queue: "SimpleQueue[T]") -> T:
    """Return what comes next, however long that takes.

    It waits in short turns: a Ctrl-C that comes in the moment in which a wait begins is seen at that wait's end.
    """
    while True:
        try:
            return queue.get(timeout=TURN_S)
        except Empty:
            continue
