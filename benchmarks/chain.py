"""`recommend` and `score`, one process each, beside two empty functions of which the first asks the second."""

import asyncio
from collections.abc import Sequence

from benchmarks import serving
from benchmarks.load import in_turn, paced, requests_per_second
from benchmarks.machine import local
from benchmarks.process import empty, part
from benchmarks.report import Result
from infra.local.stack import Stack

ROUNDS, SECONDS, IN_FLIGHT, THREADS = 5, 8, 50, 64
PACED_PER_SECOND, PACED_SECONDS = 100, 20


def run() -> list[Result]:
    """Serve 200,000 users of 27,000 movies, 100 factors; recommend asks score directly, and publishes to Kafka."""
    served = serving.large()
    with local("kafka", "s3") as stack:
        served.publish(stack, "svd")
        users = serving.some(served.model.users)
        url = stack.machine.url("score-svd-1")
        score = part(stack, "score-svd-1", f"/top/{users[0]}")
        directly = {"SCORE_SVD_URL": url, "SCORE_SVDPP_URL": url, "SCORE_SVD_WEIGHT": "100"}
        recommend = part(stack, "recommend-1", "/health/readiness", **directly)
        second, second_asgi = empty("web_page", THREADS), empty("web_page_asgi")
        with score.running(), recommend.running(), second.running(), second_asgi.running():
            first = empty("chain_sync", THREADS, NEXT_URL=second.url)
            first_asgi = empty("chain", NEXT_URL=second_asgi.url)
            with first.running(), first_asgi.running():
                return [measured(stack, first.url, first_asgi.url, users)]


def measured(stack: Stack, peer: str, peer_asgi: str, users: Sequence[str]) -> Result:
    """Measure requests a second at 50 in flight, and milliseconds at 100 requests a second.

    The peer is functions-framework as it comes; the rate in its ASGI mode, in which ours run, is printed beside it.
    """
    url = stack.machine.url("recommend-1")
    script = serving.gets(stack.machine.home / "users.lua", "/recommend/", users)
    ours, theirs, asgi = in_turn(
        ROUNDS,
        lambda: requests_per_second(url, IN_FLIGHT, SECONDS, script),
        lambda: requests_per_second(peer, IN_FLIGHT, SECONDS),
        lambda: requests_per_second(peer_asgi, IN_FLIGHT, SECONDS),
    )
    rungs = serving.rungs([url])
    answered, ours = ours, ours * rungs.get("personal", 0) / sum(rungs.values())  # popular lists are not score's
    personal = {"x-marquee-rung": "personal"}
    pace = PACED_PER_SECOND, PACED_SECONDS
    times = {
        "ours": asyncio.run(paced([f"{url}/recommend/{user}" for user in users], *pace, personal)),
        "empty": asyncio.run(paced([peer], *pace)),
    }
    return Result(
        "recommend answers lists that score computes at 0.6 of the rate of two empty functions, one asking the other",
        ours,
        theirs,
        "requests/s",
        ours / theirs,
        0.6,
        {
            f"milliseconds at {PACED_PER_SECOND} requests/s": times,
            "rungs": rungs,
            "with popular lists": round(answered),
            "two empty functions in ASGI mode, requests/s": round(asgi),
        },
    )
