"""What the users of each arm did with what they were served: outcomes by user, and what they say of an arm.

The unit is the user, once in a period of unchanged weights: everything from a user's first list on, for the length of
a window, is one outcome, which counts once the window has closed. All is computed anew from the rows of the lake, so a
row that comes late or twice changes nothing twice.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.evaluate_online.gather import Acts, Ints, Lists, Times

N_TOP: Final = 100
"""So many of the most watched movies count as popular."""

_LATEST: Final = 10
_ENOUGH_PAIRS: Final = 10
_FAR_ENOUGH: Final = 60_000_000  # a clock that is wrong by less than a minute is taken as right

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What came of the users of an arm whose window has closed; arrays of shape (n_users,).

    `hits` says who watched a movie of their lists, `minutes` how long.
    """

    users: Ints
    hits: NDArray[np.bool_]
    minutes: Ints


def skew(requests: Lists, lists: Lists) -> int:
    """Return by how many microseconds the site's clock is ahead of ours, 0 if that is less than a minute or not known.

    The site logs each list that it got: the same user and the same movies, a moment after they were served. The
    latest list of each kind is compared, and the median of the differences is taken.
    """
    ours, theirs = _latest_of_each(lists), _latest_of_each(requests)
    ahead = [theirs[key] - ours[key] for key in theirs.keys() & ours.keys()]
    if len(ahead) < _ENOUGH_PAIRS:
        return 0
    median = int(np.median(ahead))
    return median if abs(median) >= _FAR_ENOUGH else 0


def watermark(watches: Acts, clock_ahead: int) -> int:
    """Return the moment up to which the stream of watches is in: but for the latest few, which may carry wrong times.

    A stream that stops closes no more windows, so missing data is never taken for users who watched nothing.
    """
    if len(watches) <= _LATEST:
        return 0
    return int(np.partition(watches.times, -_LATEST)[-_LATEST]) - clock_ahead


def outcomes(lists: Lists, watches: Acts, clock_ahead: int, window: int, until: int) -> Outcomes:
    """Return what users of an arm did from their first list on, for `window` microseconds, if that was over by `until`.

    A hit is a movie that the user watches for the first time after it stood in a list of theirs.
    """
    users, first_row = _firsts(lists)
    opened = lists.times[first_row]
    closed = opened + window <= until
    users, closes = users[closed], opened[closed] + window
    listed, since = _listed(lists)
    keys = _pairs(watches.users, watches.movies)
    times = watches.times - clock_ahead
    pairs, firsts = _earliest(keys, times)
    place = np.searchsorted(listed, pairs)
    place[place == len(listed)] = 0
    is_new = np.zeros(len(pairs), dtype=np.bool_)
    if len(listed):
        is_new = (listed[place] == pairs) & (firsts >= since[place])
    pairs, firsts = pairs[is_new], firsts[is_new]
    who = _place((pairs >> 32).astype(np.int32), users)
    in_time = (who >= 0) & (firsts < closes[who] if len(users) else False)
    hits = np.zeros(len(users), dtype=np.bool_)
    hits[who[in_time]] = True
    return Outcomes(users, hits, _minutes(watches, times, pairs[in_time], users, closes))


def per_user(lists: Lists, values: NDArray[Any]) -> Floats:
    """Return the average of a number over each user's lists, shape (n_users,); users are the unit, not requests."""
    users, rows = np.unique(lists.users, return_inverse=True)
    means: Floats = np.bincount(rows, values, len(users)) / np.bincount(rows, minlength=len(users))
    return means


def coverage(lists: Lists, n_lists: int) -> float:
    """Return how many different movies so many of the lists hold on average (Hurlbert, Ecology 1971).

    Arms with more lists show more movies: they are compared at the same number of lists.
    """
    n = len(lists)
    if not n or n_lists > n:
        return 0.0
    counts = _shown(lists)
    counts = counts[counts > 0].astype(np.float64)
    k = np.arange(n_lists)
    absent = np.ones(len(counts))
    distinct, inverse = np.unique(counts, return_inverse=True)
    for number, count in enumerate(distinct):
        factors = np.clip((n - count - k) / (n - k), 0, None)
        absent[inverse == number] = float(np.exp(np.log(np.maximum(factors, 1e-300)).sum()))
    return float((1 - absent).sum())


def diversity(lists: Lists) -> float | None:
    """Return the share of movies by which two lists differ on average (Zhou et al., PNAS 2010), None below two lists.

    1 - Σ_m c_m (c_m - 1) / (n (n - 1) L), c_m the number of lists with movie m, L the average length.
    """
    n = len(lists)
    if n < 2 or not len(lists.movies):
        return None
    counts = _shown(lists).astype(np.float64)
    return float(1 - (counts * (counts - 1)).sum() / ((n - 1) * len(lists.movies)))


