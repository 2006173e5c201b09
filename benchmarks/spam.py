"""Fake profiles that push a movie: how many users see it by a model that learnt of them, and whether it is stopped.

And honest models, each of some more of the real ratings than the one before: none of them may be.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow as pa

from benchmarks.ratings import SAMPLE
from benchmarks.report import Result
from cli.drill.acts import MOST_SHOWN
from cli.drill.spam import audience, audiences, ratings, trained
from cli.drill.stage import SPAM_SHARES
from cli.ratings import read_ratings
from cli.simulator.crowd import Crowd
from cli.simulator.past import history, spam
from cli.simulator.population import Population, numbered
from functions.evaluate_online.arms import LEAST_AUDIENCE
from functions.evaluate_online.guardrails import Level, of_level
from functions.evaluate_online.verdict import LEVELS

AUDIENCE = "audience of one movie"
N_RATINGS, N_LATER, N_ASKED = 50_000, 10_000, 1_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ATTACK = NOW - timedelta(days=1)
GROWTH = (12_000, 14_000, 16_000, 20_000, 30_000, 40_000, 60_000, 80_000, 100_000)


def run() -> list[Result]:
    """Attack with 1, 3 and 5 % fake profiles, each on the same past; the movie pushed is the least popular."""
    people = Population(7, numbered(1_000), 6_000)
    movie = people.movies[int(people.popularity.argmin())]
    crowd = Crowd(people)
    before, after = history(crowd, N_RATINGS, ATTACK), history(crowd, N_LATER, NOW, days=1)
    honest = shown(before + after, movie)
    return [
        *(
            attacked(share, shown(before + spam(people, movie, share, ATTACK) + after, movie), honest)
            for share in SPAM_SHARES
        ),
        grown(read_ratings(SAMPLE).sort_by("time")),
    ]


def attacked(share: float, shown: float, honest: float) -> Result:
    """Return how many see the movie by a model that learnt from attackers, which the guardrail may stop."""
    level = Level(canary=shown, stable=honest, least=LEAST_AUDIENCE)
    is_stopped = of_level(AUDIENCE, level, LEVELS[AUDIENCE], enough=True).status == "broken"
    reached = 0.0 if is_stopped else shown
    claim = f"{share:.0%} fake profiles push a movie: no more users see it than this, or a guardrail stops the model"
    details = {"shown to, without attack": honest, "by the attacked model": shown, "stopped": is_stopped}
    return Result(claim, reached, MOST_SHOWN, "of users", MOST_SHOWN / max(reached, 1 / N_ASKED), 1, details)


def shown(lines: list[bytes], movie: str) -> float:
    """Return the share of users to whom a model shows a movie that it knows from a log."""
    return audience(trained(ratings(lines, NOW)), movie)


def grown(table: pa.Table) -> Result:
    """Return how many times over an audience grew at most between models of more and more ratings of a table."""
    models = [audiences(trained(table.slice(0, n).to_batches())) for n in GROWTH]
    times, movie = max(
        (share / max(before.get(movie, 0.0), LEAST_AUDIENCE), movie)
        for before, after in pairwise(models)
        for movie, share in after.items()
    )
    claim = f"honest models of {GROWTH[0]:,} to {GROWTH[-1]:,} real ratings: no audience grows more times than this"
    limit = LEVELS[AUDIENCE]
    return Result(claim, times, limit, "times", limit / times, 1, {"movie": movie})
