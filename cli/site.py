"""A stand-in for the streaming site: its log lines, and its requests for recommendations."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

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


@dataclass
class Asked:
    """What came back: how many of each status, rung and model, and how long each answer took in milliseconds."""

    statuses: dict[int, int] = field(default_factory=dict)
    rungs: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)


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
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        started = time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            group.create_task(_one(http, url, chance.choice(users), producer, asked, on_answer))
    return asked


async def _one(
    http: aiohttp.ClientSession,
    url: str,
    user: str,
    producer: KafkaProducer,
    asked: Asked,
    on_answer: Callable[[], None],
) -> None:
    started = time.perf_counter()
    try:
        async with http.get(f"{url}/recommend/{user}", timeout=aiohttp.ClientTimeout(total=5)) as answer:
            movies = (await answer.text()).strip()
            status, headers = answer.status, answer.headers
    except (aiohttp.ClientError, TimeoutError) as error:
        status, headers, movies = 0, {}, type(error).__name__  # type: ignore[assignment]
    took = (time.perf_counter() - started) * 1000
    asked.statuses[status] = asked.statuses.get(status, 0) + 1
    if status == 200:
        asked.milliseconds.append(took)
        for counts, name in ((asked.rungs, "x-marquee-rung"), (asked.models, "x-marquee-model")):
            counts[headers[name]] = counts.get(headers[name], 0) + 1
    line = _request_line(datetime.now(UTC), user, status, movies, took)
    producer.send(MOVIELOG, value=line.encode(), key=user.encode())
    on_answer()


def _request_line(now: datetime, user: str, status: int, movies: str, took: float) -> str:
    listed = movies.replace(",", ", ")
    return (
        f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d},{user},recommendation request {_HOST}, "
        f"status {status}, result: {listed}, {took:.0f} ms"
    )
