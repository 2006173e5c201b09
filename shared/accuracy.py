"""How good predictions and rankings are, and the two baselines that any model must beat."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Koren, Factor in the Neighbors, TKDD 2010, section 2.1: the shrinkage of movie and user biases.
ITEM_SHRINKAGE: Final = 25.0
USER_SHRINKAGE: Final = 10.0


def rmse(truth: ArrayLike, estimate: ArrayLike) -> float:
    """Root mean squared error, sqrt(mean((r - r̂)²)).

    Args: truth, estimate: shape (n,). Raises: ValueError if n == 0 or the shapes differ.
    """
    return float(np.sqrt(np.mean(_errors(truth, estimate) ** 2)))


def mae(truth: ArrayLike, estimate: ArrayLike) -> float:
    """Mean absolute error, mean(|r - r̂|).

    Args: truth, estimate: shape (n,). Raises: ValueError if n == 0 or the shapes differ.
    """
    return float(np.mean(np.abs(_errors(truth, estimate))))


def hit_rate(hits: NDArray[np.bool_]) -> float:
    """Hit rate at k: the share of users with at least one relevant movie among their first k.

    Args: hits: shape (n_users, k), whether the movie at each rank is relevant. Raises: ValueError if n_users == 0.
    """
    if not len(hits):
        raise ValueError("no user to average over")
    return float(hits.any(axis=1).mean())


def ndcg(hits: NDArray[np.bool_], n_relevant: Indices) -> float:
    """Normalised discounted cumulative gain at k, mean over users of DCG / ideal DCG.

    DCG = Σ_rank hit / log2(rank + 1); the ideal has all relevant movies first, at most k of them
    (Järvelin and Kekäläinen, ACM TOIS 2002, with binary relevance).

    Args: hits: shape (n_users, k); n_relevant: shape (n_users,), each at least 1. Raises: ValueError if n_users == 0.
    """
    if not len(hits):
        raise ValueError("no user to average over")
    k = hits.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(n_relevant, k) - 1]
    return float(np.mean(hits @ discounts / ideal))


class Biases(NamedTuple):
    """The bias-only model r̂_ui = μ + b_u + b_i: `mean`, `user` of shape (n_users,), `item` of shape (n_movies,)."""

    mean: float
    user: Floats
    item: Floats

    def predict(self, rows: Indices, columns: Indices) -> Floats:
        """Return the expected rating of each (row, column), unclipped, shape (n,)."""
        expected: Floats = self.mean + self.user[rows] + self.item[columns]
        return expected


def biases(rows: Indices, columns: Indices, ratings: ArrayLike, shape: tuple[int, int]) -> Biases:
    """Fit the bias-only baseline, movies first, then users on what the movies leave.

    b_i = Σ_u (r_ui - μ) / (25 + |R(i)|),  b_u = Σ_i (r_ui - μ - b_i) / (10 + |R(u)|)
    (Koren, Factor in the Neighbors, TKDD 2010). A user or movie without ratings has bias 0.

    Args: rows, columns, ratings: shape (n,). Raises: ValueError if n == 0.
    """
    values = np.asarray(ratings, dtype=np.float64)
    if not len(values):
        raise ValueError("no rating to fit to")
    mean = float(values.mean())
    left = values - mean
    item = np.bincount(columns, left, shape[1]) / (ITEM_SHRINKAGE + np.bincount(columns, minlength=shape[1]))
    left = left - item[columns]
    user = np.bincount(rows, left, shape[0]) / (USER_SHRINKAGE + np.bincount(rows, minlength=shape[0]))
    return Biases(mean, user, item)


def _errors(truth: ArrayLike, estimate: ArrayLike) -> Floats:
    left, right = np.asarray(truth, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"truth has shape {left.shape}, estimate {right.shape}; both must be (n,)")
    if not len(left):
        raise ValueError("no rating to average over")
    return left - right
