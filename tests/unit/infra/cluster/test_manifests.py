import copy

from infra.cluster.images import ENVOY
from infra.cluster.machine import DNS, KUBERNETES, SERVING, Cluster
from infra.cluster.manifests import fit, phases, read
from infra.local.machine import ROOT

COREDNS = ROOT / "infra/cluster/coredns.yaml"


def deployment(image, **more):
    container = {"name": "c", "image": image, "resources": {"requests": {"cpu": "300m", "memory": "60Mi"}}, **more}
    return {
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def container_of(document):
    return document["spec"]["template"]["spec"]["containers"][0]


def test_images_are_those_built_here():
    """Sources and Envoy's public image become names that no registry is asked for, pulled by nobody."""
    activator, gateway = fit(
        [deployment("ko://knative.dev/serving/cmd/activator"), deployment("docker.io/envoyproxy/envoy:v1.36-latest")]
    )
    assert container_of(activator)["image"] == f"dev.local/activator:{SERVING}"
    assert container_of(gateway)["image"] == f"dev.local/envoy:{ENVOY}"
    assert {container_of(each)["imagePullPolicy"] for each in (activator, gateway)} == {"Never"}


def test_an_image_named_in_a_setting_is_found_too():
    """Knative puts queue-proxy beside each function by a ConfigMap."""
    settings = {"kind": "ConfigMap", "metadata": {"name": "config-deployment"}}
    (fitted,) = fit([settings | {"data": {"queue-sidecar-image": "ko://knative.dev/serving/cmd/queue"}}])
    assert fitted["data"] == {"queue-sidecar-image": f"dev.local/queue:{SERVING}"}


def test_little_is_requested_and_everything_else_stays():
    """Two cores hold all of it: CPU is asked for in crumbs, memory as it was, the environment only grows."""
    given = deployment("ko://knative.dev/serving/cmd/webhook", env=[{"name": "A", "value": "1"}])
    before = copy.deepcopy(given)
    (fitted,) = fit([given])
    assert given == before
    assert container_of(fitted)["resources"]["requests"] == {"cpu": "10m", "memory": "60Mi"}
    assert container_of(fitted)["env"] == [
        {"name": "A", "value": "1"},
        {"name": "KUBERNETES_MIN_VERSION", "value": f"v{KUBERNETES}"},
    ]


def test_requests_are_routed_by_kourier():
    """Without an ingress class Knative would wait for Istio."""
    network = {"kind": "ConfigMap", "metadata": {"name": "config-network"}}
    (fitted,) = fit([network | {"data": {"_example": "x"}}])
    assert fitted["data"] == {"_example": "x", "ingress-class": "kourier.ingress.networking.knative.dev"}


def test_autoscalers_of_knatives_own_parts_are_left_out():
    """There is no metrics server that they could ask."""
    assert fit([{"kind": "HorizontalPodAutoscaler", "metadata": {"name": "webhook"}}]) == []


def test_webhooks_come_last_and_kinds_first():
    """A webhook without its pod refuses what comes after it; an object of a kind that is not there is refused, too."""
    kinds = ["ValidatingWebhookConfiguration", "ConfigMap", "CustomResourceDefinition", "Image", "Namespace", "Service"]
    first, then, last = phases({"kind": kind} for kind in kinds)
    assert [each["kind"] for each in first] == ["CustomResourceDefinition", "Namespace"]
    assert [each["kind"] for each in then] == ["ConfigMap", "Service"]
    assert [each["kind"] for each in last] == ["ValidatingWebhookConfiguration", "Image"]


def test_the_name_server_is_the_one_that_was_built(tmp_path):
    """Its image is of the version that is compiled, and its address the one that every pod is told."""
    documents = read([COREDNS])
    version = Cluster(tmp_path, tmp_path).coredns.name.removeprefix("coredns-")
    images = {container_of(each)["image"] for each in documents if each["kind"] == "Deployment"}
    assert images == {f"dev.local/coredns:{version}"}
    assert [each["spec"]["clusterIP"] for each in documents if each["kind"] == "Service"] == [DNS]
