"""How the cost of a fit grows: seconds and memory for each rating at 2 and at 20 million, and SVD++ beside SVD."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
from scipy import sparse

from benchmarks.alone import alone, peak
from benchmarks.ratings import made_up, unwatched
from benchmarks.report import Result
from functions.train import core
from shared.events import ALGORITHMS, Algorithm
from shared.matrix import RatingMatrix
from shared.settings import cores

FEW, MANY, ROUNDS = 2_000_000, 20_000_000, 5
PARAMETERS: Final = core.Parameters(n_factors=32, n_epochs=4, lr=0.01, reg=0.05)


class Cost(NamedTuple):
    """Median seconds of a fit, and the bytes that the process held at most, less those before it."""

    seconds: float
    grown: int


def run() -> list[Result]:
    """Fit each in a process of its own, so that memory can be told apart."""
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as folder:
        for n in (FEW, MANY):
            alone(write, Path(folder), n)
        costs = {(n, each): alone(measure, Path(folder), n, each) for n in (FEW, MANY) for each in ALGORITHMS}
    results = []
    for each in ALGORITHMS:
        few, many = (1e9 * costs[n, each].seconds / n / PARAMETERS.n_epochs for n in (FEW, MANY))
        bytes_each = {f"{n:,} ratings": round(costs[n, each].grown / n, 1) for n in (FEW, MANY)}
        claim = f"{each}: a rating costs at most 1.3 times as much at 20 million as at 2 million"
        results.append(Result(claim, many, few, "ns/rating/pass", few / many, 1 / 1.3, {"bytes/rating": bytes_each}))
    svd, svdpp = (costs[MANY, each].seconds for each in ALGORITHMS)
    claim = "SVD++ costs at most 3 times as much as SVD at equal factors, 20 million ratings"
    return [*results, Result(claim, svdpp, svd, "s", svd / svdpp, 1 / 3)]


def write(folder: Path, n: int) -> None:
    """Store made-up ratings; making them takes more memory than a fit."""
    sparse.save_npz(folder / f"{n}.npz", made_up(n).ratings, compressed=False)


def measure(folder: Path, n: int, algorithm: Algorithm) -> Cost:
    """Fit the ratings some times."""
    core.ready()
    ratings: Any = sparse.load_npz(folder / f"{n}.npz")
    train = RatingMatrix(ratings, *([str(each) for each in range(size)] for size in ratings.shape))
    watched = unwatched(train)
    before, seconds = psutil.Process().memory_info().rss, []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        core.fit(train, algorithm, PARAMETERS, 0, n_threads=cores(), watched=watched)
        seconds.append(time.perf_counter() - started)
    return Cost(statistics.median(seconds), peak() - before)
