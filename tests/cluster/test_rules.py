"""What the cluster's rules refuse: pods, connections, and what nobody but `rollout` may change."""

from collections import Counter

import pytest

from infra.cluster.machine import ADDRESS
from infra.cluster.shell import apply
from infra.cluster.site import NAMESPACE, Site
from infra.deploy.manifests import without
from infra.deploy.release import SCORES
from infra.kafka import crds as strimzi
from shared.errors import NotReady
from tests.cluster.users import ready
from tests.integration.conftest import wait
from tests.unit.rancher.bundles import bundles, objects
from tests.unit.rancher.test_manifests import definitions

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KAFKA, S3, API, KUBELET = f"{ADDRESS}:9094", f"{ADDRESS}:9000", f"{ADDRESS}:6443", f"{ADDRESS}:10250"

CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        print(error, file=sys.stderr)
    else:
        print(address)
"""


def reached(site: Site, service: str, *addresses: str) -> set[str]:
    """Return the addresses that a function's pod gets a connection to; if it goes meanwhile, another one's."""
    python = ("python3", "-c", CONNECT, *addresses)
    found: set[str] = set()

    def asked() -> bool:
        for pod in ready(site, "service", service)[:1]:
            found.update(site.kubectl("exec", pod, "--container=user-container", "--", *python).split())
            return True
        return False

    wait(asked, 60, f"pod of {service} that says what it reaches")
    return found


@pytest.mark.parametrize(
    ("service", "needed"),
    [
        ("ingest", {KAFKA, S3}),
        ("score-svd", {S3}),
        ("recommend", {KAFKA, S3, API}),
        ("rollout", {KAFKA, S3, API}),
    ],
)
def test_a_function_reaches_what_it_needs_and_nothing_else(site: Site, service: str, needed: set[str]) -> None:
    """Everything is denied that no policy names."""
    assert reached(site, service, KAFKA, S3, API, KUBELET) == needed


@pytest.mark.parametrize(
    ("account", "verb", "what", "allowed"),
    [
        ("rollout", "patch", "services.serving.knative.dev/score-svd", True),
        ("rollout", "patch", "services.serving.knative.dev/ingest", False),
        ("rollout", "delete", "services.serving.knative.dev/score-svd", False),
        ("rollout", "get", "secrets", False),
        ("recommend", "get", "services.serving.knative.dev/score-svd", True),
        ("recommend", "patch", "services.serving.knative.dev/score-svd", False),
        ("ingest", "get", "services.serving.knative.dev/score-svd", False),
    ],
)
def test_rollout_alone_changes_the_models_services(
    site: Site, account: str, verb: str, what: str, allowed: bool
) -> None:
    """By the API server's own word."""
    try:
        said = site.kubectl("auth", "can-i", verb, what, f"--as=system:serviceaccount:{NAMESPACE}:{account}")
    except NotReady as error:  # kubectl ends with 1 after a no
        said = str(error)
    assert ("yes" in said.split()) == allowed


def test_a_pod_that_could_do_harm_is_refused(site: Site) -> None:
    """The namespace enforces the level `restricted`, and all of Marquee's own were admitted."""
    with pytest.raises(NotReady, match="violates PodSecurity"):
        site.kubectl("run", "careless", "--image=dev.local/marquee/score:dev", "--dry-run=server")
    good = {"Running", "Succeeded"}
    wait(lambda: {pod["status"]["phase"] for pod in site.get("pods")["items"]} <= good, 120, "pods that all run")
    refused = site.get("events", "--field-selector=reason=FailedCreate")["items"]
    assert not [event["message"] for event in refused if "violates PodSecurity" in event["message"]]


def test_the_api_server_and_knative_take_what_a_rancher_cluster_gets(site: Site) -> None:
    """All of every bundle that this cluster can be taught the kinds of; others are checked by their schemas elsewhere.

    The Services of models are `rollout`'s here already.
    """
    apply(site.cluster, [*definitions(), *strimzi.crds()], "test")
    site.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
    kinds = {line.split()[-1] for line in site.kubectl("api-resources", "--no-headers").splitlines()}
    documents = [each for name in bundles() for each in without(objects(name), SCORES) if each["kind"] in kinds]
    namespaces = {each["metadata"].get("namespace", "default") for each in documents}
    apply(site.cluster, [namespace(name) for name in namespaces - there(site)], "test")
    taken = apply(site.cluster, documents, "test", "--dry-run=server").splitlines()
    assert len(taken) == len(documents)
    assert Counter(each["kind"] for each in documents) >= Counter(Kafka=1, KafkaTopic=10, KnativeServing=1, Service=8)


def namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def there(site: Site) -> set[str]:
    return set(site.kubectl("get", "namespaces", "--output=jsonpath={.items[*].metadata.name}").split())
