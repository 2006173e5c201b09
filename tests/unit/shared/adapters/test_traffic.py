"""The routers, as the ports that recommend follows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local import router
from infra.local.machine import Machine
from shared import bootstrap
from shared.adapters.envoy import EnvoyTraffic
from shared.adapters.knative import KnativeTraffic, in_pod
from shared.adapters.web import web
from shared.errors import BadSettings, Corrupt, NotFound, NotReady
from shared.ports import Target
from shared.settings import Settings
from tests.fakes import ENVIRONMENT
from tests.web_server import Pages, served

LISTENERS = "/config_dump?resource=dynamic_listeners"
SERVICE = "/apis/serving.knative.dev/v1/namespaces/marquee/services/score-svd"
OFFSET = 44_000


@pytest.fixture
def pages() -> Iterator[Pages]:
    with served(Pages()) as pages:
        yield pages


@pytest.mark.parametrize("status", [301, 400, 500, 503])
def test_only_200_is_an_answer(pages: Pages, status: int) -> None:
    """Anything else is not ready, a redirect too; 404 is nothing there; silence names the address."""
    pages.pages = {"/a": (status, b"x"), "/b": (200, b"yes"), "/elsewhere": (200, b"no")}
    assert web().get(f"{pages.url}/b") == b"yes"
    with pytest.raises(NotReady, match=str(status)):
        web().get(f"{pages.url}/a")
    with pytest.raises(NotFound, match="/c"):
        web().get(f"{pages.url}/c")
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:1"):
        web().get("http://127.0.0.1:1/")


# Envoy


def dump(folder: Path, *targets: router.Target) -> bytes:
    """Return the listeners that the local router writes, as Envoy dumps them."""
    local = router.Router(Machine(folder, OFFSET))
    local.write({"score-svd": targets, "recommend": [router.Target("r", 100, [1])]})
    listeners = yaml.safe_load((local.folder / "listeners.yaml").read_text())["resources"]
    configs = [{"name": each["name"], "active_state": {"listener": each}} for each in listeners]
    return json.dumps({"configs": configs}).encode()


def test_envoy_says_what_the_local_router_wrote(pages: Pages, tmp_path: Path) -> None:
    """Each target with its share, at the service's own port, under the Host of its tag."""
    written = [router.Target("svd-2", 10, [2], "canary"), router.Target("svd-1", 90, [1])]
    pages.pages = {LISTENERS: (200, dump(tmp_path, *written))}
    url = f"http://127.0.0.1:{Machine(tmp_path, OFFSET).port('score-svd')}"
    assert EnvoyTraffic(web(), pages.url).targets("score-svd") == [
        Target("svd-2", "canary", 10, url, "canary-score-svd"),
        Target("svd-1", "stable", 90, url, "stable-score-svd"),
    ]


def test_a_service_that_envoy_does_not_route_is_not_found(pages: Pages, tmp_path: Path) -> None:
    """Its name is in the message."""
    pages.pages = {LISTENERS: (200, dump(tmp_path, router.Target("r", 100, [1])))}
    with pytest.raises(NotFound, match="score-svdpp"):
        EnvoyTraffic(web(), pages.url).targets("score-svdpp")


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b"{}", b'{"configs": [{}]}', b'{"configs": [{"name": "score-svd", "active_state": {"listener": 1}}]}'],
)
def test_an_envoy_of_somebody_else_is_refused(pages: Pages, said: bytes) -> None:
    """What cannot be read is never taken for traffic."""
    pages.pages = {LISTENERS: (200, said)}
    with pytest.raises(Corrupt, match="score-svd"):
        EnvoyTraffic(web(), pages.url).targets("score-svd")


# Knative


@pytest.fixture
def knative(pages: Pages, tmp_path: Path) -> KnativeTraffic:
    (tmp_path / "namespace").write_text("marquee")
    (tmp_path / "token").write_text("secret\n")
    return KnativeTraffic(web(), pages.url, tmp_path)


def status(*traffic: dict[str, Any]) -> tuple[int, bytes]:
    address = {"url": "http://score-svd.marquee.svc.cluster.local"}
    return 200, json.dumps({"status": {"address": address, "traffic": traffic}}).encode()


def tagged(tag: str) -> dict[str, str]:
    return {"tag": tag, "url": f"http://{tag}-score-svd.marquee.svc.cluster.local"}


