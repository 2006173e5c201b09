"""Fake profiles that push a movie: how many users see it by a model that learnt of them, and whether it is stopped."""

from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.report import Result
from cli.simulator.crowd import Crowd
from cli.simulator.past import history, spam
from cli.simulator.population import Population, numbered
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.evaluate_online.arms import LEAST_AUDIENCE
from functions.evaluate_online.verdict import LEVELS
from functions.train import core as training
from shared.lines import Limits, parse
from shared.model import FactorModel
from shared.ranking import top
from shared.records import to_table
from shared.rows import Place

SHARES = (0.01, 0.03, 0.05)
N_RATINGS, N_LATER, N_ASKED = 50_000, 10_000, 1_000
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ATTACK = NOW - timedelta(days=1)
LIMIT = LEAST_AUDIENCE * LEVELS["audience of one movie"]


def run() -> list[Result]:
    """Attack with 1, 3 and 5 % fake profiles, each on the same past; the movie pushed is the least popular."""
    people = Population(7, numbered(1_000), 6_000)
    movie = people.movies[int(people.popularity.argmin())]
    crowd = Crowd(people)
    before, after = history(crowd, N_RATINGS, ATTACK), history(crowd, N_LATER, NOW, days=1)
    honest = audience(trained(before + after), movie)
    return [attacked(share, movie, before + spam(people, movie, share, ATTACK) + after, honest) for share in SHARES]


def attacked(share: float, movie: str, lines: list[bytes], honest: float) -> Result:
    """Return whether a model that learnt from attackers is stopped, or shows the movie to few."""
    shown = audience(trained(lines), movie)
    is_stopped = shown > LIMIT
    claim = f"{share:.0%} fake profiles push a movie: no more users see it than this, or a guardrail stops the model"
    details = {"shown to, without attack": honest, "stopped by the guardrail": is_stopped}
    return Result(claim, shown, LIMIT, "of users", 1.0 if is_stopped else LIMIT / max(shown, 1 / N_ASKED), 1, details)


def trained(lines: list[bytes]) -> FactorModel:
    """Return SVD with the parameters that are used, trained on all ratings of a log."""
    at = int(NOW.timestamp() * 1e6)
    rows = (
        parse(line, Place("log", 0, offset, at), Limits()) for offset, line in enumerate(lines) if b"/rate/" in line
    )
    ratings = gather.ratings(to_table(rows).to_batches())
    return training.fit(building.build(ratings, 0.1).train, "svd", training.DEFAULTS["svd"], seed=1)


def audience(model: FactorModel, movie: str) -> float:
    """Return the share of users, who have not seen anything yet, whose list has the movie."""
    nothing = np.empty(0, dtype=np.int64)
    place = model.movie_index.get(movie, -1)
    rows = range(min(N_ASKED, len(model.users)))
    return float(np.mean([place in top(model, model.profile(row), 20, nothing).places for row in rows]))
