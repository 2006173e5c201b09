"""Knative's own manifests, changed as little as a small machine without a registry needs."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from infra.cluster.images import ENVOY, local
from infra.cluster.machine import KOURIER, KUBERNETES, SERVING

Document = dict[str, Any]

_VERSIONS: Final = {"serving": SERVING, "net-kourier": KOURIER}
_SOURCE: Final = re.compile(r"ko://knative\.dev/(?P<module>[a-z-]+)/cmd/(?P<command>[a-z]+)")
_FIRST: Final = {"Namespace", "CustomResourceDefinition"}
_LAST: Final = {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Image"}


def read(files: Iterable[Path]) -> list[Document]:
    """Return the documents of YAML files."""
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def fit(documents: Iterable[Document]) -> list[Document]:
    """Return what of Knative's manifests fits this cluster, and as it fits.

    Images are those built here, which no kubelet can pull. Requests for CPU are small, so that two cores hold all.
    Autoscalers of Knative's own parts are left out: they need a metrics server. Knative accepts this Kubernetes,
    though it prefers a later one, and routes by Kourier.
    """
    return [_fit(document) for document in documents if document["kind"] != "HorizontalPodAutoscaler"]


def phases(documents: Iterable[Document]) -> list[list[Document]]:
    """Return documents in three parts, to be applied one after another.

    Kinds and namespaces come before what is of them, and webhooks last: they refuse everything until they run.
    """
    parts: list[list[Document]] = [[], [], []]
    for document in documents:
        parts[0 if document["kind"] in _FIRST else 2 if document["kind"] in _LAST else 1].append(document)
    return parts


def _fit(document: Document) -> Document:
    fitted: Document = _with_local_images(document)
    name = fitted["metadata"]["name"]
    if fitted["kind"] == "ConfigMap" and name == "config-network":
        fitted["data"] = fitted.get("data", {}) | {"ingress-class": "kourier.ingress.networking.knative.dev"}
    if fitted["kind"] == "Deployment":
        for container in fitted["spec"]["template"]["spec"]["containers"]:
            container["imagePullPolicy"] = "Never"
            container["resources"]["requests"]["cpu"] = "10m"
            least = {"name": "KUBERNETES_MIN_VERSION", "value": f"v{KUBERNETES}"}
            container["env"] = [*container.get("env", []), least]
    return fitted


def _with_local_images(node: Any) -> Any:
    match node:
        case dict():
            return {key: _with_local_images(value) for key, value in node.items()}
        case list():
            return [_with_local_images(value) for value in node]
        case str() if source := _SOURCE.fullmatch(node):
            return local(source["command"], _VERSIONS[source["module"]])
        case str() if node.startswith("docker.io/envoyproxy/envoy:"):
            return local("envoy", ENVOY)
    return node
