"""How often a level rolls back a canary that shows users just what stable shows them."""

from typing import Final

import numpy as np

from benchmarks.report import Result
from functions.evaluate_online import variety
from functions.evaluate_online.arms import LEAST_AUDIENCE
from functions.evaluate_online.guardrails import Level, of_level
from functions.evaluate_online.lists import Lists
from functions.evaluate_online.verdict import LEVELS, Rules

RUNS, MOVIES, LENGTH = 200, 1_000, 20
CANARY: Final = Rules().min_users
STABLE: Final = 4 * CANARY
POPULARITY: Final = -np.log(np.arange(MOVIES) + 10)
"""The logarithm of how likely a movie is taken into a list: the first of them a hundred times more than the last."""


def run() -> list[Result]:
    """Make up arms that are alike, as early as they may be judged."""
    rng = np.random.default_rng(1)
    broken = dict.fromkeys(LEVELS, 0)
    for _ in range(RUNS):
        canary, stable = (dealt(rng, n) for n in (CANARY, STABLE))
        shown = [(variety.shown(each), len(each)) for each in (canary, stable)]
        _, ours, theirs = variety.crowding(canary, stable, LEAST_AUDIENCE)
        found = {
            "coverage": Level(*(variety.coverage(counts, n, CANARY) for counts, n in shown)),
            "audience of one movie": Level(ours, theirs, LEAST_AUDIENCE),
        }
        for name, limit in LEVELS.items():
            broken[name] += of_level(name, found[name], limit, enough=True).status == "broken"
    most, results = Rules().alpha, []
    for name, n in broken.items():
        claim = f"of {RUNS} canaries like stable at most 5 % are rolled back for a level: {name}"
        share, details = n / RUNS, {"users of canary and stable": [CANARY, STABLE]}
        results.append(Result(claim, share, most, "of runs", most / max(share, 1e-4), 1, details))
    return results


def dealt(rng: np.random.Generator, n: int) -> Lists:
    """Return a list for each of n users, of different movies by their popularity (Gumbel's trick)."""
    movies = np.argpartition(-POPULARITY - rng.gumbel(size=(n, MOVIES)), LENGTH, axis=1)[:, :LENGTH]
    users, starts = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int64) * LENGTH
    return Lists(
        users=users,
        times=users.astype(np.int64),
        contents=users.astype(np.uint64),
        milliseconds=np.zeros(n, dtype=np.float32),
        failed=np.zeros(n, dtype=np.bool_),
        arms=np.zeros_like(users),
        revisions=np.zeros_like(users),
        starts=starts,
        lengths=np.full(n, LENGTH, dtype=np.int64),
        shelf=movies.ravel().astype(np.int32),
        texts={},
    )
