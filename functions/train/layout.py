"""Ratings dealt into tiles, so that threads that hold different tiles share no user and no movie.

Users are split into groups and movies into as many blocks. In step s of a pass, thread t holds the tile of group t and
block (t + s) mod n: Gemulla et al., Large-scale matrix factorization with distributed SGD, KDD 2011.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from functions.train import kernels
from shared.model import Floats

Ints = NDArray[np.int64]

Parts = list[tuple[int, int]]
"""For each group the first position, and the one after the last."""

USERS_A_ROUND: Final = 1024
"""At most so many users are in a round of SVD++."""

SHARED: Final = 4.0
"""So many users' worth of changes to one's own y_j may wait in a round; with more, descent overshoots on dense data."""


@dataclass(frozen=True)
class Layout:
    """A matrix's ratings, tile after tile; users and movies stand at positions, group after group.

    rows, columns: the matrix's row of each user's position and column of each movie's; `starts[block, position]`: where
    the ratings of a user with the movies of a block begin in `movies` (positions) and `residuals` (r - mean),
    shape (n_groups, n_users + 1); `cuts[group]`: the positions at which the rounds of a group begin and the
    last one ends; `n_ratings`: of each user.
    """

    rows: Ints
    columns: Ints
    mean: float
    starts: Ints
    movies: NDArray[np.int32]
    residuals: Floats
    cuts: Ints
    n_ratings: Ints

    @property
    def n_groups(self) -> int:
        """How many groups of users there are, and blocks of movies."""
        return len(self.starts)

    @property
    def groups(self) -> Parts:
        """The positions of each group."""
        return list(zip(self.cuts[:, 0].tolist(), self.cuts[:, -1].tolist(), strict=True))

    def rounds(self) -> Iterator[Parts]:
        """Yield the part of each group that a round of a pass has."""
        for first, last in pairwise(self.cuts.T):
            yield list(zip(first.tolist(), last.tolist(), strict=True))


class Tile(NamedTuple):
    """Some ratings at the positions of a layout: where each user's begin, their movies, and r - mean."""

    starts: Ints
    movies: NDArray[np.int32]
    residuals: Floats


def lay_out(ratings: sparse.csr_array, n_groups: int, n_rounds: int = 1) -> Layout:
    """Return the layout of a matrix's ratings; users and movies without one have no position."""
    counts = np.diff(ratings.indptr).astype(np.int64), np.bincount(ratings.indices, minlength=ratings.shape[1])
    rows, row_groups = _dealt(counts[0], n_groups)
    columns, blocks = _dealt(counts[1], n_groups)
    places = _places(columns, ratings.shape[1])
    mean = float(ratings.data.mean(dtype=np.float64))
    starts, movies, residuals = _tiles(ratings, rows, places, blocks, mean, n_groups)
    borders = np.searchsorted(row_groups, np.arange(n_groups + 1))
    n_ratings = counts[0][rows]
    return Layout(rows, columns, mean, starts, movies, residuals, _cuts(borders, n_ratings, n_rounds), n_ratings)


def one_tile(ratings: sparse.csr_array, layout: Layout) -> Tile:
    """Return other ratings of a layout's users and movies as one tile."""
    places, blocks = _places(layout.columns, ratings.shape[1]), np.zeros(len(layout.columns), dtype=np.int32)
    starts, movies, residuals = _tiles(ratings, layout.rows, places, blocks, layout.mean, 1)
    return Tile(starts[0], movies, residuals)


