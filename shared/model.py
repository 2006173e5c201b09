"""The model that SVD and SVD++ both end as: a mean, biases, and factors.

    r̂_ui = μ + b_u + b_i + q_i · p_u                            (SVD: Koren, Bell, Volinsky, IEEE Computer 2009)
    r̂_ui = μ + b_u + b_i + q_i · (p_u + |N(u)|^-½ Σ_j∈N(u) y_j)  (SVD++: Koren, KDD 2008)

The bracket depends on the user alone, so it is folded into the user's factors once, and both algorithms predict
by the first line. The y_j are kept: with them, users and watches that came after training can be folded in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared import npz
from shared.errors import Corrupt

FACTORS: Final = "factors.npz"

Floats = NDArray[np.float32]

_ALWAYS: Final = {
    "scalars": npz.Spec("<f8", 1),
    "user_bias": npz.Spec("<f4", 1),
    "item_bias": npz.Spec("<f4", 1),
    "user_factors": npz.Spec("<f4", 2),
    "item_factors": npz.Spec("<f4", 2),
    "implicit_factors": npz.Spec("<f4", 2),
    "users": npz.Spec("|u1", 1),
    "user_ends": npz.Spec("<i8", 1),
    "movies": npz.Spec("|u1", 1),
    "movie_ends": npz.Spec("<i8", 1),
}


def best(scores: Floats, n: int, without: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of the n highest scores, highest first, never one of `without`.

    Args: scores: shape (n_movies,); without: places, any number of times, -1 for none.
    Returns: at most n places, fewer if fewer are left. Of equal scores the lower place comes first.
    """
    allowed = np.ones(len(scores), dtype=bool)
    allowed[without[without >= 0]] = False
    places = np.flatnonzero(allowed)
    if len(places) > n:
        nth = -np.partition(-scores[places], n - 1)[n - 1]
        places = places[scores[places] >= nth]
    return places[np.lexsort((places, -scores[places]))][:n]


@dataclass(frozen=True, eq=False)
class FactorModel:
    """A fitted model over its own users and movies, those that it was trained on.

    `mean` is μ; `user_bias` b_u has shape (n_users,), `item_bias` b_i (n_movies,), `user_factors` (n_users, n_factors),
    `item_factors` q_i (n_movies, n_factors), `implicit_factors` y_j the same or None; `lowest` and `highest` are the
    ends of the ratings it was trained on, to which predictions are clipped.
    """

    mean: float
    user_bias: Floats
    item_bias: Floats
    user_factors: Floats
    item_factors: Floats
    implicit_factors: Floats | None
    users: list[str]
    movies: list[str]
    lowest: float
    highest: float

    @cached_property
    def user_index(self) -> dict[str, int]:
        """The row of each user."""
        return {user_id: row for row, user_id in enumerate(self.users)}

    @cached_property
    def movie_index(self) -> dict[str, int]:
        """The row of each movie."""
        return {movie_id: row for row, movie_id in enumerate(self.movies)}

    def scores(self, user_index: int) -> Floats:
        """Return the unclipped rating that a user would give each movie, shape (n_movies,)."""
        base = np.float32(self.mean) + self.user_bias[user_index]
        scores: Floats = self.item_factors @ self.user_factors[user_index] + self.item_bias + base
        return scores

    def predict(self, users: Sequence[str], movies: Sequence[str]) -> Floats:
        """Return the expected rating of each pair, shape (n_pairs,), clipped to the scale.

        For a user or a movie that the model does not know, its bias and factors are 0.
        """
        rows = np.fromiter((self.user_index.get(user, -1) for user in users), dtype=np.int64, count=len(users))
        columns = np.fromiter((self.movie_index.get(movie, -1) for movie in movies), dtype=np.int64, count=len(movies))
        return self.predict_at(rows, columns)

    def predict_at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """Return the expected rating of each (row, column), shape (n_pairs,); -1 stands for an unknown one."""
        known_user, known_movie = rows >= 0, columns >= 0
        expected = np.full(len(rows), self.mean, dtype=np.float32)
        expected[known_user] += self.user_bias[rows[known_user]]
        expected[known_movie] += self.item_bias[columns[known_movie]]
        both = known_user & known_movie
        expected[both] += np.einsum("ij,ij->i", self.user_factors[rows[both]], self.item_factors[columns[both]])
        return np.clip(expected, self.lowest, self.highest)

    def to_files(self) -> dict[str, bytes]:
        """Return the model as the files of an artifact."""
        n_factors = self.item_factors.shape[1]
        users, user_ends = npz.pack_texts(self.users)
        movies, movie_ends = npz.pack_texts(self.movies)
        implicit = self.implicit_factors
        arrays = {
            "scalars": np.array([self.mean, self.lowest, self.highest], dtype="<f8"),
            "user_bias": self.user_bias,
            "item_bias": self.item_bias,
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "implicit_factors": np.zeros((0, n_factors), "<f4") if implicit is None else implicit,
            "users": users,
            "user_ends": user_ends,
            "movies": movies,
            "movie_ends": movie_ends,
        }
        return {FACTORS: npz.dump(arrays)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "FactorModel":
        """Return a stored model, every array checked against the others. Raises: Corrupt."""
        if FACTORS not in files:
            raise Corrupt(f"a model without {FACTORS}")
        a = npz.load(files[FACTORS], _ALWAYS)
        users, movies = npz.unpack_texts(a["users"], a["user_ends"]), npz.unpack_texts(a["movies"], a["movie_ends"])
        n_factors = a["item_factors"].shape[1]
        n_implicit = len(a["implicit_factors"])
        shapes = {
            "scalars": (3,),
            "user_bias": (len(users),),
            "item_bias": (len(movies),),
            "user_factors": (len(users), n_factors),
            "item_factors": (len(movies), n_factors),
            "implicit_factors": (len(movies) if n_implicit else 0, n_factors),
        }
        for name, shape in shapes.items():
            if a[name].shape != shape:
                raise Corrupt(f"{name}: shape {a[name].shape}, not {shape}")
        mean, lowest, highest = a["scalars"].tolist()
        if not movies or not lowest <= mean <= highest:
            raise Corrupt(f"a model of {len(movies)} movies, mean {mean}, scale {lowest} to {highest}")
        return cls(
            mean,
            a["user_bias"],
            a["item_bias"],
            a["user_factors"],
            a["item_factors"],
            a["implicit_factors"] if n_implicit else None,
            users,
            movies,
            lowest,
            highest,
        )
