"""Fit SVD or SVD++ to a rating matrix."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import ThreadpoolController

from functions.train import tastes
from functions.train.engine import (
    DEFAULTS,
    ENGINES,
    Diverged,
    Engine,
    Fitted,
    OnEpoch,
    Order,
    Parameters,
    Warm,
    parameters,
    refuse_infinite,
)
from functions.train.tastes import Watched
from shared.errors import BadInput
from shared.events import Algorithm
from shared.matrix import RatingMatrix
from shared.model import FactorModel, Floats, places

__all__ = [
    "DEFAULTS",
    "ENGINES",
    "REVISION",
    "Diverged",
    "Engine",
    "OnEpoch",
    "Order",
    "Parameters",
    "fit",
    "model_version",
    "parameters",
    "ready",
    "watch",
]

REVISION: Final = 6
"""Raised whenever `fit` changes what it finds, so that models fitted before are not taken for its own."""

_MODULES: Final[Mapping[Engine, str]] = {"marquee": "descent", "surprise": "reference"}

_ONE_BLAS_THREAD: Final = partial(ThreadpoolController().limit, limits=1)
"""BLAS waits for work in a loop, on the cores that a fit needs, and sums in an order that depends on its threads."""


def model_version(matrix_id: str, order: Order, libraries: Mapping[str, str], warmed_from: str | None = None) -> str:
    """Return the name of the model that these and this code would give."""
    story = [REVISION, matrix_id, order.as_dict(), dict(libraries), warmed_from]
    return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()[:12]


def ready(engine: Engine = "marquee") -> None:
    """Load an engine and its compiled code, so that the next fit is nothing but a fit."""
    importlib.import_module(f"functions.train.{_MODULES[engine]}")


def fit(
    train: RatingMatrix,
    algorithm: Algorithm,
    parameters: Parameters,
    seed: int,
    on_epoch: OnEpoch = lambda _epoch, _rmse: None,
    *,
    engine: Engine = "marquee",
    n_threads: int = 1,
    warm: FactorModel | None = None,
    watched: Watched | None = None,
) -> FactorModel:
    """Return the model fitted by stochastic gradient descent, the same for the same arguments.

    It knows the users and movies that have at least one rating in `train`. `warm` is a model to start from, of the same
    algorithm and number of factors; users and movies that it does not know start by chance. `watched` is what `watch`
    finds, if it is known already.

    Raises: ValueError if there is no rating; BadInput naming a rating that is no number, or a model that does not fit;
    Diverged.
    """
    ratings = train.ratings
    if not ratings.nnz:
        raise ValueError("there is nothing to fit: the matrix holds no rating")
    _refuse_odd(train)
    implementation = importlib.import_module(f"functions.train.{_MODULES[engine]}")
    start = _warm(warm, train, algorithm, parameters) if warm else None
    with _ONE_BLAS_THREAD():
        found = implementation.fit(ratings, algorithm, parameters, seed, n_threads, on_epoch, start)
        refuse_infinite(parameters, "in the end", *found[4:])
        return _model(_centred(found, ratings), watched or watch(train, seed), train)


def watch(train: RatingMatrix, seed: int) -> Watched:
    """Return how the users who rated watch the movies that are rated: a part of every model, whatever its algorithm."""
    rows, columns, _ = train.triples()
    with _ONE_BLAS_THREAD():
        return tastes.fit(_dense(rows), _dense(columns), seed)


def _dense(indices: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return indices counted anew without those that do not occur, in the same order."""
    places: NDArray[np.int64] = np.cumsum(np.bincount(indices) > 0) - 1
    return places[indices]


def _model(found: Fitted, watched: Watched, train: RatingMatrix) -> FactorModel:
    values = train.ratings.data
    return FactorModel(
        mean=found.mean,
        user_bias=found.user_bias,
        item_bias=found.item_bias,
        user_factors=found.user_factors,
        item_factors=found.item_factors,
        implicit_factors=found.implicit_factors,
        implicit_mean=_implicit_mean(found, train.ratings),
        watching=watched.watching,
        user_tastes=watched.tastes,
        users=[train.users[row] for row in found.rows.tolist()],
        movies=[train.movies[column] for column in found.columns.tolist()],
        spread=float(values.std(dtype=np.float64)),
        lowest=float(values.min()),
        highest=float(values.max()),
    )


def _centred(found: Fitted, ratings: sparse.csr_array) -> Fitted:
    """Return the same predictions with the average user's bias and factors at 0, each user weighing as many ratings.

    With b̄ and w̄ the averages: μ + b̄, b_u - b̄, w_u - w̄, b_i + q_i · w̄. A user whom the model does not know is then
    predicted as the average one. Not so before: a user of no factors at all is like nobody.
    """
    weights = (np.diff(ratings.indptr)[found.rows] / ratings.nnz).astype(np.float32)
    bias = float(weights @ found.user_bias)
    factors: Floats = weights @ found.user_factors
    user_bias: Floats = found.user_bias - np.float32(bias)
    user_factors: Floats = found.user_factors - factors
    item_bias: Floats = found.item_bias + found.item_factors @ factors
    return found._replace(mean=found.mean + bias, user_bias=user_bias, user_factors=user_factors, item_bias=item_bias)


def _implicit_mean(found: Fitted, ratings: sparse.csr_array) -> Floats:
    """Return z̄ = Σ_u n_u z_u / n, the implicit sum of the average user, zeros for SVD; z_u = |N(u)|^-½ Σ_j∈N(u) y_j."""
    if found.implicit_factors is None:
        return np.zeros(found.item_factors.shape[1], dtype=np.float32)
    n_ratings = np.diff(ratings.indptr)
    of_each = np.bincount(ratings.indices, np.repeat(n_ratings**0.5 / ratings.nnz, n_ratings), ratings.shape[1])
    mean: Floats = of_each[found.columns].astype(np.float32) @ found.implicit_factors
    return mean


def _refuse_odd(train: RatingMatrix) -> None:
    if not train.ratings.has_canonical_format:
        raise ValueError("the cells of a row are not in order, or one stands twice")
    odd = np.flatnonzero(~np.isfinite(train.ratings.data))
    if len(odd):
        row = int(np.searchsorted(train.ratings.indptr, odd[0], side="right")) - 1
        movie = train.movies[train.ratings.indices[odd[0]]]
        raise BadInput(f"user {train.users[row]!r} rated movie {movie!r} {train.ratings.data[odd[0]]}: not a number")


def _warm(model: FactorModel, train: RatingMatrix, algorithm: Algorithm, parameters: Parameters) -> Warm:
    n_factors = model.item_factors.shape[1]
    if n_factors != parameters.n_factors or (model.implicit_factors is None) != (algorithm == "svd"):
        kind = "SVD" if model.implicit_factors is None else "SVD++"
        raise BadInput(
            f"cannot start {algorithm} with {parameters.n_factors} factors from {kind} with {n_factors} factors"
        )
    return Warm(model, places(train.users, model.user_index), places(train.movies, model.movie_index))
