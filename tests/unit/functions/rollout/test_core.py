import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollout import core
from functions.rollout.core import ROLLOUT, Rules, accept, judge, observe, order, revision, routed
from shared.errors import BadInput
from shared.rollout import LOG_LENGTH, MOVES, OTHERS_KEPT, State
from tests.unit.functions.rollout.world import SERVICE, decided

SECOND = 1_000_000
RULES = Rules(steps=(5, 25, 50), step=600 * SECOND, deploy=300 * SECOND, unready=60 * SECOND, trial=7_200 * SECOND)
EMPTY = State(service=SERVICE)
START = 1_000 * SECOND


def stable(version="m1", lake_version=1, now=START):
    """Return a service whose first model is live."""
    return observe(accept(EMPTY, version, lake_version, now), True, "", now, RULES)


def serving(version="m2", lake_version=2, now=START):
    """Return a service with a canary that has its first users."""
    return observe(accept(stable(), version, lake_version, now), True, "", now, RULES)


def steps(state):
    return [(change.what, change.model_version, change.percent) for change in state.log]


def told(before, after):
    return [(change.what, change.model_version, change.percent, change.who) for change in after.log[len(before.log) :]]


def test_the_first_model_gets_all_users_once_it_is_ready():
    """There is nobody to compare it with."""
    deploying = accept(EMPTY, "m1", 1, START)
    assert (deploying.name, deploying.model_version, deploying.canary.percent) == ("deploying", None, 0)
    state = observe(deploying, True, "", START + 5, RULES)
    assert (state.name, state.model_version, state.previous, state.stable_since) == ("stable", "m1", None, START + 5)
    assert steps(state) == [("deploying", "m1", 0), ("promoted", "m1", 100)]


def test_the_next_model_begins_with_few_users_once_it_is_ready():
    """Until then it has none."""
    deploying = accept(stable(), "m2", 2, START)
    assert (deploying.name, deploying.canary.percent, deploying.model_version) == ("deploying", 0, "m1")
    state = observe(deploying, True, "", START + 7, RULES)
    assert (state.name, state.canary.phase, state.model_version) == ("canary", "serving", "m1")
    assert [(period.since, period.percent) for period in state.canary.periods] == [(START, 0), (START + 7, 5)]


def test_a_safe_canary_gets_more_users_step_by_step():
    """Each step lasts as long as it must, and after the last one it waits for its verdict."""
    state, now = serving(), START
    for number, percent in enumerate([25, 50]):
        early = judge(state, decided("m2", 2 * number, "hold"), "e", now + RULES.step - 1, RULES)
        assert early.log == state.log
        now += RULES.step
        state = judge(early, decided("m2", 2 * number + 1, "hold"), "e", now, RULES)
        assert (state.canary.percent, state.log[-1].what, state.log[-1].evidence) == (percent, "canary", "e")
    assert judge(state, decided("m2", 9, "hold"), "e", now + 2 * RULES.step, RULES).log == state.log


def test_an_unsafe_canary_gets_no_more_users():
    """Neither a step nor all of them, whatever the verdict says."""
    state = serving()
    for number, verdict in enumerate(["hold", "promote"]):
        after = judge(state, decided("m2", number, verdict, is_safe=False), "e", START + 2 * RULES.step, RULES)
        assert (after.log, after.canary.judged) == (state.log, number)


def test_a_promoted_canary_is_the_stable_one_and_the_old_one_is_kept():
    """The decision is named as the evidence."""
    before = serving()
    state = judge(before, decided("m2", 7, "promote"), "decisions/7.json", START, RULES)
    assert (state.name, state.model_version, state.previous.model_version) == ("stable", "m2", "m1")
    assert told(before, state) == [("promoted", "m2", 100, ROLLOUT)]
    assert (state.log[-1].evidence, state.log[-1].why) == ("decisions/7.json", "because of 7")


