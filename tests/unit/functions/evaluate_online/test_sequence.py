import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from functions.evaluate_online.sequence import RARE, WATCHING, Arm, Difference, Stratum, Sums, difference, reach, score
from tests.unit.functions.evaluate_online.arms import arm, stratum

ALPHA = 0.05
ODDS = math.log(1 / ALPHA**2)
NOTHING = Difference(None, -1.0, 1.0, None, None, 0, 0)


@st.composite
def arms(draw: st.DrawFn) -> Arm:
    n_users = draw(st.integers(1, 10_000))
    return arm(n_users, draw(st.integers(0, n_users)))


strata = st.lists(st.builds(Stratum, arms(), arms()), min_size=1, max_size=5)


def sums(n_users: float, total: float, squares: float) -> Sums:
    return Sums(np.array([n_users]), np.array([total]), np.array([squares]))


def same(found: Difference, expected: Difference) -> bool:
    return list(vars(found).values()) == pytest.approx(list(vars(expected).values()), abs=1e-9)


def test_a_score_by_hand():
    """2 of 4 beside 1 of 4: the weight is 2, the score 2 - 4 · 3/8, its variance ¼ · 15/8 · 8/7."""
    found = score(sums(4, 2, 2), sums(4, 1, 1))
    assert [each.item() for each in found] == pytest.approx([2.0, 0.5, 15 / 28])


def test_bounds_by_hand():
    """200 of 400 beside 100 of 400, with η = 1: 50 ± √((V + 1) (log(V + 1) + 2 log 20)), over a weight of 200."""
    variance = 187.5 / 4 * 800 / 799
    wide = math.sqrt((variance + 1) * (math.log(variance + 1) + ODDS)) / 200
    found = difference([stratum((400, 200), (400, 100))], ALPHA, narrowest_at=ODDS + math.log(1 + ODDS))
    assert same(found, Difference(0.25, 0.25 - wide, 0.25 + wide, 0.5, 0.25, 400, 400))


def test_bounds_are_narrowest_where_they_are_asked_to_be():
    """Beside the spread of the score, no other choice reaches less far at that variance, but for 1 %."""
    chosen, *others = (
        reach(1_000.0, ALPHA, narrowest_at) for narrowest_at in (1_000, 250, 500, 900, 1_100, 2_000, 4_000)
    )
    assert chosen <= min(others) * 1.01


def test_arms_that_vary_differently_are_believed():
    """A small canary of noughts and ones beside a calm stable arm varies as the canary does, (1 - p)² Σ (y - m)²."""
    found = score(sums(100, 50, 50), sums(900, 450, 225))
    assert found.variance.item() == pytest.approx(0.9**2 * 25 * 1000 / 999)


def test_a_small_arm_without_rare_events_is_not_taken_for_sure():
    """0 of 100 beside 20 of 1,900: the variance is at least that of chance, p (1 - p) Σ (y - m)²."""
    found = score(sums(100, 0, 0), sums(1_900, 20, 20))
    assert found.variance.item() == pytest.approx(0.05 * 0.95 * (20 - 20**2 / 2_000) * 2_000 / 1_999)


def test_periods_of_other_weights_and_other_rates_do_not_mix():
    """Pooled, a canary that is equal in each period looks nine points better: it was larger when all watched more."""
    periods = [stratum((500, 50), (9_500, 950)), stratum((5_000, 1_500), (5_000, 1_500))]
    pooled = stratum((5_500, 1_550), (14_500, 2_450))
    assert difference(periods, ALPHA).estimate == pytest.approx(0, abs=1e-12)
    assert difference([pooled], ALPHA).lower > 0.09


@given(strata)
def test_bounds_contain_the_estimate_and_nothing_impossible(periods: list[Stratum]):
    """Shares differ by -1 to 1, and the estimate is the difference of the two means told beside it."""
    found = difference(periods, ALPHA)
    assert found.estimate is not None
    assert -1 <= found.lower <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.upper <= 1
    assert found.canary is not None
    assert found.stable is not None
    assert found.estimate == pytest.approx(found.canary - found.stable, abs=1e-9)


