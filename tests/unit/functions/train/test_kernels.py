"""The compiled loops beside the textbook, step by step in double precision."""

import subprocess
import sys

import numpy as np
import pytest

from functions.train import kernels
from functions.train.crew import Crew
from functions.train.descent import one_pass
from functions.train.engine import Parameters
from functions.train.layout import lay_out
from functions.train.state import State
from tests.ratings import random_matrix

PARAMETERS = Parameters(n_factors=5, n_epochs=1, lr=0.05, reg=0.1, lr_bias=0.02)
FEW = random_matrix(n_users=7, n_movies=9, share=0.6)


def textbook(layout, state, parameters):
    """Return one pass of Koren's steps, two ratings of a user a step: b_u, b_i, w, q, for a layout of one group."""
    lr, lr_bias = parameters.steps(0)
    reg, n = parameters.reg, parameters.n_factors
    keep = 1 - lr * reg
    bu, bi, q = (each.astype(float) for each in (state.user_bias, state.item_bias, state.items[:, :n]))
    implicit = state.implicit
    p = (implicit.explicit if implicit else state.users)[:, :n].astype(float)
    y = implicit.factors[:, :n].astype(float) if implicit else np.zeros_like(q)
    starts = layout.starts[0]
    mine = [layout.movies[starts[u] : starts[u + 1]] for u in range(len(p))]
    for u, movies in enumerate(mine):
        norm = len(movies) ** -0.5
        residuals = layout.residuals[starts[u] : starts[u + 1]]
        for first in range(0, len(movies), 2):
            w = p[u] + norm * y[movies].sum(0)
            batch = slice(first, first + 2)
            gained, kept = np.zeros(n), 1.0
            for i, residual in zip(movies[batch], residuals[batch], strict=True):
                error = residual - (bu[u] + bi[i] + w @ q[i])
                bu[u] += lr_bias * (error - reg * bu[u])
                bi[i] += lr_bias * (error - reg * bi[i])
                gained, kept = gained + lr * error * q[i], kept * keep
                q[i] += lr * (error * w - reg * q[i])
            p[u] = kept * p[u] + gained
            if implicit:
                y[movies] = kept * y[movies] + norm * gained
    w = np.array([p[u] + len(movies) ** -0.5 * y[movies].sum(0) for u, movies in enumerate(mine)])
    return bu, bi, w, q


@pytest.mark.parametrize("algorithm", ["svd", "svdpp"])
def test_a_pass_is_the_textbooks(algorithm):
    """SVD++'s y_j changed once a user give what Koren's steps give, which change them at every step."""
    layout = lay_out(FEW.ratings, 1, n_rounds=7)
    with Crew(1) as crew:
        state = State.drawn(layout, algorithm, PARAMETERS, 3, crew)
        state.sum_up(layout, crew)
        expected = textbook(layout, state, PARAMETERS)
        one_pass(state, layout, PARAMETERS, 0, crew)
        state.sum_up(layout, crew)
    found = state.user_bias, state.item_bias, state.users[:, :5], state.items[:, :5]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.filterwarnings("ignore:overflow encountered")  # SplitMix64 counts modulo 2^64
@pytest.mark.parametrize("algorithm", ["svd", "svdpp"])
def test_compiled_code_says_what_its_python_says(algorithm, monkeypatch):
    """Nothing is lost in compilation: the loops run by the interpreter end in the same model."""

    def passes():
        layout = lay_out(FEW.ratings, 2)
        with Crew(2) as crew:
            state = State.drawn(layout, algorithm, PARAMETERS, 3, crew)
            for _ in range(2):
                one_pass(state, layout, PARAMETERS, 0, crew)
            state.sum_up(layout, crew)
        tile = layout.starts[1], layout.movies, layout.residuals
        error = kernels.squared_error(0, 7, *tile, state.user_bias, state.item_bias, state.users, state.items)
        return state.users, state.items, state.user_bias, error

    compiled = passes()
    loops = {name: each.py_func for name, each in vars(kernels).items() if hasattr(each, "py_func")}
    assert loops.keys() >= {"product", "products", "step", "steps", "descend", "squared_error"}
    for name in loops.keys() - {"wait_for", "tell"}:  # with which threads wait: no arithmetic, and no Python
        monkeypatch.setattr(kernels, name, loops[name])
    interpreted = passes()
    for ours, theirs in zip(compiled, interpreted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_what_is_drawn_has_the_mean_and_spread_asked_for():
    """Mean 0, standard deviation 0.1, kurtosis near 3, no two rows or columns alike; the padding stays 0."""
    factors = np.zeros((20_000, 16), np.float32)
    kernels.draw(0, 20_000, 7, np.arange(20_000), 10, 0.1, factors)
    drawn = factors[:, :10]
    assert drawn.mean() == pytest.approx(0, abs=1e-3)
    assert drawn.std() == pytest.approx(0.1, rel=0.01)
    assert ((drawn / 0.1) ** 4).mean() == pytest.approx(2.7, abs=0.05)
    assert len(np.unique(drawn, axis=0)) == 20_000
    assert np.abs(np.corrcoef(drawn.T) - np.eye(10)).max() < 0.05
    assert not factors[:, 10:].any()


def test_seeds_have_nothing_in_common():
    """No column drawn for one seed is a column of another: models of two seeds are two."""
    tables = [np.zeros((50, 16), np.float32) for _ in range(8)]
    for seed, table in enumerate(tables):
        kernels.draw(0, 50, seed, np.arange(50), 16, 0.1, table)
    columns = np.concatenate([table.T for table in tables])
    assert len(np.unique(columns[:, 0])) == len(columns)
    assert np.abs(np.corrcoef(columns) - np.eye(len(columns))).max() < 0.7


def test_a_new_process_compiles_nothing():
    """What was compiled once is read from the cache."""
    script = (
        "from functions.train import kernels as k;"
        "print(sum(sum(getattr(k, n).stats.cache_misses.values()) for n in ('descend', 'gather', 'spread', 'deal')))"
    )
    for _ in range(2):
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "0"
