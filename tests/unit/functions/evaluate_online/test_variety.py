import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.evaluate_online import variety
from functions.evaluate_online.lists import Lists
from tests.unit.functions.evaluate_online.rows import MINUTE, Site, behaviour

MANY = st.lists(st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=4), min_size=2, max_size=6)


def lists(*each: str) -> Lists:
    site = Site()
    for user, movies in enumerate(each):
        site.serve(user + 1, movies, user)
    return site.lists()


def test_coverage_of_all_lists_is_the_number_of_movies() -> None:
    """And of one list its average length."""
    shown = variety.shown(lists("a b", "b c", "b"))
    assert variety.coverage(shown, 3, 3) == pytest.approx(3)
    assert variety.coverage(shown, 3, 1) == pytest.approx(5 / 3)
    with pytest.raises(ValueError, match="4 of 3"):
        variety.coverage(shown, 3, 4)


@given(MANY)
def test_coverage_is_the_average_over_all_choices_of_lists(each) -> None:
    """Hurlbert's formula beside every choice of k lists."""
    shown = variety.shown(lists(*map(" ".join, each)))
    for k in range(1, len(each) + 1):
        sizes = [len(set().union(*chosen)) for chosen in itertools.combinations(each, k)]
        assert variety.coverage(shown, len(each), k) == pytest.approx(np.mean(sizes))


def test_coverage_of_a_million_lists_is_exact_enough() -> None:
    """A movie in every second list is in nearly every choice of 20; one in one list in 20 of a million."""
    assert variety.coverage(np.array([500_000]), 1_000_000, 20) == pytest.approx(1 - 2.0**-20, abs=1e-6)
    assert variety.coverage(np.array([1]), 1_000_000, 20) == pytest.approx(2e-5, rel=1e-3)


@given(MANY)
def test_diversity_is_the_average_over_all_pairs_of_lists(each) -> None:
    """1 - the movies that two lists share, over the average length."""
    length = np.mean([len(movies) for movies in each])
    shared = np.mean([len(one & other) for one, other in itertools.combinations(each, 2)])
    found = variety.diversity(variety.shown(lists(*map(" ".join, each))), len(each))
    assert found == pytest.approx(1 - shared / length)


def test_diversity_of_equal_lists_is_0_and_of_one_list_unknown() -> None:
    """Lists that share nothing differ wholly."""
    assert variety.diversity(variety.shown(lists("a b", "b a")), 2) == 0
    assert variety.diversity(variety.shown(lists("a b", "c d")), 2) == 1
    assert variety.diversity(variety.shown(lists("a b")), 1) is None
    assert variety.diversity(variety.shown(lists("", "")), 2) is None


def test_the_most_watched_movies_are_those_of_the_most_users() -> None:
    """Not of the most minutes, which repeats would add to."""
    site = Site()
    for user in (1, 2):
        site.serve(user, "a b c", 0)
        site.watch(user, "a", MINUTE)
    for minute in range(9):
        site.watch(1, "b", minute * MINUTE, minute)
    found = behaviour(site.rows)
    names = found.ids.movies.texts.to_pylist()
    assert [names[movie] for movie in variety.most_watched(found.watches)] == ["a", "b"]
    assert variety.share_of(variety.most_watched(found.watches), found.lists) == pytest.approx(2 / 3)


def test_a_share_of_no_lists_is_unknown_and_nothing_watched_is_no_share() -> None:
    """Absence is not 0."""
    nobody = behaviour([])
    assert variety.share_of(variety.most_watched(nobody.watches), nobody.lists) is None
    assert variety.share_of(np.empty(0, np.int32), lists("a")) == 0


def test_of_movies_that_grew_alike_the_one_with_the_greater_shares_is_told_of() -> None:
    """Whichever of them was read first."""
    for grown in ("p q", "q p"):
        site = Site()
        for user in range(20):
            canary, nth = user < 10, user % 10
            shown = (grown if nth < 5 else "x") if canary else ("q" if nth < 1 else "x")
            site.serve(user, shown, user, "svd:canary" if canary else "svd:stable")
        found = site.lists()
        canary = found.arms == found.number("svd:canary")
        assert variety.crowding(found.take(canary), found.take(~canary), 0.1)[1:] == (0.5, 0.1)


def test_crowding_is_the_movie_whose_audience_grew_most_times_over() -> None:
    """All of the canary's users get d first, none of stable's; a user counts with their first list."""
    site = Site()
    for user in (1, 2, 3, 4):
        site.serve(user, "d a" if user > 2 else "a b", user, "svd:canary" if user > 2 else "svd:stable")
    site.serve(1, "d", 9)
    found = site.lists()
    canary = found.arms == found.number("svd:canary")
    movie, ours, theirs = variety.crowding(found.take(canary), found.take(~canary), 0.1)
    assert (ours, theirs) == (1.0, 0.0)
    assert movie == found.take(canary).movies[0]
    assert variety.crowding(found.take(canary & ~canary), found.take(canary & ~canary), 0.1) == (-1, 0.0, 0.0)


def test_a_pushed_movie_is_not_hidden_by_a_common_one_that_rose_by_more() -> None:
    """p goes from none of ten users to six, h from three to ten: h rose by more, p more times over."""
    site = Site()
    for user in range(20):
        canary, nth = user < 10, user % 10
        shown = ("h p" if nth < 6 else "h") if canary else ("h" if nth < 3 else "x")
        site.serve(user, shown, user, "svd:canary" if canary else "svd:stable")
    found = site.lists()
    canary = found.arms == found.number("svd:canary")
    assert variety.crowding(found.take(canary), found.take(~canary), 0.1)[1:] == (0.6, 0.0)
