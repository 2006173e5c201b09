import dataclasses
import json

import pytest
from typer.testing import CliRunner

from cli import console
from cli.main import app
from functions.rollout import core
from shared import bootstrap, keys
from shared.errors import BadInput, Corrupt, NotReady
from shared.rollout import update
from shared.signing import Signer
from tests.unit.cli.rollout.world import SERVICE, decide, invoke, live, run


def test_status_says_what_is_live_and_why(deps):
    """Of both services; the newest decision is the one with the highest number, with its interval and its reason."""
    live(deps, "m1", "m2", canary="m3")
    effect = {"estimate": 0.011, "lower": -0.02, "upper": 0.04}
    guardrails = [{"name": "errors", "status": "ok"}, {"name": "coverage", "status": "not enough"}]
    arms = {"svd:canary": {"closed_users": 1200}, "svd:stable": {"closed_users": 7}}
    verdict = {"effect": effect, "guardrails": guardrails}
    decide(deps, "m3", 9)
    decide(deps, "m3", 10, verdict=verdict, arms=arms, percent=5, rules={"margin": 0.01, "min_users": 1000})
    printed = run("status")
    for told in ("canary", "m2, 95 % since 10:00", "m3, 5 % since 10:00", "hold m3, 12:00: [bold] reason 10"):
        assert told in printed
    assert "+0.0110 (-0.0200 to +0.0400); promoted if all is above -0.01, rolled back if all is below 0" in printed
    assert "1,200 users of the canary and 7 of stable count, of 1,000 of each" in printed
    assert "guardrails: errors ok, coverage not enough" in printed
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


def test_a_decision_that_is_not_followed_is_no_evidence(deps, monkeypatch):
    """Unsigned, wrongly signed, of another model or damaged it is named with what is wrong, and all else is shown."""
    ours = Signer.new()
    key = keys.decision(SERVICE, "m2", 4)
    live(deps, "m1", canary="m2")
    asking = dataclasses.replace(deps, judge=ours.verifier)
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: asking)

    def told():
        printed, found = run("status"), json.loads(run("status", "--json"))[SERVICE]
        assert "m2, 5 %" in printed
        assert ("reason" in printed) == (found["decision"] is not None)
        return " ".join(printed.replace("\u2502", " ").split()), found["refused"]

    for signer, wrong in ((None, "nobody signed this decision"), (Signer.new(), "none of the keys")):
        decide(dataclasses.replace(deps, signer=signer), "m2", 4)
        printed, refused = told()
        assert f"last decision, not followed: {key}: " in printed
        assert wrong in printed
        assert wrong in refused
    decide(dataclasses.replace(deps, signer=ours), "m2", 4)
    assert told()[1] is None
    deps.objects.put(keys.decision(SERVICE, "m2", 5), deps.objects.get(key).data)
    assert told()[1] == "decisions/score-svd/m2/5.json is decision 4 about m2 of score-svd"
    deps.objects.put(keys.decision(SERVICE, "m2", 6), b"{")
    assert "not a decision" in told()[1]


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


def test_eighty_columns_hold_all_that_is_told(deps, monkeypatch):
    """No cell is cut, times and versions are short; a long reason goes on in the next line."""
    monkeypatch.setattr(console.out, "width", 80)
    names = [f"{number:x}" * 32 for number in range(10, 14)]
    live(deps, *names[:2], canary=names[2])
    decide(deps, names[2], 3)
    run("pause", SERVICE, "--why", "a holiday for all of us and " + 30 * "x", "--who", "somebody-with-a-name")
    for printed in (run("status"), run("history", SERVICE)):
        assert "\u2026" not in printed
        assert max(map(len, printed.splitlines())) <= 80
        for told in ("cccccccc", "rolled back" if "rolled" in printed else "promoted", "10:00", "svd "):
            assert told in printed
        assert "ccccccccc" not in printed


def test_history_has_every_change(deps):
    """Also the models that waited, and for machines."""
    live(deps, "m1", canary="m2")
    for version in range(10, 30):
        update(deps.channels, SERVICE, lambda state, n=version: core.accept(state, f"m{n}", 100 + n, deps.now_us()))
    assert run("history", SERVICE).count("is still on trial") == 20
    found = json.loads(run("history", SERVICE, "--json"))
    assert [each["number"] for each in found] == list(range(1, 25))
    assert "score-svdpp had no change yet" in run("history", "score-svdpp")
    with pytest.raises(BadInput, match="no service"):
        run("history", "recommend")


@pytest.mark.parametrize(("command", "code"), [("promote", 0), ("rollback", 1)])
def test_who_waits_learns_how_the_trial_ended(deps, monkeypatch, command, code):
    """By the status, and in words; what it waits for is said once; a bucket may be away meanwhile."""
    live(deps, "m1", canary="m2")
    here, looks = type(deps.objects).get, []

    def between(seconds):
        looks.append(seconds)
        monkeypatch.setattr(type(deps.objects), "get", away if len(looks) == 2 else here)
        if len(looks) == 3:
            run(command, SERVICE, "--why", "so be it", "--who", "ann")
            update(deps.channels, SERVICE, lambda state: core.accept(state, "m3", 100, deps.now_us()))

    def away(*_):
        raise NotReady("the bucket is away")

    monkeypatch.setattr("time.sleep", between)
    done = invoke("wait", SERVICE)
    assert done.exit_code == code
    assert done.output.count("m2 is on trial") == 1
    assert done.output.count("next step 25 %") == 1
    assert "the bucket is away" in done.output
    assert "m2 by ann: so be it" in done.output


def test_who_waits_does_not_wait_for_ever_nor_for_nothing(deps):
    """When time is over that is said; without a trial there is nothing to wait for."""
    live(deps, "m1", canary="m2")
    done = invoke("wait", SERVICE, "--timeout", "0")
    assert done.exit_code == 2
    assert "has not ended in 0 s" in done.output
    with pytest.raises(BadInput, match="no model on trial"):
        run("wait", "score-svdpp")
