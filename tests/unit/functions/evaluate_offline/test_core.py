import dataclasses

import numpy as np
import pytest

from functions.evaluate_offline import core
from shared import accuracy
from shared.matrix import Split
from shared.model import FactorModel
from tests.models import indifferent
from tests.ratings import split_of

OLD = [("1", "a", 5, 1), ("1", "b", 1, 2), ("2", "a", 5, 3), ("2", "c", 3, 4)]
NEW = [("1", "c", 4, 10), ("2", "b", 2, 11), ("9", "a", 5, 12)]


def split() -> Split:
    found = split_of(OLD + NEW, 3 / 7)
    assert (found.train.n_ratings, found.validation.n_ratings) == (4, 3)
    return found


def model() -> FactorModel:
    """Biases only: movie a is a 5, b a 1.5, c a 3.5."""
    return FactorModel(
        mean=3.5,
        user_bias=np.zeros(2, "<f4"),
        item_bias=np.array([1.5, -2, 0], "<f4"),
        user_factors=np.zeros((2, 1), "<f4"),
        item_factors=np.zeros((3, 1), "<f4"),
        implicit_factors=None,
        implicit_mean=np.zeros(1, "<f4"),
        watching=indifferent(3),
        user_tastes=np.zeros((2, 0), "<f4"),
        users=["1", "2"],
        movies=["a", "b", "c"],
        spread=1.5,
        lowest=1.0,
        highest=5.0,
    )


def test_the_report_by_hand():
    """Errors of 0.5, 0.5 and 0 on the three newer ratings; one of them by a user nobody knew."""
    report = core.evaluate(model(), split())
    assert report["rmse"] == pytest.approx(np.sqrt(0.5 / 3), abs=1e-6)
    assert report["mae"] == pytest.approx(1 / 3, abs=1e-6)
    assert (report["n_train"], report["n_validation"]) == (4, 3)
    assert report["baselines"]["global_mean"]["rmse"] == pytest.approx(
        np.sqrt((0.5**2 + 1.5**2 + 1.5**2) / 3), abs=1e-6
    )
    assert report["groups"]["new"] == {"n": 1, "rmse": 0.0, "mae": 0.0}
    assert report["groups"]["1-19"]["n"] == 2
    assert report["groups"]["100+"] == {"n": 0, "rmse": None, "mae": None}


def test_rankings_are_over_movies_not_rated_before():
    """User 1 has c left, liked it later, and gets it first; user 2 liked nothing later and does not count."""
    report = core.evaluate(model(), split())
    assert (report["n_ranked_users"], report["hr@20"], report["ndcg@20"]) == (1, 1.0, 1.0)
    assert report["coverage"] == pytest.approx(2 / 3, abs=1e-6)


def test_bias_baseline_is_fitted_on_training_ratings_only():
    """With other validation values the baseline's errors are those of the very same predictions."""
    one = split()
    ratings = one.validation.ratings.copy()
    ratings.data = 6 - ratings.data
    other = dataclasses.replace(one, validation=dataclasses.replace(one.validation, ratings=ratings))
    fitted = accuracy.biases(*one.train.triples(), one.train.ratings.shape)
    for each in (one, other):
        rows, columns, truth = each.validation.triples()
        expected = np.clip(fitted.predict(rows, columns), model().lowest, model().highest)
        found = core.evaluate(model(), each)["baselines"]["biases"]["rmse"]
        assert found == pytest.approx(accuracy.rmse(truth, expected), abs=1e-6)


def test_without_validation_ratings_nothing_is_claimed():
    """What cannot be measured is None, and such a model does not pass."""
    nothing = dataclasses.replace(
        split(), validation=dataclasses.replace(split().validation, ratings=split().train.ratings * 0)
    )
    nothing.validation.ratings.eliminate_zeros()
    report = core.evaluate(model(), nothing)
    assert (report["rmse"], report["hr@20"], report["n_validation"]) == (None, None, 0)
    assert core.rmse_on(model(), nothing.validation) is None
    accepted, reason = core.gate(report, None, 0)
    assert not accepted
    assert "no validation rating" in reason


def test_rmse_on_is_the_report_s():
    """The standing model is measured exactly as the new one."""
    assert core.rmse_on(model(), split().validation) == core.evaluate(model(), split())["rmse"]


@pytest.mark.parametrize(
    ("rmse", "standing", "margin", "accepted", "words"),
    [
        (0.9, None, 0.0, True, "no model stands yet"),
        (1.0, None, 0.0, False, "no better than predicting the mean"),
        (0.9, 0.9, 0.0, True, "standing model has 0.9000"),
        (0.92, 0.9, 0.01, False, "worse than 0.9000"),
        (0.905, 0.9, 0.01, True, "beats"),
    ],
)
def test_the_gate_says_why(rmse, standing, margin, accepted, words):
    """A model must beat the mean and be no worse than the standing one by more than the margin."""
    report = {"rmse": rmse, "baselines": {"global_mean": {"rmse": 1.0}}}
    found, reason = core.gate(report, standing, margin)
    assert found is accepted
    assert words in reason