def test_a_worse_canary_goes_back():
    """Also one whose guardrails hold, and one that is held."""
    for before in (serving(), observe(serving(), True, "", START + RULES.trial + 1, RULES)):
        state = judge(before, decided("m2", 7, "roll_back"), "e", START, RULES)
        assert (state.name, state.model_version, state.canary) == ("stable", "m1", None)
        assert told(before, state) == [("rolled_back", "m2", 0, ROLLOUT)]


@pytest.mark.parametrize("number", [3, 2, 0])
def test_a_decision_that_knows_no_more_than_the_last_changes_nothing(number):
    """Events come twice, and late."""
    state = judge(serving(), decided("m2", 3, "hold"), "e", START, RULES)
    assert judge(state, decided("m2", number, "roll_back"), "e", START, RULES) == state


def test_a_decision_about_another_model_changes_nothing():
    """Be it the stable one or one that is gone; and there is none about a model without users."""
    for state in (serving(), stable(), EMPTY, accept(stable(), "m2", 2, START)):
        about = "m1" if state.canary and state.canary.phase == "serving" else "m2"
        for verdict in ("promote", "roll_back", "hold"):
            assert judge(state, decided(about, 3, verdict), "e", START, RULES) == state


@pytest.mark.parametrize("state", [accept(stable(), "m2", 2, START), serving()], ids=["deploying", "serving"])
def test_a_revision_that_fails_goes_back_at_once(state):
    """With the reason that it gave."""
    after = observe(state, False, "out of memory", START, RULES)
    assert told(state, after) == [("rolled_back", "m2", 0, ROLLOUT)]
    assert "out of memory" in after.log[-1].why


def test_a_revision_that_is_never_ready_goes_back():
    """After its time, and no sooner."""
    state = accept(stable(), "m2", 2, START)
    assert observe(state, None, "no image", START + RULES.deploy, RULES) == state
    after = observe(state, None, "no image", START + RULES.deploy + 1, RULES)
    assert told(state, after) == [("rolled_back", "m2", 0, ROLLOUT)]
    assert "no image" in after.log[-1].why


def test_a_canary_that_falls_silent_goes_back_unless_it_answers_again():
    """Its silence is measured from its beginning, and ends with one answer."""
    silent = observe(serving(), None, "?", START + 10, RULES)
    assert (silent.canary.unready_since, silent.log) == (START + 10, serving().log)
    assert observe(silent, None, "?", START + 10 + RULES.unready, RULES) == silent
    assert observe(silent, True, "", START + 10 + RULES.unready, RULES) == serving()
    after = observe(silent, None, "?", START + 11 + RULES.unready, RULES)
    assert told(silent, after) == [("rolled_back", "m2", 0, ROLLOUT)]


def test_a_silent_canary_gets_no_more_users():
    """Neither a step nor all of them; away from it a verdict still leads."""
    silent, later = observe(serving(), None, "?", START + 10, RULES), START + 2 * RULES.step
    for number, verdict in enumerate(["hold", "promote"]):
        assert judge(silent, decided("m2", number, verdict), "e", later, RULES).log == silent.log
    assert judge(silent, decided("m2", 3, "roll_back"), "e", later, RULES).name == "stable"


def test_a_model_that_goes_back_before_it_had_users_moves_nobody():
    """Evidence about the others goes on; a canary with users that goes back, or gets more, begins another time."""
    settled = routed(stable(), 2, START + 9)
    assert (settled.routed_at, routed(settled, 2, START + 99), routed(stable(), 1, START)) == (
        START + 9,
        settled,
        stable(),
    )
    deploying = accept(settled, "m2", 2, START)
    assert observe(deploying, False, "failed", START, RULES).routed_at == START + 9
    assert order(deploying, "pause", "ann", "x", START).routed_at == START + 9
    assert observe(deploying, True, "", START, RULES).routed_at is None


