"""What users did before a matrix was built, for those who serve its models."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.build_matrix.gather import Ratings, Watches
from shared.history import NEWER, PANEL, TRAINED, WATCHED, History

NOBODY: Final = Watches([], [], np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))


def history(ratings: Ratings, is_old: NDArray[np.bool_], watches: Watches = NOBODY) -> History:
    """Return all pairs of user and movie, the panel of the newest among them.

    Args: is_old: shape (n_ratings,), which ratings are trained on. A pair that was watched and rated is a rated one,
    as new as the later of the two. Liked is what was rated the average or more, or watched and not rated.
    """
    latest = ratings.is_latest
    users, (of_rating, of_watch) = _union(ratings.users, watches.users)
    movies, (movie_of_rating, movie_of_watch) = _union(ratings.movies, watches.movies)
    rows = np.concatenate([of_watch[watches.rows], of_rating[ratings.rows[latest]]])
    columns = np.concatenate([movie_of_watch[watches.columns], movie_of_rating[ratings.columns[latest]]])
    times = np.concatenate([watches.times, ratings.times[latest]])
    values = np.concatenate([np.zeros(len(watches.rows), np.float32), ratings.values[latest].astype(np.float32)])
    is_rated = np.arange(len(rows)) >= len(watches.rows)
    kinds = np.where(is_rated, NEWER, WATCHED).astype(np.uint8)
    kinds[len(watches.rows) :][is_old[latest]] = TRAINED
    order = np.lexsort((is_rated, columns, rows))  # of a pair that was watched and rated the rating is the last
    rows, columns, times, values, kinds = (each[order] for each in (rows, columns, times, values, kinds))
    firsts = np.flatnonzero((np.diff(rows, prepend=-1) != 0) | (np.diff(columns, prepend=-1) != 0))
    lasts = np.append(firsts[1:], len(rows))[: len(firsts)] - 1
    newest = np.maximum.reduceat(times, firsts) if len(firsts) else times
    rows, columns, times, values, kinds = (each[lasts] for each in (rows, columns, times, values, kinds))
    liked = np.flatnonzero((kinds == WATCHED) | (values >= _mean(values[kinds != WATCHED])))
    panel = liked[np.argsort(newest[liked], kind="stable")][-PANEL:]
    indptr = np.searchsorted(rows, np.arange(len(users) + 1)).astype(np.int64)
    return History(users, movies, indptr, columns, values, times, kinds, rows[panel], columns[panel])


def _union(some: list[str], others: list[str]) -> tuple[list[str], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Return the ids of two sorted lists, sorted, and where those of each stand among them."""
    if not others:
        return some, (np.arange(len(some), dtype=np.int32), np.empty(0, np.int32))
    union = sorted({*some, *others})
    place = {each: number for number, each in enumerate(union)}
    return union, (_at(some, place), _at(others, place))


def _at(ids: list[str], place: dict[str, int]) -> NDArray[np.int32]:
    return np.fromiter((place[each] for each in ids), dtype=np.int32, count=len(ids))


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0
