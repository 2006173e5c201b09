"""What Marquee does on a real Knative, one act after another, with users all the while."""

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from cli.drill.acts import over
from cli.drill.stage import SERVICE, Stage
from functions.rollout.core import order
from infra.cluster.site import NAMESPACE, Site
from shared import rollout
from tests.integration.conftest import wait

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    # kafka-python leaves sockets of connections that were never made, as while the machine is this busy.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

USERS = [str(number) for number in range(9_000_001, 9_001_501)]
STABLE, CANARY = "svd:stable", "svd:canary"
ARM, MODEL, RUNG = "x-marquee-arm", "x-marquee-model", "x-marquee-rung"


def asked(url: str, user: str) -> dict[str, str]:
    """Return the headers of an answer, which has a list."""
    with urllib.request.urlopen(f"{url}/recommend/{user}", timeout=10) as answer:
        assert answer.read().decode().strip()
        return {name.lower(): value for name, value in answer.headers.items()}


def answers(site: Site, header: str, users: Sequence[str] = USERS) -> dict[str, str]:
    """Return a header of each user's answer at the front."""
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda user: asked(site.url, user), users)
        return {user: each[header] for user, each in zip(users, found, strict=True)}


def share(arms: dict[str, str]) -> float:
    """Return the percentage of users in the canary's arm."""
    return 100 * Counter(arms.values())[CANARY] / len(arms)


def direct(site: Site, n: int) -> Counter[str]:
    """Return which revisions answer whoever asks the Service itself."""
    gateway = site.get("service", "kourier-internal", "--namespace=kourier-system")["spec"]["clusterIP"]
    request = urllib.request.Request(f"http://{gateway}/model")
    request.add_header("Host", f"{SERVICE}.{NAMESPACE}.svc.cluster.local")

    def ask(_: int) -> str:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["revision"])

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(ask, range(n)))


def on_trial(stage: Stage, model_version: str) -> tuple[str, str]:
    """Give a new model users; return the stable model's revision and its own."""
    stage.release(model_version, stage.stable_model())
    stage.wait(lambda: stage.state.name == "canary" and stage.state.routed_at is not None, "a canary with users", 180)
    state = stage.state
    assert state.stable
    assert state.canary
    return state.stable.revision, state.canary.release.revision


def pods(site: Site, revision: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.get("pods", f"--selector=serving.knative.dev/revision={revision}")["items"]
    return found


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@contextmanager
def visited(site: Site, per_second: int) -> Iterator[list[str]]:
    """Have users ask all the while; what failed is in the list."""
    failed: list[str] = []
    over = threading.Event()

    def ask(user: str) -> None:
        try:
            asked(site.url, user)
        except Exception as error:  # whatever it is, a user got no list
            failed.append(repr(error))

    def run() -> None:
        began, number = time.monotonic(), 0
        with ThreadPoolExecutor(32) as pool:
            while not over.wait(max(0.0, began + number / per_second - time.monotonic())):
                pool.submit(ask, USERS[number % len(USERS)])
                number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failed
    finally:
        over.set()
        thread.join()


def test_recommendations_for_known_and_unknown_users(site: Site, stage: Stage) -> None:
    """From lines in Kafka to lists at port 8082, by pods that the namespace's rules admit."""
    known = list(stage.stable_model().users[:100])
    assert stage.state.stable
    wait(lambda: set(answers(site, ARM, USERS[:200]).values()) == {STABLE}, 60, "answers of the live model")
    wait(lambda: "personal" in answers(site, RUNG, known).values(), 60, "a list of one's own")
    model = f"svd@{stage.state.stable.model_version}"
    assert model in answers(site, MODEL, known).values()
    assert stage.n_ratings() > 0
    for name in ("score-svd", "score-svdpp"):
        state = rollout.read(name, stage.deps.channels.get(name))
        assert state.stable
        assert sum(map(ready, pods(site, state.stable.revision))) == 2


def test_a_new_model_gets_ten_percent_and_then_all(site: Site, stage: Stage) -> None:
    """`rollout` patches the traffic itself; Kourier deals callers by weight, and the front's users stay put."""
    stable, new = on_trial(stage, "planted-next")
    wait(lambda: set(direct(site, 40)) <= {stable, new}, 20, "traffic by weight")
    time.sleep(5)
    dealt = direct(site, 3_000)
    assert dealt.keys() == {stable, new}
    assert 7 < 100 * dealt[new] / dealt.total() < 13
    first, second = answers(site, ARM), answers(site, ARM)
    assert first == second
    assert 7 < share(first) < 13
    now = stage.deps.now_us()
    rollout.update(stage.deps.channels, SERVICE, lambda state: order(state, "promote", "ann", "ten percent do", now))
    wait(lambda: set(direct(site, 50)) == {new}, 60, "all traffic on the new model")
    wait(lambda: set(answers(site, ARM, USERS[:100]).values()) == {STABLE}, 60, "everybody on the new model")
    assert sum(map(ready, pods(site, new))) == 2
    assert sum(map(ready, pods(site, stable))) == 2  # it is kept, to go back at once


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


def test_nobody_notices_ten_deployments_and_ten_deaths(site: Site, stage: Stage) -> None:
    """20 requests a second through the front, and not one fails."""
    assert stage.all_live()
    with visited(site, 20) as failed:
        for number in range(10):
            metadata = {"annotations": {"marquee.test/number": str(number)}}
            patch = json.dumps({"spec": {"template": {"metadata": metadata}}})
            site.kubectl("patch", "ksvc", "recommend", "--type=merge", f"--patch={patch}")
            time.sleep(1)
            site.kubectl("wait", "ksvc/recommend", "--for=condition=Ready", "--timeout=120s")
            stable = stage.state.stable
            assert stable
            latest = site.get("ksvc", "recommend")["status"]["latestReadyRevisionName"]
            victim = pods(site, stable.revision if number % 2 else latest)[0]["metadata"]["name"]
            site.kubectl("delete", "pod", victim, "--wait=false")
            time.sleep(3)
    assert failed == []
