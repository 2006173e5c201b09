import numpy as np
import pytest

from shared import accuracy
from shared.fold_in import RIDGE, ridge

CHANCE = np.random.default_rng(1)
Q = CHANCE.normal(size=(30, 4)).astype("<f4")
LEFT = CHANCE.normal(size=30)


def test_one_rating_by_hand():
    """x = (1, 2), left 3: XXᵀ is 5, so (b, p) = x · 3 / (10 + 5) = (0.2, 0.4)."""
    bias, factors = ridge(np.array([[2]], "<f4"), np.array([3.0]))
    assert (bias, *factors) == pytest.approx((0.2, 0.4))


def test_no_rating_leaves_the_prior_mean():
    """Nothing moves a user whom nothing is known of from 0."""
    bias, factors = ridge(np.zeros((0, 4), "<f4"), np.zeros(0))
    assert bias == 0
    assert factors.tolist() == [0, 0, 0, 0]


def test_without_factors_the_bias_is_the_baseline_s():
    """λ is the shrinkage of b_u in the bias-only model: Σ left / (10 + n)."""
    bias, factors = ridge(np.zeros((30, 0), "<f4"), LEFT)
    assert bias == pytest.approx(LEFT.sum() / (accuracy.USER_SHRINKAGE + 30))
    assert factors.shape == (0,)


def test_many_ratings_outweigh_the_prior():
    """Repeated ten thousand times, the ratings give what least squares gives."""
    bias, factors = ridge(np.tile(Q, (10_000, 1)), np.tile(LEFT, 10_000))
    plain = np.linalg.lstsq(np.column_stack([np.ones(30), Q]), LEFT, rcond=None)[0]
    assert (bias, *factors) == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("n", [1, 3, 30])
def test_it_is_least_squares_with_the_prior_as_ratings(n):
    """λ is as good as one more 0, of weight √λ, seen of each of b and p: solved by SVD, not by normal equations."""
    design = np.column_stack([np.ones(n), Q[:n]])
    padded = np.vstack([design, np.sqrt(RIDGE) * np.eye(5)])
    other = np.linalg.lstsq(padded, np.concatenate([LEFT[:n], np.zeros(5)]), rcond=None)[0]
    bias, factors = ridge(Q[:n], LEFT[:n])
    assert (bias, *factors) == pytest.approx(other, abs=1e-5)