def test_a_canary_without_a_verdict_is_held_and_may_still_be_judged():
    """It keeps its users, gets no more, and says so once."""
    before = serving()
    assert observe(before, True, "", START + RULES.trial, RULES) == before
    held = observe(before, True, "", START + RULES.trial + 1, RULES)
    assert (held.name, held.canary.percent, told(before, held)) == ("held", 5, [("held", "m2", 5, ROLLOUT)])
    assert observe(held, True, "", START + 2 * RULES.trial, RULES) == held
    assert judge(held, decided("m2", 1, "hold"), "e", START + 2 * RULES.trial, RULES).log == held.log
    assert judge(held, decided("m2", 1, "promote"), "e", START + 2 * RULES.trial, RULES).model_version == "m2"


def test_a_model_that_comes_during_a_trial_waits_for_its_end():
    """However it ends; of several only the newest does."""
    waiting = accept(accept(serving(), "m3", 3, START), "m4", 4, START)
    assert (waiting.canary.release.model_version, waiting.waiting.model_version) == ("m2", "m4")
    for verdict, what, live in (("promote", "promoted", "m2"), ("roll_back", "rolled_back", "m1")):
        after = judge(waiting, decided("m2", 1, verdict), "e", START, RULES)
        assert [change[:2] for change in told(waiting, after)] == [(what, "m2"), ("deploying", "m4")]
        assert (after.model_version, after.canary.release.model_version, after.waiting) == (live, "m4", None)


def test_a_model_waits_for_one_that_has_no_users_yet_too():
    """However fast new ones come, the one that came first is judged."""
    state = accept(stable(), "m2", 2, START)
    for number in range(3, 9):
        state = accept(state, f"m{number}", number, START)
    state = observe(state, True, "", START, RULES)
    assert (state.canary.release.model_version, state.canary.percent, state.waiting.model_version) == ("m2", 5, "m8")


def test_a_held_canary_makes_room_for_the_model_that_waits():
    """Whichever comes first, the end of its time or the next model."""
    late = START + RULES.trial + 1
    held = observe(serving(), True, "", late, RULES)
    first = observe(accept(held, "m3", 3, late), True, "", late, RULES)
    second = observe(accept(serving(), "m3", 3, late), True, "", late, RULES)
    for after in (first, second):
        assert [change[0] for change in steps(after)[-3:]] == ["waiting", "rolled_back", "deploying"]
        assert after.canary.release.model_version == "m3"


@pytest.mark.parametrize(("version", "lake_version"), [("m1", 1), ("m2", 2), ("m0", 1), ("m0", 0)])
def test_a_model_is_accepted_once_and_none_that_knows_less(version, lake_version):
    """Events come twice and late: a downgrade is none of them."""
    for state in (serving(), observe(serving(), False, "failed", START, RULES)):
        assert accept(state, version, lake_version, START) == state


def test_another_model_of_the_same_lake_is_accepted_once():
    """New parameters on old data are a new model, and it has one turn too."""
    other = accept(serving(), "m2b", 2, START)
    assert other.waiting.model_version == "m2b"
    gone = judge(other, decided("m2", 1, "roll_back"), "e", START, RULES)
    gone = observe(gone, False, "failed", START, RULES)
    for version in ("m2", "m2b"):
        assert accept(gone, version, 2, START) == gone


def test_a_refused_model_never_returns_by_itself():
    """However many came after it."""
    state = observe(serving(), False, "failed", START, RULES)
    for number in range(3, 200):
        state = state.model_copy(update={"announced": state.number})
        state = observe(accept(state, f"m{number}", number, START), False, "failed", START, RULES)
    assert accept(state, "m2", 2, START) == state


def test_the_log_keeps_the_last_changes_and_all_that_nobody_was_told_of():
    """Numbers go on without a gap."""
    state = stable()
    for number in range(2, 100):
        state = observe(accept(state, f"m{number}", number, START), False, "failed", START, RULES)
    assert [change.number for change in state.log] == list(range(1, 2 * 99 + 1))
    state = accept(state.model_copy(update={"announced": state.number}), "m100", 100, START)
    moves = [change.number for change in state.log if change.what in MOVES]
    others = [change.number for change in state.log if change.what not in MOVES]
    assert moves == list(range(state.number - 2 * LOG_LENGTH + 1, state.number, 2))
    assert others == list(range(state.number - 2 * (OTHERS_KEPT - 1), state.number + 1, 2))


