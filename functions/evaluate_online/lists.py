"""What was served and what users did after, in compact columns: ids as numbers, times in microseconds since 1970."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Times = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US


@dataclass(frozen=True)
class Lists:
    """Lists of movies that were served or asked for, each record once, the earliest first; arrays of shape (n,).

    The movies of list `i` are `movies[ends[i - 1] : ends[i]]`, each of them once. `failed` says that there are none, or
    not for the site. `labels` holds texts by column, as numbers into `texts`.
    """

    users: Ints
    times: Times
    movies: Ints
    ends: Times
    milliseconds: NDArray[np.float32]
    failed: Bools
    labels: dict[str, Ints]
    texts: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> Times:
        """How many movies each list has."""
        return np.diff(self.ends, prepend=0)

    def take(self, rows: Times) -> "Lists":
        """Return the lists at some rows, in that order."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        movies = np.repeat(self.ends[rows] - ends, lengths) + np.arange(int(lengths.sum()))
        return Lists(
            self.users[rows],
            self.times[rows],
            self.movies[movies],
            ends,
            self.milliseconds[rows],
            self.failed[rows],
            {name: codes[rows] for name, codes in self.labels.items()},
            self.texts,
        )

    def where(self, chosen: Bools) -> "Lists":
        """Return the lists chosen, shape (n,)."""
        return self if chosen.all() else self.take(np.flatnonzero(chosen))

    def between(self, since: int, until: int) -> "Lists":
        """Return the lists from a moment on, and before another."""
        return self.where((self.times >= since) & (self.times < until))

    def are(self, name: str, text: str) -> Bools:
        """Return which lists have a label, shape (n,)."""
        texts = self.texts[name]
        is_it: Bools = self.labels[name] == (texts.index(text) if text in texts else -1)
        return is_it


@dataclass(frozen=True)
class Acts:
    """What users did with movies; arrays of shape (n,): who, what, when, and the minute watched or the rating given.

    Rows may repeat, and come in any order.
    """

    users: Ints
    movies: Ints
    times: Times
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.users)

    def where(self, chosen: Bools | Times) -> "Acts":
        """Return the acts chosen."""
        return Acts(self.users[chosen], self.movies[chosen], self.times[chosen], self.values[chosen])


def pairs(users: Ints, movies: Ints) -> Times:
    """Return each user and movie as one number."""
    return users.astype(np.int64) << 32 | movies


def firsts(keys: Times, *order: Times) -> Times:
    """Return the rows where each different key stands first by `order`, the most important first; keys ascend."""
    rows = np.lexsort((*reversed(order), keys))
    return rows[np.flatnonzero(np.diff(keys[rows], prepend=-1))]


def places(wanted: NDArray[Any], among: NDArray[Any]) -> Times:
    """Return where each number stands in a sorted array, -1 if it does not."""
    if not len(among):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[place] == wanted, place, -1)
