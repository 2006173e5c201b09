import dataclasses
import json
from collections import Counter
from unittest.mock import Mock

import pytest
import structlog

from functions.rollout import core, main
from shared import bootstrap, failpoints, keys, rollout, telemetry
from shared.errors import BadEvent, Conflict, Corrupt, NotFound, NotReady
from shared.events import ModelEvaluated, OnlineEvaluated, Tick
from shared.signing import Signer
from tests import entry
from tests.unit.functions.rollout.world import SERVICE, Killed, World, decided, handle, named


@pytest.fixture
def world():
    return World.new()


def live(world, *versions):
    """Bring models live one after another, each with a verdict for it."""
    function = world.copy()
    for lake_version, version in enumerate(versions, 1):
        handle(world.pass_gate(version, lake_version), function)
        handle(Tick(), function)
        if world.state.canary:
            handle(world.decide(version, 100 + lake_version, "promote"), function)
        handle(Tick(), function)
    assert world.svd.users() == {versions[-1]: 100}
    return function


def test_the_first_model_is_deployed_asked_and_given_all_users(world):
    """At first none, then all, and whoever listens is told of both."""
    function = world.copy()
    handle(world.pass_gate("m1", 1), function)
    assert (world.state.name, world.svd.users()) == ("deploying", {"": 100})
    handle(Tick(), function)
    assert (world.state.name, world.svd.users()) == ("stable", {"m1": 100})
    assert world.told == [(1, "deploying", "m1"), (2, "promoted", "m1")]
    assert world.state.announced == 2


def test_a_canary_grows_with_each_safe_decision_and_is_promoted_by_a_verdict(world):
    """The router follows the state, and the evidence is where it was stored."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    for number in range(1, 4):
        handle(world.decide("m2", number, "hold"), function)
        world.seconds += 601
    handle(world.decide("m2", 9, "promote"), function)
    handle(Tick(), function)
    assert world.svd.history[-5:] == [
        {"m1": 100},
        {"m1": 95, "m2": 5},
        {"m1": 75, "m2": 25},
        {"m1": 50, "m2": 50},
        {"m2": 100},
    ]
    assert world.state.log[-1].evidence == keys.decision(SERVICE, "m2", 9)
    assert {share.tag: share.percent for share in world.svd.routed} == {"stable": 100, "previous": 0}


def test_a_verdict_against_a_canary_takes_its_users_at_once(world):
    """In the very event, not at the next tick; the model before is made ready again later."""
    function = live(world, "m1", "m2")
    handle(world.pass_gate("m3", 3), function)
    handle(Tick(), function)
    assert world.svd.users() == {"m2": 95, "m3": 5}
    handle(world.decide("m3", 1, "roll_back"), function)
    assert world.svd.users() == {"m2": 100}
    handle(Tick(), function)
    assert set(world.svd.models.values()) == {"m2", "m1"}


def test_a_model_that_failed_the_gate_or_whose_report_says_nothing_gets_no_user(world):
    """An event alone is no evidence."""
    function = world.copy()
    handle(world.pass_gate("bad", 1, accepted=False), function)
    with pytest.raises(Corrupt, match="does not say"):
        handle(ModelEvaluated("svd", "bad", True, "forged", 0.1), function)
    with pytest.raises(NotFound):
        handle(ModelEvaluated("svd", "none", True, "forged", 0.1), function)
    assert (world.state.name, world.svd.version) == ("empty", 1)


def test_a_decision_is_followed_as_it_is_stored_not_as_it_is_told(world):
    """A forged event names a decision that is not there, or one about something else."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    world.decide("m2", 1, "hold")
    handle(OnlineEvaluated(SERVICE, "m2", 1, "promote"), function)
    assert world.state.canary
    with pytest.raises(NotFound):
        handle(OnlineEvaluated(SERVICE, "m2", 2, "promote"), function)
    world.deps.objects.put(
        keys.decision(SERVICE, "m2", 2), world.deps.objects.get(keys.decision(SERVICE, "m2", 1)).data
    )
    with pytest.raises(Corrupt, match="is decision 1"):
        handle(OnlineEvaluated(SERVICE, "m2", 2, "promote"), function)
    world.deps.objects.put(keys.decision(SERVICE, "m2", 3), b"{")
    with pytest.raises(Corrupt, match="not a decision"):
        handle(OnlineEvaluated(SERVICE, "m2", 3, "promote"), function)
    stored = json.loads(world.deps.objects.get(keys.decision(SERVICE, "m2", 1)).data) | {"number": 10**18}
    world.deps.objects.put(keys.decision(SERVICE, "m2", 10**18), json.dumps(stored).encode())
    with pytest.raises(Corrupt, match="not a decision"):  # after it no other would count
        handle(OnlineEvaluated(SERVICE, "m2", 10**18, "hold"), function)
    with pytest.raises(BadEvent, match="no service"):
        handle(OnlineEvaluated("recommend", "m2", 3, "promote"), function)
    assert world.state.canary.release.model_version == "m2"


