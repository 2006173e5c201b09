"""What users did with the lists that they got, by user: whether and for how long they watched, and how they rated.

The unit is the user, once in a period of unchanged weights: everything from a user's first list on, for the length of
a window, is one outcome, which counts once the window has closed. All is computed anew from the rows of the lake, so a
row that comes late or twice changes nothing twice.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.evaluate_online.lists import Acts, Bools, Floats, Ints, Lists, Times, firsts, pairs, places

_NEVER: Final = np.iinfo(np.int64).max
_TABLE_BITS: Final = 26
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours end up far apart


@dataclass(frozen=True)
class Shown:
    """Movies that stood in a list of a user who did something with them, be it before or after.

    `users` and `since`, shape (n_pairs,), say whose list, and when it was the first time; `acts` are what was done, and
    `pair`, shape (n_acts,), with which.
    """

    users: Ints
    since: Times
    acts: Acts
    pair: Times

    @classmethod
    def of(cls, lists: Lists, acts: Acts) -> "Shown":
        """Join lists and acts on user and movie. Most have no partner, so those that can have one are found first."""
        keys, about = pairs(np.repeat(lists.users, lists.lengths), lists.movies), pairs(acts.users, acts.movies)
        stands = _may_be_in(keys, about)
        keys, times = keys[stands], lists.times[np.searchsorted(np.cumsum(lists.lengths), stands, "right")]
        first = firsts(keys, times)
        keys, since = keys[first], times[first]
        acted = _may_be_in(about, keys)
        place = places(about[acted], keys)
        is_shown = place >= 0
        return cls((keys >> 32).astype(np.int32), since, acts.take(acted[is_shown]), place[is_shown])

    @property
    def first_acts(self) -> Times:
        """When each pair was acted on first, shape (n_pairs,)."""
        times = np.full(len(self.users), _NEVER)
        np.minimum.at(times, self.pair, self.acts.times)
        return times


@dataclass(frozen=True)
class Outcomes:
    """What came of the users of an arm whose window has closed; arrays of shape (n_users,).

    `hits` says who watched a movie of their lists, `minutes` how long.
    """

    users: Ints
    hits: Bools
    minutes: Times


def outcomes(lists: Lists, watches: Acts, window: int, until: int) -> Outcomes:
    """Return what users did from their first list on, for `window` microseconds, if that was over by `until`.

    A hit is a movie that the user watches for the first time after it stood in a list of theirs.
    """
    users, first_list = np.unique(lists.users, return_index=True)
    closes = lists.times[first_list] + window
    users, closes = users[closes <= until], closes[closes <= until]
    if not len(users):
        return Outcomes(users, np.empty(0, np.bool_), np.empty(0, np.int64))
    shown = Shown.of(lists, watches)
    who, first = places(shown.users, users), shown.first_acts
    is_hit = (who >= 0) & (first >= shown.since) & (first < closes[who])
    hits = np.bincount(who[is_hit], minlength=len(users)) > 0
    counts = is_hit[shown.pair] & (shown.acts.times < closes[who[shown.pair]])
    minutes = np.unique(shown.pair[counts] << 32 | shown.acts.values[counts])  # a minute watched again is one
    return Outcomes(users, hits, np.bincount(who[minutes >> 32], minlength=len(users)))


def liked(lists: Lists, ratings: Acts) -> Floats:
    """Return the average rating that each user gave to movies after they stood in a list of theirs, shape (n_users,).

    `ratings` holds one rating of each user and movie.
    """
    shown = Shown.of(lists, ratings)
    after = shown.acts.times >= shown.since[shown.pair]
    return averages(shown.acts.users[after], shown.acts.values[after])


def averages(users: Ints, values: NDArray[Any]) -> Floats:
    """Return the average of each user's numbers, shape (n_users,), by user."""
    counts = np.bincount(users)
    occurs = counts > 0
    means: Floats = np.bincount(users, values)[occurs] / counts[occurs]
    return means


def latest(acts: Acts) -> Acts:
    """Return of the acts of each user with each movie the latest, of several at once the one of the highest value."""
    order = np.lexsort((acts.values, acts.times, acts.movies, acts.users))
    keys = pairs(acts.users, acts.movies)[order]
    return acts.take(order[np.flatnonzero(np.diff(keys, append=-1))])


def _may_be_in(keys: Times, others: Times) -> Times:
    """Return the rows of all keys that are among the others, and of few that are not (Bloom, CACM 1970, one hash)."""
    table = np.zeros(2**_TABLE_BITS, dtype=np.bool_)
    table[_slots(others)] = True
    return np.flatnonzero(table[_slots(keys)])


def _slots(keys: Times) -> NDArray[np.uint64]:
    return keys.astype(np.uint64) * _ODD >> np.uint64(64 - _TABLE_BITS)
