"""An order is about the model that its giver means, whatever came in its place meanwhile."""

import re
import shlex

import pytest

from functions.rollout import core
from functions.rollout.core import order
from shared.errors import BadInput
from tests.unit.functions.rollout.test_core import RULES, START, accept, observe, serving, stable
from tests.unit.functions.rollout.world import SERVICE

OLD, NEW, NEXT = "aa11", "aa22", "bb33"


def on_trial():
    """Return a service with a stable model, a canary, and a model that waits."""
    return accept(serving(NEW, 2), NEXT, 3, START)


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_an_order_that_is_repeated_does_not_hit_the_next_model(command):
    """The one that waited is on trial now, and innocent; the refusal says so."""
    after = order(on_trial(), command, "ann", "no", START, NEW[:3])
    after = observe(after, True, "", START, RULES)
    assert after.canary.release.model_version == NEXT
    with pytest.raises(BadInput, match=f"{NEW} is not the model of {SERVICE} that is on trial; {NEXT} is"):
        order(after, command, "ann", "no", START, NEW)


@pytest.mark.parametrize("model", ["aa1", "x", "", "aa22x"])
def test_only_the_beginning_of_the_canarys_version_names_it(model):
    """Neither that of the stable model nor nothing at all does."""
    with pytest.raises(BadInput, match="is not the model"):
        order(on_trial(), "rollback", "ann", "no", START, model)
    for named in (NEW, NEW[:3], on_trial().canary.release.revision, None):
        assert order(on_trial(), "rollback", "ann", "no", START, named).canary.release.model_version == NEXT


def test_the_stable_model_is_taken_back_by_name_only():
    """The refusal has the command, and what it says does it."""
    promoted = order(serving(NEW, 2), "promote", "ann", "yes", START)
    with pytest.raises(BadInput, match=f"{NEW} is the stable one") as refused:
        order(promoted, "rollback", "ann", "it's bad; really", START)
    *_, command, service, _, model, _, why = shlex.split(str(refused.value).split("To take that back: ")[1])
    assert (command, service, why) == ("rollback", SERVICE, "it's bad; really")
    assert order(promoted, "rollback", "ann", why, START, model).model_version == "m1"
    with pytest.raises(BadInput, match=f"xx is not the model of {SERVICE} that is the stable one; {NEW} is"):
        order(promoted, "rollback", "ann", "no", START, "xx")


def test_who_takes_back_other_code_twice_does_not_take_back_its_model():
    """Both have the same version; only the revision's name tells them apart."""
    promoted = order(serving(NEW, 2), "promote", "ann", "yes", START)
    trial = core.release(promoted, "image", "ann", "faster", START)
    back = order(trial, "rollback", "ann", "slower", START, NEW)
    assert back.model_version == NEW
    with pytest.raises(BadInput, match=re.escape(back.stable.revision)):
        order(back, "rollback", "ann", "slower", START, NEW)
    assert order(back, "rollback", "ann", "slower", START, back.stable.revision).model_version == "m1"


def test_what_has_nothing_before_it_is_not_asked_for_its_name():
    """What cannot be done is said first."""
    with pytest.raises(BadInput, match="go back"):
        order(stable(), "rollback", "ann", "x", START)
