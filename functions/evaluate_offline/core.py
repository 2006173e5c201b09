"""Measure a model on ratings that are newer than all it was trained on, and say whether it may serve."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared import accuracy
from shared.matrix import RatingMatrix, Split
from shared.model import FactorModel, places
from shared.ranking import best

K: Final = 20
RELEVANT: Final = 4.0
GROUPS: Final = {"new": (0, 1), "1-19": (1, 20), "20-99": (20, 100), "100+": (100, 2**62)}
"""Groups of users by their number of training ratings, each from the first number up to but without the second."""


def evaluate(model: FactorModel, split: Split) -> dict[str, Any]:
    """Return the report of a model on the validation ratings of its split.

    Errors are of clipped predictions, with the global-mean and bias-only baselines beside them, over all ratings and by
    user activity. Rankings are for users the model knows: the 20 best movies that the user has not rated in
    training, against those rated 4 or more in validation. `coverage` is the share of the model's movies that stand
    in anybody's list. What cannot be measured is None.
    """
    rows, columns, truth = split.validation.triples()
    estimate = _predict(model, split.validation, rows, columns)
    baselines = _baselines(split, rows, columns, model)
    activity = np.diff(split.train.ratings.indptr)[rows]
    return {
        "n_train": split.train.n_ratings,
        "n_validation": len(truth),
        **_errors(truth, estimate),
        "baselines": {name: _errors(truth, values) for name, values in baselines.items()},
        "groups": {name: _group(truth, estimate, activity, *GROUPS[name]) for name in GROUPS},
        **_rankings(model, split),
    }


def rmse_on(model: FactorModel, validation: RatingMatrix) -> float | None:
    """Return a model's error on ratings, None if there are none."""
    rows, columns, truth = validation.triples()
    return _errors(truth, _predict(model, validation, rows, columns))["rmse"]


def gate(report: Mapping[str, Any], standing_rmse: float | None, margin: float) -> tuple[bool, str]:
    """Return whether a model may serve, and the reason in words.

    It must beat the global mean, and be no worse than the standing model by more than `margin`, on the same ratings.
    """
    rmse, by_mean = report["rmse"], report["baselines"]["global_mean"]["rmse"]
    if rmse is None:
        return False, "there is no validation rating to measure it on"
    if rmse >= by_mean:
        return False, f"RMSE {rmse:.4f} is no better than predicting the mean, {by_mean:.4f}"
    if standing_rmse is not None and rmse > standing_rmse + margin:
        return False, f"RMSE {rmse:.4f} is worse than {standing_rmse:.4f} of the standing model by more than {margin:g}"
    beaten = "no model stands yet" if standing_rmse is None else f"the standing model has {standing_rmse:.4f}"
    return True, f"RMSE {rmse:.4f} beats the mean's {by_mean:.4f}; {beaten}"


def _predict(
    model: FactorModel, matrix: RatingMatrix, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    users, movies = places(matrix.users, model.user_index), places(matrix.movies, model.movie_index)
    return model.predict_at(users[rows], movies[columns])


def _errors(truth: NDArray[Any], estimate: NDArray[Any]) -> dict[str, float | None]:
    if not len(truth):
        return {"rmse": None, "mae": None}
    return {"rmse": round(accuracy.rmse(truth, estimate), 6), "mae": round(accuracy.mae(truth, estimate), 6)}


def _group(
    truth: NDArray[Any], estimate: NDArray[Any], activity: NDArray[np.int32], least: int, beyond: int
) -> dict[str, Any]:
    mine = (activity >= least) & (activity < beyond)
    return {"n": int(mine.sum()), **_errors(truth[mine], estimate[mine])}


def _baselines(
    split: Split, rows: NDArray[np.int64], columns: NDArray[np.int64], model: FactorModel
) -> dict[str, NDArray[Any]]:
    fitted = accuracy.biases(*split.train.triples(), split.train.ratings.shape)
    by_biases = np.clip(fitted.predict(rows, columns), model.lowest, model.highest)
    return {"global_mean": np.full(len(rows), fitted.mean), "biases": by_biases}


def _rankings(model: FactorModel, split: Split) -> dict[str, Any]:
    place = np.array([model.movie_index.get(movie, -1) for movie in split.train.movies], dtype=np.int64)
    hits, n_relevant = [], []
    recommended = np.zeros(len(model.movies), dtype=bool)
    for row, user in enumerate(split.train.users):
        if user not in model.user_index:
            continue
        found = best(model.scores(model.user_index[user]), K, without=place[split.train.rated(row)])
        recommended[found] = True
        relevant = place[split.validation.rated(row, at_least=RELEVANT)]
        if len(relevant):
            hits.append(np.pad(np.isin(found, relevant), (0, K - len(found))))
            n_relevant.append(len(relevant))
    return {
        "n_ranked_users": len(hits),
        "hr@20": round(accuracy.hit_rate(np.array(hits)), 6) if hits else None,
        "ndcg@20": round(accuracy.ndcg(np.array(hits), np.array(n_relevant)), 6) if hits else None,
        "coverage": round(float(recommended.mean()), 6),
    }
