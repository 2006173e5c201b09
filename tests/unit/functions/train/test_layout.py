import numpy as np
import pytest
from scipy import sparse

from functions.train.layout import SHARED, lay_out, one_tile, rounds_needed, split
from tests.ratings import random_matrix

MATRIX = random_matrix(n_users=60, n_movies=40, share=0.2).ratings


@pytest.mark.parametrize("n_groups", [1, 2, 3, 7])
def test_every_rating_stands_in_one_tile(n_groups):
    """The tiles together are the matrix, each rating less the mean."""
    layout = lay_out(MATRIX, n_groups)
    found = np.zeros(MATRIX.shape)
    for block in range(n_groups):
        for position, row in enumerate(layout.rows):
            mine = slice(*layout.starts[block, position : position + 2])
            found[row, layout.columns[layout.movies[mine]]] += layout.residuals[mine] + layout.mean
    np.testing.assert_allclose(found, MATRIX.toarray(), atol=1e-5)
    assert layout.starts[-1, -1] == MATRIX.nnz


def test_tiles_of_one_step_share_nobody():
    """In any step the threads' users differ, and so do their movies: no race is possible."""
    n = 4
    layout = lay_out(MATRIX, n)
    for step in range(n):
        users, movies = [], []
        for t, (first, last) in enumerate(layout.groups):
            starts = layout.starts[(t + step) % n]
            users.append(set(range(first, last)))
            movies.append(set(layout.movies[starts[first] : starts[last]].tolist()))
        assert sum(map(len, users)) == len(set.union(*users))
        assert sum(map(len, movies)) == len(set.union(*movies))


def test_groups_have_about_as_many_ratings():
    """No thread waits long for another."""
    layout = lay_out(MATRIX, 2)
    sizes = [layout.n_ratings[first:last].sum() for first, last in layout.groups]
    assert max(sizes) < 1.1 * min(sizes)


def test_rounds_cover_every_group_in_order(monkeypatch):
    """Each user has a place in one round, and there are enough of them."""
    monkeypatch.setattr("functions.train.layout.USERS_A_ROUND", 10)
    layout = lay_out(MATRIX, 2, rounds_needed(MATRIX))
    rounds = list(layout.rounds())
    assert len(rounds) >= -(-len(layout.rows) // 10)
    for group, (first, last) in enumerate(layout.groups):
        parts = [each[group] for each in rounds]
        assert [part[0] for part in parts] == [first, *(part[1] for part in parts[:-1])]
        assert parts[-1][1] == last


def test_users_and_movies_without_a_rating_have_no_position():
    """Empty rows and columns cost nothing."""
    cut = MATRIX.copy().tolil()
    cut[5, :], cut[:, 7] = 0, 0
    layout = lay_out(cut.tocsr(), 2)
    assert 5 not in layout.rows
    assert 7 not in layout.columns


def test_a_split_loses_nothing():
    """The two sides are the matrix, every user and movie is trained on, and all held-out ratings are measured."""
    kept, held_out = split(MATRIX, 0.35, seed=1)
    assert ((np.diff(kept.indptr) > 0) == (np.diff(MATRIX.indptr) > 0)).all()
    assert len(np.unique(kept.indices)) == len(np.unique(MATRIX.indices))
    np.testing.assert_array_equal((kept + held_out).toarray(), MATRIX.toarray())
    assert 0.2 < held_out.nnz / MATRIX.nnz < 0.4
    layout = lay_out(kept, 2)
    tile = one_tile(held_out, layout)
    assert tile.starts[-1] == held_out.nnz


def test_a_round_is_small_where_users_watch_the_same():
    """On a full matrix the changes of four users at a time wait; where nobody shares a movie, those of many."""
    dense = sparse.csr_array(np.full((200, 10), 3, np.float32))
    apart = sparse.csr_array(np.eye(200, dtype=np.float32))
    assert rounds_needed(dense) == 200 / SHARED
    assert rounds_needed(apart) == 1