@given(strata)
def test_swapped_arms_swap_the_signs(periods: list[Stratum]):
    """Neither arm is preferred."""
    found = difference(periods, ALPHA)
    swapped = difference([Stratum(each.stable, each.canary) for each in periods], ALPHA)
    assert (swapped.lower, swapped.upper) == pytest.approx((-found.upper, -found.lower), abs=1e-9)
    assert (swapped.canary, swapped.n_canary) == (pytest.approx(found.stable), found.n_stable)


@given(strata, st.randoms())
def test_the_order_of_periods_does_not_matter(periods: list[Stratum], random):
    """Nor, as only sums are looked at, does that of users in them or of looks before."""
    shuffled = random.sample(periods, len(periods))
    assert same(difference(shuffled, ALPHA), difference(periods, ALPHA))


@given(strata, arms())
def test_a_period_with_one_arm_says_nothing(periods: list[Stratum], more: Arm):
    """There is nothing to compare it with."""
    alone = [Stratum(more, arm(0, 0)), Stratum(arm(0, 0), more)]
    assert same(difference([*alone, *periods], ALPHA), difference(periods, ALPHA))
    assert difference(alone, ALPHA) == NOTHING


@given(strata)
def test_more_users_who_do_the_same_make_bounds_narrower(periods: list[Stratum]):
    """Four times the users, the same estimate, narrower bounds unless there was no bound at all."""
    once, more = difference(periods, ALPHA), difference(periods * 4, ALPHA)
    assert more.estimate == pytest.approx(once.estimate, abs=1e-9)
    assert more.upper - more.lower < once.upper - once.lower or once.upper - once.lower == 2


def test_without_users_nothing_is_known():
    """No period, or none with both arms."""
    assert difference([], ALPHA) == NOTHING
    assert difference([stratum((0, 0), (0, 0))], ALPHA) == NOTHING


@pytest.mark.parametrize(("rate", "share"), [(0.2, 0.5), (0.2, 0.05), (0.01, 0.05), (0.95, 0.05)])
def test_bounds_hold_at_every_look(rate: float, share: float):
    """In 400 runs of 200 looks, the truth, here a canary worse by a tenth, is outside in at most one of twenty."""
    rng = np.random.default_rng(7)
    n_canary = rng.binomial(100, share, (400, 200))
    hits = [rng.binomial(n, p) for n, p in ((n_canary, 0.9 * rate), (100 - n_canary, rate))]
    users, stable_users, watched, stable_watched = (
        np.cumsum(each, axis=1) for each in (n_canary, 100 - n_canary, *hits)
    )
    found = score(Sums(users, watched, watched), Sums(stable_users, stable_watched, stable_watched))
    for narrowest_at in (RARE, WATCHING):
        outside = np.abs(found.value + 0.1 * rate * found.weight) > reach(found.variance, ALPHA, narrowest_at)
        assert outside.any(axis=1).mean() <= ALPHA


@pytest.mark.parametrize(
    "sums_of_nobody",
    [
        (-1, 0.0, 0.0),
        (1, -0.1, 0.0),
        (10, 11.0, 11.0),
        (10, 5.0, 6.0),
        (10, 5.0, 2.0),
        (10, math.nan, 1.0),
        (0, 1.0, 1.0),
    ],
)
def test_sums_that_no_users_have_are_refused(sums_of_nobody: tuple[int, float, float]):
    """Each user's number lies from 0 to 1."""
    with pytest.raises(ValidationError):
        Arm(*sums_of_nobody)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_sums_that_users_have_are_taken(numbers: list[float]):
    """Whatever the numbers, and however sums were rounded; they come back from JSON as they were."""
    found = Arm(len(numbers), sum(numbers), sum(each * each for each in numbers))
    kind = TypeAdapter(Arm)
    assert kind.validate_json(kind.dump_json(found)) == found
