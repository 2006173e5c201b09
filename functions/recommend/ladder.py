"""The way down from the model a user belongs to: when the next is asked, whose answer counts, when to give up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from shared.errors import MarqueeError, NotFound, NotReady

FAILURES_MOST: Final = 5
REST_SECONDS: Final = 1.0
HEDGES_SHARE: Final = 0.2
HEDGES_MOST: Final = 20

T = TypeVar("T")


async def first(
    asks: Sequence[Callable[[], Awaitable[T]]],
    hedge_seconds: float,
    left_seconds: float,
    may_hedge: Callable[[], bool] = lambda: True,
) -> T:
    """Return the first answer, of those that are there at once that of the foremost.

    Each is asked when the one before it has failed, or has not answered for `hedge_seconds` and `may_hedge` allows it.
    Who is still asked at the end is cancelled. Those asked fail with MarqueeError.

    Raises: NotFound if any knew that there is no answer and none had one; NotReady if nobody knew anything in time.
    """
    deadline = asyncio.get_running_loop().time() + left_seconds
    waiting, asked = list(asks), list[asyncio.Future[T]]()
    failed: list[MarqueeError] = []
    try:
        while (left := deadline - asyncio.get_running_loop().time()) > 0 and (waiting or asked):
            if waiting and (not asked or may_hedge()):
                asked.append(asyncio.ensure_future(waiting.pop(0)()))
            patience = min(left, hedge_seconds) if waiting else left
            await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for each in [each for each in asked if each.done()]:
                try:
                    return each.result()
                except MarqueeError as error:
                    failed.append(error)
                    asked.remove(each)
    finally:
        for each in asked:
            if not each.cancel() and not each.cancelled():
                each.exception()  # known to be of no use, lest the event loop complain that nobody looked
    raise next((error for error in failed if isinstance(error, NotFound)), NotReady("no model answered in time"))


@dataclass
class Hedges:
    """Bounds how many requests ask a second model while the first is silent: a fifth of those of late, and a few more.

    Of a model that falls silent all users are helped, until its breaker spares it. When everything is slow, asking
    everything twice would make it slower still.
    """

    left: float = HEDGES_MOST

    def earn(self) -> None:
        """Count a request."""
        self.left = min(self.left + HEDGES_SHARE, HEDGES_MOST)

    def spend(self) -> bool:
        """Say whether another model may be asked as well, and count it."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Breaker:
    """Spares a model that failed five times in a row: it is asked once a second until it answers again.

    `now` is in seconds, of any clock that never goes back.
    """

    failures: int = 0
    rests_until: float = 0.0

    def allows(self, now: float) -> bool:
        """Say whether to ask; who is told so while the model rests is the only one for a second."""
        if self.failures < FAILURES_MOST:
            return True
        if now < self.rests_until:
            return False
        self.rests_until = now + REST_SECONDS
        return True

    def failed(self, now: float) -> None:
        """Count an error, or a silence."""
        self.failures += 1
        self.rests_until = now + REST_SECONDS

    def answered(self) -> None:
        """Forget all failures."""
        self.failures = 0
