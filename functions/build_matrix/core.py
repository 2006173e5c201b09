"""The rating matrix of the lake's ratings: the latest of each pair, older ones to train, newer to validate."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from shared.matrix import RatingMatrix, Split

COLUMNS: Final = ("user_id", "movie_id", "rating", "time", "topic", "partition", "offset")
N_POPULAR: Final = 200

_ORDER: Final = ("time", "topic", "partition", "offset")


def due(n_ratings: int, n_built: int, age_hours: float | None, min_new_ratings: int, max_age_hours: float) -> bool:
    """Say whether a matrix shall be built: enough ratings are new, or the last matrix is old and some are.

    Args: n_ratings: in the lake now; n_built: when the last matrix was built; age_hours: of that matrix, None if
    there is none.
    """
    new = n_ratings - n_built
    return new >= min_new_ratings or (age_hours is not None and age_hours >= max_age_hours and new > 0)


def build(ratings: pa.Table, validation_fraction: float) -> Split:
    """Return the split matrix of rows with `COLUMNS`; the order of the rows does not matter.

    Of several ratings by one user of one movie the latest counts. All ratings before a moment are to train on, all
    from it on to validate with, the moment chosen so that about `validation_fraction` are newer. If all ratings
    are of one moment, none is left to validate with.
    """
    ratings = ratings.take(pc.sort_indices(ratings, sort_keys=[(name, "ascending") for name in _ORDER]))
    users, rows = _indexed(ratings["user_id"])
    movies, columns = _indexed(ratings["movie_id"])
    latest = _last_of_each(rows * len(movies) + columns)
    rows, columns = rows[latest], columns[latest]
    values = ratings["rating"].to_numpy()[latest].astype(np.float32)
    times = ratings["time"].cast(pa.int64()).to_numpy()[latest]
    is_old = times < _cutoff(times, validation_fraction)
    shape = (len(users), len(movies))
    old, new = (_matrix(values[side], rows[side], columns[side], shape) for side in (is_old, ~is_old))
    train, validation = RatingMatrix(old, users, movies), RatingMatrix(new, users, movies)
    return Split(_content_id(train, validation), train, validation, popularity(train))


def popularity(train: RatingMatrix, n: int = N_POPULAR) -> list[str]:
    """Return the n movies that most users rated above the average rating, the most popular first."""
    _, columns, values = train.triples()
    if not len(values):
        return []
    liked = np.bincount(columns[values >= values.mean()], minlength=len(train.movies))
    best = np.lexsort((np.arange(len(liked)), -liked))[:n]
    return [train.movies[column] for column in best if liked[column]]


def offset_ranges(ratings: pa.Table) -> dict[str, list[int]]:
    """Return the first and the last offset of each partition, as `{"topic-partition": [first, last]}`."""
    found = ratings.group_by(["topic", "partition"]).aggregate([("offset", "min"), ("offset", "max")])
    return {
        f"{row['topic']}-{row['partition']}": [row["offset_min"], row["offset_max"]]
        for row in sorted(found.to_pylist(), key=lambda row: (row["topic"], row["partition"]))
    }


def statistics(ratings: pa.Table) -> dict[str, Any]:
    """Return what a later matrix is compared with: how many, by whom, of what, and how often each value."""
    values = ratings["rating"].to_pylist()
    return {
        "n_ratings": len(values),
        "n_users": pc.count_distinct(ratings["user_id"]).as_py(),
        "n_movies": pc.count_distinct(ratings["movie_id"]).as_py(),
        "mean_rating": round(float(np.mean(values)), 6) if values else None,
        "histogram": {str(value): count for value, count in sorted(Counter(values).items())},
    }


def drift(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, float] | None:
    """Return how far the ratings moved since the last matrix, None for the first one.

    `population_stability_index` is Σ (p - q) ln(p / q) over the values of the scale, with half a rating added to each
    count so that a value nobody gave yet stays finite; below 0.1 counts as stable, above 0.25 as shifted
    (Siddiqi, Credit Risk Scorecards, 2006).
    """
    if not before or not before["n_ratings"] or not now["n_ratings"]:
        return None
    values = sorted(before["histogram"].keys() | now["histogram"].keys())
    p, q = (np.array([side["histogram"].get(value, 0) + 0.5 for value in values]) for side in (now, before))
    p, q = p / p.sum(), q / q.sum()
    return {
        "population_stability_index": round(float(((p - q) * np.log(p / q)).sum()), 6),
        "mean_rating_change": round(now["mean_rating"] - before["mean_rating"], 6),
        "new_users_share": round(1 - before["n_users"] / now["n_users"], 6),
        "new_movies_share": round(1 - before["n_movies"] / now["n_movies"], 6),
    }


def _indexed(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return the ids of a column, sorted, and the place of each row's id among them."""
    ids = pc.unique(column).sort()
    return ids.to_pylist(), pc.index_in(column, ids).to_numpy().astype(np.int64)


def _last_of_each(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each key stands for the last time, in order."""
    _, first_from_the_end = np.unique(keys[::-1], return_index=True)
    return np.sort(len(keys) - 1 - first_from_the_end)


def _cutoff(times: NDArray[np.int64], validation_fraction: float) -> int:
    """Return the first moment of validation, for times in order: the moment nearest to the share wanted."""
    n = len(times)
    index = int(n * (1 - validation_fraction))
    if index >= n:
        return int(times.max(initial=0)) + 1
    borders = np.searchsorted(times, times[index], "left"), np.searchsorted(times, times[index], "right")
    border = min((int(each) for each in borders if each > 0), key=lambda each: abs(each - index))
    return int(times[border]) if border < n else int(times[-1]) + 1


def _matrix(
    values: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_array:
    matrix = sparse.csr_array((values, (rows.astype(np.int32), columns.astype(np.int32))), shape=shape)
    matrix.sort_indices()
    return matrix


def _content_id(train: RatingMatrix, validation: RatingMatrix) -> str:
    digest = hashlib.sha256()
    for ids in (train.users, train.movies):
        digest.update("\n".join(ids).encode() + b"\0")
    for side in (train.ratings, validation.ratings):
        for array in (side.data.astype("<f4"), side.indices.astype("<i4"), side.indptr.astype("<i4")):
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]
