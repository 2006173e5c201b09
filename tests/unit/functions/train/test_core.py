import dataclasses

import numpy as np
import pytest

from functions.build_matrix import core as building
from functions.train import core
from shared.events import ALGORITHMS
from tests.ratings import checkerboard, table

TRAIN = building.build(table(checkerboard(6)), 0.0).train
QUICK = core.Parameters(n_factors=4, n_epochs=200, lr=0.02, reg=0.01)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_withheld_cell_ranks_first(algorithm):
    """Of the movies that user 1 has not rated there is one, and its colour says that it is a 5."""
    model = core.fit(TRAIN, algorithm, QUICK, seed=1)
    rated = {TRAIN.movies[column] for column in TRAIN.rated(TRAIN.user_index["1"])}
    assert set(TRAIN.movies) - rated == {"m0"}
    of_other_colour = model.predict(["1"] * 3, ["m1", "m3", "m5"])
    assert model.predict(["1"], ["m0"])[0] > of_other_colour.max() + 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fit_repeats_itself(algorithm):
    """The same data, parameters and seed give the same bytes; another seed gives others."""
    first, again, other = (core.fit(TRAIN, algorithm, QUICK, seed).to_files() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_knows_only_whom_it_was_trained_on(algorithm):
    """Users and movies of the vocabulary without a training rating are not in the model."""
    split = building.build(table([*checkerboard(4), ("99", "new", 5, 9_999)]), 0.01)
    assert "99" in split.train.users
    model = core.fit(split.train, algorithm, QUICK, seed=1)
    assert "99" not in model.user_index
    assert "new" not in model.movie_index


def test_svdpp_keeps_its_implicit_factors():
    """SVD++ can fold later watches in, so y_j stays; SVD has none."""
    assert core.fit(TRAIN, "svdpp", QUICK, 1).implicit_factors is not None
    assert core.fit(TRAIN, "svd", QUICK, 1).implicit_factors is None


def test_nothing_cannot_be_fitted():
    """A matrix without ratings is an error, not a model."""
    empty = dataclasses.replace(TRAIN, ratings=TRAIN.ratings * 0)
    empty.ratings.eliminate_zeros()
    with pytest.raises(ValueError, match="nothing to fit"):
        core.fit(empty, "svd", QUICK, 1)


def test_the_version_names_everything_that_makes_the_model():
    """Another matrix, algorithm, parameter, seed or library is another version."""
    base = ("m1", "svd", QUICK, 0, {"numpy": "2"})
    others = [
        ("m2", *base[1:]),
        (base[0], "svdpp", *base[2:]),
        (*base[:2], dataclasses.replace(QUICK, reg=0.1), *base[3:]),
        (*base[:3], 1, base[4]),
        (*base[:4], {"numpy": "3"}),
    ]
    versions = [core.model_version(*each) for each in (base, *others)]
    assert len(set(versions)) == len(versions)
    assert core.model_version(*base) == versions[0]


def test_the_mean_is_the_mean_of_the_ratings():
    """μ is measured, not fitted."""
    assert core.fit(TRAIN, "svd", QUICK, 1).mean == pytest.approx(np.mean(TRAIN.triples()[2]))