def popular_share(lists: Lists, watches: Acts) -> float | None:
    """Return the share of places in lists that hold one of the most watched movies, None without lists."""
    if not len(lists.movies):
        return None
    top = np.argsort(-np.bincount(watches.movies), kind="stable")[:N_TOP] if len(watches) else np.empty(0)
    return float(np.isin(lists.movies, top).mean())


def crowding(canary: Lists, stable: Lists) -> tuple[int, float, float]:
    """Return the movie whose share of the users grew most from stable to canary, and its shares, canary's first."""
    ours, theirs = _audience(canary), _audience(stable)
    n = max(len(ours), len(theirs))
    rise = np.pad(ours, (0, n - len(ours))) - np.pad(theirs, (0, n - len(theirs)))
    if not n:
        return -1, 0.0, 0.0
    movie = int(rise.argmax())
    return movie, float(ours[movie]) if movie < len(ours) else 0.0, float(theirs[movie]) if movie < len(theirs) else 0.0


def liked(lists: Lists, ratings: Acts, clock_ahead: int) -> Floats:
    """Return the average rating that each user gave to movies after they stood in a list of theirs."""
    listed, since = _listed(lists)
    keys = _pairs(ratings.users, ratings.movies)
    if not len(listed) or not len(keys):
        return np.empty(0)
    place = np.minimum(np.searchsorted(listed, keys), len(listed) - 1)
    after = (listed[place] == keys) & (ratings.times - clock_ahead >= since[place])
    users, rows = np.unique(ratings.users[after], return_inverse=True)
    means: Floats = np.bincount(rows, ratings.values[after], len(users)) / np.bincount(rows, minlength=len(users))
    return means


def _latest_of_each(lists: Lists) -> dict[tuple[int, bytes], int]:
    """Return when each user got each list last."""
    ends, starts = lists.ends, lists.ends - lists.lengths
    movies = lists.movies
    return {
        (int(user), movies[start:end].tobytes()): int(time)
        for user, start, end, time in zip(lists.users, starts, ends, lists.times, strict=True)
        if end > start
    }


def _firsts(lists: Lists) -> tuple[Ints, Times]:
    """Return the users, sorted, and the row of each one's first list."""
    order = np.lexsort((lists.times, lists.users))
    users, at = np.unique(lists.users[order], return_index=True)
    return users, order[at]


def _listed(lists: Lists) -> tuple[Times, Times]:
    """Return the different pairs of user and movie of the lists, sorted, and when each was listed first."""
    lengths = lists.lengths
    return _earliest(_pairs(np.repeat(lists.users, lengths), lists.movies), np.repeat(lists.times, lengths))


def _pairs(users: Ints, movies: Ints) -> Times:
    return users.astype(np.int64) << 32 | movies


def _earliest(keys: Times, times: Times) -> tuple[Times, Times]:
    """Return the different keys, sorted, and the earliest time of each."""
    order = np.argsort(keys, kind="stable")
    keys, times = keys[order], times[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[firsts], np.minimum.reduceat(times, firsts) if len(firsts) else times


def _place(wanted: Ints, among: Ints) -> Times:
    """Return where each number stands in a sorted array, -1 if it does not."""
    if not len(among):
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[place] == wanted, place, -1)


def _minutes(watches: Acts, times: Times, hits: Times, users: Ints, closes: Times) -> Ints:
    """Return how many different minutes of hits each user watched before the window closed; `hits` are sorted pairs."""
    keys = _pairs(watches.users, watches.movies)
    if not len(hits):
        return np.zeros(len(users), dtype=np.int32)
    place = np.minimum(np.searchsorted(hits, keys), len(hits) - 1)
    chosen = np.flatnonzero(hits[place] == keys)
    who = _place(watches.users[chosen], users)
    in_time = (who >= 0) & (times[chosen] < closes[who])
    chosen, who = chosen[in_time], who[in_time]
    different = np.unique(np.stack([place[chosen], watches.values[chosen].astype(np.int64)]), axis=1)
    of_user = _place((hits[different[0]] >> 32).astype(np.int32), users)
    return np.bincount(of_user, minlength=len(users)).astype(np.int32)


def _shown(lists: Lists) -> Times:
    """Return in how many lists each movie stands."""
    rows = np.repeat(np.arange(len(lists), dtype=np.int64), lists.lengths)
    once = np.unique(rows << 32 | lists.movies)
    return np.bincount(once & 0xFFFFFFFF)


def _audience(lists: Lists) -> Floats:
    """Return the share of the users who had each movie in a list."""
    listed, _ = _listed(lists)
    return np.bincount(listed & 0xFFFFFFFF) / max(len(np.unique(lists.users)), 1)
