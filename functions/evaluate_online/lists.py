"""What was served and what users did after, in compact columns: ids as numbers, times in microseconds since 1970."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Times = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US


@dataclass(frozen=True)
class Requests:
    """Requests of lists, each record once, the earliest first; arrays of shape (n,).

    `contents` are the same number for the same user and movies, and hardly ever for others. `failed` says that no list
    came of it.
    """

    users: Ints
    times: Times
    contents: Hashes
    milliseconds: NDArray[np.float32]
    failed: Bools

    columns: ClassVar[tuple[str, ...]] = ("users", "times", "contents", "milliseconds", "failed")

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: Bools | Times) -> Self:
        """Return the requests chosen, or at some rows, in that order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in self.columns})

    def between(self, since: int, until: int) -> Self:
        """Return the requests from a moment on, and before another."""
        return self.take((self.times >= since) & (self.times < until))


@dataclass(frozen=True)
class Lists(Requests):
    """Lists as they were served: `arms` and `revisions` are numbers of `texts`.

    List `i` has the movies `shelf[starts[i] : starts[i] + lengths[i]]`, each of them once.
    """

    arms: Ints
    revisions: Ints
    starts: Times
    lengths: Times
    shelf: Ints
    texts: Mapping[str, int]

    columns: ClassVar[tuple[str, ...]] = (*Requests.columns, "arms", "revisions", "starts", "lengths")

    def number(self, text: str) -> int:
        """Return the number of an arm or a revision, -2 for one that no list has."""
        return self.texts.get(text, -2)

    @cached_property
    def movies(self) -> Ints:
        """The movies of all lists, one list after the other."""
        ends = np.cumsum(self.lengths)
        places = np.repeat(self.starts + self.lengths - ends, self.lengths)
        places += np.arange(len(places))
        return self.shelf[places]


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

    def take(self, rows: Bools | Times) -> "Acts":
        """Return the acts chosen, or at some rows."""
        return Acts(self.users[rows], self.movies[rows], self.times[rows], self.values[rows])


@dataclass(frozen=True)
class Arrivals:
    """Which records of the site's log came in, and when they happened and were taken in; arrays of shape (n,).

    Rows may repeat, and come in any order.
    """

    partitions: Ints
    offsets: Times
    times: Times
    ingested: Times


def pairs(users: Ints, movies: Ints) -> Times:
    """Return each user and movie as one number."""
    return users.astype(np.int64) << 32 | movies


def firsts(keys: Times, times: Times) -> Times:
    """Return the row of each different key that has the earliest time; keys ascend."""
    rows = np.lexsort((times, keys))
    return rows[np.flatnonzero(np.diff(keys[rows], prepend=-1))]


def places(wanted: NDArray[Any], among: NDArray[Any]) -> Times:
    """Return where each number stands in a sorted array, -1 if it does not."""
    if not len(among):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[place] == wanted, place, -1)


def mixed(numbers: NDArray[Any]) -> Hashes:
    """Return whole numbers from 0 as if by chance (splitmix64: Steele, Lea and Flood, OOPSLA 2014)."""
    z = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: Hashes = z ^ (z >> np.uint64(31))
    return hashes
