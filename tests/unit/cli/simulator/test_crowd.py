from collections import Counter

import pytest

from cli.simulator.crowd import RATES, Crowd
from cli.simulator.population import Population, numbered

PEOPLE = Population(seed=4, movies=numbered(300), n_users=200)
POPULAR = [PEOPLE.movies[place] for place in PEOPLE.popularity.argsort()[::-1][:20].tolist()]


def days(listed, n_visits=3_000, people=PEOPLE):
    crowd = Crowd(people)
    return [(visit := crowd.visit(), crowd.watch(visit, listed)) for _ in range(n_visits)]


def test_who_comes_does_not_depend_on_what_they_are_recommended():
    """Two services can be compared on the very same visits."""
    assert [visit[:3] for visit, _ in days([])] == [visit[:3] for visit, _ in days(POPULAR)]


def test_a_list_is_taken_from_as_often_as_the_truth_says():
    """Hits, counted, are the sum of their chances within what chance allows (four standard deviations)."""
    crowd, hits, chances = Crowd(PEOPLE), 0, []
    for _ in range(3_000):
        visit = crowd.visit()
        chances.append(PEOPLE.hit_chance(visit.user, POPULAR, visit.moment, crowd.seen(visit.user)))
        watched = crowd.watch(visit, POPULAR)
        hits += watched is not None and watched.is_hit
    assert hits == pytest.approx(sum(chances), abs=4 * sum(p * (1 - p) for p in chances) ** 0.5)


def test_whoever_takes_from_a_list_takes_from_a_better_one():
    """The list with a movie more, at its end, is hit whenever the shorter one is."""
    shorter, longer = ([watched and watched.is_hit for _, watched in days(POPULAR[:n], 200)] for n in (10, 20))
    assert all(now or not before for before, now in zip(shorter, longer, strict=True))


def test_nobody_watches_a_movie_twice_or_of_their_own_accord_what_they_passed_over():
    """A user's movies differ; what is no hit is not on the list."""
    met = [(visit.user, watched) for visit, watched in days(POPULAR) if watched]
    assert Counter((user, watched.movie) for user, watched in met).most_common(1)[0][1] == 1
    assert {watched.is_hit == (watched.movie in POPULAR) for _, watched in met} == {True}


def test_who_has_seen_everything_watches_nothing():
    """And the visit is none the worse."""
    people = Population(seed=4, movies=["a"], n_users=1, turnover=0)
    assert [watched is not None for _, watched in days([], 3, people)] == [True, False, False]


def test_a_user_is_new_once():
    """Users who left are forgotten, so that a crowd never grows."""
    people = Population(seed=4, movies=numbered(300), n_users=50, turnover=0.5)
    crowd = Crowd(people)
    new = [visit.user for visit in (crowd.visit() for _ in range(2_000)) if visit.is_new]
    assert len(set(new)) == len(new) > 500
    assert len(crowd._seen) <= 51


def test_a_visit_is_logged_as_the_site_logs_it():
    """From the first minute on, each hour of a movie, then perhaps a rating; who liked it stayed to the end."""
    met = [watched for _, watched in days([]) if watched]
    assert sum(watched.rating is not None for watched in met) / len(met) == pytest.approx(RATES, abs=0.03)
    for watched in met:
        times, what = zip(*watched.requests(), strict=True)
        assert list(times) == sorted(times)
        assert what[0] == f"GET /data/m/{watched.movie}/0.mpg"
        assert len(what) == 1 + watched.minutes // 60 + (watched.rating is not None)
        if watched.rating is not None and watched.rating >= 3:
            assert watched.minutes == PEOPLE.minutes[PEOPLE.place[watched.movie]]
