import random

import pytest

from functions.evaluate_online import arms
from functions.evaluate_online.arms import OneArm
from functions.evaluate_online.behaviour import Behaviour
from functions.train import core as training
from shared.model import FactorModel
from tests.ratings import checkerboard, split_of
from tests.unit.functions.evaluate_online.rows import DAY, HOUR, MINUTE, START, Site, behaviour

STABLE, CANARY = "svd:stable", "svd:canary"


def arm(found: Behaviour, name: str) -> OneArm:
    return OneArm(found, name, name.replace(":", "-"), HOUR)


def busy(n_users: int = 40) -> Site:
    """Half of the users in each arm; every fourth watches, in both alike; everything is in."""
    site = Site()
    for user in range(1, n_users + 1):
        site.serve(user, f"a b m{user}", user * 1000, CANARY if user % 2 else STABLE)
        if user % 4 < 2:
            site.watch(user, "b", 10 * MINUTE)
            site.rate(user, "b", 4.0, 20 * MINUTE)
    site.alive(3 * HOUR)
    return site


def test_the_numbers_of_an_arm_by_hand() -> None:
    """20 users with a list of three each, of whom ten watched a minute of b and rated it 4."""
    told = arm(behaviour(busy().rows), CANARY).summary(None)
    assert (told["lists"], told["users"], told["closed_users"]) == (20, 20, 20)
    assert (told["hit_rate"], told["minutes"]) == (0.5, 0.5)
    assert (told["rating_of_recommended"], told["raters_of_recommended"]) == (4.0, 10)
    assert (told["movies"], told["diversity"]) == (22, pytest.approx(1 / 3))
    assert told["popular_share"] == pytest.approx(1 / 3)
    assert (told["fallback_share"], told["error_share"]) == (0.0, 0.0)
    assert (told["p99_ms"], told["site_p99_ms"]) == (5.0, 7.0)


def test_an_arm_without_anything_has_nothing_to_say() -> None:
    """Unknown is None, never 0."""
    told = arm(behaviour([]), CANARY).summary(None)
    assert {name for name, value in told.items() if value is not None} == {
        "lists", "users", "closed_users", "raters_of_recommended", "predicted_ratings", "movies"
    }  # fmt: skip
    assert not any(value for value in told.values())


def test_order_and_repeats_change_no_number() -> None:
    """A whole day that is delivered again, with the same offsets, is the same day."""
    site = busy()
    expected = [arm(behaviour(site.rows), name).summary(None) for name in (STABLE, CANARY)]
    rows = site.rows * 2 + site.rows[:50]
    random.Random(1).shuffle(rows)
    assert [arm(behaviour(rows, 7), name).summary(None) for name in (STABLE, CANARY)] == expected


def test_a_user_belongs_to_the_arm_of_their_first_list() -> None:
    """And counts there alone, with what they watch from any list; the other arm's measures leave their lists out."""
    site = Site()
    site.serve(1, "a", 0, STABLE)
    site.serve(1, "b", MINUTE, CANARY)
    site.serve(2, "a", 0, CANARY)
    site.watch(1, "b", 2 * MINUTE)
    site.alive(3 * HOUR)
    found = behaviour(site.rows)
    stable, canary = arm(found, STABLE), arm(found, CANARY)
    assert (stable.hits.n_users, stable.hits.total) == (1, 1.0)
    assert (canary.hits.n_users, canary.hits.total) == (1, 0.0)
    assert (len(stable.lists), len(canary.lists)) == (1, 1)
    assert (stable.fallbacks.total, canary.fallbacks.total) == (0.0, 0.0)


def test_lists_by_another_model_are_fallbacks_of_the_users_own_arm() -> None:
    """By the revision that made them; each user's share is one number."""
    site = Site()
    for at, revision in enumerate(("svd-canary", "svdpp-stable", "svdpp-stable", "local")):
        site.serve(1, "a", at, CANARY, revision=revision)
    site.serve(2, "a", 0, CANARY)
    fallbacks = arm(behaviour(site.rows), CANARY).fallbacks
    assert (fallbacks.n_users, fallbacks.total) == (2, 0.75)


