"""The seconds in which `marquee trace` finds one answer among a million, beside DuckDB, and tells its story."""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa

from benchmarks.alone import alone
from benchmarks.online import table, texts
from benchmarks.process import PEERS
from benchmarks.report import Result
from benchmarks.servers import python_of
from functions.rollout import core
from shared import keys
from shared.adapters.files import DirectoryStore
from shared.adapters.lake import DeltaLake
from shared.answers import Asked
from shared.artifacts import ArtifactStore, Manifest
from shared.errors import BadInput
from shared.events import RecommendationServed
from shared.ports import Fold, ObjectStore
from shared.provenance import Provenance
from shared.rollout import State

FOLDS, LISTS, USERS, MOVIES, LENGTH = 20, 50_000, 200_000, 27_000, 20
"""Folds of the lake; lists in each; users and movies; movies in a list."""

EVERY_US: Final = 600_000
FIRST_TIME: Final = 1_764_028_800_000_000
CHAIN: Final = 8
MODEL_BYTES: Final = 8 * 2**20
ASKED: Final = 21
ROUNDS: Final = 3
LIMIT_SECONDS: Final = 2.0
SERVICE: Final = "score-svd"
LAST: Final = f"m{CHAIN - 1}"


@dataclass(frozen=True)
class Found:
    """The seconds of each question, those with the whole story, and the request ids of the lists that were found."""

    seconds: list[float]
    requests: list[list[str]]
    with_stories: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The seconds of a question."""
        return statistics.median(self.seconds)


class Bucket(DirectoryStore):
    """A bucket in a folder, as far as a story asks of it: it only reads."""

    def keys(self, prefix: str) -> list[str]:
        """Return the names that begin with prefix, in order."""
        files = (path for path in (self.root / prefix).parent.rglob("*") if path.is_file())
        return sorted(key for path in files if (key := str(path.relative_to(self.root))).startswith(prefix))


def run() -> list[Result]:
    """Write a bucket, then ask for lists in it, in turns, here and of DuckDB, each time in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as folder:
        alone(write, folder)
        numbers = np.random.default_rng(5).integers(0, FOLDS * LISTS, ASKED).tolist()
        results, told = [], []
        for how, words in (("line", "log line"), ("request", "request id")):
            rounds = [(alone(tell, folder, how, numbers), by_duckdb(folder, how, numbers)) for _ in range(ROUNDS)]
            ours, theirs = (
                sorted(all_, key=lambda each: each.median)[ROUNDS // 2] for all_ in zip(*rounds, strict=True)
            )
            if ours.requests != theirs.requests:
                raise BadInput(f"DuckDB finds {theirs.requests}, we {ours.requests}")
            results.append(_found(words, ours, theirs))
            told += ours.with_stories
        return [*results, _whole(told)]


def _found(words: str, ours: Found, theirs: Found) -> Result:
    slowest = {"trace": round(max(ours.seconds), 3), "DuckDB": round(max(theirs.seconds), 3)}
    return Result(
        f"trace finds an answer among {FOLDS * LISTS:,} by its {words}, beside DuckDB on the files without their log",
        ours.median,
        theirs.median,
        "s",
        theirs.median / ours.median,
        0.6,
        {"slowest": slowest},
    )


def _whole(seconds: list[float]) -> Result:
    median = statistics.median(seconds)
    checked = f"{CHAIN} models of {MODEL_BYTES / 2**20:.0f} MiB, as many matrices, report, rollout"
    return Result(
        "the whole story of such an answer, every byte that it rests on checked, while a person waits: two seconds",
        median,
        LIMIT_SECONDS,
        "s",
        LIMIT_SECONDS / median,
        1.0,
        {"checked": checked, "slowest": round(max(seconds), 3)},
    )


def tell(folder: str, how: str, numbers: list[int]) -> Found:
    """Tell the stories of lists."""
    objects = cast(ObjectStore, Bucket(Path(folder)))
    now = datetime.fromtimestamp((FIRST_TIME + FOLDS * LISTS * EVERY_US) / 1e6, UTC)
    seconds, requests, with_stories = [], [], []
    for number, (user_id, movies) in zip(numbers, lists_of(numbers), strict=True):
        known = Asked(user_id, moment(number), movies) if how == "line" else Asked(request_id=request_id(number))
        started = time.perf_counter()
        lake = DeltaLake(str(Path(folder) / keys.LAKE), {})
        provenance = Provenance(objects, ArtifactStore(objects), lake, 0, now)
        requests.append(sorted(each.request_id for each in provenance.answer(known).lists))
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        stories, _ = provenance.stories(known)
        with_stories.append(time.perf_counter() - started)
        if wrong := [thing.why for story in stories for thing in story.wrong]:
            raise BadInput(f"{number}: {wrong}")
    return Found(seconds, requests, with_stories)


def by_duckdb(folder: str, how: str, numbers: list[int]) -> Found:
    """Have DuckDB find the rows alone: of the user on that day with those movies, or of the request."""
    asked: list[tuple[str, str, str | None]] = []
    for number, (user_id, _) in zip(numbers, lists_of(numbers), strict=True):
        day = str(datetime.fromtimestamp(moment(number) / 1e6, UTC).date())
        asked.append(("user_id", user_id, day) if how == "line" else ("request_id", request_id(number), None))
    lake = str(Path(folder) / keys.LAKE)
    command = [python_of("duckdb"), str(PEERS / "duckdb_trace.py"), lake, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"DuckDB failed: {done.stderr[-2000:]}")
    answers = json.loads(done.stdout)
    mine = [{request_id(number)} & set(each["requests"]) for number, each in zip(numbers, answers, strict=True)]
    return Found([each["seconds"] for each in answers], [sorted(each) for each in mine])


def write(folder: str) -> None:
    """Fill a bucket: lists served one after another, all by the last of a chain of models."""
    lake = DeltaLake(str(Path(folder) / keys.LAKE), {})
    for fold in range(FOLDS):
        rows = np.arange(fold * LISTS, (fold + 1) * LISTS)
        chosen = lists(rows)
        users, movies = zip(*((user, movie) for user, movie in chosen), strict=True)
        columns: dict[str, pa.Array] = {
            "user_id": pa.array(users),
            "movies": pa.array(movies, pa.list_(pa.string())),
            "request_id": pa.array([request_id(number) for number in rows.tolist()]),
            "latency_ms": pa.array(np.full(LISTS, 4.0)),
            **{
                name: pa.repeat(value, LISTS)
                for name, value in {
                    "topic": RecommendationServed.type,
                    "arm": "svd:stable",
                    "model": f"svd@{LAST}",
                    "revision": core.revision(SERVICE, LAST),
                    "rung": "personal",
                }.items()
            },
        }
        lake.fold(table("served", rows, FIRST_TIME + rows * EVERY_US, columns), Fold(fold + 1, []))
    ratings = {"user_id": texts(np.arange(9)), "movie_id": texts(np.arange(9)), "rating": pa.array(np.full(9, 4.0))}
    version = lake.fold(table("rating", np.arange(9), np.full(9, FIRST_TIME), ratings), Fold(FOLDS + 1, []))
    store(Bucket(Path(folder)), version)


def store(objects: Bucket, lake_version: int) -> None:
    """Store a chain of models, the matrix of each, the last one's report, and that it is live."""
    artifacts, data = ArtifactStore(objects), np.random.default_rng(3).bytes(MODEL_BYTES)
    before = None
    for number in range(CHAIN):
        facts: dict[str, Any] = {"created_at": "2026-11-25T00:00:00+00:00", "lake_version": lake_version}
        matrix, version = keys.matrix(f"x{number}"), f"m{number}"
        artifacts.put(matrix, {"train.npz": data}, Manifest(kind="matrix", id=f"x{number}", **facts))
        told = Manifest(kind="model", id=version, made_from=matrix, warmed_from=before, **facts)
        artifacts.put(keys.model("svd", version), {"factors.npz": data}, told)
        before = version
    report = Manifest(kind="report", id=LAST, **facts)
    artifacts.put(keys.report("svd", LAST), {"report.json": b'{"rmse": 0.9}'}, report)
    rules = core.Rules((5,), 1, 1, 1, 1)
    state = core.accept(State(service=SERVICE), LAST, lake_version, FIRST_TIME - 10)
    live = core.observe(state, True, "", FIRST_TIME - 5, rules)
    objects.put_new(keys.channel(SERVICE), live.model_dump_json().encode())


def lists(rows: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the user and the movies of each list, the same for the same number."""
    users = (rows * 2_654_435_761) % USERS + 1
    starts, strides = (rows * 40_503) % MOVIES, rows % 1_000 + 1
    movies = (starts[:, None] + strides[:, None] * np.arange(LENGTH)) % MOVIES
    for user, row in zip(users.tolist(), movies.tolist(), strict=True):
        yield str(user), tuple(f"the+movie+{movie}+{1950 + movie % 75}" for movie in row)


def lists_of(numbers: list[int]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the user and the movies of some lists."""
    return list(lists(np.array(numbers, dtype=np.int64)))


def moment(number: int) -> int:
    """Return when a list was served."""
    return FIRST_TIME + number * EVERY_US


def request_id(number: int) -> str:
    """Return what a request was called: 128 bits that say nothing, as a UUID does."""
    return f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128:032x}"
