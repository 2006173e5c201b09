"""What the lists of an arm are like: how many movies they show, how much they differ, how much they crowd on one."""

import math
from typing import Final

import numpy as np

from functions.evaluate_online.lists import Acts, Floats, Ints, Lists, Times, pairs

N_TOP: Final = 100
"""So many of the most watched movies count as popular."""


def shown(lists: Lists) -> Times:
    """Return in how many lists each movie stands, shape (n_movies,), of those that stand in any."""
    counts = np.bincount(lists.movies)
    return counts[counts > 0]


def coverage(shown: Times, n: int, k: int) -> float:
    """Return how many different movies k of n lists hold on average (Hurlbert, Ecology 1971).

    Σ_m 1 - C(n - c_m, k) / C(n, k), c_m of the lists with movie m. Arms with more lists show more movies: they are
    compared at the same number of lists. Raises: ValueError if k > n.
    """
    if k > n:
        raise ValueError(f"{k} of {n} lists")
    counts, n_movies = np.unique(shown, return_counts=True)
    absent = [math.exp(_log_choices(n - c, k) - _log_choices(n, k)) if k <= n - c else 0.0 for c in counts.tolist()]
    return float((1 - np.array(absent)) @ n_movies)


def diversity(shown: Times, n: int) -> float | None:
    """Return the share of movies by which two of n lists differ on average (Zhou et al., PNAS 2010), None if n < 2.

    1 - Σ_m c_m (c_m - 1) / (n (n - 1) L), c_m the number of lists with movie m, L the average length.
    """
    if n < 2 or not len(shown):
        return None
    counts = shown.astype(np.float64)
    return float(1 - (counts * (counts - 1)).sum() / ((n - 1) * counts.sum()))


def most_watched(watches: Acts) -> Ints:
    """Return the movies that the most users watched, at most `N_TOP`; of equals those first named."""
    watched = np.sort(pairs(watches.users, watches.movies))
    viewers = np.bincount(watched[np.diff(watched, prepend=-1) != 0] & 0xFFFFFFFF)
    top = np.argsort(-viewers, kind="stable")[:N_TOP]
    return top[viewers[top] > 0].astype(np.int32)


def share_of(movies: Ints, lists: Lists) -> float | None:
    """Return the share of places in lists that hold one of some movies, None without lists."""
    if not len(lists.movies):
        return None
    is_one = np.zeros(1 + max(lists.movies.max(), movies.max(initial=0)), dtype=np.bool_)
    is_one[movies] = True
    return float(is_one[lists.movies].mean())


def crowding(canary: Lists, stable: Lists, least: float) -> tuple[int, float, float]:
    """Return the movie whose audience grew most times over on the canary, and its shares of users, canary's first.

    A share of stable's users below `least` is divided by as if it were that. -1 stands for no movie. Each user counts
    with their first list. Of equals it is the movie with the greater shares, whatever its number.
    """
    ours, theirs = _audience(canary), _audience(stable)
    n = max(len(ours), len(theirs))
    if not n:
        return -1, 0.0, 0.0
    ours, theirs = np.pad(ours, (0, n - len(ours))), np.pad(theirs, (0, n - len(theirs)))
    movie = int(np.lexsort((theirs, ours, ours / np.maximum(theirs, least)))[-1])
    return movie, float(ours[movie]), float(theirs[movie])


def first_of_each_user(lists: Lists) -> Lists:
    """Return the first list of each user: who asks often counts no more than others."""
    return lists.take(np.sort(np.unique(lists.users, return_index=True)[1]))


def _audience(lists: Lists) -> Floats:
    firsts = first_of_each_user(lists)
    shares: Floats = np.bincount(firsts.movies) / max(len(firsts), 1)
    return shares


def _log_choices(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
