"""Ratings for the trainers' benchmarks: the sample, split at random, and made-up ones with planted factors."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cli.ratings import read_ratings
from functions.build_matrix import core, gather
from functions.train.engine import Parameters
from functions.train.tastes import Watched
from infra.local.machine import ROOT
from shared.matrix import RatingMatrix
from shared.model import FactorModel, places
from shared.watching import Watching

SAMPLE: Final = ROOT / "data/movielens-small/ratings.csv.gz"
RANK: Final = 12

TUNED: Final = Parameters(64, 24, lr=0.0272, reg=0.0498, lr_bias=0.0046, lr_final=0.06, init_std=0.01)
"""Found by random splits of the training side of the first split alone; `marquee tune` splits by time."""


@dataclass(frozen=True)
class Parted:
    """Ratings to train on, and others to measure on: rows and columns of the same matrix, and values, shape (n,)."""

    train: RatingMatrix
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]

    def rmse(self, model: FactorModel) -> float:
        """Return a model's error on the others, on the scale of the ratings."""
        users = places(self.train.users, model.user_index)
        movies = places(self.train.movies, model.movie_index)
        return self.rmse_of(model.predict_at(users[self.rows], movies[self.columns]))

    def rmse_of(self, expected: NDArray[np.float32]) -> float:
        """Return the error of expected ratings, cut to the scale."""
        lowest, highest = self.train.ratings.data.min(), self.train.ratings.data.max()
        return float(np.sqrt(np.mean((np.clip(expected, lowest, highest) - self.values) ** 2, dtype=np.float64)))


def parted(matrix: RatingMatrix, share: float, seed: int) -> Parted:
    """Train on a random share of a matrix's ratings, measure on the others."""
    rows, columns, values = matrix.triples()
    kept = np.random.default_rng(seed).random(len(values)) < share
    train = sparse.csr_array((values[kept], (rows[kept], columns[kept])), shape=matrix.ratings.shape)
    return Parted(RatingMatrix(train, matrix.users, matrix.movies), rows[~kept], columns[~kept], values[~kept])


def sample() -> RatingMatrix:
    """Return all ratings of data/movielens-small."""
    return core.build(gather.ratings(read_ratings(SAMPLE).to_batches()), validation_fraction=0).train


def most_liked(train: RatingMatrix) -> list[str]:
    """Return the movies that anybody rated above the average rating, those that most did first."""
    columns, values = train.ratings.indices, train.ratings.data
    liked = np.bincount(columns[values >= values.mean()], minlength=len(train.movies))
    return [train.movies[column] for column in np.argsort(-liked, kind="stable") if liked[column]]


def made_up(n: int, n_users: int = 200_000, n_movies: int = 27_000, seed: int = 0) -> RatingMatrix:
    """Return n ratings with long tails: biases, 12 planted factors and noise of 0.75, in half steps from 0.5 to 5."""
    chance = np.random.default_rng(seed)
    active = np.cumsum(chance.lognormal(0, 1.2, n_users))
    popular = np.cumsum((np.arange(n_movies) + 30.0) ** -0.9)
    cells = np.zeros(0, dtype=np.int64)
    while len(cells) < n:
        more = int(1.3 * (n - len(cells))) + 1000
        rows = np.searchsorted(active / active[-1], chance.random(more))
        columns = np.searchsorted(popular / popular[-1], chance.random(more))
        cells = np.unique(np.concatenate([cells, rows * n_movies + columns]))
    cells = np.sort(chance.choice(cells, n, replace=False))
    user, movie = (each.astype(np.int32) for each in np.divmod(cells, n_movies))
    weights = 0.27 * 0.8 ** np.arange(RANK)
    users = (chance.standard_normal((n_users, RANK)) * weights).astype(np.float32)
    movies = chance.standard_normal((n_movies, RANK)).astype(np.float32)
    values = chance.normal(3.5, 0.4, n_users)[user] + chance.normal(0, 0.45, n_movies)[movie]
    for part in np.array_split(np.arange(n), -(-n // 1_000_000)):
        values[part] += np.einsum("ij,ij->i", users[user[part]], movies[movie[part]])
    values += chance.normal(0, 0.75, n)
    steps = np.clip(np.round(2 * values) / 2, 0.5, 5).astype(np.float32)
    starts = np.searchsorted(user, np.arange(n_users + 1))
    ratings = sparse.csr_array((steps, movie, starts), shape=(n_users, n_movies))
    return RatingMatrix(ratings, [str(user + 1) for user in range(n_users)], [f"m{each}" for each in range(n_movies)])


def unwatched(train: RatingMatrix) -> Watched:
    """Return the simplest word on who watches what, so that a fit of millions is measured alone."""
    n_users, n_movies = np.count_nonzero(np.diff(train.ratings.indptr)), len(np.unique(train.ratings.indices))
    everybody = Watching(np.full(n_movies, 1 / n_movies, "<f4"), np.zeros((n_movies, 0), "<f4"), np.zeros(0, "<f4"))
    return Watched(everybody, np.zeros((n_users, 0), "<f4"))
