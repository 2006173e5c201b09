"""All of Marquee on the cluster: stores on the host, functions as Knative Services, and a front at port 8082."""

import copy
import hashlib
import json
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from infra.cluster.shell import OnStep, alone, apply, kubectl, wait
from infra.cluster.stores import Stores
from infra.deploy.manifests import knative_services, target_of, without
from infra.deploy.release import SCORES
from infra.images.archive import Archive
from infra.local.machine import ROOT
from infra.local.ports import refuse_taken
from shared.errors import BadInput

NAMESPACE: Final = "marquee"
IMAGES: Final = ROOT / ".marquee/images"
"""Where `make images` leaves the archives."""

DOMAIN: Final = "marquee.test"

_SECONDS: Final = 300


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
        if not self.is_running:
            refuse_taken({front.PORT: "users"}, "stop it: `marquee down`, if it is a Marquee without a cluster")
        on_step("loading images")
        Node(self.cluster).load(archives)
        on_step("starting Kafka and MinIO")
        self.stores.up()
        on_step("applying knative/overlays/local")
        digests = {archive.stem: Archive.open(archive).digest for archive in archives}
        documents = told(kustomize.render(ROOT / "knative/overlays/local"), settings, digests)
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
        if not self.is_running:
            front.start(self._front, knative.ingress(self.cluster), f"recommend.{NAMESPACE}.{DOMAIN}")

    @property
    def is_running(self) -> bool:
        """Whether users can ask: all of it was started, and not stopped since."""
        return self._front.process is not None

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


def told(
    documents: Iterable[dict[str, Any]], settings: Mapping[str, str], digests: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return manifests with settings of one's own, and pods that are new whenever settings or their image are. Pure.

    Pods read their settings as they start, and an image that is built anew keeps its name here.
    """
    found = copy.deepcopy(list(documents))
    (whole,) = (each["data"] for each in found if each["metadata"]["name"] == "marquee-settings")
    whole.update(settings)
    for document in found:
        if document["kind"] in {"Service", "Deployment"} and "template" in document["spec"]:
            template = document["spec"]["template"]
            images = [digests.get(target_of(each["image"]), "") for each in template["spec"]["containers"]]
            made_of = hashlib.sha256(json.dumps([images, sorted(whole.items())]).encode()).hexdigest()
            template["metadata"].setdefault("annotations", {})["marquee.site/made-of"] = made_of[:12]
    return found


@contextmanager
def running(cluster: Cluster, settings: Mapping[str, str], on_step: OnStep) -> Iterator[Site]:
    """Run all of it for the length of a block, on a cluster that is built if need be.

    In the end the cluster is removed, unless it was up before. Raises: BadInput if a site is there already; NotReady.
    """
    node, site = Node(cluster), Site(cluster)
    with ExitStack() as undo:
        with alone(cluster):
            if site.is_running:
                raise BadInput("Marquee runs on this cluster: `python -m infra.cluster down` ends it, and its data")
            build(cluster, on_step)
            if not node.is_up:
                undo.callback(node.stop, on_step)
            node.start(True, on_step)
            knative.install(cluster, on_step)
            undo.callback(site.stop)
            site.start(IMAGES, settings, on_step)
        yield site
