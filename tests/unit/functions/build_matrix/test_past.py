"""What users did before a matrix, beside the plain definition."""

import numpy as np
import pyarrow as pa
import pytest

from functions.build_matrix import core, gather, past
from shared.errors import Corrupt
from shared.history import NEWER, TRAINED, WATCHED
from tests.ratings import gathered


def watched(rows):
    """Return a batch of (user, movie, second)."""
    users, movies, seconds = zip(*rows, strict=True) if rows else ((), (), ())
    times = pa.array([second * 1_000_000 for second in seconds], pa.timestamp("us", "UTC"))
    return pa.record_batch(
        {"user_id": pa.array(users, pa.string()), "movie_id": pa.array(movies, pa.string()), "time": times}
    )


@pytest.mark.parametrize("block_rows", [1, 7, 10_000])
def test_each_pair_is_kept_once_with_its_latest_minute(block_rows):
    """However the rows come in."""
    rng = np.random.default_rng(3)
    rows = [(str(user), f"m{movie}", int(at)) for user, movie, at in rng.integers(1, 12, (500, 3)) * [1, 1, 7]]
    found = gather.watches([watched(rows[at : at + 50]) for at in range(0, 500, 50)], block_rows)
    pairs = {}
    for user, movie, at in rows:
        pairs[user, movie] = max(at, pairs.get((user, movie), 0))
    names = [(found.users[row], found.movies[column]) for row, column in zip(found.rows, found.columns, strict=True)]
    assert dict(zip(names, (found.times // 1_000_000).tolist(), strict=True)) == pairs
    assert names == sorted(pairs)


def test_no_watch_is_no_pair():
    """An empty lake, or one that holds ratings alone."""
    for batches in ([], [watched([])]):
        found = gather.watches(batches)
        assert (found.users, found.movies, len(found.rows), len(found.times)) == ([], [], 0, 0)


def test_a_watch_without_a_user_is_corrupt():
    """It cannot come from ingest."""
    with pytest.raises(Corrupt, match="user_id"):
        gather.watches([watched([(None, "m1", 1)])])


RATINGS = [("1", "a", 5.0, 10), ("1", "b", 1.0, 20), ("2", "a", 4.0, 30), ("3", "c", 2.0, 90)]
WATCHES = [("1", "a", 95), ("1", "c", 5), ("4", "z", 50), ("2", "a", 1)]


def pairs(history):
    return {
        (user, history.movies[place]): (rating, kind)
        for user in history.users
        for place, rating, _, kind in zip(*(part.tolist() for part in history.of(user)), strict=True)
    }


def test_history_is_every_pair_with_its_kind():
    """Watched only, trained on, or rated later; who only watched is there too."""
    ratings = gathered(RATINGS)
    found = past.history(ratings, core.is_old(ratings, 0.25), gather.watches([watched(WATCHES)]))
    assert pairs(found) == {
        ("1", "a"): (5.0, TRAINED),
        ("1", "b"): (1.0, TRAINED),
        ("1", "c"): (0.0, WATCHED),
        ("2", "a"): (4.0, TRAINED),
        ("3", "c"): (2.0, NEWER),
        ("4", "z"): (0.0, WATCHED),
    }


def test_the_panel_is_what_was_not_disliked_newest_last():
    """A rating below the average is no vote; a pair is as new as its last minute."""
    ratings = gathered(RATINGS)
    found = past.history(ratings, core.is_old(ratings, 0.25), gather.watches([watched(WATCHES)]))
    named = [(found.users[u], found.movies[m]) for u, m in zip(found.panel_users, found.panel_movies, strict=True)]
    assert named == [("1", "c"), ("2", "a"), ("4", "z"), ("1", "a")]


def test_without_watches_history_is_the_ratings():
    """As from a file."""
    ratings = gathered(RATINGS)
    found = past.history(ratings, core.is_old(ratings, 0.25))
    assert len(pairs(found)) == 4
    assert found.users == ["1", "2", "3"]


def test_nothing_happened_is_a_history_too():
    """Of no user and no movie."""
    ratings = gathered([])
    found = past.history(ratings, core.is_old(ratings, 0.25))
    assert (found.users, found.movies, found.indptr.tolist(), len(found.panel_users)) == ([], [], [0], 0)


def test_the_name_of_a_matrix_depends_on_what_was_watched():
    """The artifact is immutable: other files are another matrix."""
    ratings = gathered(RATINGS)
    without, files = core.files(ratings, 0.25)
    with_watches, more = core.files(ratings, 0.25, gather.watches([watched(WATCHES)]))
    assert without.matrix_id != with_watches.matrix_id
    assert files.keys() == more.keys()
    assert core.files(ratings, 0.25)[0].matrix_id == without.matrix_id
