import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.evaluate_online import core
from functions.evaluate_online.core import Outcomes
from functions.evaluate_online.lists import Acts
from tests.unit.functions.evaluate_online.rows import DAY, HOUR, MINUTE, START, Site, behaviour

WINDOW = HOUR


def outcomes(site: Site, until: int = DAY) -> dict[str, tuple[bool, int]]:
    """Return whether each user hit, and minutes."""
    found = behaviour(site.rows)
    return by_user(found.ids.users.texts.to_pylist(), core.outcomes(found.lists, found.watches, WINDOW, START + until))


def by_user(names: list[str], found: Outcomes) -> dict[str, tuple[bool, int]]:
    rows = zip(found.users, found.hits, found.minutes, strict=True)
    return {names[user]: (bool(hit), int(minutes)) for user, hit, minutes in rows}


def test_who_watches_a_movie_of_the_list_within_the_window_is_a_hit() -> None:
    """Three minutes of one and one of another are four; a movie that was not listed is none."""
    site = Site()
    site.serve(1, "a b c", 0)
    site.serve(2, "a b c", 0)
    for minute in range(3):
        site.watch(1, "b", (10 + minute) * MINUTE, minute)
    site.watch(1, "c", 20 * MINUTE)
    site.watch(2, "d", 10 * MINUTE)
    assert outcomes(site) == {"1": (True, 4), "2": (False, 0)}


@pytest.mark.parametrize(
    ("at", "hit"),
    [(-1, False), (0, True), (HOUR - 1, True), (HOUR, False)],
)
def test_the_window_begins_with_the_list_and_ends_an_hour_later(at: int, hit: bool) -> None:
    """Its beginning belongs to it, its end does not."""
    site = Site()
    site.serve(1, "a", 0)
    site.watch(1, "a", at)
    assert outcomes(site)["1"][0] is hit


def test_a_movie_watched_before_it_was_listed_is_no_hit_after_either() -> None:
    """Who watches it already does not watch it for the list."""
    site = Site()
    site.serve(1, "a b", 10 * MINUTE)
    site.watch(1, "a", 9 * MINUTE, 0)
    site.watch(1, "a", 11 * MINUTE, 2)
    assert outcomes(site) == {"1": (False, 0)}


def test_later_lists_count_until_the_window_of_the_first_one_closes() -> None:
    """A user is one outcome: what stood in the second list is a hit, but no later than an hour after the first."""
    site = Site()
    for user in (1, 2):
        site.serve(user, "a", 0)
        site.serve(user, "b", 50 * MINUTE)
    site.watch(1, "b", 55 * MINUTE)
    site.watch(2, "b", 65 * MINUTE)
    assert outcomes(site) == {"1": (True, 1), "2": (False, 0)}


def test_a_movie_is_listed_from_its_first_list_on() -> None:
    """Lists that repeat it later do not make an earlier watch come before."""
    site = Site()
    for at in (0, 20 * MINUTE, 5 * MINUTE):
        site.serve(1, "a", at)
    site.watch(1, "a", 10 * MINUTE)
    assert outcomes(site) == {"1": (True, 1)}


def test_minutes_end_with_the_window_and_count_once() -> None:
    """A minute watched twice is one minute; one after the window is none."""
    site = Site()
    site.serve(1, "a", 0)
    for at, minute in ((1, 0), (2, 0), (3, 1), (61, 2)):
        site.watch(1, "a", at * MINUTE, minute)
    assert outcomes(site) == {"1": (True, 2)}


def test_users_count_once_their_window_has_closed() -> None:
    """Not a moment earlier, whatever they did."""
    site = Site()
    site.serve(1, "a", 0)
    site.serve(2, "a", 1)
    site.watch(2, "a", 5)
    assert outcomes(site, HOUR - 1) == {}
    assert outcomes(site, HOUR) == {"1": (False, 0)}
    assert outcomes(site, HOUR + 1) == {"1": (False, 0), "2": (True, 1)}


def test_nobody_and_empty_lists_are_borne() -> None:
    """No lists, no watches, a list without movies, watches without closed windows."""
    site = Site()
    assert outcomes(site) == {}
    site.serve(1, "", 0)
    assert outcomes(site) == {"1": (False, 0)}
    site.watch(1, "a", 5)
    assert outcomes(site) == {"1": (False, 0)}
    assert outcomes(site, 0) == {}


