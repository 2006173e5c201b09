"""What everybody likes these days: a list in which every taste has its share."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

HALF_LIFE: Final = 20_000
"""A pair counts half as much as one that came so many pairs later: enough to be sure, however busy the site is."""

Indices = NDArray[np.int64]


def elect(voters: Indices, movies: Indices, n: int) -> list[int]:
    """Return the n most popular movies, best first, by proportional approval voting.

    Everybody votes for what they watched or liked, newer votes weighing more. The movie with the most votes is chosen;
    then the votes of those who voted for it count half, a third, and so on with each of theirs that is chosen, so
    a crowd that votes for twenty movies of one kind gets its share of the list and no more (Thiele 1895, in its
    sequential form; Aziz et al., Justified representation, Social Choice and Welfare 2017).

    Args: voters, movies: shape (n_pairs,), numbers from 0, oldest pair first; the last of equal pairs counts.
    """
    voters, movies, weights = _votes(voters, movies)
    starts = np.searchsorted(voters, np.arange(voters.max(initial=-1) + 2))
    by_movie = np.argsort(movies, kind="stable")
    movie_starts = np.searchsorted(movies[by_movie], np.arange(movies.max(initial=-1) + 2))
    n_chosen = np.zeros(len(starts) - 1)
    support = np.bincount(movies, weights)
    elected: list[int] = []
    while len(elected) < min(n, len(support)):
        movie = int(support.argmax())
        if support[movie] <= 0:
            break
        elected.append(movie)
        pleased = voters[by_movie[movie_starts[movie] : movie_starts[movie + 1]]]
        lost = 1 / (n_chosen[pleased] + 1) - 1 / (n_chosen[pleased] + 2)
        n_chosen[pleased] += 1
        n_votes = starts[pleased + 1] - starts[pleased]
        theirs = np.repeat(starts[pleased] - np.append(0, np.cumsum(n_votes)[:-1]), n_votes) + np.arange(n_votes.sum())
        support -= np.bincount(movies[theirs], weights[theirs] * np.repeat(lost, n_votes), len(support))
        support[elected] = -np.inf
    return elected


def numbered(ids: Sequence[str], index: Mapping[str, int]) -> tuple[Indices, list[str]]:
    """Return the number of each id in an index, and after its numbers those of new ids, which are returned in order."""
    new: dict[str, int] = {}
    n = len(index)
    numbers = [index[each] if each in index else n + new.setdefault(each, len(new)) for each in ids]
    return np.array(numbers, dtype=np.int64), list(new)


def _votes(voters: Indices, movies: Indices) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Return each pair once, sorted by voter, and its weight."""
    age = np.arange(len(voters))[::-1]
    order = np.lexsort((age, movies, voters))
    voters, movies, age = voters[order], movies[order], age[order]
    is_first = (np.diff(voters, prepend=-1) != 0) | (np.diff(movies, prepend=-1) != 0)
    return voters[is_first], movies[is_first], 0.5 ** (age[is_first] / HALF_LIFE)
