"""Ask the models over HTTP, the user's own first."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, TypeVar

import aiohttp
from yarl import URL

from functions.recommend import core, ladder
from shared import telemetry
from shared.errors import NotFound, NotReady
from shared.ports import Log
from shared.recommendation import Explanation, Recommendation

_POOL: Final = 512
_POOL_OF_ONE: Final = 256  # a service that hangs does not hold the other's connections

_TIMES: Final = {408, 429}
"""The statuses below 500 that say something of the service, and nothing of the request."""

Found = TypeVar("Found", Recommendation, Explanation)


class _Refused(Exception):
    """The service, or the router before it, finds something wrong with a request."""


@dataclass
class Models:
    """The `score` services, and how each has answered lately; for at most `in_flight_most` requests at once."""

    log: Log
    hedge_seconds: float
    in_flight_most: int
    breakers: dict[str, ladder.Breaker] = field(default_factory=lambda: defaultdict(ladder.Breaker))
    hedges: ladder.Hedges = field(default_factory=ladder.Hedges)
    in_flight: int = 0

    @cached_property
    def http(self) -> aiohttp.ClientSession:
        """The connections, made on the event loop that uses them."""
        connector = aiohttp.TCPConnector(limit=_POOL, limit_per_host=_POOL_OF_ONE, keepalive_timeout=60)
        return aiohttp.ClientSession(connector=connector)

    async def first(
        self, arms: Sequence[core.Arm], path: str, query: Mapping[str, str], kind: type[Found], left_seconds: float
    ) -> Found:
        """Return what the models of these arms answer at a path, see `ladder.first`.

        Raises: NotFound; NotReady, at once while as many are asked for others as may be: of a crowd that comes together
        some get the models, as fast as ever, and nobody waits in vain.
        """
        if self.in_flight >= self.in_flight_most:
            telemetry.OVERLOADED.inc()
            raise NotReady(f"{self.in_flight} requests are waiting for models")
        asks = [partial(self.ask, arm, path, query, kind) for arm in arms]
        self.in_flight += 1
        self.hedges.earn()
        try:
            return await ladder.first(asks, self.hedge_seconds, left_seconds, self.hedges.spend)
        finally:
            self.in_flight -= 1

    async def ask(self, arm: core.Arm, path: str, query: Mapping[str, str], kind: type[Found]) -> Found:
        """Return what one model answers. Raises: NotFound if it knows nothing, NotReady if it fails or rests."""
        breaker, started = self.breakers[arm.name], time.monotonic()
        if not breaker.allows(started):
            raise NotReady(f"{arm.name} has failed too often to be asked")
        try:
            found = await self._get(arm, path, query, kind)
        except _Refused as error:  # its model is as good as before
            telemetry.SCORE_FAILED.labels(arm.name, "refused").inc()
            raise NotReady(f"{arm.name} refused the request") from error
        except Exception as error:  # whatever it is, there is another model, and a list in the end
            self._count(arm, "error", f"{type(error).__name__}: {error}"[:200])
            raise NotReady(f"{arm.name} failed") from error
        except asyncio.CancelledError:
            if time.monotonic() - started >= self.hedge_seconds:
                self._count(arm, "late", "another was faster, or there was no more time")
            raise
        breaker.answered()
        if found is None:
            raise NotFound(f"{arm.name} knows nothing of it")
        return found

    async def _get(self, arm: core.Arm, path: str, query: Mapping[str, str], kind: type[Found]) -> Found | None:
        url = URL(f"{arm.target.url}/{path}", encoded=True)
        headers = {"host": arm.target.host} if arm.target.host else {}
        async with self.http.get(url, params=query, headers=headers) as answer:
            if answer.status == 404:
                return None
            if 400 <= answer.status < 500 and answer.status not in _TIMES:
                raise _Refused(f"{url.path} answered {answer.status}")
            answer.raise_for_status()
            found = kind.model_validate_json(await answer.read())
        if not (core.is_plain(found.model) and core.is_plain(found.revision)):
            raise NotReady(f"{found.model!r} of {found.revision!r} cannot stand in a header")
        match found:
            case Recommendation(movies=[]):
                return None
        return found

    def _count(self, arm: core.Arm, reason: str, detail: str) -> None:
        breaker = self.breakers[arm.name]
        breaker.failed(time.monotonic())
        telemetry.SCORE_FAILED.labels(arm.name, reason).inc()
        if breaker.failures <= ladder.FAILURES_MOST:  # a thousand requests that fail together are no news
            self.log.warning("score_failed", arm=arm.name, reason=reason, detail=detail)
