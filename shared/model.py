"""The model that SVD and SVD++ both end as: a mean, biases, and factors.

    r̂_ui = μ + b_u + b_i + q_i · p_u                            (SVD: Koren, Bell, Volinsky, IEEE Computer 2009)
    r̂_ui = μ + b_u + b_i + q_i · (p_u + |N(u)|^-½ Σ_j∈N(u) y_j)  (SVD++: Koren, KDD 2008)

The bracket depends on the user alone, so it is folded into the user's factors once, and both algorithms predict
by the first line. The y_j are kept: with them, users and watches that came after training can be folded in.

An expected rating is not a rank: it never asks whether the user would watch the movie. Movies are ranked by the chance
that a watch of this user is of this movie and that the user likes it, rates it above the average μ,

    score_ui = π̂_ui · Φ((r̂_ui - μ) / s)

with π̂ from `shared.watching`, Φ the normal distribution and s the standard deviation of all ratings, as nearly all of
it is left unexplained for a user who came with a few ratings. What is watched and what is liked are modelled apart
because ratings are not missing at random (Marlin and Zemel, RecSys 2009).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared import fold_in, npz
from shared.errors import Corrupt
from shared.watching import Watching

FACTORS: Final = "factors.npz"

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

ALL: Final = slice(None)

_SERIES: Final = (
    np.array([0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429]) / np.sqrt(2 * np.pi)
).astype(np.float32)

_ALWAYS: Final = {
    "scalars": npz.Spec("<f8", 1),
    "user_bias": npz.Spec("<f4", 1),
    "item_bias": npz.Spec("<f4", 1),
    "user_factors": npz.Spec("<f4", 2),
    "item_factors": npz.Spec("<f4", 2),
    "implicit_factors": npz.Spec("<f4", 2),
    "implicit_mean": npz.Spec("<f4", 1),
    "user_tastes": npz.Spec("<f4", 2),
    "watch_share": npz.Spec("<f4", 1),
    "watch_axes": npz.Spec("<f4", 2),
    "watch_inertia": npz.Spec("<f4", 1),
    "users": npz.Spec("|u1", 1),
    "user_ends": npz.Spec("<i8", 1),
    "movies": npz.Spec("|u1", 1),
    "movie_ends": npz.Spec("<i8", 1),
}


def places(ids: Sequence[str], index: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the place of each id in an index, -1 for one that is not there, shape (n_ids,)."""
    return np.fromiter((index.get(each, -1) for each in ids), dtype=np.int64, count=len(ids))


def below(z: Floats) -> Floats:
    """Return Φ(z), the share of the normal distribution below each number, with an error below 3 · 10⁻⁷.

    By 26.2.17 of Abramowitz and Stegun, Handbook of Mathematical Functions; scipy's takes a server twice the time of
    everything else to import.
    """
    t = 1 / (1 + np.float32(0.2316419) * np.abs(z))
    series = t * np.polynomial.polynomial.polyval(t, _SERIES)
    tail = series * np.exp(-z * z / 2)
    share: Floats = np.where(z < 0, tail, 1 - tail).astype(np.float32)
    return share


class Profile(NamedTuple):
    """A user as a model sees one, trained or folded in.

    `bias` is b_u; `factors` has shape (n_factors,), SVD++'s implicit sum in it; `taste` is z_u, shape (n_axes,).
    """

    bias: float
    factors: Floats
    taste: Floats


