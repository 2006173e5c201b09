"""The best movies, found among a few, are the best of all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import FactorModel, Profile
from shared.ranking import best, top
from shared.watching import Watching


def model(n_movies, steepness, seed=0):
    """Return a model of random factors; a movie is watched less the further down it stands, by `steepness`."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, n_movies + 1) ** steepness
    rng.shuffle(share)
    share /= share.sum()
    axes = np.linalg.qr(rng.normal(size=(n_movies, 4)))[0] if n_movies > 3 else np.zeros((n_movies, 4))
    f4 = {"dtype": "<f4"}
    return FactorModel(
        mean=3.5,
        user_bias=np.zeros(1, **f4),
        item_bias=rng.normal(0, 0.4, n_movies).astype("<f4"),
        user_factors=np.zeros((1, 8), **f4),
        item_factors=rng.normal(0, 0.4, (n_movies, 8)).astype("<f4"),
        implicit_factors=None,
        implicit_mean=np.zeros(8, **f4),
        watching=Watching(share.astype("<f4"), axes.astype("<f4"), np.full(4, 50, **f4)),
        user_tastes=np.zeros((1, 4), **f4),
        users=["1"],
        movies=[f"m{each}" for each in range(n_movies)],
        spread=1.0,
        lowest=0.5,
        highest=5.0,
    )


@settings(max_examples=60)
@given(st.sampled_from([1, 5, 300, 3_000]), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 1_000))
def test_top_is_the_best_of_all_scores(n_movies, steepness, seed):
    """Whether few movies are watched most or all alike: the scores of a full search, none of those left out."""
    rng = np.random.default_rng(seed)
    found_in = model(n_movies, steepness, seed)
    user = Profile(0.1, rng.normal(0, 0.5, 8).astype("<f4"), rng.normal(0, 0.002, 4).astype("<f4"))
    without = np.append(rng.integers(0, n_movies, 7), -1)
    found = top(found_in, user, 20, without)
    scores = found_in.scores(user)
    expected = best(scores, 20, without)
    np.testing.assert_allclose(found.scores, scores[expected], rtol=1e-5)
    assert set(found.places.tolist()).isdisjoint(without.tolist())
    np.testing.assert_allclose(found.ratings, found_in.ratings(user)[found.places], rtol=1e-5)


def test_few_movies_are_looked_at(monkeypatch):
    """Where watches have a long tail the first look is enough: a hundredth of 30,000 movies is rated."""
    looked_at = []
    ratings = FactorModel.ratings
    monkeypatch.setattr(
        FactorModel, "ratings", lambda self, user, places: looked_at.append(len(places)) or ratings(self, user, places)
    )
    top(model(30_000, 1.0), Profile(0.0, np.zeros(8, "<f4"), np.zeros(4, "<f4")), 20, np.zeros(0, np.int64))
    assert sum(looked_at) <= 300


@pytest.mark.parametrize("n_movies", [1, 19, 21])
def test_of_few_movies_all_that_are_left_come(n_movies):
    """Fewer than asked for, if fewer are left."""
    found = top(model(n_movies, 0.5), Profile(0.0, np.zeros(8, "<f4"), np.zeros(4, "<f4")), 20, np.array([0]))
    assert len(found.places) == min(20, n_movies - 1)
