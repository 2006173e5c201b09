"""A million users whom nobody knows, each once: what that leaves in the memory of `recommend` and `score`."""

from pathlib import Path

from benchmarks import serving
from benchmarks.load import requests_per_second
from benchmarks.machine import local
from benchmarks.process import part
from benchmarks.report import Result
from infra.local.stack import Stack

N_STRANGERS, FIRST = 1_000_000, 10**12
SECONDS, IN_FLIGHT = 60, 50
MOST_BYTES = 50 * 2**20


def run() -> list[Result]:
    """Ask for strangers with both models the sample's, after some were asked for: then all that is made once is."""
    served = serving.sample()
    with local("kafka", "s3") as stack:
        served.publish(stack, "svd")
        url = stack.machine.url("score-svd-1")
        score = part(stack, "score-svd-1", f"/top/{served.model.users[0]}")
        directly = {"SCORE_SVD_URL": url, "SCORE_SVDPP_URL": url}
        recommend = part(stack, "recommend-1", "/health/readiness", **directly)
        with score.running(), recommend.running():
            asked = ask(stack, 0, 10)
            before = held(stack)
            while asked < N_STRANGERS:
                asked += ask(stack, asked, SECONDS)
            after = held(stack)
    grown = {name: after[name] - before[name] for name in before}
    claim = "a million distinct strangers leave less than 50 MiB in the processes that answer them"
    most = max(grown.values())
    return [
        Result(
            claim,
            most / 2**20,
            MOST_BYTES / 2**20,
            "MiB",
            MOST_BYTES / max(most, 1),
            1.0,
            {"strangers": asked, "MiB": {name: round(size / 2**20, 1) for name, size in grown.items()}},
        )
    ]


def ask(stack: Stack, first: int, seconds: int) -> int:
    """Ask for strangers, each once, and return about how many."""
    script = Path(stack.machine.home) / "strangers.lua"
    script.write_text(
        f"local n = {FIRST + first}\n"
        'request = function() n = n + 1; return wrk.format("GET", "/recommend/" .. string.format("%.0f", n)) end\n'
    )
    return int(seconds * requests_per_second(stack.machine.url("recommend-1"), IN_FLIGHT, seconds, script))


def held(stack: Stack) -> dict[str, int]:
    """Return the bytes that each function's processes hold."""
    found = {"recommend": 0, "score": 0}
    for process in stack.processes():
        words = " ".join(process.cmdline())
        for name in found:
            if f"functions/{name}/main.py" in words:
                found[name] += process.memory_info().rss
    return found
