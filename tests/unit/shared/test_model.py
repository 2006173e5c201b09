import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import npz
from shared.errors import Corrupt
from shared.model import FACTORS, FactorModel, best

MODEL = FactorModel(
    mean=3.0,
    user_bias=np.array([0.5, -0.5], "<f4"),
    item_bias=np.array([0.0, 1.0, -1.0], "<f4"),
    user_factors=np.array([[1, 0], [0, 2]], "<f4"),
    item_factors=np.array([[1, 1], [0, 0], [-1, 0]], "<f4"),
    implicit_factors=None,
    users=["7", "8"],
    movies=["a", "b", "c"],
    lowest=0.5,
    highest=5.0,
)
FILES = MODEL.to_files()


def test_a_prediction_by_hand():
    """μ + b_u + b_i + q_i · p_u: 3 + 0.5 + 0 + 1 for user 7 and movie a."""
    assert MODEL.scores(0) == pytest.approx([4.5, 4.5, 1.5])
    assert MODEL.predict(["7", "8"], ["a", "c"]) == pytest.approx([4.5, 1.5])


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


@pytest.mark.parametrize(
    "change",
    [
        {"user_bias": np.zeros(3, "<f4")},
        {"user_factors": np.zeros((2, 3), "<f4")},
        {"implicit_factors": np.zeros((2, 2), "<f4")},
        {"users": ["7", "7"]},
        {"movies": [], "item_bias": np.zeros(0, "<f4"), "item_factors": np.zeros((0, 2), "<f4")},
        {"mean": 9.0},
        {"mean": float("nan")},
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(change):
    """Every array is checked against the others, and the mean against the scale."""
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
