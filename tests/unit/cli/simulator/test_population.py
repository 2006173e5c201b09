import numpy as np
import pytest

from cli.simulator.chance import of_visit
from cli.simulator.population import Population, numbered
from shared.errors import BadInput

PEOPLE = Population(seed=1, movies=numbered(500), n_users=300)
USERS = range(1, 301)


def best(person, n=20):
    """The movies that an all-knowing service would list."""
    chances = [PEOPLE.takes(person, [movie])[0] for movie in PEOPLE.movies]
    return [PEOPLE.movies[place] for place in np.argsort(chances)[::-1][:n]]


def test_the_same_seed_makes_the_same_people_in_whatever_order_they_are_asked_for():
    """Nothing that was drawn before has a say in what is drawn next; another seed makes others."""
    again = Population(seed=1, movies=numbered(500), n_users=300)
    backwards = [again.person(user, 0).bias for user in reversed(USERS)]
    assert backwards[::-1] == [PEOPLE.person(user, 0).bias for user in USERS]
    assert (again.tastes == PEOPLE.tastes).all()
    assert Population(seed=2, movies=numbered(500)).person(1, 0).bias != PEOPLE.person(1, 0).bias


def test_every_visit_has_a_chance_of_its_own():
    """The same for the same seed; numbers from 0 to 1, and normal noise."""
    visits = [of_visit(1, moment) for moment in range(2_000)]
    assert visits[9][:7] == of_visit(1, 9)[:7] != of_visit(2, 9)[:7]
    numbers = np.array([[*visit[:7], *visit.wishes] for visit in visits])
    assert numbers.mean(axis=0) == pytest.approx(0.5, abs=0.03)
    assert len(np.unique(numbers)) == numbers.size
    assert np.std([visit.noise for visit in visits]) == pytest.approx(1, abs=0.06)


def test_affinities_are_standard_normal_over_all_pairs():
    """So the constants mean the same for any number of factors."""
    for n_factors in (2, 8):
        people = Population(seed=3, movies=numbered(500), n_factors=n_factors)
        affinities = np.array([people.tastes @ people.person(user, 0).taste for user in USERS])
        assert abs(affinities.mean()) < 0.1
        assert affinities.std() == pytest.approx(1, abs=0.1)


def test_who_reads_a_list_stops_at_what_they_take():
    """By hand: two movies taken with the chances w when looked at; the second place is looked at by 1 / log2(3)."""
    person = PEOPLE.person(5, 0)
    first, second = (PEOPLE.takes(person, [movie])[0] for movie in ("17", "18"))
    taken = PEOPLE.takes(person, ["17", "18"])
    assert taken == pytest.approx([first, 1 - (1 - first) * (1 - second / np.log2(3))])
    assert PEOPLE.hit_chance(5, ["17", "18"]) == taken[-1]


def test_nobody_takes_what_they_have_seen_or_what_there_is_not():
    """Such places of a list stay empty; an empty list is no hit."""
    person = PEOPLE.person(5, 0)
    assert PEOPLE.takes(person, ["17", "nothing", "18"], {PEOPLE.place["17"]}).tolist()[:2] == [0, 0]
    assert PEOPLE.hit_chance(5, ["nothing"]) == PEOPLE.hit_chance(5, []) == 0


def test_a_place_further_up_is_worth_more():
    """The same twenty movies, the best first or last."""
    person = PEOPLE.person(5, 0)
    listed = best(person)
    assert PEOPLE.takes(person, listed)[-1] > PEOPLE.takes(person, listed[::-1])[-1]


def test_tastes_turn_slowly():
    """After one more visit of everybody lists are still good, after a hundred they are another's."""
    people = Population(seed=1, movies=PEOPLE.movies, n_users=300, drift=0.02)
    lists = {user: best(people.person(user, 0)) for user in range(1, 60)}
    chance = [
        np.mean([people.hit_chance(user, listed, visits * 300) for user, listed in lists.items()])
        for visits in (0, 1, 100)
    ]
    assert chance[1] == pytest.approx(chance[0], rel=0.03)
    assert chance[2] < 0.8 * chance[0]


def test_users_arrive_and_leave():
    """With one user a visit, all have been replaced after as many visits as there are users; with none, nobody."""
    busy = Population(seed=1, movies=["a"], n_users=10, turnover=1.0)
    assert [busy.visitor(moment, who) for moment, who in ((0, 0.0), (0, 0.99), (10, 0.0))] == [1, 10, 11]
    assert Population(seed=1, movies=["a"], turnover=0).oldest(10**6) == 1


def test_ratings_are_on_the_scale():
    """Half steps from 0.5 to 5, whoever rates what, and higher for what suits."""
    person = PEOPLE.person(7, 0)
    ratings = {noise: [PEOPLE.rating(person, place, noise) for place in range(500)] for noise in (-9, 0, 9)}
    assert {rating * 2 for of in ratings.values() for rating in of} <= set(range(1, 11))
    assert np.corrcoef(ratings[0], PEOPLE.tastes @ person.taste)[0, 1] > 0.8


@pytest.mark.parametrize(
    "wrong", [{"movies": []}, {"movies": ["a", "a"]}, {"movies": ["a/b"]}, {"n_users": 0}, {"seed": -1}]
)
def test_a_population_that_cannot_be_is_refused(wrong):
    """Also ids that the site's log could not carry."""
    with pytest.raises(BadInput):
        Population(**({"seed": 1, "movies": ["a"]} | wrong))
