"""The seconds and the memory in which `evaluate_online` judges a canary by a million lists, beside DuckDB."""

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.alone import alone, peak
from benchmarks.process import PEERS
from benchmarks.report import Result
from benchmarks.servers import python_of
from functions.evaluate_online import arms
from functions.evaluate_online.arms import OneArm
from functions.evaluate_online.observe import observe
from functions.evaluate_online.period import Period
from functions.evaluate_online.verdict import Evidence, Rules, judge
from shared.adapters.lake import DeltaLake
from shared.errors import BadInput
from shared.ports import Fold
from shared.records import SCHEMA

FOLDS, LISTS, MINUTES_WATCHED, USERS, MOVIES, LENGTH = 10, 100_000, 10, 500_000, 27_000, 20
"""Folds of the lake; lists in each, as served and as logged; minutes watched for each list; movies in each."""

ARMS: Final = ("svd:stable", "svd:canary")
REVISIONS: Final = ("score-svd-00001", "score-svd-00002")
ROUNDS: Final = 3
SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
FIRST_TIME: Final = 1_764_000_000 * SECOND
LIMIT_GIB: Final = 4.0


@dataclass(frozen=True)
class Cost:
    """What one evaluation took, in a process of its own, and the users whose window has closed, hits and minutes."""

    seconds: float
    peak_gib: float
    outcomes: dict[str, list[int]]

    def facts(self) -> dict[str, Any]:
        """Return what is worth reading."""
        return {"seconds": round(self.seconds, 1), "peak GiB": round(self.peak_gib, 2)}


def run() -> list[Result]:
    """Write a lake, then evaluate it, in turns, here and in DuckDB, each time in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as lake:
        alone(write, lake)
        rounds = [(alone(evaluate, lake), by_duckdb(lake)) for _ in range(ROUNDS)]
    ours, theirs = (sorted(costs, key=lambda cost: cost.seconds)[ROUNDS // 2] for costs in zip(*rounds, strict=True))
    if ours.outcomes != theirs.outcomes:
        raise BadInput(f"DuckDB finds {theirs.outcomes}, we {ours.outcomes}")
    details = {"evaluate_online": ours.facts(), "DuckDB, outcomes alone": theirs.facts(), "outcomes": ours.outcomes}
    what = f"{FOLDS * LISTS:,} lists, {FOLDS * LISTS * MINUTES_WATCHED:,} watches"
    return [
        Result(
            f"evaluate_online judges a canary by {what}, all its measures taken, as fast as DuckDB finds the outcomes",
            ours.seconds,
            theirs.seconds,
            "s",
            theirs.seconds / ours.seconds,
            1.0,
            details,
        ),
        Result(
            "the same in at most 4 GiB, the whole process counted",
            ours.peak_gib,
            LIMIT_GIB,
            "GiB",
            LIMIT_GIB / ours.peak_gib,
            1.0,
            details,
        ),
    ]


def evaluate(lake: str) -> Cost:
    """Do what the function does between the lake and the store, but for what needs a model."""
    started = time.perf_counter()
    span = Period(FIRST_TIME, FIRST_TIME + 7 * 24 * HOUR)
    behaviour = observe(DeltaLake(lake, {}), FOLDS, span, HOUR).between(*span)
    stable, canary = (OneArm(behaviour, *each, HOUR) for each in zip(ARMS, REVISIONS, strict=True))
    for arm in (stable, canary):
        arm.summary(None)
    seen = arms.watched(canary, stable), arms.shares(canary, stable), arms.levels(canary, stable)
    judge(Evidence(*seen), Rules())
    seconds = time.perf_counter() - started
    found = {
        arm.name: [len(arm.outcomes.users), int(arm.outcomes.hits.sum()), int(arm.outcomes.minutes.sum())]
        for arm in (stable, canary)
    }
    return Cost(seconds, peak() / 2**30, found)


def by_duckdb(lake: str) -> Cost:
    """Have DuckDB find the same outcomes in the lake's parquet files."""
    command = [python_of("duckdb"), str(PEERS / "duckdb_online.py"), lake]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"DuckDB failed: {done.stderr[-2000:]}")
    return Cost(**json.loads(done.stdout))


def write(folder: str) -> None:
    """Fill a lake, fold after fold: a list every 0.3 seconds, served and logged, and ten minutes watched after it."""
    chance = np.random.default_rng(7)
    lake = DeltaLake(folder, {})
    movie_ids = pa.array([f"the+movie+{number}+{1950 + number % 75}" for number in range(MOVIES)])
    for fold in range(FOLDS):
        rows = np.arange(fold * LISTS, (fold + 1) * LISTS)
        users = chance.integers(1, USERS + 1, LISTS)
        strides = chance.integers(1, MOVIES // LENGTH, LISTS)
        lists = (chance.integers(0, MOVIES, LISTS)[:, None] + strides[:, None] * np.arange(LENGTH)) % MOVIES
        times = FIRST_TIME + rows * 300_000
        movies = pa.ListArray.from_arrays(
            pa.array(np.arange(LISTS + 1, dtype=np.int32) * LENGTH), movie_ids.take(pa.array(lists.ravel()))
        )
        arm = users % 2
        lists_of = {"user_id": texts(users), "movies": movies, "latency_ms": pa.array(chance.gamma(4.0, 5.0, LISTS))}
        labels = {
            "arm": pa.array(ARMS).take(pa.array(arm)),
            "revision": pa.array(REVISIONS).take(pa.array(arm)),
        }
        status = {"status": pa.repeat(200, LISTS)}
        watched = np.where(chance.random(LISTS) < 0.1, lists[:, 3], chance.integers(0, MOVIES, LISTS))
        many = np.repeat(np.arange(LISTS), MINUTES_WATCHED)
        minutes = np.tile(np.arange(MINUTES_WATCHED), LISTS)
        watches = {
            "user_id": texts(users[many]),
            "movie_id": movie_ids.take(pa.array(watched[many])),
            "minute": pa.array(minutes),
        }
        tables = [
            table("served", rows, times, lists_of | labels),
            table("request", rows, times + 20_000, lists_of | status),
            table("watch", rows[many] * MINUTES_WATCHED + minutes, times[many] + (minutes + 1) * 60 * SECOND, watches),
        ]
        lake.fold(pa.concat_tables(tables), Fold(fold + 1, []))


def table(kind: str, offsets: NDArray[np.int64], times: NDArray[np.int64], columns: dict[str, pa.Array]) -> pa.Table:
    """Return rows of a kind with all columns of the lake."""
    moments = pa.array(times).cast(SCHEMA.field("time").type)
    known = {
        "kind": pa.repeat(kind, len(times)),
        "topic": pa.repeat("movielog", len(times)),
        "partition": pa.repeat(0, len(times)),
        "offset": pa.array(offsets),
        "ingested_at": moments,
        "time": moments,
    } | columns
    every = [known.get(field.name, pa.nulls(len(times), field.type)).cast(field.type) for field in SCHEMA]
    return pa.Table.from_arrays(every, schema=SCHEMA)


def texts(numbers: NDArray[np.int64]) -> pa.Array:
    """Return whole numbers as texts."""
    return pa.array(numbers).cast(pa.string())
