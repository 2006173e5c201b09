"""The memory in which `build_matrix` takes 20 million ratings, beside its limit and a straightforward way."""

import tempfile
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.alone import alone, peak
from benchmarks.report import Result
from functions.build_matrix import core, gather
from shared.adapters.lake import DeltaLake
from shared.ports import Fold
from shared.records import SCHEMA, once_each

FOLDS, FOLD_ROWS, USERS, MOVIES, PARTITIONS = 20, 1_000_000, 200_000, 27_000, 4
SAMPLE_FOLDS: Final = 5
REPEATED: Final = 0.01
LIMIT_GIB: Final = 4.0
FIRST_TIME: Final = 1_764_000_000_000_000


@dataclass(frozen=True)
class Cost:
    """What a piece of work took in a process of its own: ratings stored, cells of the matrix, seconds, bytes.

    `before` and `peak` are the most memory that the process held before the work, and until its end.
    """

    ratings: int
    cells: int
    seconds: float
    before: int
    peak: int

    def facts(self) -> dict[str, Any]:
        """Return what is worth reading."""
        return {
            "ratings": self.ratings,
            "cells": self.cells,
            "seconds": round(self.seconds, 1),
            "ratings/s": round(self.ratings / self.seconds),
            "peak GiB": round(self.peak / 2**30, 2),
            "bytes a rating": round((self.peak - self.before) / self.ratings),
        }


def run() -> list[Result]:
    """Write a lake, then build its matrix, and one of a quarter of it the plain way, each in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as lake:
        alone(write, lake)
        ours, plain = alone(build, lake, FOLDS), alone(build_plainly, lake, SAMPLE_FOLDS)
    peak_gib = ours.peak / 2**30
    return [
        Result(
            "build_matrix takes 20 million ratings of 200,000 users in at most 4 GiB, the whole process counted",
            peak_gib,
            LIMIT_GIB,
            "GiB",
            LIMIT_GIB / peak_gib,
            1.0,
            {"build_matrix": ours.facts(), "plain pyarrow, on a sample": plain.facts()},
        )
    ]


def build(lake: str, version: int) -> Cost:
    """Do what the function does between the lake and the store."""
    before, started = peak(), time.perf_counter()
    ratings = gather.ratings(DeltaLake(lake, {}).scan("rating", gather.COLUMNS, version))
    split = core.build(ratings, 0.1)
    core.statistics(ratings)
    split.to_files()
    cells = split.train.n_ratings + split.validation.n_ratings
    return Cost(version * FOLD_ROWS, cells, time.perf_counter() - started, before, peak())


def build_plainly(lake: str, version: int) -> Cost:
    """Build the same cells as one would who need not think of memory: whole tables, sorted."""
    before, started = peak(), time.perf_counter()
    rows = once_each(DeltaTable(lake, version).to_pyarrow_table(columns=list(gather.COLUMNS)))
    rows = rows.sort_by([(name, "ascending") for name in ("time", "topic", "partition", "offset")])
    users, movies = (rows[name].combine_chunks().dictionary_encode() for name in ("user_id", "movie_id"))
    pairs = users.indices.to_numpy().astype(np.int64) * len(movies.dictionary) + movies.indices.to_numpy()
    cells, from_the_end = np.unique(pairs[::-1], return_index=True)
    values = rows["rating"].to_numpy()[::-1][from_the_end].astype(np.float32)
    shape = (len(users.dictionary), len(movies.dictionary))
    matrix = sparse.csr_array((values, np.divmod(cells, shape[1])), shape)
    return Cost(version * FOLD_ROWS, matrix.nnz, time.perf_counter() - started, before, peak())


def write(folder: str) -> None:
    """Fill a lake, one fold after another: long tails of users and movies, a rating a second, some records twice."""
    chance = np.random.default_rng(7)
    lake = DeltaLake(folder, {})
    users, movies = long_tail(USERS, 1.3, chance), long_tail(MOVIES, 1.8, chance)
    user_ids = pa.array([str(number + 1) for number in range(USERS)])
    movie_ids = pa.array([f"the+movie+{number}+{1950 + number % 75}" for number in range(MOVIES)])
    for fold in range(FOLDS):
        rows = np.arange(fold * FOLD_ROWS, (fold + 1) * FOLD_ROWS)
        earlier = chance.integers(rows[0], rows + 1)
        record = np.where(chance.random(FOLD_ROWS) < REPEATED, earlier, rows)
        said = record - rows[0]
        columns = {
            "kind": pa.repeat("rating", FOLD_ROWS),
            "topic": pa.repeat("movielog", FOLD_ROWS),
            "partition": pa.array(record % PARTITIONS, pa.int32()),
            "offset": pa.array(record // PARTITIONS),
            "ingested_at": pa.array(FIRST_TIME + rows * 1_000_000, pa.int64()).cast(SCHEMA.field("time").type),
            "time": pa.array(FIRST_TIME + record * 1_000_000, pa.int64()).cast(SCHEMA.field("time").type),
            "user_id": user_ids.take(pa.array(drawn(users, chance)[said])),
            "movie_id": movie_ids.take(pa.array(drawn(movies, chance)[said])),
            "rating": pa.array(chance.integers(1, 11, FOLD_ROWS)[said] / 2),
        }
        every = [columns.get(field.name, pa.nulls(FOLD_ROWS, field.type)) for field in SCHEMA]
        lake.fold(pa.Table.from_arrays(every, schema=SCHEMA), Fold(fold + 1, []))


def long_tail(n: int, spread: float, chance: np.random.Generator) -> NDArray[np.float64]:
    """Return the cumulative shares of n things, shape (n,), log-normal as in real logs."""
    weights = chance.lognormal(0, spread, n)
    return np.cumsum(weights / weights.sum())


def drawn(shares: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.int64]:
    """Return a fold's worth of things, shape (FOLD_ROWS,), each as often as its share says."""
    return np.searchsorted(shares[:-1], chance.random(FOLD_ROWS))
