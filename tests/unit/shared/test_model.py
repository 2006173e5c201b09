import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from shared import npz
from shared.errors import Corrupt
from shared.fold_in import ridge
from shared.model import FACTORS, FactorModel, Profile, below
from shared.ranking import best
from shared.watching import Watching

MODEL = FactorModel(
    mean=3.0,
    user_bias=np.array([0.5, -0.5], "<f4"),
    item_bias=np.array([0.0, 1.0, -1.0], "<f4"),
    user_factors=np.array([[1, 0], [0, 2]], "<f4"),
    item_factors=np.array([[1, 1], [0, 0], [-1, 0]], "<f4"),
    implicit_factors=None,
    implicit_mean=np.zeros(2, "<f4"),
    watching=Watching(
        share=np.array([0.5, 0.25, 0.25], "<f4"),
        axes=np.array([[0], [0.5], [-0.5]], "<f4"),
        inertia=np.array([1], "<f4"),
    ),
    user_tastes=np.array([[0.2], [0]], "<f4"),
    users=["7", "8"],
    movies=["a", "b", "c"],
    spread=1.5,
    lowest=0.5,
    highest=5.0,
)
FILES = MODEL.to_files()
IMPLICIT = dataclasses.replace(
    MODEL,
    implicit_factors=np.array([[1, 2], [3, 0], [0, -1]], "<f4"),
    implicit_mean=np.array([2, 1], "<f4"),
)


def test_a_prediction_by_hand():
    """μ + b_u + b_i + q_i · p_u: 3 + 0.5 + 0 + 1 for user 7 and movie a."""
    assert MODEL.ratings(0) == pytest.approx([4.5, 4.5, 1.5])
    assert MODEL.predict(["7", "8"], ["a", "c"]) == pytest.approx([4.5, 1.5])


def test_a_score_by_hand():
    """π̂ · Φ((r̂ - μ) / s): user 7 watches a, b, c with 0.5, 0.35, 0.15; r̂ is 1, 1, -1 deviations off the mean."""
    high, low = 0.841345, 0.158655
    assert MODEL.scores(0) == pytest.approx([0.5 * high, 0.35 * high, 0.15 * low], rel=1e-5)


def test_a_model_of_equal_ratings_ranks_by_what_is_watched():
    """If all ratings are the same there is no spread, and half of everything is above the mean."""
    equal = dataclasses.replace(
        MODEL,
        spread=0.0,
        user_bias=np.zeros(2, "<f4"),
        item_bias=np.zeros(3, "<f4"),
        item_factors=np.zeros((3, 2), "<f4"),
    )
    assert equal.scores(0) == pytest.approx([0.25, 0.175, 0.075])


def test_a_user_is_scored_alike_by_row_and_by_profile():
    """Trained and folded-in users take one path."""
    trained = Profile(0.5, MODEL.user_factors[0], MODEL.user_tastes[0])
    assert (MODEL.scores(trained) == MODEL.scores(0)).all()
    assert (MODEL.ratings(trained) == MODEL.ratings(0)).all()


def test_folding_in_by_hand():
    """A 5 for movie b, which has no factors: 5 - 3 - 1 is left, shrunk to b_u = 1/11; one watch halves the way to b."""
    user = MODEL.fold_in([], {"b": 5})
    assert user.bias == pytest.approx(1 / 11)
    assert user.factors == pytest.approx([0, 0])
    assert user.taste == pytest.approx([(0.5 - 0) / 2])
    assert MODEL.ratings(user) == pytest.approx([3 + 1 / 11, 4 + 1 / 11, 2 + 1 / 11])


@pytest.mark.parametrize("model", [MODEL, IMPLICIT])
def test_of_whom_nothing_is_known_is_the_average_user(model):
    """Without watches and ratings, or with those of unknown movies only, all is 0."""
    for user in (model.fold_in([], {}), model.fold_in(["y"], {"z": 5})):
        assert (user.bias, *user.factors, *user.taste) == (0, 0, 0, 0)
        assert model.ratings(user) == pytest.approx([3, 4, 2])


@pytest.mark.parametrize("model", [MODEL, IMPLICIT])
def test_unknown_movies_and_repetition_change_nothing(model):
    """A movie that the model does not know is ignored; to watch one twice, or also to rate it, is to watch it once."""
    plain = model.fold_in(["c"], {"a": 4, "b": 1})
    for other in (
        model.fold_in(["c", "z"], {"a": 4, "b": 1, "y": 5}),
        model.fold_in(["b", "c", "c", "a"], {"b": 1, "a": 4}),
    ):
        assert other.bias == pytest.approx(plain.bias)
        assert other.factors == pytest.approx(plain.factors)
        assert other.taste == pytest.approx(plain.taste)


def test_a_watch_moves_a_user_of_svdpp_as_the_equation_says():
    """|N|^-½ Σ y_j is (3 + 0, 0 - 1) / √2, less (2, 1) of the average user; two watches count 2 of 52. SVD stays."""
    away = np.array([3, -1]) / np.sqrt(2) - [2, 1]
    assert IMPLICIT.fold_in(["b", "c"], {}).factors == pytest.approx(away * 2 / 52, rel=1e-5)
    assert MODEL.fold_in(["b", "c"], {}).factors == pytest.approx([0, 0])


