from typing import Any

import pytest

from functions.evaluate_online.period import Period, compared, first, last, on_trial, share_of_alpha
from shared.rollout import State, read

STABLE = {"model_version": "a", "revision": "ra", "lake_version": 0}


def state(routed_at: int | None = None, percent: int = 0, **fields: Any) -> State:
    canary = {
        "release": {"model_version": "b", "revision": "rb", "lake_version": 1},
        "phase": "serving",
        "periods": [{"since": 0, "percent": percent}],
    }
    return read("score-svd", {"stable": STABLE, "canary": canary | fields, "routed_at": routed_at})


def test_a_period_begins_a_moment_after_the_router_followed() -> None:
    """Not when it was told to: until then users are dealt as before."""
    assert first(state(30), 1_000, 6, 100) == Period(36, 136)


def test_while_the_router_does_not_follow_there_is_no_evidence() -> None:
    """All that was served so far was served before the period."""
    assert first(state(None), 1_000, 6, 100).since == 1_006
    assert last(state(None), 1_000, 6, 100).since == 1_006
    assert compared([state(10), state(None)], 0, 1_000, 6, 100).since == 1_006


def test_without_a_canary_the_last_days_are_looked_at() -> None:
    """But none in which the service had other weights."""
    assert last(state(10), 1_000, 6, 100) == Period(900, 1_000)
    assert last(state(950), 1_000, 6, 100) == Period(956, 1_056)


def test_algorithms_are_compared_once_all_weights_stand_still() -> None:
    """Those of both services, and the one between them."""
    services = [state(10), state(950)]
    assert compared(services, 0, 1_000, 6, 100) == Period(956, 1_056)
    assert compared(services, 970, 1_000, 6, 100) == Period(976, 1_076)
    assert compared(services, 999, 1_000, 6, 100) == Period(1_005, 1_105)


def test_when_a_comparison_is_over_the_next_one_begins() -> None:
    """Within one the evidence only grows, however often it is looked at."""
    begins = [compared([state(10)], 0, now, 6, 100).since for now in (16, 115, 116, 1_000)]
    assert begins == [16, 16, 116, 916]


@pytest.mark.parametrize(
    ("percent", "phase", "is_it"), [(0, "deploying", False), (5, "serving", True), (5, "held", True)]
)
def test_a_canary_with_users_is_on_trial(percent: int, phase: str, is_it: bool) -> None:
    """Also while it is held: its users go on telling."""
    assert (on_trial(state(percent=percent, phase=phase)) is not None) is is_it


def test_alpha_is_shared_out_by_what_a_step_can_tell() -> None:
    """5 · 95, 25 · 75 and 50 · 50 of 4,850; a weight that is no step has the least."""
    shares = [share_of_alpha(percent, (5, 25, 50)) for percent in (5, 25, 50)]
    assert shares == [pytest.approx(each / 4_850) for each in (475, 1_875, 2_500)]
    assert sum(shares) == pytest.approx(1)
    assert share_of_alpha(10, (5, 25, 50)) == shares[0]