@given(st.lists(st.sampled_from(["pause", "resume"]), max_size=150))
def test_orders_that_move_nobody_never_push_out_who_promoted_what(commands):
    """However many there are; the numbers go on."""
    state = order(serving(), "promote", "ann", "it is good", START)
    for command in ["pause", *commands]:
        state = order(state.model_copy(update={"announced": state.number}), command, "eve", "x", START)
    assert [(change.what, change.who) for change in state.log if change.what == "promoted"][-1] == ("promoted", "ann")
    assert len(state.log) <= LOG_LENGTH + OTHERS_KEPT
    assert [change.number for change in state.log] == sorted({change.number for change in state.log})
    assert state.number == state.log[-1].number


# A state that was lost


def lost(version="m1", lake_version=5):
    """Return the state that is made anew of a service whose users are with a model."""
    return core.recover(EMPTY, revision(SERVICE, version), version, lake_version, START)


def test_a_model_that_has_users_and_no_state_is_the_stable_one():
    """It is noted who took it to be, and why; a state that knows of any model stays as it is."""
    state = lost()
    assert (state.name, state.model_version, state.lake_version) == ("stable", "m1", 5)
    assert told(EMPTY, state) == [("adopted", "m1", 100, ROLLOUT)]
    assert "no state" in state.log[-1].why
    paused = order(EMPTY, "pause", "ann", "x", START)
    assert core.recover(paused, "r", "m1", 5, START).model_version == "m1"
    for known in (stable(), serving(), accept(EMPTY, "m1", 1, START), lost()):
        assert core.recover(known, "r", "m9", 9, START) == known


@given(version=st.sampled_from(["m0", "m1", "m2"]), lake_version=st.integers(0, 9))
def test_after_a_loss_no_model_gets_all_users_without_a_trial(version, lake_version):
    """Be it an old one that is told of again, the one that is live, or a new one."""
    before = lost()
    after = observe(accept(before, version, lake_version, START), True, "", START, RULES)
    assert after.stable == before.stable
    assert after.users.get(revision(SERVICE, "m1"), 0) >= 100 - RULES.steps[0]
    assert (after.canary is not None) == (version != "m1" and lake_version >= 5)


@given(st.sampled_from(["m1", "m2", "m3", "m4"]), st.integers(0, 10**9))
def test_a_model_that_has_a_place_is_never_given_another(version, lake_version):
    """Whatever version of the lake somebody says that it knows."""
    before = accept(serving(), "m3", 3, START)
    after = accept(before, version, lake_version, START)
    assert (after == before) == bool(core.refusal(before, version, lake_version))
    assert after == before or (version == "m4" and lake_version >= 3)
    assert not after.contradiction
    assert sum(after.users.values()) == 100


def test_a_paused_rollout_moves_nobody_by_itself():
    """Neither on nor back, for as long as it lasts; what it would have done it does later."""
    paused = order(serving(), "pause", "ann", "a holiday", START)
    late = START + RULES.trial + 1
    assert observe(paused, False, "failed", late, RULES) == paused
    assert judge(paused, decided("m2", 1, "promote"), "e", late, RULES) == paused
    waiting = accept(paused, "m3", 3, late)
    assert (waiting.canary, waiting.waiting.model_version) == (paused.canary, "m3")
    resumed = order(waiting, "resume", "ann", "back", late)
    assert observe(resumed, True, "", late, RULES).canary.release.model_version == "m3"


