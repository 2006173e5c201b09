"""The engine `marquee`: SVD and SVD++ by stochastic gradient descent, on all threads it is given.

Minimised is Σ (r - r̂)² + reg (b_u² + b_i² + |p_u|² + |q_i|² [+ Σ_j∈N(u) |y_j|²]) over the ratings, with r̂ as in
`shared.model`; the steps are those of Koren, Bell, Volinsky, IEEE Computer 2009 (SVD) and Koren, KDD 2008 (SVD++),
two ratings of a user at a time, user after user; changes to the y_j wait for the end of a round of users
(`layout.SHARED`). The same ratings, parameters, seed and number of threads give the same bytes.
"""

import copy
from typing import Final

import numpy as np
from scipy import sparse

from functions.train import kernels
from functions.train.compiled import LINE, tell
from functions.train.crew import Crew
from functions.train.engine import Fitted, OnEpoch, Parameters, Warm, refuse_infinite
from functions.train.layout import Ints, Layout, Parts, Tile, lay_out, one_tile, rounds_needed, split
from functions.train.state import State
from shared.events import Algorithm
from shared.model import Floats

HELD_OUT: Final = 0.05
"""The share of the training ratings that early stopping watches instead of learning from."""


def fit(
    ratings: sparse.csr_array,
    algorithm: Algorithm,
    parameters: Parameters,
    seed: int,
    n_threads: int,
    on_epoch: OnEpoch,
    warm: Warm | None = None,
) -> Fitted:
    """Return what descent finds. Raises: Diverged."""
    learnt, held_out = ratings, None
    if parameters.patience:
        learnt, held_out = split(ratings, HELD_OUT, seed)
        held_out = held_out if held_out.nnz else None
    layout = lay_out(learnt, n_threads, rounds_needed(learnt) if algorithm == "svdpp" else 1)
    with Crew(n_threads) as crew:
        state = State.drawn(layout, algorithm, parameters, seed, crew)
        if warm:
            state.take(warm, layout, crew)
        if held_out is None:
            for epoch in range(parameters.n_epochs):
                one_pass(state, layout, parameters, epoch, crew)
                on_epoch(epoch + 1, None)
        else:
            state = _until_no_better(state, layout, one_tile(held_out, layout), parameters, on_epoch, crew)
        state.sum_up(layout, crew)
    found = state.ordered(layout, parameters.n_factors)
    return found if held_out is None else _all_watched(found, learnt, ratings)


def one_pass(state: State, layout: Layout, parameters: Parameters, epoch: int, crew: Crew) -> None:
    """Take a step for every rating once. Raises: Diverged."""
    lr, lr_bias = parameters.steps(epoch)
    keep, keep_bias = 1 - lr * parameters.reg, 1 - lr_bias * parameters.reg
    implicit, n = state.implicit, layout.n_groups
    if implicit:
        implicit.begin(keep, layout.n_ratings)
    model = state.user_bias, state.item_bias, state.users, state.items
    steps = lr, 2.0 if implicit else 1.0, keep, lr_bias, keep_bias

    def descend(t: int, parts: Parts, counts: Ints) -> None:
        try:
            if implicit:
                implicit.gather(t, parts, layout, state.users)
            ratings = layout.starts, layout.movies, layout.residuals
            kernels.descend_in_turn(t, counts, *parts[t], *ratings, *model, *steps)
        finally:
            tell(counts, t, n)  # whatever happened, nobody waits for this thread for ever
        if implicit:
            implicit.settle(t, parts, state.users)

    for parts in layout.rounds():
        crew(descend, parts, np.zeros(n * LINE, dtype=np.int64))
        if implicit:
            crew(implicit.spread, parts, layout)
    refuse_infinite(parameters, f"in pass {epoch + 1}", state.user_bias, state.item_bias)


def _until_no_better(
    state: State, layout: Layout, watched: Tile, parameters: Parameters, on_epoch: OnEpoch, crew: Crew
) -> State:
    """Return the state after the pass that predicted the watched ratings best."""
    best, least, since = state, np.inf, 0
    for epoch in range(parameters.n_epochs):
        one_pass(state, layout, parameters, epoch, crew)
        state.sum_up(layout, crew)
        rmse = _rmse(state, layout, watched, crew)
        on_epoch(epoch + 1, rmse)
        since += 1
        if rmse < least:
            best, least, since = copy.deepcopy(state), rmse, 0
        if since == parameters.patience:
            break
    return best


def _all_watched(found: Fitted, learnt: sparse.csr_array, ratings: sparse.csr_array) -> Fitted:
    """Return SVD++'s users with those movies in their sums, too, whose ratings were held out: they were watched."""
    if found.implicit_factors is None:
        return found
    less, more = (_implicit_sums(each[:, found.columns], found.implicit_factors) for each in (learnt, ratings))
    return found._replace(user_factors=found.user_factors + (more - less)[found.rows])


def _implicit_sums(ratings: sparse.csr_array, implicit_factors: Floats) -> Floats:
    """Return |N(u)|^-½ Σ_j∈N(u) y_j of each user, shape (n_users, n_factors), zeros for who rated nothing."""
    n_ratings = np.diff(ratings.indptr)
    weights = np.repeat(np.maximum(n_ratings, 1) ** -0.5, n_ratings).astype(np.float32)
    watched = sparse.csr_array((weights, ratings.indices, ratings.indptr), ratings.shape)
    return np.asarray(watched @ implicit_factors, dtype=np.float32)


def _rmse(state: State, layout: Layout, tile: Tile, crew: Crew) -> float:
    """Return the error on the ratings of a tile, unclipped."""
    groups = layout.groups
    sums = np.zeros(len(groups))

    def measure(t: int) -> None:
        model = state.user_bias, state.item_bias, state.users, state.items
        sums[t] = kernels.squared_error(*groups[t], *tile, *model)

    crew(measure)
    return float(np.sqrt(sums.sum() / tile.starts[-1]))