def test_it_is_noted_when_the_router_followed_not_when_it_was_told(world):
    """What users do counts from there on; a change that moves nobody leaves it, and the next one that does ends it."""
    function = live(world, "m1")
    handle(Tick(), function)
    before = world.state.routed_at
    handle(world.pass_gate("m2", 2), function)
    assert world.state.routed_at == before
    handle(Tick(), function)
    assert (world.state.name, world.state.routed_at) == ("canary", None)
    world.seconds += 5
    handle(Tick(), function)
    assert world.state.routed_at == world.deps.now_us()
    followed = world.state.routed_at
    world.svd.ready[named("m2")] = None
    world.seconds += 601
    handle(Tick(), function)
    assert world.state.routed_at == followed
    world.seconds += 61
    handle(Tick(), function)
    assert (world.state.log[-1].what, world.state.routed_at) == ("rolled_back", None)


def test_while_the_router_does_not_follow_nothing_is_noted(world):
    """Whatever was asked for."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    routed = world.svd.routed
    handle(Tick(), function)
    asked, world.svd.asked, world.svd.routed = world.svd.asked, routed, routed
    function.converge = lambda *_: None
    handle(Tick(), function)
    assert (world.state.name, world.state.routed_at) == ("canary", None)
    world.svd.asked = asked
    handle(Tick(), function)
    assert world.state.routed_at is not None


@pytest.mark.parametrize("trouble", ["not ready", "another model"])
def test_a_canary_that_does_not_answer_as_it_should_never_gets_a_user(world, trouble):
    """It is waited for, and then refused with the reason."""
    function = live(world, "m1")
    if trouble == "not ready":
        world.svd.ready[named("m2")] = None
    function.web.wrong.add(named("m2"))
    handle(world.pass_gate("m2", 2), function)
    for _ in range(4):
        handle(Tick(), function)
        world.seconds += 90
    assert world.state.name == "deploying"
    handle(Tick(), function)
    assert (world.state.name, world.state.log[-1].what) == ("stable", "rolled_back")
    assert ("no answer" if trouble == "not ready" else "svd@another") in world.state.log[-1].why
    handle(Tick(), function)
    assert all("m2" not in users for users in world.svd.history)
    assert set(world.svd.models.values()) == {"m1"}


def test_a_canary_whose_processes_die_goes_back(world):
    """After a while of silence, or at once when Knative says that it failed."""
    function = live(world, "m1")
    for number, is_ready in ((2, None), (3, False)):
        handle(world.pass_gate(f"m{number}", number), function)
        handle(Tick(), function)
        assert world.svd.users() == {"m1": 95, f"m{number}": 5}
        world.svd.ready[named(f"m{number}")] = is_ready
        handle(Tick(), function)
        assert world.state.canary is None or is_ready is None
        world.seconds += 61
        handle(Tick(), function)
        assert (world.state.name, world.svd.users()) == ("stable", {"m1": 100})


def test_a_canary_is_never_looked_for_where_the_router_does_not_know_it(world):
    """Ready is not routed: its tag comes a moment later."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    targets, world.svd.targets = world.svd.targets, lambda _: []  # type: ignore[method-assign]
    handle(Tick(), function)
    assert world.state.name == "deploying"
    world.svd.targets = targets  # type: ignore[method-assign]
    handle(Tick(), function)
    assert world.state.name == "canary"


def test_one_service_that_cannot_be_served_does_not_keep_the_other(world):
    """And its failure is told."""
    function = world.copy()
    handle(world.pass_gate("m1", 1), function)
    world.revisions["score-svdpp"].down = True
    with pytest.raises(NotReady, match="API server"):
        handle(Tick(), function)
    assert world.state.name == "stable"
    world.revisions["score-svdpp"].down = False
    for damage in (b'{"log": 7}', b"xx", b"", b"[" * 100_000):
        world.deps.objects.put(keys.channel("score-svdpp"), damage)
        with pytest.raises(Corrupt, match="channel of score-svdpp"):
            handle(Tick(), function)
        assert world.deps.objects.get(keys.channel("score-svdpp")).data == damage


