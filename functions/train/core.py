"""Fit SVD or SVD++ to a rating matrix."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from surprise import SVD, SVDpp
from surprise.trainset import Trainset

from shared.events import Algorithm
from shared.matrix import RatingMatrix
from shared.model import FactorModel, Floats


@dataclass(frozen=True)
class Parameters:
    """What is chosen before a fit: factors, passes over the ratings, step of gradient descent, regularisation."""

    n_factors: int
    n_epochs: int
    lr: float
    reg: float

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return asdict(self)


PARAMETERS: Final[Mapping[Algorithm, Parameters]] = {
    "svd": Parameters(n_factors=100, n_epochs=20, lr=0.005, reg=0.02),
    "svdpp": Parameters(n_factors=20, n_epochs=20, lr=0.007, reg=0.02),
}


_REVISION: Final = 1
"""Raised whenever `fit` changes what it finds, so that models fitted before are not taken for its own."""


def model_version(
    matrix_id: str, algorithm: Algorithm, parameters: Parameters, seed: int, libraries: Mapping[str, str]
) -> str:
    """Return the name of the model that these and this code would give."""
    story = [_REVISION, matrix_id, algorithm, parameters.as_dict(), seed, dict(libraries)]
    return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()[:12]


def fit(train: RatingMatrix, algorithm: Algorithm, parameters: Parameters, seed: int) -> FactorModel:
    """Return the model fitted by stochastic gradient descent, the same for the same arguments.

    It knows the users and movies that have at least one rating in `train`. Raises: ValueError if there is no rating.
    """
    rows, columns, values = train.triples()
    if not len(values):
        raise ValueError("there is nothing to fit: the matrix holds no rating")
    users, rows = np.unique(rows, return_inverse=True)
    movies, columns = np.unique(columns, return_inverse=True)
    fitted = _engine(rows, columns, values, algorithm, parameters, seed)
    return FactorModel(
        mean=float(values.mean(dtype=np.float64)),
        user_bias=fitted.user_bias,
        item_bias=fitted.item_bias,
        user_factors=fitted.user_factors,
        item_factors=fitted.item_factors,
        implicit_factors=fitted.implicit_factors,
        users=[train.users[row] for row in users],
        movies=[train.movies[column] for column in movies],
        lowest=float(values.min()),
        highest=float(values.max()),
    )


class Fitted(NamedTuple):
    """What an engine finds: the arrays of a `FactorModel`, SVD++'s implicit sum folded into the user's factors."""

    user_bias: Floats
    item_bias: Floats
    user_factors: Floats
    item_factors: Floats
    implicit_factors: Floats | None


def _engine(
    rows: np.ndarray, columns: np.ndarray, values: np.ndarray, algorithm: Algorithm, parameters: Parameters, seed: int
) -> Fitted:
    """Fit by scikit-surprise; indices are dense, so its inner ids are ours."""
    n_users, n_movies = int(rows.max()) + 1, int(columns.max()) + 1
    by_user: dict[int, list[tuple[int, float]]] = {row: [] for row in range(n_users)}
    by_movie: dict[int, list[tuple[int, float]]] = {column: [] for column in range(n_movies)}
    for row, column, value in zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True):
        by_user[row].append((column, value))
        by_movie[column].append((row, value))
    ids = [{index: index for index in range(n)} for n in (n_users, n_movies)]
    scale = (float(values.min()), float(values.max()))
    trainset = Trainset(by_user, by_movie, n_users, n_movies, len(values), scale, *ids)
    kind = SVD if algorithm == "svd" else SVDpp
    found = kind(
        n_factors=parameters.n_factors,
        n_epochs=parameters.n_epochs,
        lr_all=parameters.lr,
        reg_all=parameters.reg,
        random_state=seed,
    ).fit(trainset)
    user_factors, implicit = found.pu, None
    if algorithm == "svdpp":
        watched = ([column for column, _ in by_user[row]] for row in range(n_users))
        user_factors = user_factors + np.array([found.yj[some].sum(0) / np.sqrt(len(some)) for some in watched])
        implicit = _float32(found.yj)
    return Fitted(_float32(found.bu), _float32(found.bi), _float32(user_factors), _float32(found.qi), implicit)


def _float32(array: np.ndarray) -> Floats:
    return np.ascontiguousarray(array, dtype="<f4")
