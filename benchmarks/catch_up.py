"""Seconds until a server knows what came in thousands of commits after its matrix, beside reading them one by one.

What is saved is saved by the commit; to take in the rows costs the same either way. So it is measured with commits of
few rows, where much is saved, and of many, where it must cost nothing.
"""

import random
import time
from collections.abc import Iterator, Mapping

from benchmarks.load import in_turn
from benchmarks.machine import local
from benchmarks.report import Result
from functions.score.fresh import COLUMNS, KINDS, Fresh
from infra.local.machine import BUCKET
from shared import keys
from shared.adapters.commits import DeltaCommits
from shared.adapters.lake import DeltaLake
from shared.adapters.s3 import delta_options
from shared.errors import NotReady
from shared.ports import Fold
from shared.records import to_table
from shared.rows import Row

N_COMMITS, DAYS = 2_000, 3
COMPACT_EVERY = 100
BARS = {20: 3, 100: 1}
"""How many times sooner, by the rows of a commit."""

ROUNDS = 3
_BEGIN, _DAY_US = 1_764_000_000_000_000, 86_400_000_000


def run() -> list[Result]:
    """Commit three days of watches and ratings, compacted as `fold_lake` does, and read them from a tenth on."""
    with local("s3") as stack:
        options = delta_options(stack.environment["S3_ENDPOINT"], stack.environment)
        return [measured(f"s3://{BUCKET}/{keys.LAKE}-{n_rows}", options, n_rows) for n_rows in BARS]


def measured(uri: str, options: Mapping[str, str], n_rows: int) -> Result:
    """Make a lake of commits of `n_rows` rows each, and read it either way."""
    lake = DeltaLake(uri, options)
    for number in range(1, N_COMMITS + 1):
        lake.fold(to_table(rows(number, n_rows)), Fold(number, []))
        if number % COMPACT_EVERY == 0:
            lake.compact()
    ours, theirs = in_turn(
        ROUNDS,
        lambda: seconds(DeltaCommits(uri, options), n_rows),
        lambda: seconds(DeltaCommits(uri, options, most_steps=2 * N_COMMITS), n_rows),
    )
    what, bar = f"what came in {N_COMMITS * 9 // 10} commits of {n_rows} rows", BARS[n_rows]
    sooner = f"{bar} times sooner than" if bar > 1 else "no later than"
    return Result(f"{what} is known {sooner} by reading them one by one", ours, theirs, "s", theirs / ours, bar)


def rows(number: int, n_rows: int) -> Iterator[Row]:
    """Yield what one commit brings: nine watches to a rating, by users and of movies at random."""
    chance = random.Random(number)
    at = _BEGIN + number * DAYS * _DAY_US // N_COMMITS
    for offset in range(number * n_rows, (number + 1) * n_rows):
        user, movie, is_rating = chance.randrange(5_000), chance.randrange(1_000), offset % 10 == 0
        kind, rating = ("rating", 3.0) if is_rating else ("watch", None)
        yield Row(kind, "movielog", 0, offset, at, time=at, user_id=f"{user}", movie_id=f"{movie}", rating=rating)  # type: ignore[arg-type]


def seconds(commits: DeltaCommits, n_rows: int) -> float:
    """Take in what came since a tenth of the commits. Raises: NotReady if it was not all."""
    start, fresh = time.perf_counter(), Fresh()
    n_taken = sum(fresh.take(found) for found in commits.since(N_COMMITS // 10, KINDS, COLUMNS)[1])
    taken = time.perf_counter() - start
    if not 0 <= N_COMMITS * n_rows - n_taken <= N_COMMITS * n_rows // 10:
        raise NotReady(f"{n_taken} rows came")
    return taken
