"""What asking a paid or shared endpoint may take: requests a minute, and money."""

import threading
import time
from collections.abc import Callable

from drivelet.core.errors import InputError


class RateLimiter:
    """Spaces requests evenly: no minute holds more than `per_minute` of them; 0 lets all through at once.

    Args:
        per_minute: requests.
        clock: seconds, rising.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._next = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Wait for the caller's turn; return the time of the clock that it was given."""
        with self._lock:
            turn = max(self._clock(), self._next)
            self._next = turn + self._gap
        if (ahead := turn - self._clock()) > 0:
            self._sleep(ahead)
        return turn


class CostMeter:
    """Lets a request through only where it, and all under way, would stay within a cap; 0 is no cap.

    A request is expected to cost what its sender says, or as much as the dearest so far, whichever is more; until the
    first is settled, one at a time is let through. Units are those of the prices.

    Args:
        cap: what may be spent in all.
        spent: what was spent before.
        workers: processes that share what is left, evenly.
    """

    def __init__(self, cap: float, *, spent: float = 0.0, workers: int = 1) -> None:
        self.cap, self.spent = cap, spent
        self._most = spent + (cap - spent) / workers
        self.settled = 0
        self._dearest = 0.0
        self._open: list[float] = []
        self._changed = threading.Condition()

    def reserve(self, expected: float) -> float:
        """Wait until it is clear whether a request may go, and return what was set aside for it.

        Raises:
            InputError: it might exceed the cap.
        """
        with self._changed:
            while True:
                aside = max(expected, self._dearest)
                alone = not self._open
                fits = not self.cap or self.spent + sum(self._open) + aside <= self._most
                if fits and (alone or self._dearest or not self.cap):
                    self._open.append(aside)
                    return aside
                if alone:
                    raise InputError(
                        f"stopped before limits.max_cost={self.cap:g}: {self.settled} requests paid in this run,"
                        f" {self.spent:.6g} spent in all, and the next may cost {aside:.3g}; all answers are kept,"
                        " raise the cap to go on"
                    )
                self._changed.wait()

    def settle(self, aside: float, cost: float) -> None:
        """Replace what was set aside by what the request did cost."""
        with self._changed:
            self._open.remove(aside)
            self.spent += cost
            self.settled += cost > 0
            self._dearest = max(self._dearest, cost)
            self._changed.notify_all()
