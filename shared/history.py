"""What users did up to the lake version of a matrix: who watched and rated what, and who likes what these days.

It is stored with the matrix, so that a model's server knows from its first moment what not to recommend again, and
only has to follow what came after.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared import npz
from shared.errors import Corrupt

HISTORY: Final = "history.npz"

WATCHED: Final = 0
TRAINED: Final = 1
NEWER: Final = 2
"""Kinds of a pair: watched and not rated; rated, and the rating is trained on; rated, and held out of training."""

PANEL: Final = 100_000
"""So many of the newest pairs say what is liked these days."""

_ARRAYS: Final = {
    "users": npz.Spec("|u1", 1),
    "user_ends": npz.Spec("<i8", 1),
    "movies": npz.Spec("|u1", 1),
    "movie_ends": npz.Spec("<i8", 1),
    "indptr": npz.Spec("<i8", 1),
    "indices": npz.Spec("<i4", 1),
    "ratings": npz.Spec("<f4", 1),
    "times": npz.Spec("<i8", 1),
    "kinds": npz.Spec("|u1", 1),
    "panel_users": npz.Spec("<i4", 1),
    "panel_movies": npz.Spec("<i4", 1),
}


class Past(NamedTuple):
    """What one user did: places of movies, what each was rated (0 where it was not), when, and each pair's kind."""

    movies: NDArray[np.int32]
    ratings: NDArray[np.float32]
    times: NDArray[np.int64]
    kinds: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class History:
    """Pairs of user and movie, each once, user by user: those of user `u` begin at `indptr[u]`.

    `indices` are places in `movies`; `ratings`, `times` (microseconds since 1970) and `kinds` as in `Past`. The panel
    holds the newest pairs of a user and a movie that was watched and not disliked, oldest first: places in `users` and
    `movies`.
    """

    users: list[str]
    movies: list[str]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    ratings: NDArray[np.float32]
    times: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    panel_users: NDArray[np.int32]
    panel_movies: NDArray[np.int32]

    @cached_property
    def user_index(self) -> dict[str, int]:
        """The place of each user."""
        return {user_id: place for place, user_id in enumerate(self.users)}

    @cached_property
    def movie_index(self) -> dict[str, int]:
        """The place of each movie."""
        return {movie_id: place for place, movie_id in enumerate(self.movies)}

    def of(self, user_id: str) -> Past:
        """Return what a user did, nothing if there is no such user."""
        place = self.user_index.get(user_id)
        mine = slice(0, 0) if place is None else slice(*self.indptr[place : place + 2])
        return Past(self.indices[mine], self.ratings[mine], self.times[mine], self.kinds[mine])

    def without(self, user_id: str) -> "History":
        """Return the history without a user; itself if there is no such user."""
        place = self.user_index.get(user_id)
        if place is None:
            return self
        first, end = self.indptr[place : place + 2]
        pairs = {
            name: np.delete(getattr(self, name), slice(first, end)) for name in ("indices", "ratings", "times", "kinds")
        }
        stays = self.panel_users != place
        panel_users = self.panel_users[stays]
        return History(
            users=[*self.users[:place], *self.users[place + 1 :]],
            movies=self.movies,
            indptr=np.concatenate([self.indptr[: place + 1], self.indptr[place + 2 :] - (end - first)]),
            **pairs,
            panel_users=panel_users - (panel_users > place),
            panel_movies=self.panel_movies[stays],
        )

    def to_bytes(self) -> bytes:
        """Return the history as the file of an artifact."""
        users, user_ends = npz.pack_texts(self.users)
        movies, movie_ends = npz.pack_texts(self.movies)
        arrays: Mapping[str, NDArray[Any]] = {
            "users": users,
            "user_ends": user_ends,
            "movies": movies,
            "movie_ends": movie_ends,
            "indptr": self.indptr,
            "indices": self.indices,
            "ratings": self.ratings,
            "times": self.times,
            "kinds": self.kinds,
            "panel_users": self.panel_users,
            "panel_movies": self.panel_movies,
        }
        return npz.dump({name: array.astype(_ARRAYS[name].dtype) for name, array in arrays.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "History":
        """Return a stored history, every array checked against the others. Raises: Corrupt."""
        a = npz.load(data, _ARRAYS)
        users = npz.unpack_texts(a.pop("users"), a.pop("user_ends"))
        movies = npz.unpack_texts(a.pop("movies"), a.pop("movie_ends"))
        n_pairs = len(a["indices"])
        if not len(a["ratings"]) == len(a["times"]) == len(a["kinds"]) == n_pairs or len(a["panel_users"]) != len(
            a["panel_movies"]
        ):
            raise Corrupt("a history of columns that are not equally long")
        indptr = a["indptr"]
        if len(indptr) != len(users) + 1 or indptr[0] != 0 or indptr[-1] != n_pairs or (np.diff(indptr) < 0).any():
            raise Corrupt("a history whose users do not share its pairs out")
        for name, n in (("indices", len(movies)), ("panel_users", len(users)), ("panel_movies", len(movies))):
            if len(a[name]) and not 0 <= a[name].min() <= a[name].max() < n:
                raise Corrupt(f"a history with {name} outside 0 to {n - 1}")
        if n_pairs and a["kinds"].max() > NEWER:
            raise Corrupt("a history with pairs of no known kind")
        return cls(users, movies, **a)