def test_errors_and_slow_answers_are_shares_of_each_users_requests() -> None:
    """What the site gave up, and an error text where a list should be, are errors."""
    site = Site()
    site.serve(1, "a", 0, latency_ms=501.0)
    site.serve(1, "a", MINUTE, latency_ms=500.0)
    site.log(1, "", 2 * MINUTE, status=0)
    site.log(1, "", 3 * MINUTE, status=200)
    stable = arm(behaviour(site.rows), STABLE)
    assert (stable.errors.total, stable.slow.total) == (0.5, 0.5)


def test_lost_answers_are_no_exposures_but_stay_in_the_guardrails() -> None:
    """Whoever never got a list does not count as one who did not like it."""
    site = busy()
    for user in (101, 103):
        site.serve(user, "a", 0, CANARY, logged=False, latency_ms=900.0)
        site.log(user, "", 1000, status=0)
    canary = arm(behaviour(site.rows), CANARY)
    assert canary.hits.n_users == 20
    assert (canary.slow.n_users, canary.slow.total) == (22, 2.0)
    assert (canary.errors.n_users, canary.errors.total) == (22, 2.0)


def test_without_any_line_of_the_site_every_list_counts_and_errors_are_unknown() -> None:
    """Users are known to have been served; what the site got is not known."""
    rows = [row for row in busy().rows if row.kind != "request"]
    canary = arm(behaviour(rows), CANARY)
    assert canary.hits.n_users == 20
    assert canary.errors.n_users == 0


def test_with_ratings_alone_there_are_no_outcomes() -> None:
    """No watch says up to when anything is in."""
    rows = [row for row in busy().rows if row.kind in ("served", "rating")]
    found = behaviour(rows)
    assert arm(found, CANARY).hits.n_users == 0
    assert arm(found, CANARY).summary(None)["rating_of_recommended"] == 4.0


def test_where_nobody_watches_in_either_arm_nothing_is_measured() -> None:
    """As when the site calls movies otherwise than the lists do: that is no proof of an equal canary."""
    site = busy()
    found = behaviour([row for row in site.rows if row.movie_id != "b"])
    canary, stable = arm(found, CANARY), arm(found, STABLE)
    assert canary.hits.n_users == 20
    assert arms.watched(canary, stable) == ()
    assert len(arms.watched(arm(behaviour(site.rows), CANARY), arm(behaviour(site.rows), STABLE))) == 1


def test_a_period_is_cut_out_of_all_that_was_read() -> None:
    """Lists, requests and ratings from its beginning on; users who came before begin anew."""
    site = busy()
    site.serve(2, "c", 2 * HOUR, STABLE)
    found = behaviour(site.rows).between(START + HOUR, START + DAY)
    stable = arm(found, STABLE)
    assert (len(stable.lists), len(stable.requests), len(found.ratings)) == (1, 1, 0)
    assert stable.outcomes.users.tolist() == stable.lists.users.tolist()


def test_levels_compare_arms_in_as_many_lists() -> None:
    """Nothing is said while one of them has none."""
    found = behaviour(busy().rows)
    told = arms.levels(arm(found, CANARY), arm(found, STABLE))
    assert told["coverage"].canary == told["coverage"].stable == pytest.approx(22)
    audience = told["audience of one movie"]
    assert (audience.canary, audience.stable, audience.least) == (1.0, 1.0, 0.1)
    assert arms.levels(arm(found, CANARY), arm(found, "svdpp:stable")) == {}


@pytest.fixture(scope="module")
def model() -> FactorModel:
    return training.fit(split_of(checkerboard(6), 0.2).train, "svd", training.Parameters(4, 300, 0.02, 0.01), seed=1)


def test_a_model_is_measured_by_what_its_arms_users_rated_since(model: FactorModel) -> None:
    """Unknown users and movies are left out, and other arms' users."""
    site = Site()
    known, movie = int(model.users[0]), model.movies[0]
    site.serve(known, "a", 0, STABLE)
    site.serve(99, "a", 0, STABLE)
    site.serve(int(model.users[1]), "a", 0, CANARY)
    for user, what in ((known, movie), (known, "unknown"), (99, movie), (int(model.users[1]), movie)):
        site.rate(user, what, 5.0, MINUTE)
    told = arm(behaviour(site.rows), STABLE).summary(model)
    error = abs(5.0 - float(model.predict([str(known)], [movie])[0]))
    assert (told["rmse"], told["predicted_ratings"]) == (pytest.approx(error, abs=1e-5), 1)
    assert arm(behaviour(site.rows), "svdpp:stable").summary(model)["rmse"] is None