def test_svdpp_explains_by_watches_before_it_asks_the_ratings():
    """Rated a, watched b: the sum is (4, 2) / √2, and the ridge is of what it leaves of the rating."""
    implicit = (np.array([4, 2]) / np.sqrt(2) - [2, 1]) * 2 / 52
    bias, factors = ridge(IMPLICIT.item_factors[:1], np.array([4 - 3 - 0 - implicit.sum()]))
    user = IMPLICIT.fold_in(["b"], {"a": 4})
    assert user.bias == pytest.approx(bias)
    assert user.factors == pytest.approx(implicit + factors)


@pytest.mark.parametrize("rating", [float("nan"), float("inf")])
@pytest.mark.parametrize("movie", ["a", "unknown"])
def test_a_rating_that_is_no_number_is_named(movie, rating):
    """Of a known movie or not."""
    with pytest.raises(ValueError, match=f"movie '{movie}' is {rating}"):
        MODEL.fold_in([], {"b": 3, movie: rating})


def test_who_is_unknown_counts_as_average():
    """An unknown user has no bias and no factors, an unknown movie neither, both together are the mean."""
    assert MODEL.predict(["9", "7", "9"], ["b", "z", "z"]) == pytest.approx([4.0, 3.5, 3.0])


def test_predictions_stay_on_the_scale():
    """No prediction is better than the best rating."""
    keen = dataclasses.replace(MODEL, mean=4.9)
    assert keen.predict(["7"], ["b"]) == pytest.approx([5.0])


def test_a_model_comes_back_as_it_went_in():
    """What is loaded predicts the same and is stored as the same bytes; so is one with implicit factors."""
    assert FactorModel.from_files(FILES).to_files() == FILES
    implicit = dataclasses.replace(MODEL, implicit_factors=MODEL.item_factors)
    loaded = FactorModel.from_files(implicit.to_files())
    assert loaded.implicit_factors is not None
    assert (loaded.implicit_factors == MODEL.item_factors).all()
    assert FactorModel.from_files(FILES).implicit_factors is None


@given(st.randoms(use_true_random=False))
def test_a_damaged_model_is_refused_or_well_formed(chance):
    """Even without the manifest's checksum a flipped bit never gives a model that crashes."""
    data = bytearray(FILES[FACTORS])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    try:
        model = FactorModel.from_files({FACTORS: bytes(data)})
    except Corrupt:
        return
    model.predict(["7"], ["a"])
    with np.errstate(over="ignore", invalid="ignore"):
        model.scores(model.fold_in(["a"], {"b": 4}))


@pytest.mark.parametrize(
    "change",
    [
        {"user_bias": np.zeros(3, "<f4")},
        {"user_factors": np.zeros((2, 3), "<f4")},
        {"implicit_factors": np.zeros((2, 2), "<f4")},
        {"user_tastes": np.zeros((2, 2), "<f4")},
        {"user_tastes": np.full((2, 1), np.nan, "<f4")},
        {"watching": dataclasses.replace(MODEL.watching, share=np.ones(2, "<f4"))},
        {"watching": dataclasses.replace(MODEL.watching, share=-MODEL.watching.share)},
        {"watching": dataclasses.replace(MODEL.watching, axes=np.ones((2, 1), "<f4"))},
        {"watching": dataclasses.replace(MODEL.watching, axes=np.full((3, 1), np.inf, "<f4"))},
        {"watching": dataclasses.replace(MODEL.watching, inertia=np.ones(2, "<f4"))},
        {"watching": dataclasses.replace(MODEL.watching, inertia=np.zeros(1, "<f4"))},
        {"spread": -1.0},
        {"spread": float("inf")},
        {"users": ["7", "7"]},
        {"movies": [], "item_bias": np.zeros(0, "<f4"), "item_factors": np.zeros((0, 2), "<f4")},
        {"lowest": 6.0},
        {"mean": float("nan")},
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(change):
    """Every array is checked against the others, and the ends of the scale."""
    with pytest.raises(Corrupt):
        FactorModel.from_files(dataclasses.replace(MODEL, **change).to_files())


def test_a_model_without_factors_is_refused():
    """The one file of a model must be there."""
    with pytest.raises(Corrupt, match="without"):
        FactorModel.from_files({"other.npz": npz.dump({})})


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    st.integers(1, 20),
    st.sets(st.integers(0, 29)),
)
def test_best_is_what_sorting_everything_gives(scores, n, without):
    """The partition finds the same places, in the same order, as the slow way."""
    slow = sorted((place for place in range(len(scores)) if place not in without), key=lambda p: (-scores[p], p))[:n]
    excluded = np.array([place for place in without if place < len(scores)] + [-1], dtype=np.int64)
    assert best(np.array(scores, dtype="<f4"), n, excluded).tolist() == slow


def test_the_normal_distribution_is_scipys():
    """To six digits, far out too, where nothing may become negative or more than 1."""
    z = np.linspace(-12, 12, 10_001, dtype=np.float32)
    np.testing.assert_allclose(below(z), ndtr(z.astype(float)), atol=3e-7)
    assert ((below(z) >= 0) & (below(z) <= 1)).all()
