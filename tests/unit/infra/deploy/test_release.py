from pathlib import Path

import pytest

from functions.rollout import core
from infra.deploy.release import Rollout
from shared import rollout
from shared.errors import BadInput, NotReady
from shared.rollout import Release
from tests import fakes
from tests.unit.functions.rollout.test_core import stable

SERVICE, OTHER = "score-svd", "score-svdpp"
INGEST = {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "metadata": {"name": "ingest"}}


class Cluster:
    """Services whose readiness a test writes, one look after another."""

    def __init__(self, **looks):
        self.looks, self.applied = looks, []

    def apply(self, documents):
        self.applied += documents

    def service(self, name):
        name = name.replace("-", "_")
        looks = self.looks.get(name)
        if looks is None:
            return None
        status, message = looks.pop(0) if len(looks) > 1 else looks[0]
        if status == "away":
            raise NotReady(message)
        condition = {"type": "Ready", "status": status, "message": message}
        template = {"spec": {"containers": [{"image": "image-1"}]}}
        return {
            "metadata": {"generation": 1},
            "spec": {"template": template},
            "status": {"observedGeneration": 1, "conditions": [condition]},
        }


@pytest.fixture
def channels():
    deps = fakes.deps(Path("/nonexistent"))
    rollout.update(deps.channels, SERVICE, lambda _: stable())
    return deps.channels


def under_way(cluster, channels, said, on_pause=lambda: None, seconds=10):
    """Return a rollout of some seconds, that pass in its pauses alone."""
    clock = [0.0]

    def pause(seconds):
        clock[0] += seconds
        on_pause()

    return Rollout(cluster, channels, lambda: 10**9, said.append, seconds, pause, lambda: clock[0])


def test_all_is_waited_for_and_what_failed_is_told(channels):
    """One that fails does not hide the others."""
    said: list[str] = []
    cluster = Cluster(ingest=[("Unknown", ""), ("True", "")], train=[("False", "image is not there")])
    wrong = under_way(cluster, channels, said).wait_ready(["ingest", "train"])
    assert wrong == ["train: image is not there"]
    assert said == ["train: failed: image is not there", "ingest: ready"]


def test_what_never_becomes_ready_is_named(channels):
    """After the time that it may take."""
    with pytest.raises(NotReady, match="ingest"):
        under_way(Cluster(ingest=[("Unknown", "")]), channels, []).wait_ready(["ingest"])


def test_a_cluster_that_is_away_for_a_while_is_waited_for(channels):
    """It is told once, and no failure; one that stays away is, in the end, and how is told."""
    said: list[str] = []
    away = ("away", "connection refused")
    cluster = Cluster(ingest=[away, away, ("True", "")])
    assert under_way(cluster, channels, said).wait_ready(["ingest"]) == []
    assert said == ["waiting, for connection refused", "ingest: ready"]
    with pytest.raises(NotReady, match="connection refused"):
        under_way(Cluster(ingest=[away]), channels, said).wait_ready(["ingest"])


@pytest.mark.parametrize(("command", "end"), [("promote", "promoted"), ("rollback", "rolled_back")])
def test_a_trial_is_watched_to_its_end(channels, command, end):
    """Every change is told, and the last returned."""
    said: list[str] = []

    def goes_on():
        def next_(state):
            if state.canary.phase == "deploying":
                return core.observe(state, True, "", 10**9, core.Rules((5,), 1, 10**12, 1, 10**12))
            return core.order(state, command, "ann", "because", 10**9)

        rollout.update(channels, SERVICE, next_)

    release = under_way(Cluster(score_svd=[("True", "")]), channels, said, goes_on)
    number = release.order(SERVICE, "image-2", "ann", "build 7")
    assert number is not None
    assert release.watch(SERVICE, number).what == end
    assert [each.split()[1] for each in said] == ["deploying", "canary", end.split("_")[0]]
    assert "build 7" in said[0]


def test_nothing_is_tried_that_runs_or_has_nothing_to_be_compared_with(channels):
    """It is said, and no failure."""
    said: list[str] = []
    release = under_way(Cluster(score_svd=[("True", "")]), channels, said)
    assert release.release([SERVICE], "image-1", "ann", "why") == []
    assert release.release(["score-svdpp"], "image-2", "ann", "why") == []
    assert "already" in said[0]
    assert "no model is live" in said[1]


