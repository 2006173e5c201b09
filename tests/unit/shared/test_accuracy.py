import math

import numpy as np
import pytest

from shared import accuracy


def test_rmse_and_mae_by_hand():
    """Errors of 1, 0 and 2 have RMSE sqrt(5/3) and MAE 1."""
    truth, estimate = [4, 3, 1], [3, 3, 3]
    assert accuracy.rmse(truth, estimate) == pytest.approx(math.sqrt(5 / 3))
    assert accuracy.mae(truth, estimate) == pytest.approx(1)


@pytest.mark.parametrize(("truth", "estimate"), [([], []), ([1, 2], [1]), ([[1]], [[1]])])
def test_errors_refuse_what_has_no_mean(truth, estimate):
    """No rating, or shapes that differ, is an error and never a number."""
    with pytest.raises(ValueError, match=r"no rating|both must be"):
        accuracy.rmse(truth, estimate)
    with pytest.raises(ValueError, match=r"no rating|both must be"):
        accuracy.mae(truth, estimate)


def test_hit_rate_counts_users_not_hits():
    """Two hits of one user count once: one of two users was hit."""
    hits = np.array([[True, False, True], [False, False, False]])
    assert accuracy.hit_rate(hits) == 0.5


def test_ndcg_by_hand():
    """A hit at ranks 1 and 3 of 2 relevant movies, and none for the other user."""
    hits = np.array([[True, False, True], [False, False, False]])
    ideal = 1 + 1 / math.log2(3)
    assert accuracy.ndcg(hits, np.array([2, 1])) == pytest.approx((1 + 0.5) / ideal / 2)


def test_ndcg_is_one_when_all_relevant_movies_stand_first():
    """The best possible order scores 1, also when more movies are relevant than the list has room for."""
    assert accuracy.ndcg(np.array([[True, True, False]]), np.array([2])) == pytest.approx(1)
    assert accuracy.ndcg(np.array([[True, True]]), np.array([7])) == pytest.approx(1)


def test_rankings_refuse_to_average_over_nobody():
    """Without a user there is no hit rate and no NDCG."""
    nobody = np.zeros((0, 20), dtype=bool)
    with pytest.raises(ValueError, match="no user"):
        accuracy.hit_rate(nobody)
    with pytest.raises(ValueError, match="no user"):
        accuracy.ndcg(nobody, np.zeros(0, dtype=np.int64))


def test_biases_by_hand():
    """Mean 3; the movie rated 5 and 5 has bias 4 / 27, the user behind one 1 has -2 less what its movie explains."""
    rows, columns = np.array([0, 1, 2, 2]), np.array([0, 0, 1, 1])
    found = accuracy.biases(rows, columns, [5, 5, 1, 1], (4, 2))
    assert found.mean == 3
    assert found.item == pytest.approx([4 / 27, -4 / 27])
    assert found.user == pytest.approx([(2 - 4 / 27) / 11, (2 - 4 / 27) / 11, 2 * (-2 + 4 / 27) / 12, 0])
    assert found.predict(np.array([3]), np.array([0])) == pytest.approx([3 + 4 / 27])


def test_biases_need_a_rating():
    """There is no mean of nothing."""
    with pytest.raises(ValueError, match="no rating"):
        accuracy.biases(np.zeros(0, dtype=int), np.zeros(0, dtype=int), [], (1, 1))