def test_what_could_not_be_told_is_told_later(world):
    """Kafka is away: the users are moved all the same."""
    function = world.copy()
    handle(world.pass_gate("m1", 1), function)
    world.deps.publisher.down = True
    with pytest.raises(NotReady):
        handle(Tick(), function)
    assert (world.svd.users(), world.told) == ({"m1": 100}, [(1, "deploying", "m1")])
    world.deps.publisher.down = False
    handle(Tick(), function)
    assert world.told == [(1, "deploying", "m1"), (2, "promoted", "m1")]


def test_a_slow_copy_never_overwrites_what_came_after_it_looked(world):
    """Its version of the traffic has passed: Conflict, and the newer shares stand."""
    slow = live(world, "m1")
    handle(world.pass_gate("m2", 2), slow)
    handle(Tick(), slow)
    world.seconds += 601

    def meanwhile(_):
        """The slow copy has stored its step, and sleeps; another one goes back."""
        fast = world.copy()
        handle(world.decide("m2", 2, "roll_back"), fast)

    converge = slow.converge
    slow.converge = lambda *standing: [meanwhile(0), converge(*standing)]
    with pytest.raises(Conflict):
        handle(world.decide("m2", 1, "hold"), slow)
    assert world.svd.users() == {"m1": 100}
    assert world.svd.history[-2:] == [{"m1": 95, "m2": 5}, {"m1": 100}]
    slow.converge = converge
    handle(Tick(), slow)
    assert world.svd.users() == {"m1": 100}
    assert [step[0] for step in world.steps] == list(range(1, len(world.steps) + 1))


