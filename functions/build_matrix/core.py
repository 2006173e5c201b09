"""The rating matrix of the lake's ratings: the latest of each pair, older ones to train, newer to validate."""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from functions.build_matrix import past
from functions.build_matrix.gather import Ratings, Watches
from functions.build_matrix.standing import Statistics
from shared.errors import BadInput
from shared.history import HISTORY
from shared.matrix import RatingMatrix, Split

MOST_CELLS: Final = 2**31 - 1  # indptr is stored as int32


def due(
    new_ratings: int, new_watches: int, age_hours: float | None, min_new_ratings: int, max_age_hours: float
) -> bool:
    """Say whether a matrix shall be built: enough ratings are new, or the last matrix is old and anything is new.

    Args: new_ratings, new_watches: rows stored since the last matrix, repeats included, for telling them apart would
    mean to read them all: at worst the same matrix is built again; age_hours: of that matrix, None if there is none.
    """
    is_old = age_hours is not None and age_hours >= max_age_hours
    return new_ratings >= min_new_ratings or (is_old and new_ratings + new_watches > 0)


def is_old(ratings: Ratings, validation_fraction: float) -> NDArray[np.bool_]:
    """Return which ratings are to train on, shape (n,): all before a moment; those from it on are to validate with.

    The moment is chosen so that about `validation_fraction` are newer. If all ratings are of one moment, none is left
    to validate with.
    """
    return ratings.times < _cutoff(np.sort(ratings.times[ratings.is_latest]), validation_fraction)


def build(ratings: Ratings, validation_fraction: float) -> Split:
    """Return the matrix of the latest rating of each pair, split in time. Raises: BadInput as `files` does."""
    return _split(ratings, is_old(ratings, validation_fraction), history=b"")


def files(
    ratings: Ratings, validation_fraction: float, watches: Watches = past.NOBODY
) -> tuple[Split, dict[str, bytes]]:
    """Return the split matrix, whose name depends on what users did before it, and all files of its artifact.

    Raises: BadInput if there are more than `MOST_CELLS`.
    """
    old = is_old(ratings, validation_fraction)
    history = past.history(ratings, old, watches).to_bytes()
    split = _split(ratings, old, history)
    return split, split.to_files() | {HISTORY: history}


def _split(ratings: Ratings, old: NDArray[np.bool_], history: bytes) -> Split:
    n = int(np.count_nonzero(ratings.is_latest))
    if n > MOST_CELLS:
        raise BadInput(f"{n} different pairs of user and movie are rated; a matrix holds at most {MOST_CELLS}")
    train, validation = (_matrix(ratings, ratings.is_latest & side) for side in (old, ~old))
    return Split(_content_id(train, validation, history), train, validation)


def statistics(ratings: Ratings) -> Statistics:
    """Return what a later matrix is compared with."""
    n = len(ratings.values)
    values, counts = np.unique(ratings.values, return_counts=True)
    return Statistics(
        n_ratings=n,
        n_users=len(ratings.users),
        n_movies=len(ratings.movies),
        mean_rating=round(float(values @ counts / n), 6) if n else None,
        histogram={str(value): count for value, count in zip(values.tolist(), counts.tolist(), strict=True)},
    )


def drift(before: Statistics | None, now: Statistics) -> dict[str, float] | None:
    """Return how far the ratings moved since the last matrix, None for the first one.

    `population_stability_index` is Σ (p - q) ln(p / q) over the values of the scale, with half a rating added to each
    count so that a value nobody gave yet stays finite; below 0.1 counts as stable, above 0.25 as shifted
    (Siddiqi, Credit Risk Scorecards, 2006).
    """
    if before is None or before.mean_rating is None or now.mean_rating is None:
        return None
    values = sorted(before.histogram.keys() | now.histogram.keys())
    p, q = (np.array([side.histogram.get(value, 0) + 0.5 for value in values]) for side in (now, before))
    p, q = p / p.sum(), q / q.sum()
    return {
        "population_stability_index": round(float(((p - q) * np.log(p / q)).sum()), 6),
        "mean_rating_change": round(now.mean_rating - before.mean_rating, 6),
        "new_users_share": round(1 - before.n_users / now.n_users, 6),
        "new_movies_share": round(1 - before.n_movies / now.n_movies, 6),
    }


def _cutoff(times: NDArray[np.int64], validation_fraction: float) -> int:
    """Return the first moment of validation, for times in order: the moment nearest to the share wanted."""
    n = len(times)
    index = int(n * (1 - validation_fraction))
    if index >= n:
        return int(times.max(initial=0)) + 1
    borders = np.searchsorted(times, times[index], "left"), np.searchsorted(times, times[index], "right")
    border = min((int(each) for each in borders if each > 0), key=lambda each: abs(each - index))
    return int(times[border]) if border < n else int(times[-1]) + 1


def _matrix(ratings: Ratings, chosen: NDArray[np.bool_]) -> RatingMatrix:
    values = ratings.values[chosen].astype(np.float32)
    shape = (len(ratings.users), len(ratings.movies))
    matrix = sparse.csr_array((values, (ratings.rows[chosen], ratings.columns[chosen])), shape=shape)
    matrix.sort_indices()
    return RatingMatrix(matrix, ratings.users, ratings.movies)


def _content_id(train: RatingMatrix, validation: RatingMatrix, history: bytes) -> str:
    digest = hashlib.sha256(history)
    for ids in (train.users, train.movies):
        digest.update("\n".join(ids).encode() + b"\0")
    for side in (train.ratings, validation.ratings):
        for array, kind in ((side.data, "<f4"), (side.indices, "<i4"), (side.indptr, "<i4")):
            digest.update(np.ascontiguousarray(array, dtype=kind).data)
    return digest.hexdigest()[:16]
