"""Envoy in front of the revisions: what Knative's ingress does, from files that it watches.

A request goes to a revision by the weights, or, with the Host `<tag>-<service>`, to the one with that tag, as
with Knative's tag URLs.

A new file renamed into place changes the routes within a second, of connections that are open too, and none is lost.
Make before break: Envoy knows the new revisions before a route names them, and those of the traffic before stay until
the next change.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from infra.local.machine import Machine
from shared import shares
from shared.adapters.envoy import EnvoyTraffic
from shared.adapters.web import web
from shared.errors import MarqueeError, NotReady
from shared.ports import Share

SERVICES: Final[Mapping[str, Sequence[str]]] = {
    "recommend": ("recommend-1", "recommend-2"),
    "score-svd": ("score-svd-1", "score-svd-2"),
    "score-svdpp": ("score-svdpp-1", "score-svdpp-2"),
}
"""The routed services, and the processes of each one's first revision."""

_PATIENCE_SECONDS: Final = 10
_CROWD: Final = 16_384
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

    @property
    def share(self) -> Share:
        """What of it the outside knows."""
        return Share(self.revision, self.tag, self.percent)


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
        """Route so from now on; return once a running Envoy does.

        Raises: BadSettings if the shares of a service make no sense, see `shares.check`; NotReady if a running Envoy
        does not take it.
        """
        for service, targets in traffic.items():
            shares.check(service, [target.share for target in targets])
        self.folder.mkdir(parents=True, exist_ok=True)
        self._replace("envoy.yaml", self._bootstrap())
        clusters = {target.revision: _cluster(target) for targets in traffic.values() for target in targets}
        self._replace("clusters.yaml", {"resources": list((self._in_use() | clusters).values())})
        runs = self._known() is not None
        if runs:
            _wait(lambda: (self._known() or set()).issuperset(clusters), f"know {sorted(clusters)}")
        for service, targets in traffic.items():
            self._replace(_routes_file(service), {"resources": [_routes(service, targets)]})
        listeners = [self._listener(service) for service in traffic]
        self._replace("listeners.yaml", {"resources": listeners})
        if runs:
            _wait(lambda: all(self._does(service, targets) for service, targets in traffic.items()), "take the routes")

    def _in_use(self) -> dict[str, Any]:
        """Return the clusters that the routes name now."""
        try:
            standing = yaml.safe_load((self.folder / "clusters.yaml").read_text())["resources"]
        except FileNotFoundError:
            return {}
        named = "".join(path.read_text() for path in self.folder.glob(_routes_file("*")))
        return {each["name"]: each for each in standing if f": {each['name']}\n" in named}

    def _known(self) -> set[str] | None:
        """Return the clusters that Envoy knows; None if it does not run: it will read the files when it starts."""
        try:
            with urllib.request.urlopen(f"{self.machine.url('envoy-admin')}/clusters", timeout=2) as answer:
                return {line.split("::")[0] for line in answer.read().decode().splitlines()}
        except OSError:
            return None

    def _does(self, service: str, targets: Sequence[Target]) -> bool:
        """Say whether Envoy routes a service so."""
        try:
            done = EnvoyTraffic(web(), self.machine.url("envoy-admin")).targets(service)
        except MarqueeError:  # it has not read the files yet
            return False
        return {Share(*each[:3]) for each in done} == {target.share for target in targets}

    def _replace(self, name: str, content: Mapping[str, Any]) -> None:
        part = self.folder / f".{name}.part"
        part.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False))
        part.replace(self.folder / name)

    def _watched(self, name: str) -> dict[str, Any]:
        source = {"path": str(self.folder / name), "watched_directory": {"path": str(self.folder)}}
        return {"path_config_source": source, "resource_api_version": "V3"}

    def _bootstrap(self) -> dict[str, Any]:
        watched = {"cds_config": self._watched("clusters.yaml"), "lds_config": self._watched("listeners.yaml")}
        return {
            "node": {"id": "marquee-router", "cluster": "marquee"},
            "dynamic_resources": watched,
            "admin": {"address": _address(self.machine.port("envoy-admin"))},
        }

    def _listener(self, service: str) -> dict[str, Any]:
        """Return the listener of a service. It never changes: old connections would keep the routes of the old one."""
        manager = {
            "@type": _HTTP,
            "stat_prefix": service,
            "use_remote_address": True,
            "preserve_external_request_id": True,
            "http_protocol_options": {"accept_http_10": True},
            "rds": {"route_config_name": service, "config_source": self._watched(_routes_file(service))},
            "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
        }
        return {
            "@type": _TYPE + "config.listener.v3.Listener",
            "name": service,
            "address": _address(self.machine.port(service)),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }


def _wait(done: Callable[[], bool], what: str) -> None:
    """Return once done. Raises: NotReady saying what did not come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise NotReady(f"Envoy did not {what} within {_PATIENCE_SECONDS} s")
        time.sleep(0.05)


def _routes_file(service: str) -> str:
    return f"routes-{service}.yaml"


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


def _routes(service: str, targets: Sequence[Target]) -> dict[str, Any]:
    weighted = [{"name": target.revision, "weight": target.percent} for target in targets]
    tagged = [f"{target.tag}-{service}" for target in targets]
    hosts = [
        _host(service, "*", {"weighted_clusters": {"clusters": weighted}}),
        *(_host(name, name, {"cluster": target.revision}) for name, target in zip(tagged, targets, strict=True)),
    ]
    return {
        "@type": _TYPE + "config.route.v3.RouteConfiguration",
        "name": service,
        "virtual_hosts": hosts,
        "ignore_port_in_host_matching": True,
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
        # And beyond 1,024 that wait or are answered all fail: but a crowd shall wait here, where that costs least.
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": 1024, "max_pending_requests": _CROWD, "max_requests": _CROWD, "max_retries": 1024}
            ]
        },
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
