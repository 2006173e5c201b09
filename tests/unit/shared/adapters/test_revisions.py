"""The adapter that deploys, against what an API server of Kubernetes answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared import bootstrap
from shared.adapters.knative import ASKED, KnativeServices
from shared.adapters.kubernetes import Api
from shared.adapters.web import web
from shared.errors import BadInput, BadSettings, Conflict, Corrupt, NotFound, NotReady
from shared.ports import ByHand, Deployed, Made, Share
from shared.settings import Settings
from tests.fakes import ENVIRONMENT
from tests.web_server import Pages, served

PREFIX = "/apis/serving.knative.dev/v1/namespaces/default"
SERVICE = f"{PREFIX}/services/s"
CONTAINER = {
    "image": "registry/score@sha256:1",
    "ports": [{"containerPort": 8080}],
    "env": [
        {"name": "ALGORITHM", "value": "svd"},
        {"name": "MODEL_VERSION", "value": "m1"},
        {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "id"}}},
    ],
}
SIDECAR = {"image": "sidecar"}
STABLE = Share("s-1", "stable", 100)
CANARY = [STABLE, Share("s-2", "canary", 0)]
WRITTEN = '[["s-1", "stable", 100], ["s-2", "canary", 0]]'


@pytest.fixture
def pages() -> Iterator[Pages]:
    """A service with one revision."""
    with served(Pages()) as pages:
        pages.pages[SERVICE] = answer(service(traffic=[target("s-1", "stable", 100)]))
        pages.pages[f"{PREFIX}/revisions/s-1"] = answer(revision("m1", "True"))
        yield pages


@pytest.fixture
def revisions(pages: Pages) -> KnativeServices:
    return KnativeServices(Api(web(), pages.url, None))


def answer(body: object) -> tuple[int, bytes]:
    return 200, json.dumps(body).encode()


def service(traffic: list[Any], wished: list[Any] | None = None, generation: int = 7) -> dict[str, Any]:
    template = {
        "metadata": {"name": "s-1", "annotations": {"autoscaling.knative.dev/min-scale": "2"}},
        "spec": {"containers": [CONTAINER, SIDECAR], "timeoutSeconds": 45},
    }
    return {
        "metadata": {"generation": generation, "resourceVersion": "991"},
        "spec": {"template": template, "traffic": wished or traffic},
        "status": {"traffic": traffic, "address": {"url": "http://s"}},
    }


def target(revision: str, tag: str, percent: int) -> dict[str, Any]:
    return {"revisionName": revision, "tag": tag, "percent": percent, "url": f"http://{tag}-s"}


def revision(model: str, ready: str, message: str = "") -> dict[str, Any]:
    conditions = [{"type": "ContainerHealthy", "status": "True"}, {"type": "Ready", "status": ready}]
    env = [{"name": "MODEL_VERSION", "value": model}]
    return {
        "spec": {"containers": [{"image": "x", "env": env}]},
        "status": {"conditions": [conditions[0], {**conditions[1], "message": message}]},
    }


# What is there


def test_what_is_deployed_is_what_the_status_says(revisions: KnativeServices, pages: Pages) -> None:
    """Shares are those of the router; revisions that are only wanted are there too, and why they are not ready.

    One that has vanished is not: whoever wants it must make it again.
    """
    wanted = [target(f"s-{number}", f"t{number}", 0) for number in range(1, 6)]
    pages.pages[SERVICE] = answer(service([target("s-1", "stable", 100)], wanted))
    pages.pages[f"{PREFIX}/revisions/s-2"] = answer(revision("m2", "Unknown", "pods start"))
    pages.pages[f"{PREFIX}/revisions/s-3"] = answer(revision("m3", "False", "no such model"))
    pages.pages[f"{PREFIX}/revisions/s-4"] = answer({"spec": {}})
    assert revisions.deployed("s") == Deployed(
        [STABLE],
        {"s-1": True, "s-2": None, "s-3": False, "s-4": None},
        {
            "s-2": "pods start",
            "s-3": "no such model",
            "s-4": "nothing is known of it yet",
        },
        "7",
        models={"s-1": "m1", "s-2": "m2", "s-3": "m3"},
    )


def test_a_service_that_never_had_a_ready_revision_routes_nothing(revisions: KnativeServices, pages: Pages) -> None:
    """It has no traffic in its status, and the revision of its template may not be made yet."""
    found = service([], [target("s-1", "stable", 100)])
    del found["status"]
    pages.pages = {SERVICE: answer(found)}
    assert revisions.deployed("s") == Deployed([], {"s-1": None}, {"s-1": "it is not made yet"}, "7")


def test_traffic_that_somebody_else_asked_for_is_told_and_by_whom(revisions: KnativeServices, pages: Pages) -> None:
    """What was asked for here stands beside it, whatever Knative adds; the last tool that wrote it is named."""
    ours = [{**target("s-1", "stable", 100), "latestRevision": False}, target("s-2", "canary", 0)]
    theirs = [{"revisionName": "s-2", "percent": 30}, target("s-1", "stable", 70)]
    found = service([target("s-1", "stable", 100)], ours)
    found["metadata"]["annotations"] = {ASKED: WRITTEN}
    pages.pages[SERVICE] = answer(found)
    assert revisions.deployed("s").by_hand is None
    found["spec"]["traffic"] = theirs
    pages.pages[SERVICE] = answer(found)
    assert revisions.deployed("s").by_hand == ByHand({"s-1": 70, "s-2": 30}, "somebody")
    wrote = {"fieldsV1": {"f:spec": {"f:traffic": {}}}}
    found["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "time": "2026-11-24T10:00:01Z", **wrote},
        {"manager": "python-httpx", "time": "2026-11-24T10:00:00Z", **wrote},
        {"manager": "controller", "time": "2026-11-24T10:00:02Z", "fieldsV1": {"f:status": {}}},
    ]
    pages.pages[SERVICE] = answer(found)
    assert revisions.deployed("s").by_hand == ByHand({"s-1": 70, "s-2": 30}, "kubectl-edit")
    found["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
    pages.pages[SERVICE] = answer(found)
    assert revisions.deployed("s").by_hand is None


def test_traffic_without_tags_is_seen_as_it_is(revisions: KnativeServices, pages: Pages) -> None:
    """So that whoever looks after it can give it tags again."""
    bare = [{"revisionName": "s-1", "percent": 60}, {"revisionName": "s-2", "percent": 40}]
    pages.pages[SERVICE] = answer(service(bare))
    pages.pages[f"{PREFIX}/revisions/s-2"] = answer(revision("m2", "True"))
    assert revisions.deployed("s").shares == [Share("s-1", "", 60), Share("s-2", "", 40)]


def test_a_revision_may_run_another_image(revisions: KnativeServices, pages: Pages) -> None:
    """The first container's, and nothing else of it changes."""
    revisions.deploy("s", Made("s-2", "m1", "registry/score@sha256:2"), CANARY, "7")
    (pinned, sidecar) = pages.patches[0][2]["spec"]["template"]["spec"]["containers"]
    assert (pinned["image"], sidecar) == ("registry/score@sha256:2", SIDECAR)
    assert pinned["ports"] == CONTAINER["ports"]


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b"[" * 100_000, b'{"spec": 1, "metadata": {"generation": 7}}'])
def test_what_is_no_service_is_refused(revisions: KnativeServices, pages: Pages, said: bytes) -> None:
    """And nothing is written to it."""
    pages.pages[SERVICE] = 200, said
    with pytest.raises(Corrupt):
        revisions.deployed("s")
    with pytest.raises(Corrupt):
        revisions.shift("s", [STABLE], "7")
    assert pages.patches == []


