"""Users withheld from training and folded in from their first ratings, beside popularity and the bias-only model."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.ratings import SAMPLE, most_liked
from benchmarks.report import Result
from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core
from shared import accuracy
from shared.events import ALGORITHMS, Algorithm
from shared.model import FactorModel
from shared.ranking import best

N_FOLDS, K, LIKED = 5, 20, 4.0
REVEALED: Final = (0, 1, 5, 10, 20, "half")
Ratings = list[tuple[str, float]]


@dataclass(frozen=True)
class World:
    """What was trained, what everybody likes, the biases, and whom training has not seen, oldest rating first."""

    model: FactorModel
    popular: list[str]
    biases: accuracy.Biases
    newcomers: list[Ratings]


def run() -> list[Result]:
    """Withhold every user once, in five folds; reveal the first k ratings of each."""
    results = []
    for algorithm in ALGORITHMS:
        worlds = [world(algorithm, fold) for fold in range(N_FOLDS)]
        table = {str(k): measured(worlds, k) for k in REVEALED}
        claim = f"{algorithm}: who reveals half of their ratings is served better than by popularity, HR@20"
        hit, popular = table["half"]["HR@20"], table["half"]["HR@20, popular"]
        results.append(Result(claim, hit, popular, "share", hit / popular, 1.05, {"by ratings revealed": table}))
        claim = f"{algorithm}: who reveals 5 ratings is foretold better than by biases, RMSE"
        rmse, biases = table["5"]["RMSE"], table["5"]["RMSE, biases"]
        results.append(Result(claim, rmse, biases, "RMSE", biases / rmse, 1.005))
    return results


def world(algorithm: Algorithm, fold: int) -> World:
    """Train without every fifth user."""
    ratings = read_ratings(SAMPLE).sort_by("time")
    users = ratings["user_id"].to_numpy()
    withheld = np.isin(users, np.random.default_rng(1).permutation(np.unique(users))[fold::N_FOLDS])
    newcomers: dict[str, Ratings] = defaultdict(list)
    columns = (ratings.filter(withheld)[name].to_pylist() for name in ("user_id", "movie_id", "rating"))
    for user, movie, rating in zip(*columns, strict=True):
        newcomers[user].append((movie, rating))
    train = building.build(gather.ratings(ratings.filter(~withheld).to_batches()), validation_fraction=0).train
    model = core.fit(train, algorithm, core.DEFAULTS[algorithm], seed=1)
    biases = accuracy.biases(*train.triples(), train.ratings.shape)
    return World(model, most_liked(train), biases, list(newcomers.values()))


def measured(worlds: list[World], k: int | str) -> dict[str, float]:
    """Return the mean over all newcomers who go on after k ratings, or after half of theirs."""
    hits: dict[str, list[bool]] = defaultdict(list)
    errors: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for each in worlds:
        for newcomer in each.newcomers:
            n = len(newcomer) // 2 if k == "half" else int(k)
            seen, later = dict(newcomer[:n]), newcomer[n:]
            liked = {movie for movie, rating in later if rating >= LIKED}
            if liked:
                hits["HR@20"].append(bool(liked & set(listed(each.model, seen))))
                hits["HR@20, popular"].append(bool(liked & set([m for m in each.popular if m not in seen][:K])))
            for name, found in foretold(each, newcomer, n).items():
                errors[name].append(found)
    shares = {name: round(float(np.mean(found)), 4) for name, found in hits.items()}
    return shares | {n: round(float(np.sqrt(np.concatenate(found).mean())), 4) for n, found in errors.items()}


def listed(model: FactorModel, seen: dict[str, float]) -> list[str]:
    """Return the 20 movies that a newcomer is served."""
    without = np.array([model.movie_index.get(movie, -1) for movie in seen], dtype=np.int64)
    return [model.movies[place] for place in best(model.scores(model.fold_in((), seen)), K, without)]


def foretold(world: World, newcomer: Ratings, n: int) -> dict[str, NDArray[np.float64]]:
    """Return the squared errors on all that comes after n ratings, of movies that training knows."""
    model = world.model
    known = [(model.movie_index[movie], rating) for movie, rating in newcomer[n:] if movie in model.movie_index]
    early = {movie: rating for movie, rating in newcomer[:n] if movie in model.movie_index}
    places, truth = np.array([place for place, _ in known], dtype=np.int64), np.array([rating for _, rating in known])
    first = np.array([model.movie_index[movie] for movie in early], dtype=np.int64)
    left = np.array(list(early.values())) - world.biases.mean - world.biases.item[first]
    bias = left.sum() / (accuracy.USER_SHRINKAGE + len(first))
    by_biases = world.biases.mean + world.biases.item[places] + bias
    ratings = model.ratings(model.fold_in((), early))[places]
    clipped = {"RMSE": ratings, "RMSE, biases": by_biases}
    return {name: (np.clip(each, model.lowest, model.highest) - truth) ** 2 for name, each in clipped.items()}
