"""All of Marquee on the cluster: stores on the host, functions as Knative Services, and a front at port 8082."""

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from infra import kustomize
from infra.background import Background
from infra.cluster import front, knative
from infra.cluster.build import build
from infra.cluster.machine import ADDRESS, Cluster
from infra.cluster.node import Node
from infra.cluster.shell import apply, kubectl, wait
from infra.cluster.stores import Stores
from infra.deploy.manifests import knative_services, without
from infra.deploy.release import SCORES
from infra.local.machine import ROOT
from shared.errors import BadInput

NAMESPACE: Final = "marquee"
IMAGES: Final = ROOT / ".marquee/images"
"""Where `make images` leaves the archives."""

DOMAIN: Final = "marquee.test"

_SECONDS: Final = 300

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """Marquee on a cluster that is up; its state is deleted with the cluster's."""

    cluster: Cluster

    @property
    def stores(self) -> Stores:
        """Kafka and MinIO."""
        return Stores(self.cluster.home / "stores", ADDRESS)

    @property
    def url(self) -> str:
        """Where users ask."""
        return f"http://127.0.0.1:{front.PORT}"

    @property
    def environment(self) -> dict[str, str]:
        """What the `marquee` command needs to be told, on this machine, as its operator."""
        stores = self.stores
        host = {"KAFKA_BOOTSTRAP": stores.host_bootstrap, "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}
        return stores.environment("operator") | host

    def start(self, images: Path, settings: Mapping[str, str], on_step: OnStep) -> None:
        """Start all of it from image archives, with settings of one's own, and return when every function is ready.

        Those of models are ready once there are models. Raises: BadInput, NotReady telling how the pods do.
        """
        archives = sorted(images.glob("*.tar"))
        if not archives:
            raise BadInput(f"{images} has no image archives: `make images` builds them")
        on_step("loading images")
        Node(self.cluster).load(archives)
        on_step("starting Kafka and MinIO")
        self.stores.up()
        on_step("applying knative/overlays/local")
        documents = kustomize.render(ROOT / "knative/overlays/local")
        for document in documents:
            if document["kind"] == "ConfigMap" and document["metadata"]["name"] == "marquee-settings":
                document["data"] |= settings
        first = [each for each in documents if each["kind"] in {"Namespace", "ServiceAccount"}]
        self._apply(first)
        self._apply(self.stores.manifests())
        self._apply(kustomize.render(ROOT / "knative/base/config"), namespace="knative-serving")
        self._patch_domain()
        names = self.kubectl("get", "ksvc", "--output=jsonpath={.items[*].metadata.name}").split()
        mine = without(documents, [name for name in SCORES if name in names])  # once there, they are rollout's
        wait(partial(self._apply, mine), _SECONDS, self._pods)
        for name in knative_services(documents):
            if name not in SCORES:
                on_step(f"waiting for {name}")
                wait(
                    partial(self.kubectl, "wait", f"ksvc/{name}", "--for=condition=Ready", "--timeout=1s"),
                    _SECONDS,
                    self._pods,
                )
        self.kubectl("rollout", "status", "deployment/event-source", "--timeout=120s")
        on_step("starting the front")
        if not self._front.process:
            front.start(self._front, knative.ingress(self.cluster), f"recommend.{NAMESPACE}.{DOMAIN}")

    def stop(self) -> None:
        """Stop what runs on the host; the rest goes with the cluster."""
        self._front.stop()
        self.stores.down()

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Return what kubectl prints in the namespace. Raises: NotReady."""
        return kubectl(self.cluster, "--namespace", NAMESPACE, *arguments, given=given)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object, or a list of them. Raises: NotReady."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def request(self, service: str, path: str) -> urllib.request.Request:
        """Return a request to a Service as those within the cluster make it."""
        gateway = knative.ingress(self.cluster, "kourier-internal")
        host = f"{service}.{NAMESPACE}.svc.cluster.local"
        return urllib.request.Request(f"http://{gateway}{path}", headers={"Host": host})

    @property
    def _front(self) -> Background:
        self.stores.folder.mkdir(parents=True, exist_ok=True)
        return Background(self.stores.folder, "front")

    def _apply(self, documents: Sequence[Mapping[str, Any]], namespace: str = NAMESPACE) -> None:
        apply(self.cluster, documents, "marquee", "--namespace", namespace)

    def _patch_domain(self) -> None:
        patch = json.dumps({"data": {DOMAIN: ""}})
        kubectl(self.cluster, "patch", "cm/config-domain", "-n", "knative-serving", "--type=merge", f"--patch={patch}")

    def _pods(self) -> str:
        return self.kubectl("get", "ksvc,pods", "--output=wide")


@contextmanager
def running(cluster: Cluster, settings: Mapping[str, str], on_step: OnStep) -> Iterator[Site]:
    """Run all of it for the length of a block, on a cluster that is built if need be.

    In the end the cluster is removed, unless it was up before. Raises: BadInput, NotReady.
    """
    node, site = Node(cluster), Site(cluster)
    was_up = node.is_up
    build(cluster, on_step)
    try:
        node.start(True, on_step)
        knative.install(cluster, on_step)
        site.start(IMAGES, settings, on_step)
        yield site
    finally:
        site.stop()
        if not was_up:
            node.stop(on_step)
