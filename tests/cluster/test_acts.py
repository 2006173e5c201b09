"""What Marquee does on a real Knative, one act after another, with users all the while."""

import json
import time

import pytest

from cli.drill.acts import over
from cli.drill.stage import SERVICE, Stage
from functions.rollout.core import order
from infra.cluster.site import Site
from shared import keys, rollout
from shared.events import ALGORITHMS
from tests.cluster.users import ARM, MODEL, RUNG, STABLE, USERS, answers, direct, n_ready, share
from tests.integration.conftest import wait

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    # kafka-python leaves sockets of connections that were never made, as while the machine is this busy.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def on_trial(stage: Stage, model_version: str) -> tuple[str, str]:
    """Give a new model users; return the stable model's revision and its own."""
    stage.release(model_version, stage.stable_model())
    stage.wait(lambda: stage.state.name == "canary" and stage.state.routed_at is not None, "a canary with users", 180)
    state = stage.state
    assert state.stable
    assert state.canary
    return state.stable.revision, state.canary.release.revision


def test_recommendations_for_known_and_unknown_users(site: Site, stage: Stage) -> None:
    """From lines in Kafka to lists at port 8082, by pods that the namespace's rules admit."""
    known = list(stage.stable_model().users[:100])
    assert stage.state.stable
    wait(lambda: set(answers(site, ARM, USERS[:200]).values()) == {STABLE}, 60, "answers of the live model")
    wait(lambda: "personal" in answers(site, RUNG, known).values(), 60, "a list of one's own")
    model = f"svd@{stage.state.stable.model_version}"
    assert model in answers(site, MODEL, known).values()
    assert stage.n_ratings() > 0
    for name in map(keys.score_service, ALGORITHMS):
        state = rollout.read(name, stage.deps.channels.get(name))
        assert state.stable
        assert n_ready(site, "revision", state.stable.revision) == 2


def test_a_new_model_gets_ten_percent_and_then_all(site: Site, stage: Stage) -> None:
    """`rollout` patches the traffic itself; Kourier deals callers by weight, and the front's users stay put."""
    stable, new = on_trial(stage, "planted-next")
    wait(lambda: set(direct(site, SERVICE, 40)) <= {stable, new}, 20, "traffic by weight")
    time.sleep(5)
    dealt = direct(site, SERVICE, 3_000)
    assert dealt.keys() == {stable, new}
    assert 7 < 100 * dealt[new] / dealt.total() < 13
    first, second = answers(site, ARM), answers(site, ARM)
    assert first == second
    assert 7 < share(first) < 13
    now = stage.deps.now_us()
    rollout.update(stage.deps.channels, SERVICE, lambda state: order(state, "promote", "ann", "ten percent do", now))
    wait(lambda: set(direct(site, SERVICE, 50)) == {new}, 60, "all traffic on the new model")
    wait(lambda: set(answers(site, ARM, USERS[:100]).values()) == {STABLE}, 60, "everybody on the new model")
    assert n_ready(site, "revision", new) == 2
    assert n_ready(site, "revision", stable) == 2  # it is kept, to go back at once


def test_an_operator_moves_users_with_kubectl(site: Site, stage: Stage) -> None:
    """`recommend` follows within five seconds, and `rollout` notes who did it."""
    stable, new = on_trial(stage, "planted-third")
    traffic = [
        {"revisionName": stable, "tag": "stable", "percent": 60},
        {"revisionName": new, "tag": "canary", "percent": 40},
    ]
    patch = json.dumps({"spec": {"traffic": traffic}})
    site.kubectl("patch", "ksvc", SERVICE, "--type=merge", f"--patch={patch}", "--field-manager=ann-by-kubectl")
    time.sleep(5)
    assert 35 < share(answers(site, ARM)) < 45
    stage.wait(lambda: stage.state.log[-1].who == "ann-by-kubectl", "a note of it", 30)
    change = stage.state.log[-1]
    assert (change.what, change.percent) == ("canary", 40)
    over(stage)
    wait(lambda: set(answers(site, ARM, USERS[:100]).values()) == {STABLE}, 60, "everybody on the stable model")
