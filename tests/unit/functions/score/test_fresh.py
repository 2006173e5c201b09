"""Rows of the lake as they come in."""

import itertools

import pyarrow as pa
import pytest

from functions.build_matrix import gather
from functions.score.fresh import COLUMNS, NOTHING, WATCHED, Act, Fresh
from tests.ratings import table


def batch(*rows, records=None):
    """Return rows of (kind, user, movie, rating, second), each the record of its second if no others are given."""
    kinds, users, movies, ratings, seconds = zip(*rows, strict=True)
    topics, partitions, offsets = zip(*(records or [("log", 0, second) for second in seconds]), strict=True)
    times = [second * 1_000_000 for second in seconds]
    return dict(zip(COLUMNS, (kinds, users, movies, ratings, topics, partitions, offsets, times), strict=True))


def taken(*batches):
    fresh = Fresh()
    for each in batches:
        fresh.take(each)
    return fresh


def test_watches_and_ratings_are_a_users_acts():
    """By movie, and in the order they came."""
    fresh = taken(
        batch(("watch", "1", "a", None, 1), ("rating", "1", "b", 4.0, 2)),
        batch(("watch", "2", "a", None, 4)),
    )
    assert fresh.of("1").of == {"a": WATCHED, "b": Act(4.0, 2_000_000, ("log", 0, 2))}
    assert fresh.of("2").of == {"a": WATCHED}
    assert fresh.of("3") is NOTHING
    assert list(fresh.panel) == [("1", "a"), ("1", "b"), ("2", "a")]


def test_the_latest_rating_counts_in_whatever_order_they_come():
    """And a watch after it takes nothing away."""
    rows = [("rating", "1", "a", 2.0, 5), ("rating", "1", "a", 4.0, 9), ("watch", "1", "a", None, 10)]
    for order in (rows, rows[::-1], [rows[1], rows[0], rows[2]]):
        assert taken(*[batch(row) for row in order]).of("1").of == {"a": Act(4.0, 9_000_000, ("log", 0, 9))}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_of_ratings_of_one_moment_the_last_record_counts(order):
    """By topic, partition and offset, whatever comes first: as it will stand in the next matrix."""
    records = [("log", 0, 9), ("log", 1, 3), ("log", 1, 20), ("log2", 0, 1)]
    batches = [batch(("rating", "1", "a", 1.0 + n, 5), records=[record]) for n, record in enumerate(records)]
    fresh = taken(*(batches[n] for n in order))
    assert fresh.of("1").of == {"a": Act(4.0, 5_000_000, ("log2", 0, 1))}
    rows = table([("1", "a", 1.0 + n, 5) for n in range(4)])
    for name, column in zip(("topic", "partition", "offset"), zip(*records, strict=True), strict=True):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(column, rows[name].type))
    ratings = gather.ratings(rows.to_batches())
    assert ratings.values[ratings.is_latest].tolist() == [4.0]


def test_watches_and_ratings_are_counted():
    """Rows that were taken in, and the pairs of user and movie that are held of them."""
    fresh = Fresh()
    rows = [("watch", "1", "a", None, 1), ("watch", "1", "a", None, 2), ("rating", "1", "a", 4.0, 3)]
    assert fresh.take(batch(*rows, ("rating", "2", "a", 4.0, 5))) == 4
    assert fresh.n_acts == 2


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
