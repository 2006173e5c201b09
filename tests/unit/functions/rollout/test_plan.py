from functions.rollout.plan import Step, plan
from shared.ports import Deployed, Share
from shared.rollout import Canary, Period, Release, State
from tests.unit.functions.rollout.world import SERVICE, named

FIRST = f"{SERVICE}-00001"


def release(version):
    return Release(model_version=version, revision=named(version), lake_version=1)


def state(stable=None, canary=None, percent=0, previous=None):
    """Return a state of models by their versions."""
    trial = None
    if canary:
        periods = (Period(since=1, percent=0), Period(since=2, percent=percent))
        trial = Canary(release=release(canary), phase="serving", periods=periods)
    return State(
        service=SERVICE,
        stable=release(stable) if stable else None,
        canary=trial,
        previous=release(previous) if previous else None,
    )


def share(version, tag, percent):
    return Share(named(version), tag, percent)


def deployed(*shares, **ready):
    """Return what is routed, all ready; `ready` says of other revisions, by model, how they are."""
    known = {each.revision: True for each in shares} | {named(version): is_so for version, is_so in ready.items()}
    return Deployed(list(shares), known, {}, "1")


def test_a_missing_canary_is_made_without_users():
    """Whatever it shall have later, and in the place of the model before."""
    now = deployed(share("m1", "stable", 100), share("m0", "previous", 0))
    step = plan(state("m1", "m2", 25, previous="m0"), now)
    assert step == Step([share("m1", "stable", 100), share("m2", "canary", 0)], release("m2"))


def test_a_canary_gets_its_users_by_a_shift():
    """Once it is there; and then all is as it shall be."""
    before = deployed(share("m1", "stable", 100), share("m2", "canary", 0))
    after = deployed(share("m1", "stable", 95), share("m2", "canary", 5))
    assert plan(state("m1", "m2", 5), before) == Step(after.shares)
    assert plan(state("m1", "m2", 5), after) is None


def test_users_go_back_before_anything_is_made():
    """The model before the stable one is made ready again after they are safe."""
    bad = deployed(share("m1", "stable", 50), share("m2", "canary", 50))
    back = state("m1", previous="m0")
    assert plan(back, bad) == Step([share("m1", "stable", 100)])
    assert plan(back, deployed(share("m1", "stable", 100))) == Step(
        [share("m1", "stable", 100), share("m0", "previous", 0)], release("m0")
    )


def test_going_back_and_on_never_waits_for_a_revision_without_users():
    """An old stable revision that is silent is left behind, not waited for."""
    now = deployed(share("m1", "stable", 50), share("m2", "canary", 50))
    silent = now._replace(ready={**now.ready, named("m1"): None})
    assert plan(state("m2", previous="m1"), silent) == Step([share("m2", "stable", 100)])
    assert plan(state("m2", previous="m1"), now) == Step([share("m2", "stable", 100), share("m1", "previous", 0)])


def test_a_revision_that_nobody_wants_is_taken_away():
    """Also one that was asked for and never became ready, so that the router does not know it."""
    now = deployed(share("m1", "stable", 100), m2=False)
    assert plan(state("m1"), now) == Step([share("m1", "stable", 100)])


def test_a_stable_model_that_is_missing_is_made_first():
    """As in a new cluster with the bucket of an old one: the canary does not take over meanwhile."""
    first = Share(FIRST, "stable", 100)
    assert plan(state("m1", "m2", 25), deployed(first)) == Step([share("m1", "stable", 100)], release("m1"))
    assert plan(state("m1", "m2", 25), deployed()) == Step([share("m1", "stable", 100)], release("m1"))
    canary_only = deployed(share("m2", "canary", 100))
    assert plan(state("m1", "m2", 25), canary_only) == Step([share("m1", "stable", 100)], release("m1"))


def test_before_there_is_a_model_the_first_revision_keeps_the_users():
    """It answers as well as it can while the first model is made ready."""
    first = Share(FIRST, "stable", 100)
    assert plan(state(), deployed(first)) is None
    assert plan(state(canary="m1"), deployed(first)) == Step([first, share("m1", "canary", 0)], release("m1"))


def test_where_nothing_is_routed_the_first_model_is_all_there_is():
    """A service whose first revision is never ready, having no model, is no reason to wait."""
    assert plan(state(), deployed()) is None
    assert plan(state(canary="m1"), deployed()) == Step([share("m1", "stable", 100)], release("m1"))
    assert plan(state(canary="m1"), deployed(share("m1", "stable", 100))) is None


def test_a_revision_that_vanished_is_made_again_though_it_is_still_routed_to():
    """Whoever routes may not have noticed; and a first revision that is gone keeps nobody."""
    gone = Deployed([share("m1", "stable", 100)], {}, {}, "1")
    assert plan(state("m1"), gone) == Step([share("m1", "stable", 100)], release("m1"))
    no_first = Deployed([Share(FIRST, "stable", 100)], {}, {}, "1")
    assert plan(state(canary="m1"), no_first) == Step([share("m1", "stable", 100)], release("m1"))