def split(ratings: sparse.csr_array, fraction: float, seed: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return the matrix without a random `fraction` of its ratings, and with those alone.

    The first rating of each user and of each movie stays, so that nobody is lost to training.
    """
    taken = np.random.default_rng(seed).random(ratings.nnz) < fraction
    taken[ratings.indptr[:-1][np.diff(ratings.indptr) > 0]] = False
    first = np.full(ratings.shape[1], -1)
    first[ratings.indices[::-1]] = np.arange(ratings.nnz)[::-1]
    taken[first[first >= 0]] = False
    return _kept(ratings, ~taken), _kept(ratings, taken)


def _kept(ratings: sparse.csr_array, wanted: NDArray[np.bool_]) -> sparse.csr_array:
    indptr = np.concatenate([[0], np.cumsum(wanted)])[ratings.indptr]
    return sparse.csr_array((ratings.data[wanted], ratings.indices[wanted], indptr), shape=ratings.shape)


def _dealt(counts: Ints, n_groups: int) -> tuple[Ints, NDArray[np.int32]]:
    """Return those with ratings, group after group, and the group of each, groups with about as many ratings."""
    present = np.flatnonzero(counts)
    by_count = np.argsort(_narrow(counts.max(initial=0) - counts[present]), kind="stable")
    lap, seat = np.divmod(np.arange(len(present)), n_groups)
    groups = np.empty(len(present), dtype=np.int32)
    groups[by_count] = np.where(lap % 2 == 0, seat, n_groups - 1 - seat)
    order = np.argsort(_narrow(groups), kind="stable")
    return present[order], groups[order]


def _narrow(numbers: Ints | NDArray[np.int32]) -> NDArray[np.unsignedinteger]:
    """Return numbers of at least 0 in the narrowest type: up to 16 bits are sorted in linear time."""
    return numbers.astype(np.min_scalar_type(numbers.max(initial=0)))


def _places(columns: Ints, n_columns: int) -> NDArray[np.int32]:
    """Return the position of each of a matrix's columns, or rows, -1 if it has none."""
    places = np.full(n_columns, -1, dtype=np.int32)
    places[columns] = np.arange(len(columns), dtype=np.int32)
    return places


def in_order(indices: Ints) -> NDArray[np.int32]:
    """Return the positions in the order of their rows or columns, as `argsort`, in linear time."""
    places = _places(indices, indices.max() + 1)
    return places[places >= 0]


def _tiles(
    ratings: sparse.csr_array, rows: Ints, places: NDArray[np.int32], blocks: NDArray[np.int32], mean: float, n: int
) -> tuple[Ints, NDArray[np.int32], Floats]:
    indptr, indices = ratings.indptr.astype(np.int64), ratings.indices.astype(np.int32, copy=False)
    starts = np.zeros((n, len(rows) + 1), dtype=np.int64)
    kernels.count(rows, indptr, indices, places, blocks, starts)
    flat = starts.reshape(-1)
    np.cumsum(flat, out=flat)
    movies = np.empty(ratings.nnz, dtype=np.int32)
    residuals = np.empty(ratings.nnz, dtype=np.float32)
    values = ratings.data.astype(np.float32, copy=False)
    kernels.deal(rows, indptr, indices, values, mean, places, blocks, starts, movies, residuals)
    return starts, movies, residuals


def rounds_needed(ratings: sparse.csr_array) -> int:
    """Return how many rounds a pass of SVD++ needs; one of SVD is a single round.

    The changes of user v move the sum z_u of user u by cos(u, v) = |N(u) ∩ N(v)| / √(|N(u)| |N(v)|) of what they move
    v's own. The mean of it over all pairs is Σ_j (Σ_u∈U(j) |N(u)|^-½)² / n², so rounds of R users leave R times that
    waiting.
    """
    n_ratings = np.diff(ratings.indptr)
    n_users = np.count_nonzero(n_ratings)
    norms = np.repeat(np.maximum(n_ratings, 1) ** -0.5, n_ratings)
    cosine = (np.bincount(ratings.indices, norms) ** 2).sum() / n_users**2
    return int(np.ceil(n_users / min(USERS_A_ROUND, max(SHARED / cosine, 1))))


def _cuts(borders: Ints, n_ratings: Ints, n_rounds: int) -> Ints:
    """Cut each group of users into equally many rounds of about as many ratings."""
    done = np.concatenate([[0], np.cumsum(n_ratings)])
    shares = np.linspace(0, 1, n_rounds + 1)
    cuts = [
        np.searchsorted(done, done[first] + shares * (done[last] - done[first])) for first, last in pairwise(borders)
    ]
    return np.array(cuts, dtype=np.int64)
