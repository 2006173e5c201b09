"""Load from outside: wrk, the field's HTTP load generator, so that the generator is never the limit."""

import asyncio
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Final

import aiohttp
import numpy as np

from shared.errors import BadInput, NotReady

_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_ERRORS: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")


def requests_per_second(
    url: str, in_flight: int, seconds: int, script: Path | None = None, host: str | None = None
) -> float:
    """Return how many requests a second, for a host by another name, are answered 2xx.

    Raises: BadInput without wrk; NotReady if any fails.
    """
    if shutil.which("wrk") is None:
        raise BadInput("wrk is not installed; on Debian: apt-get install wrk")
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(in_flight),
        "--duration",
        f"{seconds}s",
        "--timeout",
        "10s",
    ]
    scripted = ["--script", str(script)] if script else []
    hosted = ["--header", f"Host: {host}"] if host else []
    out = subprocess.run([*command, *scripted, *hosted, url], capture_output=True, text=True, check=True).stdout
    failed = _ERRORS.search(out)
    if failed:
        raise NotReady(f"{url}: {failed[0]}")
    found = _RATE.search(out)
    if found is None:
        raise NotReady(f"wrk said nothing of a rate: {out}")
    return float(found[1])


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Run measures one after another, round after round, so that the machine's moods hit all alike; return medians."""
    found: Sequence[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for numbers, measure in zip(found, measures, strict=True):
            numbers.append(measure())
    return [median(numbers) for numbers in found]


async def paced(
    urls: Sequence[str],
    per_second: int,
    seconds: int,
    expected: Mapping[str, str] = MappingProxyType({}),
    host: str | None = None,
) -> dict[str, float]:
    """Return p50 and p99 in milliseconds at a steady pace, of addresses drawn at random, of a host by another name.

    Raises: NotReady if an answer is not 200, or lacks one of the headers expected.
    """
    took: list[float] = []
    chance = random.Random(6)

    async def ask(http: aiohttp.ClientSession) -> None:
        started = time.perf_counter()
        async with http.get(chance.choice(urls)) as answer:
            await answer.read()
            if answer.status != 200 or not expected.items() <= dict(answer.headers).items():
                raise NotReady(f"{answer.url}: {answer.status} {dict(answer.headers)}")
        took.append((time.perf_counter() - started) * 1000)

    async with aiohttp.ClientSession(headers={"Host": host} if host else None) as http, asyncio.TaskGroup() as group:
        started = time.monotonic()
        for number in range(per_second * seconds):
            await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
            group.create_task(ask(http))
    half, most = np.percentile(took, [50, 99])
    return {"p50": round(float(half), 1), "p99": round(float(most), 1)}
