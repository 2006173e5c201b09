"""The best movies for a user, from one model that never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared import keys
from shared.artifacts import Artifact
from shared.errors import Corrupt, NotFound
from shared.matrix import Split
from shared.model import FactorModel, best
from shared.recommendation import N_MOST


@dataclass(frozen=True)
class Serving:
    """A model, its version, and for each of its users the movies that the user had rated when it was trained.

    `seen` has one array of movie indices for each user of the model.
    """

    model_version: str
    model: FactorModel
    seen: Sequence[NDArray[np.int64]]


@dataclass(frozen=True)
class Top:
    """Movies, best first, with the rating that the user would give each."""

    movies: list[str]
    scores: list[float]
    ratings: list[float]


def load(model: Artifact, matrix: Artifact) -> Serving:
    """Return what answers requests, from a stored model and the matrix it was trained on, everything checked.

    Raises: Corrupt, also if the two do not belong together.
    """
    made_from = model.manifest.made_from
    if model.manifest.kind != "model" or made_from != keys.matrix(matrix.manifest.id):
        raise Corrupt(f"model {model.manifest.id} was made from {made_from}, not from matrix {matrix.manifest.id}")
    factors = FactorModel.from_files(model.files)
    return Serving(model.manifest.id, factors, _seen(factors, Split.from_files(matrix.manifest.id, matrix.files)))


def top_n(serving: Serving, user_id: str, n: int, exclude: Sequence[str]) -> Top:
    """Return the n movies with the highest expected rating that the user has neither rated nor excluded.

    Raises: NotFound if the model does not know the user; ValueError if n is not from 1 to 20.
    """
    if not 1 <= n <= N_MOST:
        raise ValueError(f"n is a whole number from 1 to {N_MOST}")
    model = serving.model
    row = model.user_index.get(user_id)
    if row is None:
        raise NotFound(f"model {serving.model_version} does not know user {user_id[:40]!r}")
    scores, ratings = model.scores(row), model.ratings(row)
    unwanted = np.array([model.movie_index.get(movie, -1) for movie in exclude], dtype=np.int64)
    places = best(scores, n, without=np.concatenate([serving.seen[row], unwanted]))
    return Top([model.movies[place] for place in places], scores[places].tolist(), ratings[places].tolist())


def _seen(model: FactorModel, split: Split) -> list[NDArray[np.int64]]:
    place = np.array([model.movie_index.get(movie, -1) for movie in split.train.movies], dtype=np.int64)
    rows: Mapping[str, int] = split.train.user_index
    if not rows.keys() >= model.user_index.keys():
        raise Corrupt("the model has users that its matrix does not have")
    sides = split.train, split.validation
    return [np.concatenate([place[side.rated(rows[user])] for side in sides]) for user in model.users]