def test_knative_says_shares_and_tag_urls(knative: KnativeTraffic, pages: Pages) -> None:
    """As in the status of a Service with a canary; asked with the token of the pod."""
    pages.pages[SERVICE] = status(
        {"revisionName": "score-svd-00001", "percent": 90, "latestRevision": False, **tagged("stable")},
        {"revisionName": "score-svd-00002", "percent": 10, "latestRevision": False, **tagged("canary")},
        {"revisionName": "score-svd-00000", "latestRevision": False, **tagged("previous")},
    )
    assert sorted(knative.targets("score-svd")) == [
        Target("score-svd-00000", "previous", 0, tagged("previous")["url"]),
        Target("score-svd-00001", "stable", 90, tagged("stable")["url"]),
        Target("score-svd-00002", "canary", 10, tagged("canary")["url"]),
    ]
    assert pages.asked[0][1]["authorization"] == "Bearer secret"


def test_a_token_that_is_replaced_is_used(knative: KnativeTraffic, pages: Pages) -> None:
    """Kubernetes writes a new one before the old one expires."""
    pages.pages[SERVICE] = status({"revisionName": "r", "percent": 100, **tagged("stable")})
    knative.targets("score-svd")
    (knative.account / "token").write_text("newer")
    knative.targets("score-svd")
    assert [headers["authorization"] for _, headers in pages.asked] == ["Bearer secret", "Bearer newer"]


def test_a_share_and_a_tag_that_are_listed_apart_are_one_target(knative: KnativeTraffic, pages: Pages) -> None:
    """Knative allows it; of two tags the one with a share counts."""
    pages.pages[SERVICE] = status(
        {"revisionName": "a", **tagged("old")},
        {"revisionName": "a", "percent": 60, **tagged("stable")},
        {"revisionName": "b", "percent": 40},
        {"revisionName": "b", **tagged("canary")},
    )
    assert sorted(knative.targets("score-svd")) == [
        Target("a", "stable", 60, tagged("stable")["url"]),
        Target("b", "canary", 40, tagged("canary")["url"]),
    ]


def test_a_service_without_tags_is_one_target(knative: KnativeTraffic, pages: Pages) -> None:
    """All traffic on the newest revision, at the Service's own address."""
    pages.pages[SERVICE] = status({"revisionName": "r", "percent": 100, "latestRevision": True})
    assert knative.targets("score-svd") == [
        Target("r", "stable", 100, "http://score-svd.marquee.svc.cluster.local"),
    ]


def test_part_of_the_traffic_without_a_tag_cannot_be_dealt(knative: KnativeTraffic, pages: Pages) -> None:
    """There is no address at which that revision alone answers."""
    pages.pages[SERVICE] = status(
        {"revisionName": "a", "percent": 90, **tagged("stable")}, {"revisionName": "b", "percent": 10}
    )
    with pytest.raises(NotReady, match="b has 10 %"):
        knative.targets("score-svd")


@pytest.mark.parametrize("said", [b"", b"{}", b'{"status": {}}', b'{"status": {"traffic": [{}]}}', b'{"status": []}'])
def test_a_status_that_cannot_be_read_is_refused(knative: KnativeTraffic, pages: Pages, said: bytes) -> None:
    """A Service that is not ready yet has none."""
    pages.pages[SERVICE] = 200, said
    with pytest.raises(Corrupt, match="score-svd"):
        knative.targets("score-svd")


def test_without_an_account_it_is_not_ready(knative: KnativeTraffic) -> None:
    """The file that is missing is named."""
    (knative.account / "token").unlink()
    with pytest.raises(NotReady, match="token"):
        knative.targets("score-svd")


# Which of them


def test_the_setting_says_which_router_is_asked() -> None:
    """None, the local Envoy, or the Kubernetes API of the pod."""

    def traffic(**more: str) -> Any:
        return bootstrap.traffic(Settings.from_env(ENVIRONMENT | more), pod)

    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert traffic() is None
    assert traffic(ROUTER="envoy", ROUTER_URL="http://e").url == "http://e"
    assert traffic(ROUTER="knative").url == "https://10.0.0.1:443"
    assert in_pod(pod | {"KUBERNETES_SERVICE_HOST": "fd00::1"}).url == "https://[fd00::1]:443"


def test_outside_a_pod_the_setting_is_wrong() -> None:
    """With the variable that is missing, at start."""
    with pytest.raises(BadSettings, match="KUBERNETES_SERVICE_HOST"):
        in_pod({})


def test_the_api_is_trusted_by_the_certificates_of_the_pod_alone(tmp_path: Path) -> None:
    """A file without any certificate trusts nobody: no request leaves, whoever answers."""
    for name in ("namespace", "token", "ca.crt"):
        (tmp_path / name).write_text("x")
    traffic = in_pod({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}, tmp_path)
    assert traffic.web.pool.connection_pool_kw["ca_certs"] == str(tmp_path / "ca.crt")
    with pytest.raises(NotReady):
        traffic.targets("score-svd")
