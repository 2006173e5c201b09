"""`recommend` end to end, through the router and the models, beside a function that answers a word."""

import asyncio
import urllib.request

from benchmarks import serving
from benchmarks.load import in_turn, paced, requests_per_second
from benchmarks.machine import local
from benchmarks.process import empty
from benchmarks.report import Result
from cli.demo import wait
from infra.local.router import SERVICES
from shared import keys
from shared.events import ALGORITHMS

PARTS = [
    *("kafka", "s3", "envoy", "score-svd-1", "score-svd-2", "score-svdpp-1", "score-svdpp-2"),
    *("recommend-1", "recommend-2"),
]
ROUNDS, SECONDS, IN_FLIGHT, THREADS = 3, 8, 50, 64
PACED_PER_SECOND, PACED_SECONDS = 50, 20


def is_ready(process_url: str) -> bool:
    """Say whether a process wants traffic: a score process does once it has a model."""
    try:
        with urllib.request.urlopen(f"{process_url}/health/readiness", timeout=2):
            return True
    except OSError:
        return False


def run() -> list[Result]:
    """Measure requests a second at 50 in flight, and times at 50 requests a second, of the sample's users."""
    served, peer = serving.sample(), empty("web_page", THREADS)
    with local(*PARTS) as stack, peer.running():
        served.publish(stack, *ALGORITHMS)
        models = [name for algorithm in ALGORITHMS for name in SERVICES[keys.score_service(algorithm)]]
        wait(lambda: all(is_ready(stack.machine.url(name)) for name in models), "loaded models", lambda: None)
        users, url = serving.some(served.model.users), stack.machine.url("recommend")
        script = serving.gets(stack.machine.home / "users.lua", "/recommend/", users)
        ours_rate, peer_rate = in_turn(
            ROUNDS,
            lambda: requests_per_second(url, IN_FLIGHT, SECONDS, script),
            lambda: requests_per_second(peer.url, IN_FLIGHT, SECONDS),
        )
        rungs = serving.rungs([stack.machine.url(name) for name in SERVICES["recommend"]])
        personal = {"x-marquee-rung": "personal"}
        pace = PACED_PER_SECOND, PACED_SECONDS
        times = {
            "ours": asyncio.run(paced([f"{url}/recommend/{user}" for user in users], *pace, personal)),
            "empty": asyncio.run(paced([peer.url], *pace)),
        }
    return [
        Result(
            "recommend answers personal lists, through router and two functions, at 0.25 of an empty function's rate",
            ours_rate,
            peer_rate,
            "requests/s",
            ours_rate / peer_rate,
            0.25,
            {f"milliseconds at {PACED_PER_SECOND} requests/s": times, "rungs": rungs},
        )
    ]
