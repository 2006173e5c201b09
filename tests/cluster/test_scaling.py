"""Pods come and go with the requests: more for many, none for none, and nobody waits for ever."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from cli.drill.stage import Stage
from infra.cluster.site import Site
from tests.cluster.users import LIST, crowded, n_ready, pods
from tests.integration.conftest import wait

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MANY, FEW = 150, 2


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


def test_pods_follow_the_crowd(site: Site, stage: Stage) -> None:
    """`recommend` and the model that its users have scale out while many ask at once, and in once they have gone."""
    stable = stage.state.stable
    assert stable
    both = [("service", "recommend"), ("revision", stable.revision)]
    assert [n_ready(site, *each) for each in both] == [FEW, FEW]
    began = time.monotonic()
    with crowded(site, MANY) as got:
        wait(lambda: all(n_ready(site, *each) > FEW for each in both), 240, "more pods of both")
        print(f"\nscaled out after {time.monotonic() - began:.1f} s of {MANY} requests at once")
        time.sleep(5)
        most = [n_ready(site, *each) for each in both]
    began = time.monotonic()
    wait(lambda: all(n_ready(site, *each) == FEW for each in both), 240, "as few pods as before")
    print(f"scaled in after {time.monotonic() - began:.1f} s; {most} pods at the most; answers: {dict(got)}")
    assert got.keys() == {LIST}


def test_old_pods_go_one_by_one_once_new_ones_are_ready(site: Site, stage: Stage) -> None:
    """As `recommend` is deployed anew."""
    assert stage.all_live()
    old = site.get("ksvc", "recommend")["status"]["latestReadyRevisionName"]
    patch = json.dumps({"spec": {"template": {"metadata": {"annotations": {"marquee.test/again": "yes"}}}}})
    site.kubectl("patch", "ksvc", "recommend", "--type=merge", f"--patch={patch}")
    wait(lambda: created(site) != old, 30, "a new revision")
    new, seen = created(site), [(FEW, 0)]
    deadline = time.monotonic() + 240
    while seen[-1][0] and time.monotonic() < deadline:
        seen.append((len(pods(site, "revision", old)), n_ready(site, "revision", new)))
    assert [number for number, _ in groupby(there for there, _ in seen)] == [2, 1, 0]
    assert all(ready == FEW for there, ready in seen if there < FEW)


def created(site: Site) -> str:
    return str(site.get("ksvc", "recommend")["status"]["latestCreatedRevisionName"])


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
