"""What everybody likes: proportional approval voting over the newest watches."""

import numpy as np
import pytest

from functions.score.panel import HALF_LIFE, elect, numbered


def votes(*crowds):
    """Return voters and movies of crowds of (number of users, movies that all of them like)."""
    pairs, first = [], 0
    for n_users, liked in crowds:
        pairs += [(first + user, movie) for user in range(n_users) for movie in liked]
        first += n_users
    voters, movies = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return voters, movies


def test_one_franchise_gets_its_share_and_no_more():
    """Three quarters of the users watch thirty movies of one kind: fifteen of twenty places, not all."""
    voters, movies = votes((75, range(30)), (25, range(30, 60)))
    elected = elect(voters, movies, 20)
    assert len(set(elected)) == 20
    assert sum(movie < 30 for movie in elected) == 15


def test_the_movie_with_the_most_votes_comes_first():
    """One vote each, so nothing but the count decides."""
    voters, movies = votes((3, [0]), (5, [1]), (4, [2]))
    assert elect(voters, movies, 20) == [1, 2, 0]


def test_newer_votes_weigh_more():
    """As many users liked another movie, half a half-life later."""
    n = HALF_LIFE // 2
    voters, movies = votes((n, [0]), (n, [1]))
    assert elect(voters, movies, 2) == [1, 0]
    voters, movies = votes((2 * n, [0]), (n // 4, [1]))
    assert elect(voters, movies, 2) == [0, 1]


def test_one_user_has_one_vote_for_a_movie():
    """Who watches the same movie a thousand times weighs no more than who watched it once."""
    voters, movies = np.array([0] * 1_000 + [1, 2]), np.array([0] * 1_000 + [1, 1])
    assert elect(voters, movies, 2) == [1, 0]


def test_nobody_elects_nothing():
    """No pair, no list."""
    nothing = np.zeros(0, dtype=np.int64)
    assert elect(nothing, nothing, 20) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_list_is_the_plain_definitions(seed):
    """Against the sequential rule, written as it reads."""
    rng = np.random.default_rng(seed)
    voters, movies = rng.integers(0, 30, 300), rng.integers(0, 40, 300)
    pairs = {(v, m): 0.5 ** ((299 - at) / HALF_LIFE) for at, (v, m) in enumerate(zip(voters, movies, strict=True))}
    expected = []
    for _ in range(15):
        chosen_by = {v: sum((v, m) in pairs for m in expected) for v in set(voters)}
        support = dict.fromkeys(set(movies) - set(expected), 0.0)
        for (v, m), weight in pairs.items():
            if m in support:
                support[m] += weight / (1 + chosen_by[v])
        expected.append(max(sorted(support), key=support.__getitem__))
    assert elect(voters, movies, 15) == expected


def test_new_ids_are_numbered_after_the_known():
    """Known ids keep their number; new ones follow, each once."""
    numbers, new = numbered(["b", "x", "a", "x", "y"], {"a": 0, "b": 1})
    assert numbers.tolist() == [1, 2, 0, 2, 3]
    assert new == ["x", "y"]
