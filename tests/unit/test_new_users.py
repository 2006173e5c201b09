"""Users of data/movielens-small who are withheld from training, and folded in from the first of their ratings."""

from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.ratings import most_liked
from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core as training
from infra.local.machine import ROOT
from shared import accuracy
from shared.events import ALGORITHMS
from shared.matrix import RatingMatrix
from shared.model import FactorModel
from shared.ranking import best

LIKED = 4.0


class World(NamedTuple):
    """A model, what it was trained on, and movies with ratings, oldest first, of each user that it has not seen."""

    model: FactorModel
    train: RatingMatrix
    popular: list[str]
    newcomers: list[list[tuple[str, float]]]


@pytest.fixture(scope="module", params=ALGORITHMS)
def world(request):
    """Every fifth user is withheld, by a seeded draw."""
    ratings = read_ratings(ROOT / "data/movielens-small/ratings.csv.gz").sort_by("time")
    users = ratings["user_id"].to_numpy()
    withheld = np.random.default_rng(1).permutation(np.unique(users))[::5]
    new = ratings.filter(np.isin(users, withheld))
    newcomers = {user: [] for user in withheld}
    for user, movie, rating in zip(*(new[name].to_pylist() for name in ("user_id", "movie_id", "rating")), strict=True):
        newcomers[user].append((movie, rating))
    split = building.build(
        gather.ratings(ratings.filter(~np.isin(users, withheld)).to_batches()), validation_fraction=0
    )
    model = training.fit(split.train, request.param, training.DEFAULTS[request.param], seed=1)
    return World(model, split.train, most_liked(split.train), list(newcomers.values()))


@pytest.mark.parametrize("n_revealed", [5, 10, 20])
def test_ratings_are_foretold_better_than_by_biases(world, n_revealed):
    """RMSE on all later ratings, against μ + b_i + b_u with b_u shrunk from the same first ratings."""
    model, fitted = world.model, accuracy.biases(*world.train.triples(), world.train.ratings.shape)
    truth, folded_in, by_biases = [], [], []
    for newcomer in world.newcomers:
        known = [(model.movie_index[movie], rating) for movie, rating in newcomer if movie in model.movie_index]
        places, values = (np.array(each) for each in zip(*known, strict=True))
        early, late = np.split(np.arange(len(known)), [n_revealed])
        left = values[early] - fitted.mean - fitted.item[places[early]]
        truth.append(values[late])
        by_biases.append(fitted.mean + fitted.item[places[late]] + left.sum() / (accuracy.USER_SHRINKAGE + len(early)))
        profile = model.fold_in((), {model.movies[place]: value for place, value in known[:n_revealed]})
        folded_in.append(model.ratings(profile)[places[late]])
    errors = [
        accuracy.rmse(np.concatenate(truth), np.clip(np.concatenate(each), model.lowest, model.highest))
        for each in (folded_in, by_biases)
    ]
    assert errors[0] < errors[1] - 0.005


@pytest.mark.parametrize(("share_revealed", "margin"), [(0.0, -0.02), (0.5, 0.06)])
def test_lists_hit_more_often_than_popular_movies(world, share_revealed, margin):
    """HR@20 on liked later movies after half of a user's ratings; with none, lists are no worse than the popular."""
    assert _hit_rate(world, share_revealed, personal=True) > _hit_rate(world, share_revealed, personal=False) + margin


def _hit_rate(world: World, share_revealed: float, personal: bool) -> float:
    model, hits = world.model, []
    for newcomer in world.newcomers:
        n_revealed = int(len(newcomer) * share_revealed)
        seen, liked = dict(newcomer[:n_revealed]), {m for m, rating in newcomer[n_revealed:] if rating >= LIKED}
        if not liked:
            continue
        if personal:
            without = np.array([model.movie_index.get(movie, -1) for movie in seen], dtype=np.int64)
            found = [model.movies[place] for place in best(model.scores(model.fold_in((), seen)), 20, without)]
        else:
            found = [movie for movie in world.popular if movie not in seen][:20]
        hits.append([movie in liked for movie in found])
    return accuracy.hit_rate(np.array(hits))
