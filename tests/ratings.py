"""Small sets of ratings that tests know the answers to."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from scipy import sparse

from functions.build_matrix import core, gather
from shared.matrix import RatingMatrix, Split

Rating = tuple[str, str, float, int]
"""User, movie, rating, and time in seconds since 1970."""


def table(ratings: Iterable[Rating], topic: str = "movielog") -> pa.Table:
    """Return ratings as the lake's columns, one offset each."""
    ratings = list(ratings)
    users, movies, values, times = zip(*ratings, strict=True) if ratings else ((), (), (), ())
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "movie_id": pa.array(movies, pa.string()),
            "rating": pa.array(values, pa.float64()),
            "time": pa.array([time * 1_000_000 for time in times], pa.timestamp("us", "UTC")),
            "topic": pa.array([topic] * len(ratings), pa.string()),
            "partition": pa.array([0] * len(ratings), pa.int32()),
            "offset": pa.array(range(len(ratings)), pa.int64()),
            "ingested_at": pa.array([0] * len(ratings), pa.timestamp("us", "UTC")),
        }
    )


def gathered(ratings: Iterable[Rating]) -> gather.Ratings:
    """Return ratings as `build_matrix` holds them."""
    return gather.ratings(table(ratings).to_batches())


def split_of(ratings: Iterable[Rating], validation_fraction: float) -> Split:
    """Return the split matrix of ratings."""
    return core.build(gathered(ratings), validation_fraction)


def matrix_of(ratings: Iterable[Rating], validation_fraction: float) -> tuple[Split, dict[str, bytes]]:
    """Return the split matrix of ratings, and the files of its artifact."""
    return core.files(gathered(ratings), validation_fraction)


def checkerboard(n: int, withheld: tuple[int, int] = (0, 0)) -> list[Rating]:
    """Return n users who give 5 to movies of their own colour and 1 to the others, all cells but one.

    The times go criss-cross over the board, so that every user and movie has old ratings and some have new ones.
    """
    cells = [(user, movie) for user in range(n) for movie in range(n) if (user, movie) != withheld]
    cells.sort(key=lambda cell: (7 * cell[0] + 11 * cell[1]) % (n * n + 1))
    return [
        (str(user + 1), f"m{movie}", 5.0 if (user + movie) % 2 == 0 else 1.0, 1_000 + number)
        for number, (user, movie) in enumerate(cells)
    ]


def random_matrix(n_users: int, n_movies: int, share: float, seed: int = 0) -> RatingMatrix:
    """Return about a share of all cells filled: biases, two planted factors and noise, in half steps from 0.5 to 5."""
    rng = np.random.default_rng(seed)
    biases = rng.normal(3.5, 0.4, (n_users, 1)) + rng.normal(0, 0.4, n_movies)
    planted = rng.normal(0, 0.7, (n_users, 2)) @ rng.normal(0, 0.7, (2, n_movies))
    values = biases + planted + rng.normal(0, 0.5, (n_users, n_movies))
    filled = rng.random((n_users, n_movies)) < share * rng.uniform(0.2, 1.8, n_users)[:, None]
    ratings = sparse.csr_array(np.where(filled, np.clip(np.round(2 * values) / 2, 0.5, 5), 0).astype(np.float32))
    return RatingMatrix(ratings, [str(user + 1) for user in range(n_users)], [f"m{each}" for each in range(n_movies)])