@dataclass(frozen=True, eq=False)
class FactorModel:
    """A fitted model over its own users and movies, those that it was trained on.

    `mean` is μ; `user_bias` b_u has shape (n_users,), `item_bias` b_i (n_movies,), `user_factors` (n_users, n_factors),
    `item_factors` q_i (n_movies, n_factors), `implicit_factors` y_j the same or None, `implicit_mean` z̄ the average
    user's sum of them, shape (n_factors,). The average user, each weighing as many ratings, has bias 0 and factors 0.
    `watching` tells which movies are watched, and `user_tastes` z_u, shape (n_users, n_axes), by whom; `spread` is s;
    `lowest` and `highest` are the ends of the ratings it was trained on, to which predictions are clipped.
    """

    mean: float
    user_bias: Floats
    item_bias: Floats
    user_factors: Floats
    item_factors: Floats
    implicit_factors: Floats | None
    implicit_mean: Floats
    watching: Watching
    user_tastes: Floats
    users: list[str]
    movies: list[str]
    spread: float
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

    def without(self, user_id: str) -> "FactorModel":
        """Return the model without a user; itself if there is no such user. What it learnt about movies stays."""
        row = self.user_index.get(user_id)
        if row is None:
            return self
        return replace(
            self,
            users=[*self.users[:row], *self.users[row + 1 :]],
            user_bias=np.delete(self.user_bias, row),
            user_factors=np.delete(self.user_factors, row, axis=0),
            user_tastes=np.delete(self.user_tastes, row, axis=0),
        )

    def fold_in(self, watched: Iterable[str], rated: Mapping[str, float]) -> Profile:
        """Return a user whom training did not know, or not so, from movies watched and ratings by movie.

        Who rated a movie watched it. SVD++ expects of who watched n movies the factors n / (n + 50) · (z - z̄), z their
        implicit sum: so much away from the average user. Then b_u and p_u are found by `shared.fold_in.ridge` from what
        that leaves of the ratings. Movies that the model does not know are ignored; without any other the user
        is the average one, all zeros. Raises: ValueError for a rating that is not finite.
        """
        for movie, rating in rated.items():
            if not math.isfinite(rating):
                raise ValueError(f"the rating of movie {movie[:40]!r} is {rating}, not a finite number")
        seen = self._places([*watched, *rated])
        known = {self.movie_index[movie]: rating for movie, rating in rated.items() if movie in self.movie_index}
        places = np.fromiter(known.keys(), dtype=np.int64, count=len(known))
        ratings = np.fromiter(known.values(), dtype=np.float64, count=len(known))
        return self.newcomer(seen, places, ratings)

    def newcomer(self, seen: Places, rated: Places, ratings: NDArray[np.float64]) -> Profile:
        """Return what `fold_in` does, from places: of all movies seen, each once, and of those rated."""
        expected = np.zeros(self.item_factors.shape[1], dtype=np.float32)
        if self.implicit_factors is not None and len(seen):
            away = self._implicit_sum(seen) - self.implicit_mean
            expected = away * np.float32(len(seen) / (len(seen) + fold_in.IMPLICIT_INERTIA))
        left = ratings - self.mean - self.item_bias[rated] - self.item_factors[rated] @ expected
        bias, factors = fold_in.ridge(self.item_factors[rated], left)
        return Profile(bias, expected + factors, self.watching.taste(seen))

    def since(
        self, user: Profile, trained: Places, seen: Places, rated: Places, ratings: NDArray[np.float64]
    ) -> Profile:
        """Return a user of training as they are after what they did since.

        SVD++'s implicit sum and the taste are those of all movies seen, as training would have them. Then b_u and p_u
        move, by `shared.fold_in.ridge`, towards what new ratings leave unexplained, while what is predicted of the
        ratings trained on shall stay as it is.

        Args: trained: movies whose rating was trained on; seen: all movies seen, those too; rated: those rated since.
        """
        factors = user.factors
        if self.implicit_factors is not None and len(seen) > len(trained):
            factors = factors - self._implicit_sum(trained) + self._implicit_sum(seen)
        bias = user.bias
        if len(rated):
            expected = self.item_factors[rated] @ factors + self.item_bias[rated] + (self.mean + bias)
            kept = np.setdiff1d(trained, rated)
            left = np.concatenate([ratings - expected, np.zeros(len(kept))])
            more_bias, more_factors = fold_in.ridge(self.item_factors[np.concatenate([rated, kept])], left)
            bias, factors = bias + more_bias, factors + more_factors
        return Profile(bias, factors, self.watching.taste(seen))

    def _implicit_sum(self, seen: Places) -> Floats:
        """Return |N|^-½ Σ_j∈N y_j, zeros for who has seen nothing."""
        if self.implicit_factors is None or not len(seen):
            return np.zeros(self.item_factors.shape[1], dtype=np.float32)
        total: Floats = self.implicit_factors[seen].sum(axis=0) / np.float32(math.sqrt(len(seen)))
        return total

    def ratings(self, user: int | Profile, places: Places | slice = ALL) -> Floats:
        """Return the unclipped rating that a user, by row or folded in, would give each movie, or those at `places`."""
        profile = self.profile(user)
        of_user = np.float32(self.mean + profile.bias)
        ratings: Floats = self.item_factors[places] @ profile.factors + self.item_bias[places] + of_user
        return ratings

    def liking(self, ratings: Floats) -> Floats:
        """Return the chance of a rating above the average where these are expected, Φ((r̂ - μ) / s)."""
        return below((ratings - np.float32(self.mean)) / np.float32(self.spread or 1))

    def scores(self, user: int | Profile) -> Floats:
        """Return what movies are ranked by for a user, by row or folded in, shape (n_movies,), from 0 to 1.

        It is the chance that the user's next watch is of each movie and that the user likes it, π̂ · Φ((r̂ - μ) / s).
        """
        scores: Floats = self.watching.chances(self.profile(user).taste) * self.liking(self.ratings(user))
        return scores

    def profile(self, user: int | Profile) -> Profile:
        """Return a user by row as training left them; one folded in as they are."""
        if isinstance(user, Profile):
            return user
        return Profile(float(self.user_bias[user]), self.user_factors[user], self.user_tastes[user])

    def _places(self, movies: Iterable[str]) -> Places:
        """Return the rows of those movies that the model knows, in order, each once."""
        return np.array(sorted({self.movie_index[each] for each in movies if each in self.movie_index}), np.int64)

    def predict(self, users: Sequence[str], movies: Sequence[str]) -> Floats:
        """Return the expected rating of each pair, shape (n_pairs,), clipped to the scale.

        For a user or a movie that the model does not know, its bias and factors are 0.
        """
        return self.predict_at(places(users, self.user_index), places(movies, self.movie_index))

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
            "scalars": np.array([self.mean, self.spread, self.lowest, self.highest], dtype="<f8"),
            "user_bias": self.user_bias,
            "item_bias": self.item_bias,
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "implicit_factors": np.zeros((0, n_factors), "<f4") if implicit is None else implicit,
            "implicit_mean": self.implicit_mean,
            "user_tastes": self.user_tastes,
            "watch_share": self.watching.share,
            "watch_axes": self.watching.axes,
            "watch_inertia": self.watching.inertia,
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
        n_factors, n_axes = a["item_factors"].shape[1], len(a["watch_inertia"])
        n_implicit = len(a["implicit_factors"])
        shapes = {
            "scalars": (4,),
            "user_bias": (len(users),),
            "item_bias": (len(movies),),
            "user_factors": (len(users), n_factors),
            "item_factors": (len(movies), n_factors),
            "implicit_factors": (len(movies) if n_implicit else 0, n_factors),
            "implicit_mean": (n_factors,),
            "user_tastes": (len(users), n_axes),
            "watch_share": (len(movies),),
            "watch_axes": (len(movies), n_axes),
        }
        for name, shape in shapes.items():
            if a[name].shape != shape:
                raise Corrupt(f"{name}: shape {a[name].shape}, not {shape}")
        mean, spread, lowest, highest = a["scalars"].tolist()
        if not movies or lowest > highest or spread < 0:
            raise Corrupt(f"a model of {len(movies)} movies, mean {mean} ± {spread}, scale {lowest} to {highest}")
        if (a["watch_share"] < 0).any() or (a["watch_inertia"] <= 0).any():
            raise Corrupt("watch_share below 0, or watch_inertia not above 0")
        return cls(
            mean=mean,
            user_bias=a["user_bias"],
            item_bias=a["item_bias"],
            user_factors=a["user_factors"],
            item_factors=a["item_factors"],
            implicit_factors=a["implicit_factors"] if n_implicit else None,
            implicit_mean=a["implicit_mean"],
            watching=Watching(a["watch_share"], a["watch_axes"], a["watch_inertia"]),
            user_tastes=a["user_tastes"],
            users=users,
            movies=movies,
            spread=spread,
            lowest=lowest,
            highest=highest,
        )
