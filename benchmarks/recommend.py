"""`recommend` end to end, through the router and the models, beside a function that answers a word."""

import asyncio
import random
import time
import urllib.request
from collections import Counter

import aiohttp
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load import function, in_turn, requests_per_second
from benchmarks.machine import local
from benchmarks.report import Result
from cli.demo import wait
from cli.ratings import read_ratings
from cli.summary import is_ready
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core as training
from infra.local.machine import ROOT
from infra.local.router import SERVICES
from infra.local.stack import Stack
from shared import bootstrap, keys
from shared.events import ALGORITHMS

PARTS = [
    *("kafka", "s3", "envoy", "score-svd-1", "score-svd-2", "score-svdpp-1", "score-svdpp-2"),
    *("recommend-1", "recommend-2"),
]
ROUNDS, SECONDS, IN_FLIGHT, THREADS = 3, 8, 50, 64
PACED_PER_SECOND, PACED_SECONDS = 50, 20


def run() -> list[Result]:
    """Measure requests a second at 50 in flight, and times at 50 requests a second, of known users."""
    with local(*PARTS) as stack, function("web_page", THREADS) as peer:
        users = serve(stack)
        script = stack.machine.home / "users.lua"
        script.write_text(lua(users))
        url = stack.machine.url("recommend")
        ours_rate, peer_rate = in_turn(
            ROUNDS,
            lambda: requests_per_second(url, IN_FLIGHT, SECONDS, script),
            lambda: requests_per_second(peer, IN_FLIGHT, SECONDS),
        )
        rungs = answered(stack)
        ours = asyncio.run(paced([f"{url}/recommend/{user}" for user in users]))
        theirs = asyncio.run(paced([peer]))
    return [
        Result(
            "recommend answers personal lists, through router and two functions, at 0.25 of an empty function's rate",
            ours_rate,
            peer_rate,
            "requests/s",
            ours_rate / peer_rate,
            0.25,
            {f"milliseconds at {PACED_PER_SECOND} requests/s": {"ours": ours, "empty": theirs}, "rungs": rungs},
        )
    ]


def serve(stack: Stack) -> list[str]:
    """Store one model under the names of both algorithms, wait until every process has it, and return its users."""
    deps = bootstrap.build("benchmark", stack.environment, writes=False)
    ratings = read_ratings(ROOT / "data/movielens-small/ratings.csv.gz")
    split = building.build(gather.ratings(ratings.to_batches()), 0.1)
    deps.artifacts.put(keys.matrix(split.matrix_id), split.to_files(), deps.manifest(kind="matrix", id=split.matrix_id))
    model = training.fit(split.train, "svd", training.DEFAULTS["svd"], seed=0)
    for algorithm in ALGORITHMS:
        manifest = deps.manifest(kind="model", id="bench", made_from=keys.matrix(split.matrix_id))
        deps.artifacts.put(keys.model(algorithm, "bench"), model.to_files(), manifest)
        state = {"model_version": "bench", "matrix_id": split.matrix_id}
        deps.channels.update(keys.score_service(algorithm), lambda _, state=state: state)  # type: ignore[misc]
    processes = [
        stack.machine.url(name) for algorithm in ALGORITHMS for name in SERVICES[keys.score_service(algorithm)]
    ]
    wait(lambda: all(map(is_ready, processes)), "loaded models", lambda: None)
    return model.users


def answered(stack: Stack) -> dict[str, int]:
    """Return how many lists were answered from each rung of the ladder, by recommend's own count."""
    counts: Counter[str] = Counter()
    for name in SERVICES["recommend"]:
        with urllib.request.urlopen(f"{stack.machine.url(name)}/metrics", timeout=5) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for sample in family.samples:
                    if sample.name == "marquee_recommend_requests_total":
                        counts[sample.labels["rung"]] += int(sample.value)
    return dict(counts)


def lua(users: list[str]) -> str:
    """Return a wrk script that asks for one user after another."""
    listed = ",".join(f'"{user}"' for user in random.Random(5).sample(users, len(users)))
    return f"""
local users, n = {{{listed}}}, 0
request = function() n = n % #users + 1; return wrk.format("GET", "/recommend/" .. users[n]) end
"""


async def paced(urls: list[str]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds at a steady pace."""
    took: list[float] = []
    chance = random.Random(6)

    async def ask(http: aiohttp.ClientSession) -> None:
        started = time.perf_counter()
        async with http.get(chance.choice(urls)) as answer:
            await answer.read()
            assert answer.status == 200
            assert answer.headers.get("x-marquee-rung", "personal") == "personal"
        took.append((time.perf_counter() - started) * 1000)

    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        started = time.monotonic()
        for number in range(PACED_PER_SECOND * PACED_SECONDS):
            await asyncio.sleep(max(0.0, started + number / PACED_PER_SECOND - time.monotonic()))
            group.create_task(ask(http))
    half, most = np.percentile(took, [50, 99])
    return {"p50": round(float(half), 1), "p99": round(float(most), 1)}
