"""A stand-in for the streaming site: its log lines, and its requests for recommendations."""

import asyncio
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import aiohttp
import pyarrow as pa
from kafka import KafkaProducer

from shared.events import MOVIELOG

BAD_LINES: Final = (
    b"",
    b"hello",
    b"2016-01-01T00:00:00,12,GET /rate/296=9",
    b"2016-01-01T00:00:00,12,GET /rate/296=four",
    b"2016-01-01T00:00:00,-12,GET /rate/296=4",
    b"2016-01-01T00:00:00,12,DELETE /rate/296",
    b"yesterday,12,GET /rate/296=4",
    b"2106-01-01T00:00:00,12,GET /rate/296=4",
    b"2016-01-01T00:00:00,12,GET /data/m/296/first.mpg",
    b"2016-01-01T00:00:00,12,GET /rate/am\xe9lie=5",
)
"""Lines that no parser should take; real logs have all of these kinds."""

_BAD_EVERY: Final = 5_000
_WATCH_EVERY: Final = 20
_HOST: Final = "127.0.0.1"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)

RUNG: Final = "x-marquee-rung"
MODEL: Final = "x-marquee-model"
ARM: Final = "x-marquee-arm"


def log_lines(ratings: pa.Table, first_row: int = 0, with_bad_lines: bool = True) -> Iterator[bytes]:
    """Yield ratings as the site logs them, with the users' accounts, some watching, and now and then a bad line.

    Args: ratings: columns user_id, movie_id, rating and time, in the order of time; first_row: the number of the first.
    """
    known: set[str] = set()
    bad = itertools.cycle(BAD_LINES)
    columns = [ratings[name].to_pylist() for name in ("user_id", "movie_id", "rating", "time")]
    for row, (user, movie, rating, moment) in enumerate(zip(*columns, strict=True), first_row):
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S")
        if user not in known:
            known.add(user)
            yield f"{stamp},{user},GET /create_account".encode()
        if row % _WATCH_EVERY == 0:
            yield f"{stamp},{user},GET /data/m/{movie}/{row % 90}.mpg".encode()
        yield f"{stamp},{user},GET /rate/{movie}={rating:g}".encode()
        if with_bad_lines and row % _BAD_EVERY == _BAD_EVERY - 1:
            yield next(bad)


class Answer(NamedTuple):
    """What came back: a list as text, or the text of an error; status 0 and the error's name where nothing came.

    The names of headers are in lower case.
    """

    status: int
    text: str
    headers: Mapping[str, str]
    milliseconds: float

    @property
    def movies(self) -> list[str]:
        """The movies listed, best first; none if it is no list."""
        return [movie for movie in self.text.split(",") if movie] if self.status == 200 else []


@dataclass
class Asked:
    """How many answers of each status, rung, model and arm came, and how long the latest lists took in milliseconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    rungs: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    milliseconds: deque[float] = field(default_factory=partial(deque, maxlen=100_000))

    def count(self, answer: Answer) -> None:
        """Take in one answer."""
        self.statuses[answer.status] += 1
        if answer.status == 200:
            self.milliseconds.append(answer.milliseconds)
            for counts, name in ((self.rungs, RUNG), (self.models, MODEL), (self.arms, ARM)):
                counts[answer.headers.get(name, "unknown")] += 1


async def ask(
    url: str,
    users: Sequence[str],
    rate: float,
    seconds: float,
    producer: KafkaProducer,
    seed: int,
    on_answer: Callable[[], None] = lambda: None,
) -> Asked:
    """Ask for random users' recommendations, `rate` times a second, and log each answer as the site does."""
    asked = Asked()
    chance = random.Random(seed)

    async def one(user: str) -> None:
        answer = await answer_of(http, url, user)
        asked.count(answer)
        producer.send(MOVIELOG, value=request_line(datetime.now(UTC), user, answer), key=user.encode())
        on_answer()

    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        started = time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            group.create_task(one(chance.choice(users)))
    return asked


async def answer_of(http: aiohttp.ClientSession, url: str, user: str) -> Answer:
    """Ask for one user's recommendations."""
    started = time.perf_counter()
    try:
        async with http.get(f"{url}/recommend/{user}", timeout=_TIMEOUT) as response:
            text = (await response.text(errors="replace")).strip()
            status, headers = response.status, {name.lower(): value for name, value in response.headers.items()}
    except (aiohttp.ClientError, TimeoutError) as error:
        status, headers, text = 0, {}, type(error).__name__
    return Answer(status, text, headers, (time.perf_counter() - started) * 1000)


def request_line(now: datetime, user: str, answer: Answer) -> bytes:
    """Return what the site logs when it has asked for recommendations."""
    listed = ", ".join(answer.movies) or " ".join(answer.text.split())
    return line(
        now,
        user,
        f"recommendation request {_HOST}, status {answer.status}, result: {listed}, {answer.milliseconds:.0f} ms",
    )


def line(now: datetime, user: str, what: str) -> bytes:
    """Return a line of the log, its time in milliseconds."""
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d},{user},{what}".encode()
