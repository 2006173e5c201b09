"""What the serving benchmarks serve: a made-up model of the size of MovieLens 20M's, and the sample's."""

import random
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.ratings import SAMPLE, made_up
from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core as training
from infra.local.stack import Stack
from shared import bootstrap, keys
from shared.events import Algorithm
from shared.history import HISTORY, PANEL, TRAINED, History
from shared.matrix import RatingMatrix
from shared.model import FactorModel
from shared.watching import Watching

N_RATINGS, N_FACTORS, N_AXES = 10_000_000, 100, 20
MODEL_VERSION: Final = "bench"


@dataclass(frozen=True)
class Served:
    """A model, and what its users did before it."""

    model: FactorModel
    history: History

    def publish(self, stack: Stack, *algorithms: Algorithm) -> None:
        """Store the model under the names of these algorithms, and point their channels at it."""
        deps = bootstrap.build("benchmark", stack.environment, writes=False)
        made_from = keys.matrix(MODEL_VERSION)
        matrix = deps.manifest(kind="matrix", id=MODEL_VERSION, lake_version=0)
        deps.artifacts.put(made_from, {HISTORY: self.history.to_bytes()}, matrix)
        state = {"model_version": MODEL_VERSION, "matrix_id": MODEL_VERSION}
        for algorithm in algorithms:
            manifest = deps.manifest(kind="model", id=MODEL_VERSION, made_from=made_from)
            deps.artifacts.put(keys.model(algorithm, MODEL_VERSION), self.model.to_files(), manifest)
            deps.channels.update(keys.score_service(algorithm), lambda _: state)

    def write(self, folder: Path) -> None:
        """Write the same files into a new folder."""
        folder.mkdir()
        for name, data in (self.model.to_files() | {HISTORY: self.history.to_bytes()}).items():
            (folder / name).write_bytes(data)


def sample() -> Served:
    """Return SVD of data/movielens-small, with the parameters that the trainers begin with."""
    split, files = building.files(gather.ratings(read_ratings(SAMPLE).to_batches()), validation_fraction=0)
    model = training.fit(split.train, "svd", training.DEFAULTS["svd"], seed=0)
    return Served(model, History.from_bytes(files[HISTORY]))


def large() -> Served:
    """Return 200,000 users, 27,000 movies and 100 factors, all made up: planted factors, long tails."""
    train = made_up(N_RATINGS)
    rows, columns, ratings = train.triples()
    kinds = np.full(len(ratings), TRAINED, dtype=np.uint8)
    indptr = train.ratings.indptr.astype(np.int64)
    panel = np.sort(np.random.default_rng(0).choice(len(rows), PANEL, replace=False))
    times = np.zeros(len(ratings), dtype=np.int64)
    history = History(train.users, train.movies, indptr, columns, ratings, times, kinds, rows[panel], columns[panel])
    return Served(planted(train), history)


def planted(train: RatingMatrix, seed: int = 0) -> FactorModel:
    """Return a model of a matrix's users and movies whose factors fade, and whose tastes move shares by themselves."""
    chance = np.random.default_rng(seed)
    n_users, n_movies = train.ratings.shape
    share = np.bincount(train.ratings.indices, minlength=n_movies) / train.n_ratings
    axes, _ = np.linalg.qr(chance.standard_normal((n_movies, N_AXES)) * share[:, None])
    taste = np.float32(np.linalg.norm(share) / np.sqrt(N_AXES))
    fading = np.float32(0.3) * np.float32(0.97) ** np.arange(N_FACTORS, dtype=np.float32)
    return FactorModel(
        mean=3.5,
        user_bias=chance.normal(0, 0.4, n_users).astype("<f4"),
        item_bias=chance.normal(0, 0.45, n_movies).astype("<f4"),
        user_factors=chance.standard_normal((n_users, N_FACTORS), dtype=np.float32) * fading,
        item_factors=chance.standard_normal((n_movies, N_FACTORS), dtype=np.float32) * fading,
        implicit_factors=None,
        implicit_mean=np.zeros(N_FACTORS, "<f4"),
        watching=Watching(share.astype("<f4"), axes.astype("<f4"), np.full(N_AXES, 20, "<f4")),
        user_tastes=chance.standard_normal((n_users, N_AXES), dtype=np.float32) * taste,
        users=train.users,
        movies=train.movies,
        spread=1.05,
        lowest=0.5,
        highest=5.0,
    )


def some(users: Sequence[str], n: int = 20_000) -> list[str]:
    """Return n users, or all if there are fewer, in any order but always the same."""
    return random.Random(5).sample(users, min(n, len(users)))


def rungs(urls: Sequence[str]) -> dict[str, int]:
    """Return how many lists were answered from each rung of the ladder, by the count of recommend's processes."""
    counts: Counter[str] = Counter()
    for url in urls:
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for sample in family.samples:
                    if sample.name == "marquee_recommend_requests_total":
                        counts[sample.labels["rung"]] += int(sample.value)
    return dict(counts)


def gets(script: Path, path: str, users: Sequence[str]) -> Path:
    """Write a wrk script that asks at a path for one user after another, and return it."""
    return _write(script, users, f'wrk.format("GET", "{path}" .. users[n])')


def posts(script: Path, path: str, body: str, users: Sequence[str]) -> Path:
    """Write a wrk script that posts one user after another to a path, for `%s` in a body of JSON, and return it."""
    headers = '{["Content-Type"] = "application/json"}'
    return _write(script, users, f'wrk.format("POST", "{path}", {headers}, string.format(\'{body}\', users[n]))')


def _write(script: Path, users: Sequence[str], request: str) -> Path:
    listed = ",".join(f'"{user}"' for user in users)
    script.write_text(
        f"local users, n = {{{listed}}}, 0\nrequest = function() n = n % #users + 1; return {request} end\n"
    )
    return script