def test_a_look_at_another_canary_moves_nobody(world):
    """What was seen of a revision is said of it alone, not of the one that took its place meanwhile."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    handle(world.pass_gate("m3", 3), function)
    world.svd.ready[named("m2")] = False
    look = function.look

    def slow_look(*seen):
        found = look(*seen)
        if seen[1] and seen[1].release.model_version == "m2":
            handle(world.decide("m2", 1, "roll_back"), world.copy())
        return found

    function.look = slow_look
    with pytest.raises(Conflict):
        handle(Tick(), function)
    assert world.state.canary.release.model_version == "m3"


@pytest.mark.parametrize("place", ["after_state", "after_converge", "after_announce"])
@pytest.mark.parametrize("at", range(6))
def test_dying_at_any_failpoint_loses_no_step_and_doubles_none(world, place, at, monkeypatch):
    """The next copy does what the dead one had still to do, when the event comes again."""
    reached = Counter()

    def die(name):
        reached[name] += 1
        if (name, reached[name]) == (f"rollout.{place}", at + 1):
            raise Killed

    monkeypatch.setattr(failpoints, "reach", die)
    events = [
        world.pass_gate("m1", 1),
        Tick(),
        world.pass_gate("m2", 2),
        Tick(),
        world.decide("m2", 3, "promote"),
        world.pass_gate("m3", 3),
        Tick(),
        world.decide("m3", 4, "roll_back"),
    ]
    deaths = 0
    for event in events:
        try:
            handle(event, world.copy())
        except Killed:
            deaths += 1
            handle(event, world.copy())
    assert deaths == 1
    for _ in range(3):
        handle(Tick(), world.copy())
    assert world.steps == [
        (1, "deploying", "m1"),
        (2, "promoted", "m1"),
        (3, "deploying", "m2"),
        (4, "canary", "m2"),
        (5, "promoted", "m2"),
        (6, "deploying", "m3"),
        (7, "canary", "m3"),
        (8, "rolled_back", "m3"),
    ]
    assert sorted(set(world.told)) == world.steps
    assert world.svd.users() == {"m2": 100}


def test_metrics_say_what_state_it_is_in(world):
    """One state is 1, the others 0, and each change is counted."""
    counted = telemetry.ROLLOUT_CHANGES.labels(SERVICE, "promoted")
    before = counted._value.get()
    live(world, "m1")
    handle(world.pass_gate("m2", 2), world.copy())
    handle(Tick(), world.copy())
    found = {
        sample.labels["state"]: sample.value
        for metric in telemetry.ROLLOUT_STATE.collect()
        for sample in metric.samples
        if sample.labels["service"] == SERVICE
    }
    assert found == {"empty": 0, "deploying": 0, "canary": 1, "held": 0, "stable": 0}
    assert telemetry.CANARY_WEIGHT.labels(SERVICE)._value.get() == 5
    assert counted._value.get() == before + 1


def test_through_the_framework(world, monkeypatch):
    """Statuses tell the source what to do: done, never, again later."""
    function = world.copy()
    deps = dataclasses.replace(world.deps, settings=world.deps.settings.model_copy(update={"router": "envoy"}))
    monkeypatch.setattr(bootstrap, "traffic", lambda *_: function.traffic)
    monkeypatch.setattr(bootstrap, "revisions", lambda *_: function.revisions, raising=False)
    monkeypatch.setattr("shared.adapters.web.web", lambda: function.web)
    client = entry.client("rollout", deps, monkeypatch)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "content-type": "application/json"}

    def post(kind, body):
        return client.post("/", content=body, headers=headers | {"ce-type": kind}).status_code

    accepted = b'{"algorithm":"svd","model_version":"m1","accepted":true,"reason":"","rmse":0.9}'
    assert client.get("/health/readiness").status_code == 200
    assert post(Tick.type, b"{}") == 204
    assert post(ModelEvaluated.type, b"{}") == 400
    assert post(ModelEvaluated.type, accepted) == 400
    world.pass_gate("m1", 1)
    assert post(ModelEvaluated.type, accepted) == 204
    assert world.state.name == "deploying"
    decision = b'{"service":"score-svd","model_version":"m1","number":1,"verdict":"promote"}'
    assert post(OnlineEvaluated.type, decision) == 400
    world.decide("m1", 1, "promote")
    assert post(OnlineEvaluated.type, decision) == 204
    assert post("marquee.lake.folded", b"{}") == 400
    world.deps.objects.down = True
    assert post(Tick.type, b"{}") == 503
    world.deps.objects.down = False
    monkeypatch.setattr(world.svd, "deploy", Mock(side_effect=Conflict("others")))
    world.pass_gate("m2", 2)
    assert post(ModelEvaluated.type, accepted.replace(b"m1", b"m2")) == 409


def test_without_a_router_it_does_not_start(world, monkeypatch):
    """It could not ask a canary anything."""
    monkeypatch.setattr(bootstrap, "build", lambda *_: world.deps)
    with pytest.raises(Exception, match="ROUTER is none"):
        main.connect()


def test_a_share_that_somebody_gave_by_hand_is_followed_and_told(world):
    """It is noted in the state with the tool's name, and the traffic gets its tags back."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    world.svd.hand(m1=60, m2=40)
    handle(Tick(), function)
    assert (world.svd.users(), world.state.canary.percent) == ({"m1": 60, "m2": 40}, 40)
    assert (world.state.log[-1].who, world.told[-1][1]) == ("kubectl-edit", "canary")
    assert {share.tag for share in world.svd.routed} == {"stable", "canary"}
    assert world.svd.by_hand is None


def test_traffic_by_hand_that_cannot_be_followed_goes_back(world):
    """And is told."""
    function = live(world, "m1", "m2")
    world.svd.hand(m1=30, m2=70)
    handle(Tick(), function)
    assert (world.svd.users(), world.told[-1][1]) == ({"m2": 100}, "overruled")
    number = world.state.number
    handle(Tick(), function)
    assert world.state.number == number


def test_other_code_is_deployed_with_its_image(world):
    """Under a name of its own, with the same model."""
    function, now = live(world, "m1"), world.deps.now_us()
    rollout.update(world.deps.channels, SERVICE, lambda state: core.release(state, "image-2", "ann", "why", now))
    handle(Tick(), function)
    handle(Tick(), function)
    canary = world.state.canary.release.revision
    assert canary != named("m1")
    assert (world.svd.images[canary], world.svd.models[canary]) == ("image-2", "m1")
    assert {share.revision: share.percent for share in world.svd.routed} == {named("m1"): 95, canary: 5}


# Numbers that are too high


def channel(world, change):
    """Change what the channel of the service holds."""

    def changed(state):
        change(state)
        return state

    world.deps.channels.update(SERVICE, changed)


