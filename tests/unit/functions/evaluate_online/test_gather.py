import dataclasses
import random

import numpy as np
import pytest

from functions.evaluate_online import gather
from functions.evaluate_online.lists import Lists
from shared.errors import Corrupt
from tests.unit.functions.evaluate_online.rows import MINUTE, START, Site, acts, batches


def told(lists: Lists, ids: gather.Ids) -> list[tuple[str, int, list[str]]]:
    """Return user, time after the start, and movies of each list."""
    users, movies = ids.users.texts.to_pylist(), ids.movies.texts.to_pylist()
    rows = zip(lists.users, lists.times, lists.starts, lists.lengths, strict=True)
    return [
        (users[user], time - START, [movies[m] for m in lists.shelf[start : start + n]])
        for user, time, start, n in rows
    ]


@pytest.fixture
def site() -> Site:
    site = Site()
    site.serve(2, "c b", 3 * MINUTE, "svd:canary")
    site.serve(1, "a b c", 1 * MINUTE)
    site.serve(1, "", 2 * MINUTE)
    return site


def test_lists_come_by_time_with_their_movies(site: Site) -> None:
    """Also one without movies, which counts as failed."""
    ids = gather.Ids()
    lists = site.lists(ids)
    assert told(lists, ids) == [
        ("1", 1 * MINUTE, ["a", "b", "c"]),
        ("1", 2 * MINUTE, []),
        ("2", 3 * MINUTE, ["c", "b"]),
    ]
    assert lists.failed.tolist() == [False, True, False]
    assert (lists.arms == lists.number("svd:canary")).tolist() == [False, False, True]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_order_repeats_and_batches_change_nothing(site: Site, size: int) -> None:
    """Delivery is at least once, and files are read in any order."""
    ids = gather.Ids()
    rows = site.rows * 3
    random.Random(size).shuffle(rows)
    lists = gather.served(batches(rows, "served", gather.LIST_COLUMNS, size), ids, 0)
    expected = gather.Ids()
    assert told(lists, ids) == told(site.lists(expected), expected)


def test_of_one_record_what_was_taken_in_first_counts(site: Site) -> None:
    """The same offset with another payload is somebody's mistake, wherever it stands."""
    first = next(row for row in site.rows if row.kind == "served" and row.user_id == "2")
    forged = dataclasses.replace(first, movies=["x"], ingested_at=first.ingested_at + 1)
    for rows in ([forged, first], [first, forged]):
        ids = gather.Ids()
        lists = gather.served(batches(rows, "served", gather.LIST_COLUMNS), ids, 0)
        assert told(lists, ids) == [("2", 3 * MINUTE, ["c", "b"])]


def test_an_answer_that_was_told_of_twice_is_one(site: Site) -> None:
    """Who publishes sends again what may not have arrived; both copies may have, at two places."""
    again = [dataclasses.replace(row, offset=row.offset + 1_000) for row in site.rows if row.kind == "served"]
    ids, expected = gather.Ids(), gather.Ids()
    lists = gather.served(batches([*site.rows, *again], "served", gather.LIST_COLUMNS), ids, 0)
    assert told(lists, ids) == told(site.lists(expected), expected)


def test_a_movie_twice_in_a_list_is_one() -> None:
    """Where it stands first, it stays."""
    site, ids = Site(), gather.Ids()
    site.serve(1, "b a b c a", 0)
    site.serve(1, "a", 1)
    assert told(site.lists(ids), ids) == [("1", 0, ["b", "a", "c"]), ("1", 1, ["a"])]


def test_lists_before_the_period_are_left_out(site: Site) -> None:
    """The moment itself belongs to it."""
    lists = gather.served(batches(site.rows, "served", gather.LIST_COLUMNS), gather.Ids(), START + 2 * MINUTE)
    assert (lists.times - START).tolist() == [2 * MINUTE, 3 * MINUTE]


def test_the_same_user_and_movies_have_the_same_contents(site: Site) -> None:
    """As served and as logged; another user or other movies have others."""
    ids = gather.Ids()
    lists = site.lists(ids)
    requests = gather.requests(batches(site.rows, "request", gather.REQUEST_COLUMNS), ids)
    assert requests.contents.tolist() == lists.contents.tolist()
    assert len(set(lists.contents.tolist())) == 3


def test_the_sites_errors_are_known_and_strangers_are_not(site: Site) -> None:
    """A request of who was served nothing belongs to no arm."""
    ids = gather.Ids()
    site.lists(ids)
    site.log(1, "", 4 * MINUTE, status=0)
    site.log(99, "a", 4 * MINUTE)
    requests = gather.requests(batches(site.rows, "request", gather.REQUEST_COLUMNS), ids)
    assert requests.failed.tolist() == [False, True, False, True]
    assert len(ids.users.texts) == 2


def test_acts_are_those_of_known_users_in_time_by_our_clock() -> None:
    """Whoever was served nothing says nothing about a list."""
    site, ids = Site(), gather.Ids()
    site.serve(1, "a", 0)
    site.lists(ids)
    for minute, user in enumerate((1, 1, 99, 1)):
        site.watch(user, "m", minute * MINUTE, minute)
    rows = batches(site.rows, "watch", gather.WATCH_COLUMNS)
    found = gather.acts(rows, ids, "minute", START - MINUTE, START + 2 * MINUTE, MINUTE)
    assert found.values.tolist() == [0, 1]
    assert (found.times - START).tolist() == [-MINUTE, 0]


def test_nothing_is_nothing() -> None:
    """A lake without rows is a site without users."""
    ids = gather.Ids()
    assert len(Site().lists(ids)) == 0
    assert len(gather.requests([], ids)) == 0
    assert len(acts([], ids, "rating", gather.RATING_COLUMNS, "rating", 1)) == 0
    assert Site().lists().movies.dtype == np.int32


@pytest.mark.parametrize("change", [{"user_id": None}, {"time": None}, {"movies": ["a", None]}])
def test_a_damaged_row_is_told_of(site: Site, change: dict[str, object]) -> None:
    """Such rows never come from `ingest`: somebody else wrote to the lake."""
    damaged = dataclasses.replace(site.rows[0], **change)  # type: ignore[arg-type]
    with pytest.raises(Corrupt):
        gather.served(batches([damaged], "served", gather.LIST_COLUMNS), gather.Ids(), 0)


def test_a_list_that_is_missing_is_empty(site: Site) -> None:
    """A served row always has one; the site's may have none."""
    row = dataclasses.replace(site.rows[1], movies=None, status=None)
    ids = gather.Ids()
    site.lists(ids)
    requests = gather.requests(batches([row], "request", gather.REQUEST_COLUMNS), ids)
    assert requests.failed.tolist() == [True]
