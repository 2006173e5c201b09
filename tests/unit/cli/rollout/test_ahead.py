"""What comes next, from the state, the settings, and the last decision."""

import pytest

from cli.rollout import ahead
from cli.rollout.look import look
from functions.rollout import core
from shared.errors import Corrupt
from shared.rollout import update
from tests import fakes
from tests.unit.cli.rollout.world import HOUR, RULES, SERVICE, decide, live

MINUTE = HOUR // 60
COUNTED = {"svd:canary": {"closed_users": 612}, "svd:stable": {"closed_users": 700}}


@pytest.fixture
def deps(tmp_path):
    return fakes.deps(tmp_path, canary_step_seconds="600")


def on_trial(deps, ago=0, phase="serving", **settings):
    """Let a canary have its first users so many microseconds ago."""
    at = deps.now_us() - ago

    def change(state):
        state = core.accept(state, "m2", 99, at)
        return core.observe(state, True, "", at, RULES) if phase == "serving" else state

    live(deps, "m1")
    return update(deps.channels, SERVICE, change)


def order(deps, command):
    update(deps.channels, SERVICE, lambda state: core.order(state, command, "ann", "x", deps.now_us()))


def routed(deps, ago=0):
    update(deps.channels, SERVICE, lambda state: core.routed(state, state.number, deps.now_us() - ago))


def told(deps):
    return ahead.lines(look(deps, SERVICE))


def test_before_a_trial_it_is_the_gate_that_is_waited_for(deps):
    """And in a pause somebody's order."""
    assert told(deps) == ["no model yet; the first one that passes the offline gate gets all users"]
    live(deps, "m1")
    assert told(deps) == ["nothing on trial; the next model that passes the offline gate will be"]
    order(deps, "pause")
    assert told(deps)[0].endswith("will be, once there was `marquee rollout resume score-svd`")


def test_a_model_that_is_deployed_has_until_then(deps):
    """Five minutes, by the settings."""
    on_trial(deps, phase="deploying")
    assert told(deps) == ["gets 5 % of the users once it is ready; goes back if it is not by 12:05 UTC"]


def test_a_model_that_is_ready_in_a_pause_says_what_it_waits_for(deps):
    """It looks stuck otherwise."""
    on_trial(deps, phase="deploying")
    order(deps, "pause")
    assert told(deps) == ["not ready yet; waits for `marquee rollout resume score-svd`"]
    update(deps.channels, SERVICE, lambda state: core.observe(state, True, "", deps.now_us(), RULES))
    assert told(deps) == ["ready; waits for `marquee rollout resume score-svd`"]
    order(deps, "resume")
    update(deps.channels, SERVICE, lambda state: core.observe(state, True, "", deps.now_us(), RULES))
    order(deps, "pause")
    assert told(deps)[0] == "stays at 5 %; waits for `marquee rollout resume score-svd`"


def test_users_count_once_their_window_is_over(deps):
    """Until then nothing can be decided, and the hour is told."""
    on_trial(deps, 5 * MINUTE)
    assert told(deps)[1] == "users count once the router shares them out so"
    routed(deps, 5 * MINUTE)
    step, users = told(deps)
    assert users == "users count from 12:55 UTC on, an hour after their first list"
    assert step == (
        "next step 25 % not before 12:55 UTC, once every guardrail is ok; "
        "without a verdict by 11-26 11:55 UTC it is held"
    )


def test_users_that_count_are_told_beside_those_that_are_asked_for(deps):
    """As the last decision has them; each step is a count of its own."""
    on_trial(deps, 2 * HOUR)
    routed(deps, 2 * HOUR)
    assert told(deps)[1] == "users count, an hour after their first list; no decision about them yet"
    rules = {"min_users": 1000, "margin": 0.01}
    decide(deps, "m2", 7, percent=5, arms=COUNTED, rules=rules)
    assert told(deps)[1:] == [
        "612 users of the canary and 700 of stable count, of 1,000 of each",
        "watched something: nothing to compare yet; promoted if all is above -0.01, rolled back if all is below 0",
    ]
    for other in ({"percent": 25}, {"percent": 5, "revision": "of-an-earlier-trial"}):
        decide(deps, "m2", 8, arms=COUNTED, rules=rules, **other)
        assert told(deps)[1].endswith("no decision about them yet")


def test_what_stands_at_its_last_step_or_is_silent_or_held_says_so(deps):
    """Nothing of it is a step ahead."""
    state = on_trial(deps)

    def first(**fields):
        changed = state.canary.model_copy(update=fields)
        update(deps.channels, SERVICE, lambda now: now.model_copy(update={"canary": changed}))
        return told(deps)[0]

    assert first(unready_since=deps.now_us()) == "does not answer; goes back if that lasts until 12:01 UTC"
    assert first(phase="held").startswith("held at 5 % until a verdict or an order")
    last = state.canary.periods[-1].model_copy(update={"percent": 50})
    assert first(periods=(*state.canary.periods, last)).startswith("waits for a verdict at the last step; without")
    update(deps.channels, SERVICE, lambda now: core.accept(now, "m3", 100, deps.now_us()))
    assert told(deps)[0].endswith("it makes room for the next")


def test_evidence_that_is_none_is_said(deps):
    """By the decision that has it."""
    on_trial(deps, 2 * HOUR)
    routed(deps, 2 * HOUR)
    decide(deps, "m2", 7, percent="many")
    with pytest.raises(Corrupt, match="decision 7 about m2 of score-svd: 1 fields"):
        told(deps)