def test_a_tick_at_rest_reads_the_state_twice(world, monkeypatch):
    """Once to look, and once to see that nothing is to be written."""
    function = live(world, "m1")
    handle(Tick(), function)
    get, read = world.deps.objects.get, []
    monkeypatch.setattr(world.deps.objects, "get", lambda key: read.append(key) or get(key))
    handle(Tick(), function)
    assert read.count(keys.channel(SERVICE)) == 2


FUTURE = 2**62


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(lake_version=10**18),
        lambda state: state.update(announced=10**18),
        lambda state: state.update(routed_at=FUTURE),
        lambda state: state["canary"].update(judged=10**18),
        lambda state: state["canary"]["periods"][0].update(since=FUTURE),
        lambda state: state["canary"]["periods"][-1].update(since=FUTURE),
        lambda state: state["log"][-1].update(at=FUTURE),
        lambda state: state["log"][-1].update(number=10**18),
    ],
)
def test_a_number_that_would_stop_all_progress_is_damage_and_told(world, change):
    """Nobody waits for ever for a moment, a decision or a model that cannot come; a log line and a metric say so."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    channel(world, change)
    unreadable = telemetry.CHANNEL_UNREADABLE.labels(SERVICE)
    before, stood = unreadable._value.get(), world.deps.channels.get(SERVICE)
    with structlog.testing.capture_logs() as told:
        for event in (Tick(), world.decide("m2", 200, "promote"), world.pass_gate("m3", 3)):
            with pytest.raises(Corrupt, match="channel of score-svd"):
                handle(event, function)
    assert [each["event"] for each in told] == 3 * ["channel_unreadable"]
    assert unreadable._value.get() == before + 3
    assert world.deps.channels.get(SERVICE) == stood


def test_a_clock_that_is_wrong_by_hours_is_waited_for(world):
    """It is no damage: a step takes longer."""
    function = live(world, "m1")
    world.seconds += 23 * 3600
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    world.seconds -= 23 * 3600
    handle(Tick(), function)
    handle(world.decide("m2", 200, "promote"), function)
    assert world.state.stable.model_version == "m2"


def test_a_person_may_order_what_makes_a_state_good_again(world):
    """The trial that began in the future is taken back."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    channel(world, lambda state: state["canary"]["periods"][-1].update(since=FUTURE))
    rollout.update(
        world.deps.channels, SERVICE, lambda state: core.order(state, "rollback", "ann", "w", function.deps.now_us())
    )
    handle(Tick(), function)
    assert world.svd.users() == {"m1": 100}


@pytest.mark.parametrize("lake_version", [3, 10**18, -5])
def test_a_report_about_another_lake_than_its_models_lets_nothing_in(world, lake_version):
    """A version that is too high would shut out all models that come after it."""
    function = live(world, "m1")
    event = world.pass_gate("m2", 2)
    name = f"{keys.report('svd', 'm2')}/manifest.json"
    told = json.loads(world.deps.objects.get(name).data) | {"lake_version": lake_version}
    world.deps.objects.put(name, json.dumps(told).encode())
    with pytest.raises(Corrupt, match=r"reports/svd/m2|report of m2"):
        handle(event, function)
    handle(world.pass_gate("m3", 3), function)
    assert world.state.canary.release.model_version == "m3"


def test_a_model_that_knows_less_than_one_before_is_passed_over_in_words(world):
    """It may be that the one before said too much."""
    function = live(world, "m1", "m2")
    function.deps = dataclasses.replace(function.deps, log=structlog.get_logger())
    with structlog.testing.capture_logs() as told:
        handle(world.pass_gate("late", 1), function)
    (found,) = (each for each in told if each["event"] == "model_not_accepted")
    assert (found["model"], found["reason"]) == (
        "late",
        "it knows the lake up to version 1, and one that was accepted up to 2",
    )


def test_a_model_that_is_live_is_no_canary_whatever_lake_is_said_to_be_its(world):
    """Its revision would have two places, and no users would be shared out any more."""
    function = live(world, "m1", "m2")
    for name, kind in ((keys.model("svd", "m2"), "model"), (keys.report("svd", "m2"), "report")):
        told = json.loads(world.deps.objects.get(f"{name}/manifest.json").data) | {"lake_version": 10**9}
        assert told["kind"] == kind
        world.deps.objects.put(f"{name}/manifest.json", json.dumps(told).encode())
    function.deps = dataclasses.replace(function.deps, log=structlog.get_logger())
    with structlog.testing.capture_logs() as told:
        handle(ModelEvaluated("svd", "m2", True, "again", 0.9), function)
    assert [each["reason"] for each in told if each["event"] == "model_not_accepted"] == ["it is stable already"]
    handle(world.pass_gate("m3", 3), function)
    assert world.state.canary.release.model_version == "m3"