# Deploying


def test_a_new_revision_is_the_old_one_with_another_model(revisions: KnativeServices, pages: Pages) -> None:
    """The rest of the template stands, the other containers and secrets too; one patch brings it and its traffic.

    Its image is the stable revision's: the template has the newest one's, which may be code that was rolled back.
    """
    revisions.deploy("s", Made("s-2", "m2"), CANARY, "7")
    ((path, headers, patch),) = pages.patches
    assert (path, headers["content-type"]) == (SERVICE, "application/merge-patch+json")
    assert "authorization" not in headers
    others = [each for each in CONTAINER["env"] if each["name"] != "MODEL_VERSION"]  # type: ignore[index]
    pinned = {**CONTAINER, "image": "x", "env": [*others, {"name": "MODEL_VERSION", "value": "m2"}]}
    assert patch == {
        "metadata": {"resourceVersion": "991", "annotations": {ASKED: WRITTEN}},
        "spec": {
            "template": {"metadata": {"name": "s-2"}, "spec": {"containers": [pinned, SIDECAR]}},
            "traffic": [
                {"revisionName": "s-1", "tag": "stable", "percent": 100},
                {"revisionName": "s-2", "tag": "canary", "percent": 0},
            ],
        },
    }


def test_a_revision_that_is_there_is_not_made_again(revisions: KnativeServices, pages: Pages) -> None:
    """Only its traffic is written; with another model it is somebody else's."""
    pages.pages[f"{PREFIX}/revisions/s-2"] = answer(revision("m2", "True"))
    revisions.deploy("s", Made("s-2", "m2"), CANARY, "7")
    assert "template" not in pages.patches[0][2]["spec"]
    with pytest.raises(Conflict, match="m2"):
        revisions.deploy("s", Made("s-2", "m3"), CANARY, "7")


