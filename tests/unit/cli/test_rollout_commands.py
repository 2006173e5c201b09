import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from functions.rollout import core
from shared import bootstrap, keys
from shared.decision import Decision
from shared.errors import BadInput, Corrupt, NotReady
from shared.rollout import State, read, update
from tests import fakes

SERVICE = "score-svd"
RULES = core.Rules((5, 25), 1, 1, 1, 10**12)


@pytest.fixture
def deps(tmp_path, monkeypatch):
    deps = fakes.deps(tmp_path)
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: deps)
    monkeypatch.setenv("COLUMNS", "220")
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
    effect = {"estimate": 0.011, "lower": -0.02, "upper": 0.04}
    decide(deps, "m3", 9)
    decide(deps, "m3", 10, verdict={"effect": effect})
    printed = run("status")
    for told in ("canary", "m2, 95 %", "since 2026-11-23 10:00:00", "m3, 5 %", "for 2.0 hours", "[bold] reason 10"):
        assert told in printed
    assert "+0.0110 (-0.0200 to +0.0400)" in printed
    assert "reason 9" not in printed
    assert "score-svdpp" in printed
    assert "ann" in printed
    assert "it is good" in printed


def test_status_of_nothing_says_so(deps):
    """Before the first model."""
    assert "none yet" in run("status")


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