def test_a_canary_on_trial_is_waited_for(channels):
    """It is not pushed aside; what is waited for is said, and once more when its state changes; then it is our turn."""
    said: list[str] = []
    rollout.update(channels, SERVICE, lambda state: core.accept(state, "m2", 2, 10**9))

    def goes_on():
        def next_(state):
            if state.canary.phase == "deploying":
                return core.observe(state, True, "", 10**9, core.Rules((5,), 1, 10**12, 1, 10**12))
            return core.order(state, "rollback" if state.canary.release.image else "promote", "ann", "because", 10**9)

        rollout.update(channels, SERVICE, next_)

    release = under_way(Cluster(score_svd=[("True", "")]), channels, said, goes_on, seconds=100)
    assert release.release([SERVICE], "image-2", "ann", "build 7") == ["rolled back m2: because"]
    assert said[:3] == [
        "waiting for the trial of m2 of score-svd (deploying, 0 %) to end",
        "waiting for the trial of m2 of score-svd (canary, 5 %) to end",
        "score-svd: deploying m2, 0 %: build 7",
    ]


def test_nothing_is_changed_if_the_time_is_over_before_its_turn(channels):
    """No manifest is applied, no state is written, and it is said what was in the way."""
    said: list[str] = []
    cluster = Cluster(score_svd=[("True", "")])
    rollout.update(channels, SERVICE, lambda state: core.accept(state, "m2", 2, 10**9))
    before = channels.get(SERVICE)
    with pytest.raises(NotReady, match="after 10 s still waiting for the trial of m2 of score-svd"):
        under_way(cluster, channels, said).deliver(lambda: ([INGEST], [SERVICE]), "image-2", "ann", "why")
    assert (cluster.applied, channels.get(SERVICE)) == ([], before)
    assert said[-1] == "nothing was changed"


def test_what_is_applied_is_of_the_cluster_after_the_wait(channels):
    """What others gave users meanwhile is not taken back: a function keeps the image that it has by then."""
    rollout.update(channels, SERVICE, lambda state: core.accept(state, "m2", 2, 10**9))
    cluster, now = Cluster(score_svd=[("True", "")], ingest=[("True", "")]), {**INGEST, "spec": "before"}

    def trial_ends():
        now["spec"] = "after"
        rollout.update(channels, SERVICE, lambda state: core.order(state, "rollback", "ann", "because", 10**9))

    release = under_way(cluster, channels, [], trial_ends, seconds=100)
    assert release.deliver(lambda: ([dict(now)], [SERVICE]), "image-2", "ann", "why") == ["rolled back m1: because"]
    assert [each["spec"] for each in cluster.applied] == ["after"]


def test_a_long_wait_is_told_again_every_ten_minutes(channels):
    """Whoever reads the log of a build sees that it lives."""
    said: list[str] = []
    rollout.update(channels, SERVICE, lambda state: core.accept(state, "m2", 2, 10**9))
    with pytest.raises(NotReady):
        under_way(Cluster(score_svd=[("True", "")]), channels, said, seconds=1900).wait_turn([SERVICE], "image-2")
    assert said == ["waiting for the trial of m2 of score-svd (deploying, 0 %) to end"] * 4


def test_code_that_nobody_has_to_try_is_not_kept_waiting(channels):
    """The models' services run it already, or it is of others: manifests are applied though a canary is on trial."""
    rollout.update(channels, SERVICE, lambda state: core.accept(state, "m2", 2, 10**9))
    for image in (None, "image-1"):
        cluster = Cluster(score_svd=[("True", "")], ingest=[("True", "")])
        assert under_way(cluster, channels, []).deliver(lambda: ([INGEST], [SERVICE]), image, "ann", "why") == []
        assert cluster.applied == [INGEST]


def test_a_held_canary_is_no_trial_that_ends(channels):
    """A person has to end it, and hears so at once; if a model waits, that takes its place by itself."""
    rollout.update(channels, SERVICE, lambda state: core.accept(state, "m2", 2, 10**9))
    rules = core.Rules((5,), 1, 10**12, 1, 0)
    for _ in ("gets users", "is held"):
        rollout.update(channels, SERVICE, lambda state: core.observe(state, True, "", 2 * 10**9, rules))
    cluster = Cluster(score_svd=[("True", "")])
    release = under_way(cluster, channels, [])
    with pytest.raises(BadInput, match="marquee rollout promote"):
        release.deliver(lambda: ([INGEST], [SERVICE]), "image-2", "ann", "why")
    assert cluster.applied == []
    next_ = Release(model_version="m3", revision="r3", lake_version=3)
    rollout.update(channels, SERVICE, lambda state: state.model_copy(update={"waiting": next_}))
    with pytest.raises(NotReady, match="m2"):
        release.wait_turn([SERVICE], "image-2")


