"""The engine `surprise`: scikit-surprise, the field's reference, on one thread; anybody can compare."""

import numpy as np
from scipy import sparse
from surprise import SVD, SVDpp
from surprise.trainset import Trainset

from functions.train.engine import Fitted, OnEpoch, Parameters, Warm
from shared.errors import BadInput
from shared.events import Algorithm
from shared.model import Floats


def fit(
    ratings: sparse.csr_array,
    algorithm: Algorithm,
    parameters: Parameters,
    seed: int,
    n_threads: int,  # noqa: ARG001  it knows one
    on_epoch: OnEpoch,
    warm: Warm | None = None,
) -> Fitted:
    """Return what scikit-surprise finds. Raises: BadInput if it cannot do what is asked."""
    if warm or parameters.patience or parameters.lr_final != 1:
        raise BadInput("the engine surprise knows no warm start, no patience and no lr_final; use the engine marquee")
    kind = SVD if algorithm == "svd" else SVDpp
    cells = ratings.tocoo()
    users, rows = np.unique(cells.coords[0], return_inverse=True)
    movies, columns = np.unique(cells.coords[1], return_inverse=True)
    trainset = _trainset(rows, columns, cells.data)
    steps = {"lr_all": parameters.lr, "lr_bu": parameters.lr_bias, "lr_bi": parameters.lr_bias}
    found = kind(
        n_factors=parameters.n_factors,
        n_epochs=parameters.n_epochs,
        **steps,
        reg_all=parameters.reg,
        init_std_dev=parameters.init_std,
        random_state=seed,
    ).fit(trainset)
    on_epoch(parameters.n_epochs, None)
    user_factors, implicit = found.pu, None
    if algorithm == "svdpp":
        watched = ([column for column, _ in trainset.ur[row]] for row in range(len(users)))
        user_factors = user_factors + np.array([found.yj[some].sum(0) / np.sqrt(len(some)) for some in watched])
        implicit = _float32(found.yj)
    return Fitted(
        users.astype(np.int64),
        movies.astype(np.int64),
        float(ratings.data.mean(dtype=np.float64)),
        _float32(found.bu),
        _float32(found.bi),
        _float32(user_factors),
        _float32(found.qi),
        implicit,
    )


def _trainset(rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> Trainset:
    """Return ratings at dense indices as scikit-surprise has them, its inner ids ours."""
    n_users, n_movies = int(rows.max()) + 1, int(columns.max()) + 1
    by_user: dict[int, list[tuple[int, float]]] = {row: [] for row in range(n_users)}
    by_movie: dict[int, list[tuple[int, float]]] = {column: [] for column in range(n_movies)}
    for row, column, value in zip(rows.tolist(), columns.tolist(), values.tolist(), strict=True):
        by_user[row].append((column, value))
        by_movie[column].append((row, value))
    ids = [{index: index for index in range(n)} for n in (n_users, n_movies)]
    return Trainset(by_user, by_movie, n_users, n_movies, len(values), (float(values.min()), float(values.max())), *ids)


def _float32(array: np.ndarray) -> Floats:
    return np.ascontiguousarray(array, dtype="<f4")
