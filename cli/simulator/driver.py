"""Let a crowd visit a running service at a chosen rate, and log what the site would log."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import aiohttp

from cli.simulator.crowd import Crowd, Visit, Watched
from cli.site import ARM, MODEL, Answer, Asked, answer_of, line, request_line

MOST_VISITS: Final = 5_000
"""So many visits may last at a time; further ones wait, and fewer than wanted come."""

_MOST_BEHIND: Final = 1.0
"""Who should have come more seconds ago does not come: a crowd that was held up is not there all at once."""


@dataclass(frozen=True)
class Pace:
    """How many visits begin a second and for how long, until stopped if `seconds` is None.

    Visits take `speed` times less time than in life: at 600 a movie of two hours is watched in 12 seconds.
    """

    rate: float = 20.0
    seconds: float | None = None
    speed: float = 600.0


@dataclass(frozen=True)
class Faults:
    """What goes wrong with the log: the site's clock is ahead (behind if below 0), visits come late or twice.

    Of a share of the visits, what is watched and rated reaches the log `late_seconds` after it happened; of another
    share it is logged twice.
    """

    skew_seconds: float = 0.0
    late_share: float = 0.0
    late_seconds: float = 30.0
    repeated_share: float = 0.0


@dataclass
class Played:
    """What happened: answers, visits, and those who watched a movie of the list that an arm or a model gave them."""

    asked: Asked = field(default_factory=Asked)
    visits: int = 0
    lists: int = 0
    hits: int = 0
    hits_of_arms: Counter[str] = field(default_factory=Counter)
    hits_of_models: Counter[str] = field(default_factory=Counter)
    watched: int = 0
    rated: int = 0
    lines: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def count(self, answer: Answer, watched: Watched | None) -> None:
        """Take in a visit."""
        self.asked.count(answer)
        self.visits += 1
        self.lists += bool(answer.movies)
        self.watched += watched is not None
        self.rated += watched is not None and watched.rating is not None
        if watched is not None and watched.is_hit:
            self.hits += 1
            for counts, name in ((self.hits_of_arms, ARM), (self.hits_of_models, MODEL)):
                counts[answer.headers.get(name, "unknown")] += 1


async def drive(
    crowd: Crowd,
    url: str,
    write: Callable[[bytes], None],
    pace: Pace,
    faults: Faults = Faults(),
    is_stopped: Callable[[], bool] = lambda: False,
    on_visit: Callable[[Played], None] = lambda _: None,
    slowed: Callable[[], float] = lambda: 1.0,
) -> Played:
    """Let users visit until the time is over or somebody stops it, and let visits that began come to their end.

    Args: url: of `recommend`; write: takes a line of the log; slowed: returns how many times fewer visits come now.
    Raises: whatever `write` raises.
    """
    played = Played()
    began, cpu_began = time.monotonic(), time.process_time()
    room = asyncio.Semaphore(MOST_VISITS)
    connector = aiohttp.TCPConnector(limit=MOST_VISITS)
    try:
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as visits:
            site = _Site(crowd, http, url, write, pace.speed, faults, played, on_visit)
            number, due = 0, began
            while not is_stopped() and (pace.seconds is None or number < pace.rate * pace.seconds):
                await room.acquire()
                visits.create_task(site.visit(crowd.visit())).add_done_callback(lambda _: room.release())
                number += 1
                due = max(due + slowed() / pace.rate, time.monotonic() - _MOST_BEHIND)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            played.seconds, played.cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return played


@dataclass
class _Site:
    """The site as its visitors see it."""

    crowd: Crowd
    http: aiohttp.ClientSession
    url: str
    write: Callable[[bytes], None]
    speed: float
    faults: Faults
    played: Played
    on_visit: Callable[[Played], None]

    async def visit(self, visit: Visit) -> None:
        user = str(visit.user)
        if visit.is_new:
            self._log(line(self._now(), user, "GET /create_account"))
        answer = await answer_of(self.http, self.url, user)
        self._log(request_line(self._now(), user, answer))
        watched = self.crowd.watch(visit, answer.movies)
        self.played.count(answer, watched)
        self.on_visit(self.played)
        if watched:
            await self._watch(visit, watched)

    async def _watch(self, visit: Visit, watched: Watched) -> None:
        late = self.faults.late_seconds if visit.chance.late < self.faults.late_share else 0.0
        times = 2 if visit.chance.repeated < self.faults.repeated_share else 1
        now, began = self._now(), time.monotonic()
        for after, what in watched.requests():
            passed = after / self.speed
            await asyncio.sleep(max(0.0, began + late + passed - time.monotonic()))
            for _ in range(times):
                self._log(line(now + timedelta(seconds=passed), str(visit.user), what))

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.faults.skew_seconds)

    def _log(self, text: bytes) -> None:
        self.write(text)
        self.played.lines += 1
