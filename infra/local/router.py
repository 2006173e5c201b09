"""Envoy in front of the revisions: what Knative's ingress does, from files that it watches.

A request goes to a revision by the weights, or, with the Host `<tag>-<service>`, to the one with that tag, as
with Knative's tag URLs.

A new file renamed into place changes the weights within a second; no connection is lost. Make before break: Envoy
knows the new revisions before a listener names them, and those of the traffic before stay until the next change.
"""

import json
import re
import time
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from infra.local.machine import Machine
from shared.errors import BadSettings, NotReady

SERVICES: Final[Mapping[str, Sequence[str]]] = {
    "recommend": ("recommend-1", "recommend-2"),
    "score-svd": ("score-svd-1", "score-svd-2"),
    "score-svdpp": ("score-svdpp-1", "score-svdpp-2"),
}
"""The routed services, and the processes of each one's first revision."""

_KNOWN_SECONDS: Final = 10
_TAG: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_TYPE: Final = "type.googleapis.com/envoy."
_HTTP: Final = _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER: Final = _TYPE + "extensions.filters.http.router.v3.Router"


@dataclass(frozen=True)
class Target:
    """A revision of a service: its share of the traffic in percent, the ports of its processes, and its tag."""

    revision: str
    percent: int
    ports: Sequence[int]
    tag: str = "stable"


Traffic = Mapping[str, Sequence[Target]]


def first_traffic(machine: Machine) -> Traffic:
    """Return all traffic on the first revision of each service."""
    return {
        service: [Target(f"{service}-00001", 100, [machine.port(name) for name in names])]
        for service, names in SERVICES.items()
    }


@dataclass(frozen=True)
class Router:
    """The files that tell one machine's Envoy where requests go."""

    machine: Machine

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.machine.config / "envoy"

    def write(self, traffic: Traffic) -> None:
        """Route so from now on.

        Raises: BadSettings if a service's shares do not add up to 100, or a tag is no DNS label or names two of its
        targets; NotReady if a running Envoy does not take it.
        """
        for service, targets in traffic.items():
            _check(service, targets)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._replace("envoy.yaml", self._bootstrap())
        clusters = {target.revision: _cluster(target) for targets in traffic.values() for target in targets}
        self._replace("clusters.yaml", {"resources": list((self._in_use() | clusters).values())})
        self._wait_until_known(clusters)
        listeners = [_listener(name, self.machine.port(name), targets) for name, targets in traffic.items()]
        self._replace("listeners.yaml", {"resources": listeners})

    def _in_use(self) -> dict[str, Any]:
        """Return the clusters that the listeners name now."""
        try:
            standing = [
                yaml.safe_load((self.folder / name).read_text()) for name in ("clusters.yaml", "listeners.yaml")
            ]
        except FileNotFoundError:
            return {}
        named = json.dumps(standing[1])
        return {each["name"]: each for each in standing[0]["resources"] if json.dumps(each["name"]) in named}

    def _wait_until_known(self, names: Collection[str]) -> None:
        admin = self.machine.url("envoy-admin")
        deadline = time.monotonic() + _KNOWN_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{admin}/clusters", timeout=2) as answer:
                    known = {line.split("::")[0] for line in answer.read().decode().splitlines()}
            except OSError:  # it does not run yet, and will read the files when it starts
                return
            if known.issuperset(names):
                return
            if time.monotonic() > deadline:
                raise NotReady(f"Envoy did not take {sorted(set(names) - known)} within {_KNOWN_SECONDS} s")
            time.sleep(0.05)

    def _replace(self, name: str, content: Mapping[str, Any]) -> None:
        part = self.folder / f".{name}.part"
        part.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False))
        part.replace(self.folder / name)

    def _bootstrap(self) -> dict[str, Any]:
        def watched(name: str) -> dict[str, Any]:
            source = {"path": str(self.folder / name), "watched_directory": {"path": str(self.folder)}}
            return {"path_config_source": source, "resource_api_version": "V3"}

        return {
            "node": {"id": "marquee-router", "cluster": "marquee"},
            "dynamic_resources": {"cds_config": watched("clusters.yaml"), "lds_config": watched("listeners.yaml")},
            "admin": {"address": _address(self.machine.port("envoy-admin"))},
        }


def _check(service: str, targets: Sequence[Target]) -> None:
    shares, tags = [target.percent for target in targets], [target.tag for target in targets]
    if sum(shares) != 100 or min(shares) < 0:
        raise BadSettings(f"{service}: shares of {shares} percent do not add up to 100")
    if len(set(tags)) < len(tags) or not all(map(_TAG.fullmatch, tags)):
        raise BadSettings(f"{service}: {tags} are no tags: each is a DNS label, and no other's")


def _host(name: str, domain: str, to: Mapping[str, Any]) -> dict[str, Any]:
    """Return the virtual host that sends a domain's requests to a cluster or to weighted ones."""
    route = {
        "match": {"prefix": "/"},
        "route": {
            **to,
            "timeout": "2s",
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream,reset",  # all that is routed is GET
                "num_retries": 3,
                "per_try_timeout": "0.8s",  # a process that hangs; recommend itself answers within 0.6 s
                "host_selection_retry_max_attempts": 5,
                "retry_host_predicate": [
                    {
                        "name": "other-process",
                        "typed_config": {
                            "@type": _TYPE + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                        },
                    }
                ],
            },
        },
    }
    return {"name": name, "domains": [domain], "routes": [route]}


def _listener(service: str, port: int, targets: Sequence[Target]) -> dict[str, Any]:
    weighted = [{"name": target.revision, "weight": target.percent} for target in targets]
    tagged = [f"{target.tag}-{service}" for target in targets]
    hosts = [
        _host(service, "*", {"weighted_clusters": {"clusters": weighted}}),
        *(_host(name, name, {"cluster": target.revision}) for name, target in zip(tagged, targets, strict=True)),
    ]
    manager = {
        "@type": _HTTP,
        "stat_prefix": service,
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "http_protocol_options": {"accept_http_10": True},
        "route_config": {"virtual_hosts": hosts, "ignore_port_in_host_matching": True},
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
    }
    return {
        "@type": _TYPE + "config.listener.v3.Listener",
        "name": service,
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _cluster(target: Target) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in target.ports]
    return {
        "@type": _TYPE + "config.cluster.v3.Cluster",
        "name": target.revision,
        "connect_timeout": "0.25s",
        "lb_policy": "ROUND_ROBIN",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": "1s"},  # before the function's server closes, at 2 s
            }
        },
        # By default no more than three requests at once are tried again: a restart would cost the fourth its answer.
        "circuit_breakers": {"thresholds": [{"max_retries": 1024}]},
        "load_assignment": {"cluster_name": target.revision, "endpoints": [{"lb_endpoints": endpoints}]},
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "0.25s",  # a process that stops is passed over before many requests find it gone
                "no_traffic_interval": "0.25s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/health/readiness"},
            }
        ],
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
