"""Crowds that ask `recommend` all at once, through the router: who gets a list, whose, and when."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from benchmarks import serving
from benchmarks.machine import local
from benchmarks.recommend import PARTS, is_ready
from benchmarks.report import Result
from cli.demo import wait
from infra.local.router import SERVICES
from shared import keys
from shared.events import ALGORITHMS

SOME, MANY, ROUNDS = 500, 2_600, 3

_SECONDS: Final = 30


class Answer(NamedTuple):
    """The status of an answer and its rung, empty if it is no list; and the seconds since all began to ask."""

    status: int
    rung: str
    seconds: float


def run() -> list[Result]:
    """Measure lists a second for 2,600 people at once beside 500, and what they get."""
    served = serving.sample()
    with local(*PARTS) as stack:
        served.publish(stack, *ALGORITHMS)
        models = [name for algorithm in ALGORITHMS for name in SERVICES[keys.score_service(algorithm)]]
        wait(lambda: all(is_ready(stack.machine.url(name)) for name in models), "loaded models", lambda: None)
        users, url = serving.some(served.model.users), stack.machine.url("recommend")
        found: dict[int, list[dict[str, Any]]] = {SOME: [], MANY: []}
        for _ in range(ROUNDS):
            for size, rounds in found.items():
                time.sleep(2)  # nobody remembers the crowd before
                asking = [users[n % len(users)] for n in range(size)]
                rounds.append(summary(asyncio.run(crowd(url, asking))))
    rates = {size: float(np.median([each["lists/s"] for each in rounds])) for size, rounds in found.items()}
    return [
        Result(
            f"{MANY} people who ask at once get no fewer lists a second than {SOME}",
            rates[MANY],
            rates[SOME],
            "lists/s",
            rates[MANY] / max(rates[SOME], 1.0),
            1.0,
            {str(size): rounds for size, rounds in found.items()},
        )
    ]


async def crowd(url: str, users: Sequence[str]) -> list[Answer]:
    """Ask for all users at once, each on a connection that is open already."""
    host, port = str(urlsplit(url).hostname), urlsplit(url).port
    connections = [await asyncio.open_connection(host, port) for _ in users]
    started = time.perf_counter()

    async def ask(user: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(f"GET /recommend/{user} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        seconds = time.perf_counter() - started
        writer.close()
        lines = dict(line.partition(": ")[::2] for line in head.splitlines()[1:])
        is_list = head[9:12] == "200" and body.strip()
        return Answer(int(head[9:12] or 0), lines["x-marquee-rung"] if is_list else "", seconds)

    asking = (ask(user, *connection) for user, connection in zip(users, connections, strict=True))
    return await asyncio.wait_for(asyncio.gather(*asking), _SECONDS)


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return how many lists of which rung a crowd got, what it got instead, and when."""
    lists = [each for each in answers if each.rung]
    half, most = np.percentile([each.seconds for each in answers], [50, 99])
    return {
        "lists/s": round(len(lists) / max(each.seconds for each in answers), 1),
        "rungs": dict(Counter(each.rung for each in lists)),
        "statuses": dict(Counter(each.status for each in answers)),
        "failed": len(answers) - len(lists),
        "p50 s": round(float(half), 3),
        "p99 s": round(float(most), 3),
    }
