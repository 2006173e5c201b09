"""Simulated visits a second, on one core: what `marquee simulate` itself costs while `recommend` answers."""

import asyncio
from itertools import islice

from benchmarks.machine import local
from benchmarks.process import part
from benchmarks.report import Result
from cli.demo import DATA
from cli.ratings import read_titles
from cli.replay import writing
from cli.simulator.crowd import Crowd
from cli.simulator.driver import Pace, drive
from cli.simulator.population import Population
from cli.simulator.report import facts
from shared.events import MOVIELOG

N_USERS, N_MOVIES = 20_000, 2_000
RATE, SECONDS = 200, 40
NOBODY = "http://127.0.0.1:1"


def run() -> list[Result]:
    """Let 200 users a second visit a `recommend` that knows no model, and log it to Kafka."""
    crowd = Crowd(Population(7, list(islice(read_titles(DATA / "movies.csv.gz"), N_MOVIES)), N_USERS))
    with local("kafka", "s3") as stack:
        nobody = {"SCORE_SVD_URL": NOBODY, "SCORE_SVDPP_URL": NOBODY, "ROUTER": "none"}
        recommend = part(stack, "recommend-1", "/health/readiness", **nobody)
        with recommend.running(), writing(stack.settings, MOVIELOG) as write:
            played = asyncio.run(drive(crowd, stack.machine.url("recommend-1"), write, Pace(RATE, SECONDS)))
    found = facts(played)
    on_one_core = played.visits / played.cpu_seconds
    return [
        Result(
            f"one core is enough for {RATE} simulated visits/s, {N_USERS:,} users and {N_MOVIES:,} movies",
            on_one_core,
            RATE,
            "visits/s of one core",
            on_one_core / RATE,
            1.0,
            {name: found[name] for name in ("visits_per_second", "cpu", "lines", "statuses", "milliseconds")},
        )
    ]