def test_in_a_pause_it_is_noted_whether_a_model_is_ready():
    """It gets no user by that; who looks sees that it waits for the end of the pause."""
    paused = order(accept(stable(), "m2", 2, START), "pause", "ann", "a holiday", START)
    ready = observe(paused, True, "", START + 1, RULES)
    assert (ready.canary.is_ready, ready.canary.percent, ready.log) == (True, 0, paused.log)
    assert observe(ready, None, "?", START + 2, RULES) == paused
    assert observe(order(ready, "resume", "ann", "back", START), True, "", START, RULES).canary.phase == "serving"


def test_a_person_may_promote_roll_back_and_go_back_further():
    """With name and reason, also while it is paused."""
    for before in (serving(), order(serving(), "pause", "ann", "x", START)):
        promoted = order(before, "promote", "ann", "it is good", START + 1)
        assert told(before, promoted) == [("promoted", "m2", 100, "ann")]
        assert promoted.log[-1].why == "it is good"
        back = order(promoted, "rollback", "bob", "it is not", START + 2, "m2")
        assert told(promoted, back) == [("rolled_back", "m2", 0, "bob")]
        assert (back.model_version, back.previous, back.stable_since) == ("m1", None, START + 2)
        assert accept(back, "m2", 2, START) == back
        gone = order(before, "rollback", "bob", "no", START)
        assert (gone.model_version, gone.canary) == ("m1", None)


def test_an_order_that_cannot_be_is_refused():
    """Promote what has no users, go back from what has nothing before it."""
    for state in (EMPTY, stable(), accept(stable(), "m2", 2, START)):
        with pytest.raises(BadInput, match="no canary with users"):
            order(state, "promote", "ann", "x", START)
    for state in (EMPTY, stable()):
        with pytest.raises(BadInput, match="go back"):
            order(state, "rollback", "ann", "x", START)


def test_an_order_that_is_fulfilled_changes_nothing():
    """Pausing twice is pausing once."""
    paused = order(stable(), "pause", "ann", "x", START)
    assert order(paused, "pause", "bob", "y", START) == paused
    assert order(stable(), "resume", "bob", "y", START) == stable()
    assert (paused.log[-1].what, paused.log[-1].percent) == ("paused", 100)
    assert order(EMPTY, "pause", "ann", "x", START).log[-1].percent == 0


def test_a_clock_that_went_back_makes_nothing_happen_sooner():
    """An hour less is no time-out, no step; and it never makes a silence that began later look short for ever."""
    hour, now = 3_600 * SECOND, START + 7_200 * SECOND
    deploying = accept(stable(), "m2", 2, now)
    assert observe(deploying, None, "?", now - hour, RULES) == deploying
    first = observe(deploying, True, "", now - hour, RULES)
    assert [period.since for period in first.canary.periods] == [now, now]
    assert judge(first, decided("m2", 1, "hold"), "e", now - hour, RULES).log == first.log
    silent = observe(first, None, "?", now, RULES)
    again = observe(silent, None, "?", now - hour, RULES)
    assert again.canary.unready_since == now - hour
    assert observe(again, None, "?", now - hour + RULES.unready + 1, RULES).canary is None