def test_of_two_pipelines_the_second_waits_for_the_first(channels, monkeypatch):
    """Also if both saw the service free: who is later than that waits again, and finds nothing to do."""
    said: list[str] = []
    update = rollout.update

    def first_is_promoted():
        ready = core.Rules((5,), 1, 10**12, 1, 10**12)
        update(channels, SERVICE, lambda state: core.observe(state, True, "", 10**9, ready))
        update(channels, SERVICE, lambda state: core.order(state, "promote", "ann", "because", 10**9))

    def overtaken(store, service, change):
        update(store, service, lambda state: core.release(state, "image-2", "bob", "build 6", 10**9))
        return update(store, service, change)

    monkeypatch.setattr(rollout, "update", overtaken)
    second = under_way(Cluster(score_svd=[("True", "")]), channels, said, first_is_promoted, seconds=100)
    assert second.release([SERVICE], "image-2", "ann", "build 7") == []
    assert said == [
        "waiting for the trial of m1 of score-svd (deploying, 0 %) to end",
        "score-svd: runs image-2 already",
    ]
    orders = [change.why for change in rollout.read(SERVICE, channels.get(SERVICE)).log if "build" in change.why]
    assert orders == ["build 6"]


def test_a_trial_without_end_is_left_to_itself(channels):
    """With a word of where to look."""
    release = under_way(Cluster(score_svd=[("True", "")]), channels, [])
    number = release.order(SERVICE, "image-2", "ann", "why")
    with pytest.raises(NotReady, match="marquee rollout status"):
        release.watch(SERVICE, number)


def test_a_store_that_is_away_for_a_while_does_not_end_a_watch(channels):
    """The trial goes on without us."""
    said: list[str] = []

    def comes_and_goes():
        channels.objects.down = not channels.objects.down
        if not channels.objects.down:
            rollout.update(channels, SERVICE, lambda state: core.order(state, "rollback", "ann", "because", 10**9))

    release = under_way(Cluster(score_svd=[("True", "")]), channels, said, comes_and_goes)
    assert release.release([SERVICE], "image-2", "ann", "why") == ["rolled back m1: because"]
    assert "waiting, for the store is down" in said


def test_a_canary_without_a_verdict_ends_a_watch(channels):
    """It is held, and that is told as what is wrong: a person decides, or the next model comes."""

    def runs_out():
        rules = core.Rules((5,), 1, 10**12, 1, 0)
        rollout.update(channels, SERVICE, lambda state: core.observe(state, True, "", 2 * 10**9, rules))

    release = under_way(Cluster(score_svd=[("True", "")]), channels, [], runs_out)
    assert release.release([SERVICE], "image-2", "ann", "why") == ["held m1: not enough evidence in time"]


def both(cluster, channels, said, on_pause=lambda: None):
    """Return a rollout with two services that have a model."""
    rollout.update(channels, OTHER, lambda _: stable().model_copy(update={"service": OTHER}))
    return under_way(cluster, channels, said, on_pause)


def test_nothing_is_ordered_unless_all_can_be(channels):
    """A canary on trial of the second service is waited for before the first has one."""
    release = both(Cluster(score_svd=[("True", "")], score_svdpp=[("True", "")]), channels, [])
    rollout.update(channels, OTHER, lambda state: core.accept(state, "m2", 2, 10**9))
    before = channels.get(SERVICE)
    with pytest.raises(NotReady, match="m2"):
        release.release([SERVICE, OTHER], "image-2", "ann", "why")
    assert channels.get(SERVICE) == before


def test_what_was_ordered_is_watched_when_another_order_fails(channels):
    """It gets users, so somebody looks; the failure is told with how it ends."""

    def ends():
        rollout.update(channels, SERVICE, lambda state: core.order(state, "rollback", "ann", "because", 10**9))

    release = both(Cluster(score_svd=[("True", "")], score_svdpp=[("True", "")]), channels, [], ends)
    order = release.order

    def fails(service, *arguments):
        if service == OTHER:
            raise NotReady("the store is down")
        return order(service, *arguments)

    release.order = fails
    wrong = release.release([SERVICE, OTHER], "image-2", "ann", "why")
    assert wrong == ["score-svdpp: the store is down", "rolled back m1: because"]
