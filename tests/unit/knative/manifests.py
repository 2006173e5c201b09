"""The manifests as a cluster would get them, and what the tests ask of them."""

import functools
from typing import Any

from infra import kustomize, schemas
from infra.local.machine import ROOT

Object = dict[str, Any]

KUBERNETES = "v1.32.0"
SERVING = "v0.48.0"
OVERLAYS = ["local", "rancher"]
SERVICES = {
    "ingest",
    "fold-lake",
    "build-matrix",
    "train",
    "evaluate-offline",
    "evaluate-online",
    "rollout",
    "score-svd",
    "score-svdpp",
    "recommend",
}
RUNNING = [("local", "event-source"), *((which, name) for which in OVERLAYS for name in sorted(SERVICES))]
"""Every overlay with everything that runs there."""

SCORES = {"score-svd", "score-svdpp"}
ASK_KUBERNETES = {"rollout", "recommend"}


@functools.cache
def rendered(folder: str) -> list[Object]:
    return kustomize.render(ROOT / "knative" / folder)


def overlay(name: str) -> list[Object]:
    return rendered(f"overlays/{name}")


@functools.cache
def known() -> schemas.Schemas:
    serving = schemas.crds("knative.dev/serving", SERVING, "config/core/300-resources/*.yaml")
    return schemas.kubernetes(KUBERNETES) | serving


def of_kind(documents: list[Object], kind: str, group: str = "") -> dict[str, Object]:
    return {
        each["metadata"]["name"]: each
        for each in documents
        if each["kind"] == kind and each["apiVersion"].startswith(group)
    }


def services(name: str) -> dict[str, Object]:
    return of_kind(overlay(name), "Service", "serving.knative.dev/")


def pods(name: str) -> dict[str, Object]:
    """Return the specs of the pods of everything that runs."""
    running = services(name) | of_kind(overlay(name), "Deployment")
    return {each: manifest["spec"]["template"]["spec"] for each, manifest in running.items()}


def annotation(service: Object, name: str) -> str | None:
    found: str | None = service["spec"]["template"]["metadata"]["annotations"].get(f"autoscaling.knative.dev/{name}")
    return found


def quantity(text: str | int) -> float:
    """Return cores or bytes."""
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    for unit, factor in units.items():
        if str(text).endswith(unit):
            return float(str(text).removesuffix(unit)) * factor
    return float(text)
