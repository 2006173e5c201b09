"""Models that are worse on purpose, to see that they are found out."""

import dataclasses

import numpy as np

from shared.model import FactorModel


def shuffled(model: FactorModel, seed: int, share: float = 1.0) -> FactorModel:
    """Return a model that takes a share of the movies for one another: as sure as it was, and wrong about those."""
    chance = np.random.default_rng(seed)
    order = np.arange(len(model.movies))
    mistaken = chance.choice(order, round(share * len(order)), replace=False)
    order[mistaken] = chance.permutation(mistaken)
    return dataclasses.replace(model, movies=[model.movies[place] for place in order.tolist()])
