"""Seconds from no pod to the first answer, on a real Knative: every function beside an empty one."""

import time
import urllib.request
from statistics import median
from typing import Any, Final

from benchmarks.cluster import (
    EMPTY,
    Service,
    answered,
    deploy,
    empty,
    host,
    ingress,
    is_ready,
    seconds_until,
    services,
    site,
)
from benchmarks.report import Result
from cli.drill.cluster import on
from infra.cluster.site import Site

ROUNDS, BAR = 3, 0.25
_ZERO: Final = "zero"
_ANYWHERE: Final[dict[str, Any]] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": _ZERO},
    "spec": {"podSelector": {"matchLabels": {_ZERO: "yes"}}, "policyTypes": ["Egress"], "egress": [{}]},
}
"""Copies are not called as the functions are, which is what the other policies go by."""


def run() -> list[Result]:
    """Let copies of all functions fall asleep, wake one after another, and again."""
    wanted = services()
    del wanted["score-svdpp"]  # the same image as the other model's
    wanted[EMPTY] = empty(wanted["recommend"])
    with site() as found:
        with on(found):
            pass  # there are models for `score` to load, and no crowd any more
        deploy(found, _ANYWHERE, *(sleepy(service) for service in wanted.values()))
        seconds_until(lambda: all(is_ready(found, _copy(name)) for name in wanted), "copies of all functions")
        rounds = [awoken(found, list(wanted)) for _ in range(ROUNDS)]
    seconds = {name: median(each[name] for each in rounds) for name in wanted}
    peer = seconds.pop(EMPTY)
    return [
        Result(
            f"{name} answers from zero pods within {1 / BAR:g} times an empty function's time",
            ours,
            peer,
            "s",
            peer / ours,
            BAR,
            {"each": [round(each[name], 2) for each in rounds]},
        )
        for name, ours in seconds.items()
    ]


def sleepy(service: Service) -> Service:
    """Return a copy of a Service, by another name, that users may ask and that sleeps as soon as nobody does."""
    service["metadata"] = {"name": _copy(service["metadata"]["name"])}
    template = service["spec"]["template"]
    scaling = {"min-scale": "0", "initial-scale": "1", "max-scale": "1", "window": "6s", "target-burst-capacity": "-1"}
    template["metadata"] = {
        "labels": {_ZERO: "yes"},
        "annotations": {f"autoscaling.knative.dev/{name}": value for name, value in scaling.items()},
    }
    return service


def awoken(site: Site, names: list[str]) -> dict[str, float]:
    """Wait until all sleep, and return the seconds that each takes to answer."""
    selector, url = f"--selector={_ZERO}=yes", f"{ingress(site)}/health/liveness"
    seconds_until(lambda: not site.get("pods", selector)["items"], "no pods")
    return {name: _seconds(urllib.request.Request(url, headers={"Host": host(_copy(name))})) for name in names}


def _seconds(request: urllib.request.Request) -> float:
    began = time.monotonic()
    return answered(request, lambda _: time.monotonic() - began)


def _copy(name: str) -> str:
    return f"{_ZERO}-{name}"
