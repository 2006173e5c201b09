"""The serving path on real processes: always an answer, in time, fresh, and by the model that its headers name."""

import asyncio
import json
import os
import random
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np
import psutil
import pytest
from aiohttp import web

from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.score import core as scoring
from functions.score.fresh import NOTHING
from functions.train import core as training
from infra.local.machine import ROOT
from infra.local.router import SERVICES
from shared import keys
from shared.events import ALGORITHMS
from shared.history import HISTORY
from tests.integration.conftest import Marquee, wait

pytestmark = pytest.mark.slow

RATE, DEADLINE_MS = 50, 600
SCORES = [name for service in ("score-svd", "score-svdpp") for name in SERVICES[service]]
STRANGERS = [str(1_000_000 + number) for number in range(20)]


@dataclass
class Answer:
    status: int
    milliseconds: float
    user: str
    headers: dict[str, str]
    movies: list[str]


@dataclass
class Load:
    """Users who ask at a steady pace, and what they were answered."""

    url: str
    users: list[str]
    answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        chance, started, number = random.Random(4), time.monotonic(), 0
        connector = aiohttp.TCPConnector(limit=200)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
            while not self._stop.is_set():
                group.create_task(self._ask(http, chance.choice(self.users)))
                number += 1
                await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))

    async def _ask(self, http: aiohttp.ClientSession, user: str) -> None:
        started = time.perf_counter()
        try:
            async with http.get(f"{self.url}/recommend/{user}", timeout=aiohttp.ClientTimeout(10)) as answer:
                text, status = await answer.text(), answer.status
                headers = {name.lower(): value for name, value in answer.headers.items()}
        except (aiohttp.ClientError, TimeoutError) as error:
            status, text, headers = 0, repr(error), {}
        took = (time.perf_counter() - started) * 1000
        self.answers.append(Answer(status, took, user, headers, text.strip().split(",")))


@contextmanager
def asked(marquee: Marquee, users: list[str]) -> Iterator[Load]:
    """Ask all the while; claim that every answer was a list, and 99 of 100 were in time."""
    load = Load(marquee.stack.machine.url("recommend"), users)
    thread = threading.Thread(target=lambda: asyncio.run(load.run()))
    thread.start()
    try:
        yield load
    finally:
        load._stop.set()
        thread.join()
    assert Counter(answer.status for answer in load.answers).keys() == {200}
    assert all(answer.movies[0] for answer in load.answers)
    assert float(np.percentile([answer.milliseconds for answer in load.answers], 99)) < DEADLINE_MS


@dataclass
class Models:
    """Two models of each algorithm, stored; the first of each serves."""

    users: list[str]
    serving: dict[str, scoring.Serving]
    point: Callable[[str], None]


@pytest.fixture(scope="module")
def models(marquee: Marquee) -> Models:
    deps = marquee.deps
    ratings = read_ratings(ROOT / "data/movielens-small/ratings.csv.gz").slice(0, 30_000)
    split, files = building.files(gather.ratings(ratings.to_batches()), 0.1)
    prefix = keys.matrix(split.matrix_id)
    matrix = deps.manifest(kind="matrix", id=split.matrix_id, lake_version=marquee.lake.version())
    deps.artifacts.put(prefix, files, matrix)
    serving = {}
    for algorithm in ALGORITHMS:
        for number in (1, 2):
            model = training.fit(split.train, algorithm, training.DEFAULTS[algorithm], seed=number)
            version = f"serving{number}"
            manifest = deps.manifest(kind="model", id=version, made_from=prefix)
            deps.artifacts.put(keys.model(algorithm, version), model.to_files(), manifest)
            stored = deps.artifacts.get(keys.model(algorithm, version))
            serving[f"{algorithm}@{version}"] = scoring.load(stored, matrix, files[HISTORY], algorithm, version)

    def point(version: str) -> None:
        for algorithm in ALGORITHMS:
            state = {"model_version": version, "matrix_id": split.matrix_id}
            deps.channels.update(keys.score_service(algorithm), lambda _, state=state: state)  # type: ignore[misc]

    point("serving1")
    urls = [marquee.stack.machine.url(name) for name in SCORES]
    wait(lambda: all(answering(url, split.train.users[0]) == "serving1" for url in urls), 60, "loaded models")
    return Models(model.users, serving, point)


