"""What benchmarks deploy beside the functions: an empty one, and copies that sleep."""

import copy

import pytest

from benchmarks.cluster import EMPTY, empty
from benchmarks.from_zero import sleepy
from tests.unit.knative.manifests import SERVICES, annotation, known, services


def test_an_empty_function_is_deployed_as_recommend_is() -> None:
    """But for what runs in it: the same image, sizes, probes and scaling, and a cluster takes it."""
    recommend, peer = services("local")["recommend"], empty(services("local")["recommend"])
    assert known().check(peer) == []
    assert peer["spec"]["template"]["metadata"] == recommend["spec"]["template"]["metadata"]
    ours, theirs = (each["spec"]["template"]["spec"]["containers"][0] for each in (recommend, peer))
    changed = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    assert changed == {"command", "args", "env", "volumeMounts"}


@pytest.mark.parametrize("name", [*sorted(SERVICES), EMPTY])
def test_a_copy_sleeps_when_nobody_asks(name: str) -> None:
    """Users may ask it, whoever may ask the function; and a cluster takes it."""
    found = services("local")
    asleep = sleepy(copy.deepcopy((found | {EMPTY: empty(found["recommend"])})[name]))
    assert known().check(asleep) == []
    assert (asleep["metadata"], annotation(asleep, "min-scale")) == ({"name": f"zero-{name}"}, "0")
