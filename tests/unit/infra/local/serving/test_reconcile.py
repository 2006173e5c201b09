"""One step after another, with processes that start, hang, fail and stop as a test wants."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.local.serving import patches
from infra.local.serving.reconcile import DRAIN_SECONDS, READY_SECONDS, SILENT_SECONDS, Seen, is_settled, step
from infra.local.serving.state import PROCESSES, ROOM, Service, first
from shared.errors import BadSettings
from shared.ports import Share

FIRST = "score-svd-00001"
READY, STARTS, FATAL = Seen("RUNNING", True, ""), Seen("RUNNING", False, "no model yet"), Seen("FATAL", False, "dead")


def name(letter: str) -> str:
    return f"score-svd-{letter}"


def stable(revision: str) -> Share:
    return Share(revision, "stable", 100)


def want(service: Service, *shares: Share, template: str = "") -> Service:
    """Return the service with other traffic, and a revision that is new if it is not there."""
    traffic = [{"revisionName": each.revision, "tag": each.tag, "percent": each.percent} for each in shares]
    patch: dict[str, Any] = {"spec": {"traffic": traffic}}
    if template:
        patch["spec"]["template"] = {"metadata": {"name": template}}
    return patches.changed(service, patch)


def everybody(service: Service, how: Seen) -> dict[int, Seen]:
    return {number: how for each in service.revisions if each.runs for number in each.processes}


def settled(service: Service, now: float = 0.0) -> Service:
    """Return the service after all that is to do was done, everybody being ready at once."""
    for number in range(20):
        service = step(service, everybody(service, READY), now + number * DRAIN_SECONDS)
    assert is_settled(service)
    return service


def serving() -> Service:
    return settled(first("svd", 0.0))


def ready(service: Service) -> Mapping[str, bool | None]:
    return {each.name: each.ready for each in service.revisions}


def phases(service: Service) -> Mapping[str, str]:
    return {each.name: each.phase for each in service.revisions}


def test_a_revision_gets_traffic_once_both_its_processes_are_ready() -> None:
    """Not before, and what has traffic keeps it until then."""
    canary = [Share(FIRST, "stable", 90), Share(name("b"), "canary", 10)]
    service = step(want(serving(), *canary, template=name("b")), {}, 0)
    assert service.revision(name("b")).processes == (3, 4)  # type: ignore[union-attr]
    for seen in ({}, {3: READY}, {3: READY, 4: STARTS}):
        service = step(service, seen, 1)
        assert (service.routed, ready(service)[name("b")]) == ((stable(FIRST),), None)
    service = step(service, {3: READY, 4: READY}, 2)
    assert (service.routed, ready(service)[name("b")]) == (tuple(canary), True)
    assert is_settled(service)


def test_what_has_traffic_may_keep_it_though_it_is_not_ready() -> None:
    """On a new machine no model is there yet: traffic to the first revision does not hold up the next one."""
    service = want(first("svd", 0.0), stable(FIRST), Share(name("b"), "canary", 0), template=name("b"))
    service = step(step(service, {1: STARTS, 2: STARTS}, 0), {1: STARTS, 2: STARTS, 3: READY, 4: READY}, 1)
    assert [share.revision for share in service.routed] == [FIRST, name("b")]
    assert not is_settled(service)


def test_a_revision_that_takes_too_long_has_failed_and_says_why() -> None:
    """It may still come: what was wanted happens then."""
    service = step(want(serving(), stable(name("b")), template=name("b")), {}, 100)
    seen = {3: READY, 4: STARTS}
    assert ready(step(service, seen, 100 + READY_SECONDS))[name("b")] is None
    service = step(service, seen, 101 + READY_SECONDS)
    failed = service.revision(name("b"))
    assert failed is not None
    assert (failed.ready, failed.reason) == (False, f"not ready within {READY_SECONDS} s: no model yet")
    assert service.routed == (stable(FIRST),)
    assert step(service, {3: READY, 4: READY}, 200).routed == (stable(name("b")),)


def test_a_process_that_cannot_be_started_fails_its_revision_at_once() -> None:
    """The supervisor has given up on it."""
    service = step(want(serving(), stable(name("b")), template=name("b")), {}, 0)
    assert ready(step(service, {3: FATAL, 4: READY}, 1))[name("b")] is False


def test_the_processes_of_a_revision_without_traffic_stay_a_little_and_then_stop() -> None:
    """First the traffic goes, then requests under way end, then the processes, and then the revision is forgotten."""
    service = step(want(serving(), stable(name("b")), template=name("b")), {}, 0)
    service = step(service, everybody(service, READY), 1)
    assert (service.routed, phases(service)[FIRST]) == ((stable(name("b")),), "running")
    service = step(service, {}, 2)
    assert phases(service)[FIRST] == "draining"
    assert phases(step(service, {}, 1.9 + DRAIN_SECONDS))[FIRST] == "draining"
    service = step(service, {}, 2 + DRAIN_SECONDS)
    assert phases(service)[FIRST] == "stopping"
    assert phases(step(service, {2: STARTS}, 99))[FIRST] == "stopping"
    assert phases(step(service, {}, 99)) == {name("b"): "running"}


def test_a_revision_that_is_called_back_in_time_goes_on() -> None:
    """Its processes are there; a little later they are not, and it begins anew."""
    service = step(want(serving(), stable(name("b")), template=name("b")), {}, 0)
    service = step(step(service, everybody(service, READY), 1), {}, 2)
    assert step(want(service, stable(FIRST)), {}, 3).routed == (stable(FIRST),)
    late = step(want(step(service, {}, 2 + DRAIN_SECONDS), stable(FIRST)), everybody(service, READY), 99)
    assert (late.routed, ready(late)[FIRST]) == ((stable(name("b")),), None)
    assert settled(late, 100).routed == (stable(FIRST),)


def test_a_roll_back_stops_the_revision_of_the_template_too() -> None:
    """It stays known, for the template names it, and has no processes."""
    service = want(serving(), stable(FIRST), Share(name("b"), "canary", 0), template=name("b"))
    service = settled(want(settled(service), stable(FIRST)), 1_000)
    assert phases(service) == {FIRST: "running", name("b"): "idle"}
    assert settled(want(service, stable(name("b"))), 2_000).routed == (stable(name("b")),)


def test_a_revision_that_does_not_exist_gets_no_traffic() -> None:
    """The wish stands, and so does the traffic."""
    service = want(serving(), stable(name("z")))
    assert step(service, everybody(service, READY), 99).routed == (stable(FIRST),)


def test_every_change_has_a_version_and_nothing_else_has() -> None:
    """Writers and readers tell states apart by it."""
    service = serving()
    assert step(service, everybody(service, READY), 1e6) is service
    assert want(service, stable(FIRST)) is service
    assert step(want(service, stable(name("b")), template=name("b")), {}, 0).version == service.version + 2


def test_a_revision_whose_processes_both_fall_silent_is_not_known_to_be_ready() -> None:
    """After a while, for one may be started anew; its traffic stays, and it is ready again once one of them answers."""
    service, silent = serving(), Seen("BACKOFF", False, "no answer")
    for seen, at, is_ready in [
        ({1: silent, 2: READY}, 0, True),
        ({1: silent, 2: silent}, 10, True),
        ({1: silent}, 9.9 + SILENT_SECONDS, True),
        ({1: silent, 2: silent}, 10 + SILENT_SECONDS, None),
        ({1: FATAL, 2: FATAL}, 11 + SILENT_SECONDS + READY_SECONDS, None),
        ({1: silent, 2: READY}, 200, True),
        ({}, 201, True),
        ({}, 201 + SILENT_SECONDS, None),
    ]:
        service = step(service, seen, at)
        assert (ready(service)[FIRST], service.routed) == (is_ready, (stable(FIRST),))
        assert is_settled(service) is bool(is_ready)
    assert service.revision(FIRST).reason == "it does not answer: its processes are not there"  # type: ignore[union-attr]


def test_a_silence_that_ends_in_time_is_forgotten() -> None:
    """The next one counts from its own beginning."""
    service = serving()
    for seen, at in [({}, 0), ({1: READY}, 4), ({}, 6), ({}, 5.9 + SILENT_SECONDS)]:
        service = step(service, seen, at)
        assert ready(service)[FIRST] is True


LETTERS = st.sampled_from("abcde")
TRAFFIC = st.lists(LETTERS, min_size=1, max_size=ROOM, unique=True)


@given(
    st.lists(st.tuples(TRAFFIC, st.lists(st.sampled_from([READY, STARTS, FATAL]), min_size=6, max_size=6)), max_size=30)
)
def test_whatever_is_wanted_and_happens_traffic_has_processes_and_no_two_share_one(
    story: list[tuple[list[str], list[Seen]]],
) -> None:
    """And in the end, if all goes well, the last wish that was taken is fulfilled."""
    service, now = serving(), 1_000.0
    for letters, how in story:
        shares = [Share(name(each), f"t{each}", 100 if place == 0 else 0) for place, each in enumerate(letters)]
        try:
            for each in letters:
                service = patches.changed(service, {"spec": {"template": {"metadata": {"name": name(each)}}}})
            service = want(service, *shares)
        except BadSettings:
            assert len({*service.named, *map(name, letters)}) > ROOM
        for _ in range(3):
            running = [number for each in service.revisions if each.runs for number in each.processes]
            service = step(service, {number: how[number - 1] for number in running}, now)
            now += 1.5
            taken = [number for each in service.revisions for number in each.processes]
            assert len(taken) == len(set(taken)) <= ROOM * PROCESSES
            for share in service.routed:
                assert service.revision(share.revision).runs  # type: ignore[union-attr]
    there = {each.name for each in service.revisions}
    if there.issuperset(share.revision for share in service.wanted):
        assert settled(service, now).routed == service.wanted
