"""`score` beside other model servers, and beside a bare loop: 27,000 movies, 100 factors, 200,000 users."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks import servers, serving
from benchmarks.alone import alone
from benchmarks.load import in_turn, requests_per_second
from benchmarks.machine import local
from benchmarks.peers.top import Lists
from benchmarks.process import part
from benchmarks.report import Result

ROUNDS, SECONDS, IN_FLIGHT, N_BARE = 5, 8, 50, 2_000


def run() -> list[Result]:
    """Serve one model in all of them, one process each; known users are asked for, of one server at a time."""
    served = serving.large()
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as name, local("s3") as stack:
        folder, users = Path(name), serving.some(served.model.users)
        served.publish(stack, "svd")
        served.write(folder / "model")
        script = serving.gets(folder / "score.lua", "/top/", users)
        with part(stack, "score-svd-1", f"/top/{users[0]}").running():
            url = stack.machine.url("score-svd-1")
            return [beside_servers(url, script, folder, users), beside_bare_loop(url, script, folder / "model", users)]


def beside_servers(url: str, script: Path, folder: Path, users: Sequence[str]) -> Result:
    """Measure requests a second at 50 in flight."""
    kserve, bentoml = servers.kserve(folder / "model"), servers.bentoml(folder / "model")
    of_kserve = serving.posts(folder / "kserve.lua", "/v1/models/top:predict", '{"instances":["%s"]}', users)
    of_bentoml = serving.posts(folder / "bentoml.lua", "/top", '{"user_id":"%s"}', users)
    with kserve.running(), bentoml.running():
        ours, *peers = in_turn(
            ROUNDS,
            lambda: requests_per_second(url, IN_FLIGHT, SECONDS, script),
            lambda: requests_per_second(kserve.url, IN_FLIGHT, SECONDS, of_kserve),
            lambda: requests_per_second(bentoml.url, IN_FLIGHT, SECONDS, of_bentoml),
        )
    return Result(
        "score answers at 1.5 times the rate of the better of KServe's and BentoML's model servers",
        ours,
        max(peers),
        "requests/s",
        ours / max(peers),
        1.5,
        dict(zip(("score", "kserve", "bentoml"), map(round, (ours, *peers)), strict=True)),
    )


def beside_bare_loop(url: str, script: Path, model: Path, users: Sequence[str]) -> Result:
    """Measure microseconds a request, one at a time: all that is not the list itself is overhead."""
    whole, list_alone, empty = in_turn(
        ROUNDS,
        lambda: 1e6 / requests_per_second(url, 1, SECONDS, script),
        lambda: alone(bare_loop, model, users[:N_BARE]),
        lambda: 1e6 / requests_per_second(f"{url}/health/liveness", 1, SECONDS),
    )
    return Result(
        "a request of score takes at most twice as long as numpy alone needs for the list",
        whole,
        list_alone,
        "µs",
        list_alone / whole,
        0.5,
        {"overhead in µs": round(whole - list_alone), "µs of an answer without a list": round(empty)},
    )


def bare_loop(model: Path, users: Sequence[str]) -> float:
    """Return the microseconds of a list, one after another in one thread."""
    lists = Lists(model)
    with threadpool_limits(1):
        started = time.perf_counter()
        for user in users:
            lists.top(user)
        return (time.perf_counter() - started) / len(users) * 1e6
