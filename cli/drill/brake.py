"""A crowd that shares its machine with all it uses comes as often as the machine can bear."""

import time
from collections.abc import Callable
from typing import Final

import psutil

_BUSY_PERCENT: Final = 90.0
_MOST: Final = 10.0
_HARDER: Final = 1.15
_SOFTER: Final = 0.95


class Brake:
    """Says how many times fewer visits come than wanted, looking at the processors once a second.

    Without it a crowd that is a little too large for its machine writes lines sooner than they can be stored, and what
    is known of users falls ever further behind. Slowing down at once and coming back slowly is how TCP shares a line.
    """

    def __init__(
        self,
        busy: Callable[[], float] = lambda: psutil.cpu_percent(interval=None),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what returns the percentage of the processors that was busy since it was asked last."""
        self._busy, self._clock = busy, clock
        self._looked, self._times = clock(), 1.0
        busy()

    def __call__(self) -> float:
        """Return how many times fewer visits come now, from 1 to 10."""
        if self._clock() - self._looked >= 1.0:
            self._looked = self._clock()
            times = self._times * (_HARDER if self._busy() > _BUSY_PERCENT else _SOFTER)
            self._times = min(max(times, 1.0), _MOST)
        return self._times
