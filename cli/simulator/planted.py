"""Models that are worse on purpose, to see that they are found out."""

import dataclasses

import numpy as np

from shared.model import FactorModel


def shuffled(model: FactorModel, seed: int) -> FactorModel:
    """Return a model that takes every movie for another one: as sure as the model it was, and of no use."""
    order = np.random.default_rng(seed).permutation(len(model.movies)).tolist()
    return dataclasses.replace(model, movies=[model.movies[place] for place in order])