@given(st.text(min_size=1, max_size=128))
def test_the_name_of_a_revision_is_a_dns_label_of_its_service(version):
    """The same every time, for whatever a model is called."""
    name = revision("score-svdpp", version)
    assert re.fullmatch(r"score-svdpp-[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert "--" not in name
    assert len(name) <= 63 - len("previous-score-svdpp-")
    assert name == core.revision("score-svdpp", version)


def test_two_models_have_two_revisions():
    """Also if only their unreadable parts differ."""
    assert len({revision(SERVICE, version) for version in ("a.b", "a-b", "a_b", "A-b", "é", "ü")}) == 6


# What a person changes in the Service itself


@pytest.mark.parametrize(
    ("percent", "end"), [(40, ("canary", "m2", 40)), (100, ("promoted", "m2", 100)), (0, ("rolled_back", "m2", 0))]
)
def test_the_canary_has_the_share_that_somebody_gave_it(percent, end):
    """It is as good as an order, whoever gave it, and the next steps go on from there."""
    state = serving()
    old, new = state.stable.revision, state.canary.release.revision
    users = {name: share for name, share in {old: 100 - percent, new: percent}.items() if share}
    after = core.adopt(state, users, "kubectl-edit", START + 9)
    assert told(state, after) == [(*end, "kubectl-edit")]
    assert after.users == users
    assert core.adopt(after, users, "kubectl-edit", START + 10) == after


def test_all_traffic_to_the_model_before_is_an_order_to_go_back():
    """As `marquee rollout rollback` is."""
    state = order(serving(), "promote", "ann", "now", START)
    after = core.adopt(state, {state.previous.revision: 100}, "kubectl-patch", START + 9)
    assert told(state, after) == [("rolled_back", "m2", 0, "kubectl-patch")]
    assert after.model_version == "m1"


@pytest.mark.parametrize("users", [{"score-svd-elsewhere": 100}, {"score-svd-elsewhere": 10, "score-svd-x": 90}])
def test_what_cannot_be_followed_is_overruled_and_noted_once(users):
    """Traffic to a revision that nobody released, also while a canary has none yet."""
    for state in (stable(), accept(stable(), "m2", 2, START), serving()):
        after = core.adopt(state, users, "kubectl-edit", START + 9)
        live = state.users[state.stable.revision]
        assert told(state, after) == [("overruled", "m1", live, "kubectl-edit")]
        assert (after.users, after.canary) == (state.users, state.canary)
        assert core.adopt(after, users, "kubectl-edit", START + 10) == after


# Other code


def test_other_code_is_tried_as_a_model_is():
    """The same model in another revision; promoted, it is stable, and later models run its image."""
    state = core.release(stable(), "registry/score@sha256:2", "ann", "less memory", START)
    assert told(stable(), state) == [("deploying", "m1", 0, "ann")]
    canary, first = state.canary.release, state.stable
    assert (canary.model_version, canary.lake_version) == (first.model_version, first.lake_version)
    assert canary.revision != first.revision
    assert re.fullmatch(r"score-svd-[a-z0-9-]+", canary.revision)
    state = accept(state, "m2", 2, START)
    state = order(observe(state, True, "", START, RULES), "promote", "ann", "fine", START)
    assert (state.stable, state.previous) == (canary, first)
    assert (state.canary.release.model_version, state.canary.release.image) == ("m2", "registry/score@sha256:2")


def test_a_decision_about_the_same_model_in_another_revision_changes_nothing():
    """As one that comes again, from the time when that model was on trial."""
    state = observe(core.release(stable(), "image", "ann", "better", START), True, "", START, RULES)
    assert judge(state, decided("m1", 7, "roll_back"), "e", START, RULES) == state


def test_a_decision_about_an_earlier_trial_of_the_same_code_changes_nothing():
    """Each trial has a revision of its own: what was decided about one is no evidence in the next."""
    trial = observe(core.release(stable(), "image", "ann", "better", START), True, "", START, RULES)
    old = decided("m1", 7, "promote").model_copy(update={"revision": trial.canary.release.revision})
    again = core.release(order(trial, "rollback", "ann", "wait", START), "image", "ann", "again", START)
    again = observe(again, True, "", START, RULES)
    assert judge(trial, old, "e", START, RULES).stable == trial.canary.release
    assert judge(again, old, "e", START, RULES) == again


def test_code_that_cannot_be_tried_is_refused_with_the_reason():
    """Nobody is there to compare it with, somebody else is on trial, or it serves."""
    done = order(
        observe(core.release(stable(), "i", "ann", "x", START), True, "", START, RULES), "promote", "a", "b", 1
    )
    for state, why in ((EMPTY, "no stable model"), (serving(), "on trial"), (done, "already")):
        with pytest.raises(BadInput, match=why):
            core.release(state, "i", "ann", "better", START)