def answering(url: str, user: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/top/{user}", timeout=5) as answer:
            return str(json.load(answer)["model"]).split("@")[1]
    except OSError:
        return ""


def processes(marquee: Marquee, *names: str) -> list[psutil.Process]:
    """Return the processes of parts, and those that they forked."""
    pids = {status.name: status.pid for status in marquee.stack.status()}
    parents = [psutil.Process(pids[name]) for name in names]
    return [process for parent in parents for process in (parent, *parent.children(recursive=True))]


def pid(marquee: Marquee, name: str) -> int:
    return next(status.pid for status in marquee.stack.status() if status.name == name)


@contextmanager
def killed(marquee: Marquee) -> Iterator[None]:
    """Every score process is killed three times over."""
    for _ in range(3):
        for name in SCORES:
            marquee.stack.kill(name)
        time.sleep(4)
    yield


def pause(marquee: Marquee, seconds: float) -> None:
    """Let both processes of one model do nothing for a while, and hold their connections."""
    stopped = processes(marquee, *SERVICES["score-svd"])
    for process in stopped:
        process.suspend()
    try:
        time.sleep(seconds)
    finally:
        for process in stopped:
            process.resume()


@contextmanager
def paused(marquee: Marquee) -> Iterator[None]:
    pause(marquee, 30)
    yield


@contextmanager
def slowed(marquee: Marquee) -> Iterator[None]:
    """One model takes two seconds an answer, healthy for all that anybody can see."""
    for name in SERVICES["score-svd"]:
        marquee.stack.stop_part(name)
    stop = threading.Event()
    ports = [marquee.stack.machine.port(name) for name in SERVICES["score-svd"]]
    thread = threading.Thread(target=lambda: asyncio.run(slow_servers(ports, stop)))
    thread.start()
    try:
        time.sleep(20)
    finally:
        stop.set()
        thread.join()
        for name in SERVICES["score-svd"]:
            marquee.stack.start_part(name)
    yield


async def slow_servers(ports: list[int], stop: threading.Event) -> None:
    async def answer(request: web.Request) -> web.Response:
        if not request.path.startswith("/health"):
            await asyncio.sleep(2)
        return web.Response(text="{}")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    for port in ports:
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    while not stop.is_set():
        await asyncio.sleep(0.1)
    await runner.cleanup()


@contextmanager
def without(marquee: Marquee, store: str) -> Iterator[None]:
    marquee.stack.stop_part(store)
    try:
        time.sleep(20)
    finally:
        marquee.stack.start_part(store)
        marquee.stack.wait_healthy(store)
    yield


TROUBLES: dict[str, Callable[[Marquee], contextmanager]] = {  # type: ignore[type-arg]
    "killed": killed,
    "paused": paused,
    "slowed": slowed,
    "without s3": lambda marquee: without(marquee, "s3"),
    "without kafka": lambda marquee: without(marquee, "kafka"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_happens_everybody_gets_a_list_in_time(marquee: Marquee, models: Models, trouble: str) -> None:
    """50 requests a second, of known users and strangers: only 200, and 99 of 100 within 600 ms."""
    with asked(marquee, models.users + STRANGERS) as load, TROUBLES[trouble](marquee):
        pass
    assert len(load.answers) > 10 * RATE
    for name in SCORES:
        marquee.stack.wait_healthy(name)


def test_a_paused_model_costs_no_user_a_personal_list(marquee: Marquee, models: Models) -> None:
    """While the processes of one model stand still the other one answers its users."""
    with asked(marquee, models.users) as load:
        pause(marquee, 8)
    rungs = Counter(answer.headers["x-marquee-rung"] for answer in load.answers)
    assert rungs["popular"] <= 0.02 * rungs.total()


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.long)])
def test_restarts_cost_no_answer(marquee: Marquee, models: Models, times: int) -> None:
    """One process of every service is restarted and then the other, again and again, while users ask: only lists."""
    load = Load(marquee.stack.machine.url("recommend"), models.users + STRANGERS)
    thread = threading.Thread(target=lambda: asyncio.run(load.run()))
    thread.start()
    try:
        for half in [0, 1] * times:
            restart(marquee, [names[half] for names in SERVICES.values()])
    finally:
        load._stop.set()
        thread.join()
    assert Counter(answer.status for answer in load.answers).keys() == {200}


def restart(marquee: Marquee, names: list[str]) -> None:
    """Terminate processes as a rollout does, and wait until the router has seen them again."""
    old = {status.name: status.pid for status in marquee.stack.status()}
    for name in names:
        os.kill(old[name], signal.SIGTERM)
    for name in names:
        wait(lambda name=name: pid(marquee, name) not in {0, old[name]}, 30, f"new {name}")  # type: ignore[misc]
        marquee.stack.wait_healthy(name)
    time.sleep(1)


def test_answer_and_headers_never_disagree(marquee: Marquee, models: Models) -> None:
    """Models are swapped under load; each list is the one that the model in its header makes."""
    with asked(marquee, models.users) as load:
        for number in range(6):
            models.point(f"serving{number % 2 + 1}")
            time.sleep(3)
    models.point("serving1")
    seen = Counter(answer.headers["x-marquee-model"] for answer in load.answers)
    assert seen.keys() >= models.serving.keys()
    checked: dict[tuple[str, str], list[str]] = {}
    for answer in load.answers:
        model = answer.headers["x-marquee-model"]
        if model in models.serving:
            pair = model, answer.user
            if pair not in checked:
                serving = models.serving[model]
                user = scoring.known(serving, answer.user, NOTHING)
                assert user is not None
                checked[pair] = scoring.top_n(serving, user, 20, [])[0]
            assert answer.movies == checked[pair]


def movies(marquee: Marquee, user: str) -> tuple[str, list[str]]:
    with urllib.request.urlopen(f"{marquee.stack.machine.url('recommend')}/recommend/{user}", timeout=5) as answer:
        return answer.headers["x-marquee-rung"], answer.read().decode().strip().split(",")


def test_a_movie_watched_now_is_gone_within_15_seconds(marquee: Marquee, models: Models) -> None:
    """From the site's log to the user's list, which stays 20 long."""
    user = models.users[5]
    _, before = movies(marquee, user)
    marquee.send([f"2026-11-20T10:00:00,{user},GET /data/m/{before[0]}/1.mpg".encode()])
    wait(lambda: all(before[0] not in movies(marquee, user)[1] for _ in range(8)), 15, "list without the movie watched")
    _, after = movies(marquee, user)
    assert len(after) == 20


def test_a_newcomer_is_known_within_15_seconds(marquee: Marquee, models: Models) -> None:
    """A stranger gets popular movies; after a rating, movies of their own."""
    user = "7654321"
    assert movies(marquee, user)[0] == "popular"
    liked = movies(marquee, models.users[0])[1][0]
    marquee.send([f"2026-11-20T10:00:00,{user},GET /rate/{liked}=5".encode()])

    def known() -> bool:
        """By every process, so that no answer depends on which of them is asked."""
        answers = [movies(marquee, user) for _ in range(8)]
        return all(rung == "folded_in" and liked not in listed for rung, listed in answers)

    wait(known, 15, "list of their own")