def test_a_state_in_which_a_model_has_two_places_is_damage_and_a_person_can_mend_it(world):
    """Nobody is moved by it."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    channel(world, lambda state: state["canary"].update(release=state["stable"]))
    with pytest.raises(Corrupt, match="its stable model as its canary"):
        handle(Tick(), function)
    now = world.deps.now_us()
    rollout.update(world.deps.channels, SERVICE, lambda state: core.order(state, "rollback", "ann", "mend it", now))
    handle(Tick(), function)
    assert world.svd.users() == {"m1": 100}


# What somebody put into the bucket or took out of it


def test_a_lost_state_lets_no_model_in_without_a_trial(world):
    """The model that the router has users with is stable; an old event lets an old model in as little as before."""
    function = live(world, "m1", "m2")
    old = world.pass_gate("m0", 0)
    world.deps.objects.delete([keys.channel(SERVICE)])
    handle(old, function)
    handle(Tick(), function)
    assert (world.state.model_version, world.svd.users()) == ("m2", {"m2": 100})
    assert world.steps[0][1:] == ("adopted", "m2")
    assert world.state.lake_version == 2
    assert world.told[-1][1:] == ("adopted", "m2")
    handle(world.pass_gate("m3", 3), function)
    handle(Tick(), function)
    assert world.svd.users() == {"m2": 95, "m3": 5}


@pytest.mark.parametrize("percent", [5, 50])
def test_a_state_that_is_lost_during_a_trial_leaves_the_stable_model(world, percent):
    """A tick is enough, and a model nobody vouches for any more stays where its users are."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    world.svd.routed = [
        share._replace(percent=percent if share.tag == "canary" else 100 - percent) for share in world.svd.routed
    ]
    world.svd.asked = world.svd.routed
    world.deps.objects.delete([keys.channel(SERVICE), f"{keys.model('svd', 'm1')}/manifest.json"])
    handle(Tick(), function)
    assert (world.state.model_version, world.state.lake_version) == ("m1", -1)
    assert world.svd.users() == {"m1": 100}


def test_a_decision_about_a_lake_that_is_to_come_is_not_followed(world):
    """After it no other would count."""
    function = live(world, "m1")
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    forged = world.decide("m2", 10**9, "hold")
    world.deps.objects.delete([keys.lake_commit(10**9)])
    with pytest.raises(Corrupt, match="which it does not have"):
        handle(forged, function)
    handle(world.decide("m2", 3, "promote"), function)
    assert world.state.model_version == "m2"


def test_where_decisions_are_signed_no_other_is_followed(world):
    """Neither one that nobody signed, nor one that another did, nor one that was changed since."""
    signer = Signer.new()
    function = live(world, "m1")
    function.deps = dataclasses.replace(world.deps, judge=signer.verifier)
    handle(world.pass_gate("m2", 2), function)
    handle(Tick(), function)
    unsigned = world.decide("m2", 3, "promote")
    key = keys.decision(SERVICE, "m2", 3)
    with pytest.raises(Corrupt, match="nobody signed"):
        handle(unsigned, function)
    for data in (
        decided("m2", 3, "promote").to_bytes(Signer.new()),
        decided("m2", 3, "hold").to_bytes(signer).replace(b'"hold"', b'"promote"'),
    ):
        world.deps.objects.put(key, data)
        with pytest.raises(Corrupt, match="none of the keys"):
            handle(unsigned, function)
    assert world.state.model_version == "m1"
    world.deps.objects.put(key, decided("m2", 3, "promote").to_bytes(signer))
    handle(unsigned, function)
    assert world.state.model_version == "m2"


def test_who_listens_hears_who_changed_what_and_why(world):
    """And where the decision is that it rests on."""
    function = live(world, "m1", "m2")
    now = world.deps.now_us()
    rollout.update(world.deps.channels, SERVICE, lambda state: core.order(state, "rollback", "ann", "slow", now, "m2"))
    handle(Tick(), function)
    found = [(each.what, each.who, each.why, each.evidence) for each in world.deps.publisher.events]
    assert found[-2:] == [
        ("promoted", "rollout", "because of 102", keys.decision(SERVICE, "m2", 102)),
        ("rolled_back", "ann", "slow", None),
    ]
