"""Rows of the lake as they come in."""

import pyarrow as pa

from functions.score.fresh import NEVER, NOTHING, Act, Fresh


def batch(*rows):
    """Return rows of (kind, user, movie, rating, second)."""
    kinds, users, movies, ratings, seconds = zip(*rows, strict=True)
    return pa.record_batch(
        {
            "kind": kinds,
            "user_id": users,
            "movie_id": movies,
            "rating": pa.array(ratings, pa.float64()),
            "time": pa.array([second * 1_000_000 for second in seconds], pa.timestamp("us", "UTC")),
        }
    )


def taken(*batches):
    fresh = Fresh()
    for each in batches:
        fresh.take(each)
    return fresh


def test_watches_and_ratings_are_a_users_acts():
    """Other kinds of rows are nobody's."""
    fresh = taken(
        batch(("watch", "1", "a", None, 1), ("rating", "1", "b", 4.0, 2), ("request", "1", None, None, 3)),
        batch(("watch", "2", "a", None, 4)),
    )
    assert fresh.of("1").of == {"a": Act(None, NEVER), "b": Act(4.0, 2_000_000)}
    assert fresh.of("2").of == {"a": Act(None, NEVER)}
    assert fresh.of("3") is NOTHING
    assert list(fresh.panel) == [("1", "a"), ("1", "b"), ("2", "a")]


def test_the_latest_rating_counts_in_whatever_order_they_come():
    """And a watch after it takes nothing away."""
    rows = [("rating", "1", "a", 2.0, 5), ("rating", "1", "a", 4.0, 9), ("watch", "1", "a", None, 10)]
    for order in (rows, rows[::-1], [rows[1], rows[0], rows[2]]):
        assert taken(*[batch(row) for row in order]).of("1").of == {"a": Act(4.0, 9_000_000)}


def test_rows_that_come_again_change_nothing():
    """Not even the panel."""
    rows = batch(("rating", "1", "a", 2.0, 5), ("watch", "1", "b", None, 6))
    once, twice = taken(rows), taken(rows, rows)
    assert once.of("1").of == twice.of("1").of
    assert once.panel == twice.panel


def test_acts_that_somebody_holds_do_not_change():
    """A request in progress sees one state; a user's next state is another object."""
    fresh = taken(batch(("watch", "1", "a", None, 1)))
    held = fresh.of("1")
    fresh.take(batch(("watch", "1", "b", None, 2), ("watch", "2", "b", None, 2)))
    assert set(held.of) == {"a"}
    assert set(fresh.of("1").of) == {"a", "b"}


def test_what_was_disliked_is_no_vote():
    """Nor once it is watched again; what was only watched is one."""
    rows = [("rating", "1", "bad", 1.0, 1), ("watch", "1", "bad", None, 2), ("watch", "2", "bad", None, 3)]
    fresh = taken(batch(*rows), batch(("rating", "1", "good", 4.0, 4)))
    assert fresh.liked(3.5) == [("2", "bad"), ("1", "good")]
