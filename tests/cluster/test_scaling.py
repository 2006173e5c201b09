"""Pods come and go, with requests, with new code and by accident, and nobody is without an answer."""

import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from cli.drill.stage import SERVICE, Stage
from infra.cluster.site import Site
from tests.cluster.users import LIST, USERS, crowded, n_ready, pods, sightings, visited
from tests.integration.conftest import wait

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MANY, FEW = 40, 2  # each pod is meant for five at once here


@contextmanager
def silence(site: Site) -> Iterator[None]:
    """Have no events come in for the length of a block."""
    scale = ("scale", "deployment/event-source")
    site.kubectl(*scale, "--replicas=0")
    site.kubectl("wait", "pod", "--selector=app=event-source", "--for=delete", "--timeout=60s")
    try:
        yield
    finally:
        site.kubectl(*scale, "--replicas=1")
        site.kubectl("rollout", "status", "deployment/event-source", "--timeout=120s")


def test_pods_follow_the_crowd_at_the_front(site: Site, stage: Stage) -> None:
    """`recommend` scales out while many ask at once, and in once they have gone."""
    assert stage.all_live()
    follow(
        site, "service", "recommend", [urllib.request.Request(f"{site.url}/recommend/{user}") for user in USERS[:MANY]]
    )


def test_pods_follow_the_crowd_before_a_model(site: Site, stage: Stage) -> None:
    """So does a model, by itself, for those who ask it for their own lists."""
    stable = stage.state.stable
    assert stable
    requests = [site.request(SERVICE, f"/top/{user}") for user in stage.stable_model().users[:MANY]]
    follow(site, "revision", stable.revision, requests)


def follow(site: Site, label: str, name: str, requests: Sequence[urllib.request.Request]) -> None:
    assert n_ready(site, label, name) == FEW
    began = time.monotonic()
    with crowded(requests) as got:
        wait(lambda: n_ready(site, label, name) > FEW, 240, f"more pods of {name}")
        print(f"\n{name} scaled out after {time.monotonic() - began:.1f} s of {len(requests)} requests at once")
        time.sleep(5)
        most = n_ready(site, label, name)
    began = time.monotonic()
    wait(lambda: n_ready(site, label, name) == FEW, 240, "as few pods as before")
    print(f"scaled in after {time.monotonic() - began:.1f} s; {most} pods at the most; answers: {dict(got)}")
    assert got.keys() == {LIST}


def test_old_pods_go_one_by_one_once_new_ones_are_ready(site: Site, stage: Stage) -> None:
    """As `recommend` is deployed anew."""
    assert stage.all_live()
    wait(lambda: len(pods(site, "service", "recommend")) == FEW, 240, "as few pods as ever")
    old = site.get("ksvc", "recommend")["status"]["latestReadyRevisionName"]
    patch = json.dumps({"spec": {"template": {"metadata": {"annotations": {"marquee.test/again": "yes"}}}}})
    site.kubectl("patch", "ksvc", "recommend", "--type=merge", f"--patch={patch}")
    seen: list[tuple[int, int]] = []
    for there in sightings(site, "recommend", 240):
        n_old = sum(revision == old for revision, _ in there)
        seen.append((n_old, sum(ready for revision, ready in there if revision != old)))
        if (FEW, 0) in seen and not n_old:
            break
    going = seen[seen.index((FEW, 0)) :]
    assert [number for number, _ in groupby(n_old for n_old, _ in going)] == [2, 1, 0]
    assert all(n_new == FEW for n_old, n_new in going if n_old < FEW)


def test_nobody_notices_ten_deployments_and_ten_deaths(site: Site, stage: Stage) -> None:
    """20 requests a second through the front, and not one fails."""
    assert stage.all_live()
    with visited(site, 20) as got:
        for number in range(10):
            metadata = {"annotations": {"marquee.test/number": str(number)}}
            patch = json.dumps({"spec": {"template": {"metadata": metadata}}})
            site.kubectl("patch", "ksvc", "recommend", "--type=merge", f"--patch={patch}")
            time.sleep(1)
            site.kubectl("wait", "ksvc/recommend", "--for=condition=Ready", "--timeout=120s")
            stable = stage.state.stable
            assert stable
            latest = site.get("ksvc", "recommend")["status"]["latestReadyRevisionName"]
            victim = pods(site, "revision", stable.revision if number % 2 else latest)[0]["metadata"]["name"]
            site.kubectl("delete", "pod", victim, "--wait=false")
            time.sleep(3)
    assert got.keys() == {LIST}
    assert got.total() > 600


def test_a_function_sleeps_until_an_event_comes(site: Site, stage: Stage) -> None:
    """Nobody needs `evaluate-online` while nothing comes in; the first event after that is served."""
    assert stage.all_live()
    with silence(site):
        began = time.monotonic()
        wait(lambda: not pods(site, "service", "evaluate-online"), 240, "no pods of evaluate-online")
        print(f"\nasleep after {time.monotonic() - began:.1f} s")
        headers, body = to_binary(CloudEvent({"type": "dev.knative.sources.ping", "source": "test"}, {}))
        event = site.request("evaluate-online", "/")
        event.headers |= headers
        event.data = body
        began = time.monotonic()
        with urllib.request.urlopen(event, timeout=120) as answer:
            assert answer.status in {200, 202, 204}
        print(f"awake, and answered, after {time.monotonic() - began:.1f} s")
        assert n_ready(site, "service", "evaluate-online") == 1
