import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.train.tastes import fit
from shared.watching import Watching

HALF = np.sqrt(0.5)
TWO = Watching(
    share=np.array([0.5, 0.25, 0.25], "<f4"),
    axes=np.array([[0], [HALF], [-HALF]], "<f4"),
    inertia=np.array([1], "<f4"),
)
"""All users watch movie 0 alike, and differ in whether they prefer movie 1 or movie 2."""


def camps(n_users=20, n_each=6, seed=0):
    """Return watches of two camps of users: mostly movies of one's own six, now and then another's."""
    chance = np.random.default_rng(seed)
    same = np.arange(n_users)[:, None] % 2 == np.arange(2 * n_each)[None, :] % 2
    watched = chance.random(same.shape) < np.where(same, 0.8, 0.1)
    watched[np.arange(n_users), np.arange(n_users) % 2] = True
    watched[np.arange(2 * n_each) % 2, np.arange(2 * n_each)] = True
    return np.nonzero(watched)


def test_a_taste_by_hand():
    """One watch of movie 1: Vᵀ(e - μ) is √½, halved as one watch weighs as much as κ; π̂ moves by a quarter."""
    taste = TWO.taste(np.array([1]))
    assert taste == pytest.approx([HALF / 2])
    assert TWO.chances(taste) == pytest.approx([0.5, 0.5, 0.0025])


def test_who_watched_nothing_watches_what_everybody_does():
    """Without a watch there is no taste, and the chances are the shares."""
    assert TWO.taste(np.zeros(0, np.int64)) == pytest.approx([0])
    assert TWO.chances(TWO.taste(np.zeros(0, np.int64))) == pytest.approx(TWO.share)


def test_no_chance_falls_below_a_hundredth_of_the_share():
    """However far a taste points away from a movie."""
    assert TWO.chances(np.array([9], "<f4"))[2] == pytest.approx(0.0025)


def test_with_many_watches_the_past_is_what_counts():
    """The credibility of n watches, n / (n + κ), goes to 1: the taste becomes Vᵀ(e - μ)."""
    often = np.tile([1, 1, 1, 2], 10_000)
    assert TWO.taste(often) == pytest.approx([(0.75 - 0.25) * HALF], abs=1e-4)


def test_two_camps_are_one_axis():
    """The first axis has each camp on one side; a newcomer is expected to go on in the camp of the first watches."""
    rows, columns = camps()
    watching, tastes = fit(rows, columns, seed=1)
    assert len(set(np.sign(tastes[::2, 0]))) == len(set(np.sign(tastes[1::2, 0]))) == 1
    assert tastes[0, 0] * tastes[1, 0] < 0
    newcomer = watching.chances(watching.taste(np.array([2, 4])))
    assert newcomer[[6, 8, 10]].min() > newcomer[[5, 7, 9]].max()


@given(st.integers(0, 50), st.lists(st.integers(0, 11), max_size=8, unique=True))
def test_the_estimate_is_a_distribution(seed, watched):
    """The axes are orthonormal and add up to 0, so that the estimates of all movies together stay 1."""
    watching, _ = fit(*camps(seed=seed), seed=1)
    n_axes = len(watching.inertia)
    assert watching.axes.T @ watching.axes == pytest.approx(np.eye(n_axes), abs=1e-5)
    estimate = watching.share + watching.axes @ watching.taste(np.array(watched, np.int64))
    assert estimate.sum() == pytest.approx(1, abs=1e-5)


def test_a_trained_taste_is_that_of_the_same_watches_later():
    """There is one formula for a user, in training and after."""
    rows, columns = camps()
    watching, tastes = fit(rows, columns, seed=1)
    for user in range(4):
        assert tastes[user] == pytest.approx(watching.taste(columns[rows == user]), abs=1e-6)


def test_the_axes_are_those_of_the_whole_covariance():
    """Made as a dense matrix, and its noise taken away, the covariance between users gives the same V and κ."""
    rows, columns = camps(200)
    watching, _ = fit(rows, columns, seed=1)
    watched = np.zeros((200, 12))
    watched[rows, columns] = 1
    mine, share = watched.sum(1, keepdims=True), watched.sum(0) / watched.sum()
    away = watched / mine - share
    values, vectors = np.linalg.eigh((away * mine / mine.sum()).T @ away)
    first = vectors[:, -1]
    noise = first @ (np.diag(share) - np.outer(share, share)) @ first
    assert watching.inertia[0] == pytest.approx(noise / (values[-1] - noise * 200 / mine.sum()), rel=1e-4)
    assert abs(watching.axes[:, 0] @ first) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("n_users", "n_movies"), [(1, 1), (1, 5), (5, 1), (30, 40)])
def test_users_who_do_not_differ_have_no_axes(n_users, n_movies):
    """Where everybody watched everything nothing is above the noise, and chances stay the shares."""
    rows, columns = np.nonzero(np.ones((n_users, n_movies)))
    watching, tastes = fit(rows, columns, seed=1)
    assert tastes.shape == (n_users, 0)
    assert watching.chances(tastes[0]) == pytest.approx(np.full(n_movies, 1 / n_movies))


def test_a_fit_repeats_itself():
    """The same watches and seed give the same numbers."""
    first, again = (fit(*camps(), seed=1) for _ in range(2))
    assert (first.tastes == again.tastes).all()
    assert (first.watching.axes == again.watching.axes).all()