Moments = st.integers(0, 90)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.integers(1, 4), st.lists(st.sampled_from("abcde"), max_size=4), Moments),
        st.tuples(st.just("watch"), st.integers(1, 4), st.sampled_from("abcde"), Moments),
    ),
    max_size=30,
)


def played(events: list[tuple[str, int, object, int]]) -> Site:
    site = Site()
    for minute, (kind, user, what, at) in enumerate(events):
        if kind == "serve":
            site.serve(user, " ".join(what), at * MINUTE)  # type: ignore[arg-type]
        else:
            site.watch(user, str(what), at * MINUTE, minute % 3)
    return site


def plainly(site: Site, until: int) -> dict[str, tuple[bool, int]]:
    """Return the outcomes as one would write them down."""
    served = [row for row in site.rows if row.kind == "served"]
    watched = [row for row in site.rows if row.kind == "watch"]
    found = {}
    for user in {row.user_id for row in served}:
        mine = [(row.time, row.movies) for row in served if row.user_id == user]
        closes = min(time for time, _ in mine) + WINDOW
        if closes > START + until:
            continue
        seen = set()
        for movie in {movie for _, movies in mine for movie in movies}:
            since = min(time for time, movies in mine if movie in movies)
            acts = [(row.time, row.minute) for row in watched if (row.user_id, row.movie_id) == (user, movie)]
            if acts and since <= min(acts)[0] < closes:
                seen |= {(movie, minute) for time, minute in acts if time < closes}
        found[user] = (bool(seen), len(seen))
    return found


@given(EVENTS, st.integers(60, 200), st.integers(0, 3))
def test_outcomes_are_those_that_one_would_count_in_any_order_with_repeats(events, until, seed) -> None:
    """The joins agree with plain loops; the order of rows and repeated rows change nothing."""
    site = played(events)
    expected = plainly(site, until * MINUTE)
    assert outcomes(site, until * MINUTE) == expected
    random.Random(seed).shuffle(site.rows)
    site.rows += site.rows[: len(site.rows) // 2]
    assert outcomes(site, until * MINUTE) == expected


@given(EVENTS, st.integers(1, 4), st.sampled_from("abcde"), Moments)
def test_a_late_watch_changes_its_user_alone(events, user, movie, at) -> None:
    """Nobody else's outcome moves."""
    site = played(events)
    before = outcomes(site)
    site.watch(user, movie, at * MINUTE)
    after = outcomes(site)
    assert {name for name in before if before[name] != after[name]} <= {str(user)}


def test_liked_is_the_average_of_each_users_ratings_of_movies_that_were_listed_before() -> None:
    """One user rates two listed movies, 4 and 3; another rates one before it is listed, a third something else."""
    site = Site()
    for user in (1, 2, 3):
        site.serve(user, "a b", 10 * MINUTE)
    site.rate(1, "a", 4.0, 20 * MINUTE)
    site.rate(1, "b", 3.0, 30 * MINUTE)
    site.rate(2, "a", 5.0, 5 * MINUTE)
    site.rate(3, "c", 5.0, 20 * MINUTE)
    found = behaviour(site.rows)
    assert core.liked(found.lists, found.ratings).tolist() == [3.5]
    twice = behaviour(site.rows + site.rows[-4:-3])
    assert core.liked(twice.lists, twice.ratings).tolist() == [3.5]


def test_of_several_ratings_the_latest_counts() -> None:
    """In whichever order they come; of two at once the higher."""
    numbers = np.array([1, 1, 1, 2], np.int32)
    acts = Acts(numbers, numbers, np.array([5, 7, 7, 1]), np.array([5.0, 1.0, 2.0, 3.0]))
    assert core.latest(acts).values.tolist() == [2.0, 3.0]
    assert core.latest(acts.take(np.array([3, 2, 1, 0]))).values.tolist() == [2.0, 3.0]
    assert len(core.latest(acts.take(np.array([], np.int64)))) == 0


def test_averages_are_by_user() -> None:
    """However often each of them came."""
    assert core.averages(np.array([7, 2, 7], np.int32), np.array([1, 3, 2])).tolist() == [3.0, 1.5]
    assert core.averages(np.empty(0, np.int32), np.empty(0)).tolist() == []