def test_a_shift_changes_traffic_alone(revisions: KnativeServices, pages: Pages) -> None:
    """No template, and so no new revision."""
    revisions.shift("s", [STABLE], "7")
    assert pages.patches[0][2]["spec"] == {"traffic": [{"revisionName": "s-1", "tag": "stable", "percent": 100}]}


def test_who_decided_on_an_older_state_is_told(revisions: KnativeServices, pages: Pages) -> None:
    """The spec has another generation than was seen: nothing is written, and nothing asked again, for it stays so."""
    with pytest.raises(Conflict, match="at 7, and 6 was seen"):
        revisions.shift("s", [STABLE], "6")
    assert ([path for path, _ in pages.asked], pages.patches) == ([SERVICE], [])


def test_a_change_of_the_status_meanwhile_is_no_conflict(revisions: KnativeServices, pages: Pages) -> None:
    """The object is read again, and written if its spec is the same; but not without end."""
    pages.refusals = [409]
    revisions.shift("s", [STABLE], "7")
    assert len(pages.patches) == 2
    pages.refusals = [409] * 10
    with pytest.raises(Conflict, match="because"):
        revisions.shift("s", [STABLE], "7")


@pytest.mark.parametrize(("status", "error"), [(400, BadInput), (422, BadInput), (404, NotFound), (403, NotReady)])
def test_what_the_api_refuses_is_said(
    revisions: KnativeServices, pages: Pages, status: int, error: type[Exception]
) -> None:
    """Each in its own way; a write is not tried again."""
    pages.refusals = [status]
    with pytest.raises(error):
        revisions.shift("s", [STABLE], "7")
    assert len(pages.patches) == 1


@pytest.mark.parametrize(
    "shares", [[STABLE], [], [*CANARY, Share("t-1", "other", 0)], [STABLE, Share("s-2", "canary", 1)]]
)
def test_shares_that_make_no_sense_are_not_sent(revisions: KnativeServices, pages: Pages, shares: list[Share]) -> None:
    """Without the new revision, none at all, with one of another service, or more than a whole."""
    with pytest.raises(BadSettings):
        revisions.deploy("s", Made("s-2", "m2"), shares, "7")
    assert pages.patches == []


def test_an_api_that_is_away_is_not_ready() -> None:
    """A rollout waits for it."""
    revisions = bootstrap.revisions(Settings.from_env(ENVIRONMENT | {"KUBERNETES_URL": "http://127.0.0.1:1"}), {})
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:1"):
        revisions.deployed("s")
