import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from functions.rollout import core
from shared import bootstrap, keys
from shared.decision import Decision
from shared.errors import BadInput, Corrupt, NotReady
from shared.experiment import known
from shared.rollout import State, read, update
from tests import fakes

SERVICE = "score-svd"
RULES = core.Rules((5, 25), 1, 1, 1, 10**12)


@pytest.fixture
def deps(tmp_path, monkeypatch):
    deps = fakes.deps(tmp_path)
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: deps)
    return deps


def run(*arguments):
    done = CliRunner().invoke(app, ["rollout", *arguments], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def live(deps, *versions, canary=None):
    """Let models be stable one after another, and perhaps one on trial."""
    now = deps.now_us() - 7_200_000_000

    def change(state: State) -> State:
        for lake_version, version in enumerate(versions, 1):
            state = core.observe(core.accept(state, version, lake_version, now), True, "", now, RULES)
            if state.canary:
                state = core.order(state, "promote", "ann", "it is good", now)
        if canary:
            state = core.observe(core.accept(state, canary, 99, now), True, "", now, RULES)
        return state

    return update(deps.channels, SERVICE, change)


def decide(deps, version, number, **evidence):
    decision = Decision(
        service=SERVICE,
        model_version=version,
        revision="revision",
        against="m1",
        number=number,
        decided_at=deps.now_us(),
        verdict="hold",
        is_safe=True,
        reason=f"[bold] reason {number}",
        evidence=evidence,
    )
    deps.objects.put(keys.decision(SERVICE, version, number), decision.model_dump_json().encode())


def standing(deps):
    return read(SERVICE, deps.channels.get(SERVICE))


def test_status_says_what_is_live_and_why(deps):
    """Of both services; the newest decision is the one with the highest number, with its interval and its reason."""
    live(deps, "m1", "m2", canary="m3")
    effect = {"estimate": 0.011, "lower": -0.02, "upper": 0.04, "n_canary": 1200, "n_stable": 7}
    decide(deps, "m3", 9)
    decide(deps, "m3", 10, verdict={"effect": effect})
    printed = run("status")
    for told in ("canary", "m2, 95 %", "since 2026-11-23 10:00:00", "m3, 5 %", "for 2:00:00", "[bold] reason 10"):
        assert told in printed
    assert "+0.0110 (-0.0200 to +0.0400)" in printed
    assert "1,200 users of the canary counted, 7 of stable" in printed
    assert "reason 9" not in printed
    assert "score-svdpp" in printed
    assert "ann" in printed
    assert "it is good" in printed


def test_status_of_nothing_says_so(deps):
    """Before the first model."""
    assert "none yet" in run("status")


def test_what_a_person_said_is_not_lost_among_models_that_wait(deps):
    """Of those that waited one after another the last is told; who paused, and why, stands beside the state."""
    live(deps, "m1", canary="m2")
    run("pause", SERVICE, "--why", "a holiday", "--who", "ann")
    for version in range(10, 30):
        update(deps.channels, SERVICE, lambda state, n=version: core.accept(state, f"m{n}", 100 + n, deps.now_us()))
    printed = run("status")
    assert "canary, paused by ann: a holiday" in printed
    assert printed.count("is still on trial") == 1
    assert "m29" in printed


def test_status_as_json_has_the_whole_state(deps):
    """For machines, with the decision and the age in seconds."""
    live(deps, "m1", canary="m2")
    decide(deps, "m2", 3)
    found = json.loads(run("status", "--json"))
    assert found["score-svdpp"]["state"] == "empty"
    svd = found[SERVICE]
    assert (svd["state"], svd["model_version"], svd["percent"], svd["age_seconds"]) == ("canary", "m1", 5, 7200.0)
    assert svd["decision"]["number"] == 3
    assert [change["what"] for change in svd["log"]] == ["deploying", "promoted", "deploying", "canary"]


def test_an_order_is_stored_with_name_and_reason(deps, monkeypatch):
    """The name is the user's, unless another is given."""
    live(deps, "m1", canary="m2")
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    assert "promoted m2" in run("promote", SERVICE, "--why", "the site asked for it")
    change = standing(deps).log[-1]
    assert (change.what, change.who, change.why) == ("promoted", "bob", "the site asked for it")
    assert "rolled back m2" in run("rollback", SERVICE, "--why", "no", "--who", "eve")
    assert (standing(deps).model_version, standing(deps).log[-1].who) == ("m1", "eve")
    assert "paused" in run("pause", SERVICE, "--why", "a holiday")
    assert standing(deps).is_paused
    assert "paused already" in run("pause", SERVICE, "--why", "a holiday")
    assert "resumed" in run("resume", SERVICE, "--why", "back")
    assert not standing(deps).is_paused


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_an_order_that_cannot_be_is_refused(deps, command):
    """With what is missing."""
    with pytest.raises(BadInput, match="canary"):
        run(command, SERVICE, "--why", "x")


def test_orders_that_make_no_sense_are_refused(deps, monkeypatch):
    """A service that is none, a reason that is none, a user without a name; and a store that is away says so."""
    with pytest.raises(BadInput, match="no service 'recommend'; there are score-svd, score-svdpp"):
        run("pause", "recommend", "--why", "x")
    with pytest.raises(BadInput, match="--why is empty"):
        run("pause", SERVICE, "--why", " ")
    assert "Missing option" in run("pause", SERVICE)
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    with pytest.raises(BadInput, match="--who"):
        run("pause", SERVICE, "--why", "x")
    deps.objects.down = True
    with pytest.raises(NotReady):
        run("pause", SERVICE, "--why", "x", "--who", "ann")
    deps.objects.down = False
    live(deps, "m1")
    deps.objects.put(keys.decision(SERVICE, "m1", 4), b"{")
    with pytest.raises(Corrupt, match=r"decisions/score-svd/m1/4\.json"):
        run("status")


COMPARED = {
    "of": "svdpp:stable",
    "against": "svd:stable",
    "preferred": "svdpp:stable",
    "since": 7,
    "svd_percent": 50,
    "estimate": 0.011,
    "lower": 0.002,
    "upper": 0.04,
    "canary": 0.25,
    "stable": 0.239,
    "n_canary": 1200,
    "n_stable": 1201,
}


def report(deps, number, **told):
    deps.objects.put(keys.online_report(number), json.dumps({"experiment": told and COMPARED | told}).encode())


def test_a_person_moves_the_weight_with_name_and_reason(deps, monkeypatch):
    """The name is the user's, unless another is given; the weight that stands already is not ordered again."""
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    assert "score-svd 60 %, score-svdpp 40 %" in run("weight", "60", "--why", "it answers sooner")
    assert "has 60 % already" in run("weight", "60", "--why", "again")
    assert "score-svd 0 %" in run("weight", "0", "--why", "it is broken", "--who", "eve")
    log = known(deps.channels).log
    assert [(each.svd_percent, each.who, each.why, each.evidence) for each in log] == [
        (60, "bob", "it answers sooner", None),
        (0, "eve", "it is broken", None),
    ]
    assert log[-1].at == deps.now_us()


def test_a_weight_is_ordered_over_damage(deps):
    """A person's word is all that is needed to know it anew."""
    deps.objects.put("channels/experiment.json", b"damaged")
    run("weight", "30", "--why", "x", "--who", "ann")
    assert known(deps.channels).svd_percent == 30


@pytest.mark.parametrize("percent", ["101", "-1", "x", "50.5"])
def test_a_weight_that_is_no_percentage_is_refused(deps, percent):
    """And so is one without a reason; nothing is stored."""
    assert "SVD_PERCENT" in run("weight", "--why", "x", "--who", "ann", "--", percent)
    with pytest.raises(BadInput, match="--why is empty"):
        run("weight", "50", "--why", " ")
    assert deps.objects.objects == {}


def test_status_says_how_users_are_shared_and_what_they_prefer(deps):
    """By the report of the highest number, with its interval, and who ordered the share when and why."""
    report(deps, 9, preferred="svd:stable")
    report(deps, 10, lower=0.003)
    run("weight", "60", "--why", "[bold] sooner", "--who", "ann")
    printed = run("status")
    assert "60 %" in printed
    assert "since 2026-11-23 12:00:00 by ann: [bold] sooner" in printed
    assert "users prefer svdpp: SVD++ minus SVD +0.0110 (+0.0030 to +0.0400)" in printed
    assert "25.00% of 1,200" in printed
    found = json.loads(run("status", "--json"))["experiment"]
    assert found["weights"] == {"score-svd": 60, "score-svdpp": 40}
    assert found["preferred"] == "svdpp"
    assert found["comparison"] == COMPARED | {"lower": 0.003}
    assert [each["who"] for each in found["changes"]] == ["ann"]


def test_status_before_anybody_ordered_or_compared(deps):
    """The setting holds, and what is not known is not said."""
    assert "by the setting SCORE_SVD_WEIGHT" in run("status")
    assert "not compared yet" in run("status")
    found = json.loads(run("status", "--json"))["experiment"]
    assert found == {
        "weights": {"score-svd": 50, "score-svdpp": 50},
        "changes": [],
        "preferred": None,
        "comparison": None,
    }
    nothing = {"preferred": None, "estimate": None, "lower": -1.0, "upper": 1.0, "canary": None, "stable": None}
    report(deps, 1, **nothing)
    assert "users prefer neither for sure: SVD++ minus SVD (-1.0000 to +1.0000)" in run("status")
    deps.objects.put(keys.online_report(2), b"{")
    with pytest.raises(Corrupt, match=r"reports/online/2\.json"):
        run("status")


def test_who_watches_sees_what_changes_until_ctrl_c(deps, monkeypatch):
    """Also once the bucket is back; Ctrl-C is no failure, and the last tables stay."""
    live(deps, "m1")
    looks = []

    def between(seconds):
        looks.append(seconds)
        monkeypatch.setattr(type(deps.objects), "get", away if len(looks) == 1 else here)
        if len(looks) == 2:
            live(deps, "m2")
        if len(looks) == 3:
            raise KeyboardInterrupt

    def away(*_):
        raise NotReady("the bucket is away")

    here = type(deps.objects).get
    monkeypatch.setattr("time.sleep", between)
    done = CliRunner().invoke(app, ["rollout", "status", "--watch", "--interval", "5"])
    assert done.exit_code == 0
    assert looks == [5, 5, 5]
    assert "m2, 100 %" in done.output


def test_who_watches_is_a_person(deps):
    """A machine asks again."""
    with pytest.raises(BadInput, match="--json"):
        run("status", "--watch", "--json")
