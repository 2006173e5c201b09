"""Knative Serving with Kourier, and the cluster's name server, on a node that runs."""

from functools import partial
from pathlib import Path
from typing import Final

from infra.cluster import manifests, modules
from infra.cluster.machine import KOURIER, SERVING, Cluster
from infra.cluster.manifests import Document
from infra.cluster.shell import OnStep, apply, kubectl, wait

_MANAGER: Final = "marquee-cluster"
_SECONDS: Final = 240
_NAMESPACES: Final = ("kube-system", "knative-serving", "kourier-system")
_COREDNS: Final = Path(__file__).with_name("coredns.yaml")
_PROBE: Final[Document] = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "probe", "namespace": "default"},
    "spec": {"template": {"spec": {"containers": [{"image": "dev.local/probe:1"}]}}},
}


def install(cluster: Cluster, on_step: OnStep) -> None:
    """Apply every manifest, and return when Knative takes Services. Raises: NotReady, telling how the pods do."""
    on_step("applying CoreDNS, Knative Serving and Kourier")
    documents = [*manifests.read([_COREDNS]), *manifests.fit(manifests.read(files()))]
    for phase in manifests.phases(documents):
        # Webhooks of an earlier start refuse everything until their pod runs.
        wait(partial(apply, cluster, phase, _MANAGER), _SECONDS, partial(_pods, cluster))
        kubectl(cluster, "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
    for namespace in _NAMESPACES:
        on_step(f"waiting for {namespace}")
        available = ("wait", "deployment", "--all", "--for=condition=Available", "--timeout=1s", "-n", namespace)
        wait(partial(kubectl, cluster, *available), _SECONDS, partial(_pods, cluster))
    on_step("waiting for Knative's webhook")
    wait(partial(apply, cluster, [_PROBE], _MANAGER, "--dry-run=server"), _SECONDS, partial(_pods, cluster))


def files() -> list[Path]:
    """Return the files of the manifests, from the modules that the programs were built from. Raises: NotReady.

    Those of networking and caching are links in Serving's repository, which its module leaves out.
    """
    serving = modules.folder("knative.dev/serving", SERVING)
    said = modules.described(serving)
    networking, caching = (
        modules.folder(module, modules.required(said, module)) / "config"
        for module in ("knative.dev/networking", "knative.dev/caching")
    )
    kinds = ("certificate", "ingress", "serverlessservice", "domain-claim", "config-network")
    return [
        *(networking / f"{kind}.yaml" for kind in kinds),
        caching / "image.yaml",
        *sorted((serving / "config/core").rglob("*.yaml")),
        *sorted((modules.folder("knative.dev/net-kourier", KOURIER) / "config").glob("*.yaml")),
    ]


def ingress(cluster: Cluster, name: str = "kourier") -> str:
    """Return the address of Kourier, which takes requests for every Service by its Host. Raises: NotReady.

    `kourier` takes those from outside, `kourier-internal` those from within the cluster.
    """
    return kubectl(cluster, "get", "service", name, "-n", "kourier-system", "-o", "jsonpath={.spec.clusterIP}")


def _pods(cluster: Cluster) -> str:
    return kubectl(cluster, "get", "pods", "--all-namespaces", "-o", "wide")
