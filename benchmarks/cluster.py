"""Functions deployed on a real Knative for the length of a benchmark."""

import copy
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from benchmarks.process import PEERS
from cli.drill.cluster import CLUSTER_SETTINGS
from infra import kustomize
from infra.cluster import knative
from infra.cluster.machine import Cluster
from infra.cluster.shell import apply
from infra.cluster.site import DOMAIN, NAMESPACE, Site, running
from infra.local.machine import ROOT
from shared.errors import NotReady

EMPTY: Final = "empty"
THREADS: Final = "64"

_FILE: Final = "web_page.py"
_MARK: Final = "marquee.test/benchmark"
_FRAMEWORK: Final = ["functions-framework", "--source", f"/empty/{_FILE}", "--target", "main"]
_SECONDS: Final = 300.0

Service = dict[str, Any]
T = TypeVar("T")


@contextmanager
def site() -> Iterator[Site]:
    """Run all of Marquee on a cluster, and an empty function beside it. Raises: BadInput, NotReady.

    What `deploy` brought goes in the end, also from a cluster that was up before and stays.
    """
    with running(Cluster.from_env(), CLUSTER_SETTINGS, say) as found:
        try:
            files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": EMPTY}}
            deploy(found, files | {"data": {_FILE: (PEERS / _FILE).read_text()}}, empty(services()["recommend"]))
            seconds_until(lambda: is_ready(found, EMPTY), "an empty function")
            yield found
        finally:
            found.kubectl("delete", "ksvc,configmap,networkpolicy", f"--selector={_MARK}", "--wait=false")


def services() -> dict[str, Service]:
    """Return Marquee's Services for this cluster, by name."""
    documents = kustomize.render(ROOT / "knative/overlays/local")
    found = (each for each in documents if each["apiVersion"] == "serving.knative.dev/v1")
    return {each["metadata"]["name"]: each for each in found}


def empty(recommend: Service) -> Service:
    """Return an empty function that is deployed as `recommend` is: its image, sizes, probes and scaling."""
    service = copy.deepcopy(recommend)
    service["metadata"]["name"] = EMPTY
    spec = service["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    container["command"], container["args"] = _FRAMEWORK, ["--host", "0.0.0.0", "--port", "8080"]
    container["env"] = [{"name": "WORKERS", "value": "1"}, {"name": "THREADS", "value": THREADS}]
    container["volumeMounts"].append({"name": EMPTY, "mountPath": f"/{EMPTY}", "readOnly": True})
    spec["volumes"].append({"name": EMPTY, "configMap": {"name": EMPTY}})
    return service


def deploy(site: Site, *documents: Mapping[str, Any]) -> None:
    """Apply manifests in Marquee's namespace, until the benchmark is over. Raises: NotReady."""
    marked = copy.deepcopy(documents)
    for document in marked:
        document["metadata"].setdefault("labels", {})[_MARK] = "yes"
    apply(site.cluster, marked, "benchmark", "--namespace", NAMESPACE)


def is_ready(site: Site, name: str) -> bool:
    """Say whether a Service sends all its requests to what was asked for last."""
    service = site.get("ksvc", name)
    status = service.get("status", {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return status.get("observedGeneration") == service["metadata"]["generation"] and conditions.get("Ready") == "True"


def seconds_until(done: Callable[[], bool], what: str) -> float:
    """Return after how long something is done. Raises: NotReady saying what did not come."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > _SECONDS:
            raise NotReady(f"waited {_SECONDS:g} s for {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def answered(request: urllib.request.Request, read: Callable[[Any], T]) -> T:
    """Return what is read from an answer of 200. Raises: NotReady if there is no such."""
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return read(answer)
    except OSError as error:
        raise NotReady(f"{request.get_header('Host')}: {error}") from error


def host(name: str) -> str:
    """Return what users call a Service."""
    return f"{name}.{NAMESPACE}.{DOMAIN}"


def ingress(site: Site) -> str:
    """Return where Kourier takes users' requests."""
    return f"http://{knative.ingress(site.cluster)}"


def say(step: str) -> None:
    """Tell how far it is."""
    print(step, file=sys.stderr)
