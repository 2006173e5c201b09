"""Envoy's resources, as the router writes them. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from shared.ports import Share

CLUSTERS: Final = "clusters.yaml"
LISTENERS: Final = "listeners.yaml"

_CROWD: Final = 16_384  # requests that may wait for a service
_RESTART: Final = 64
"""Requests that may be tried again at once, however few there are: so many may be with a process when it goes.

Of more than five times as many a fifth may be, lest a service that is overloaded be asked everything twice.
"""

_TYPE: Final = "type.googleapis.com/envoy."
HTTP: Final = _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER: Final = _TYPE + "extensions.filters.http.router.v3.Router"


_UNANSWERED: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Bad Request", "this is no request as HTTP has it"),
    403: ("Forbidden", "connections are not upgraded here"),
    404: ("Not Found", "nothing is routed here"),
    431: ("Request Header Fields Too Large", "the headers are more than is read here"),
    503: ("Service Unavailable", "no process answers"),
    504: ("Gateway Timeout", "no process answered in time"),
}
"""What Envoy refuses or gives up itself, and what is said of it; of all else, what Envoy calls it."""


def routes_file(service: str) -> str:
    """Return the name of the file of a service's routes."""
    return f"routes-{service}.yaml"


def bootstrap(folder: Path, admin_port: int) -> dict[str, Any]:
    """Return what Envoy starts with: all else is in files of a folder that it watches."""
    return {
        "node": {"id": "marquee-router", "cluster": "marquee"},
        "dynamic_resources": {"cds_config": _watched(folder, CLUSTERS), "lds_config": _watched(folder, LISTENERS)},
        "admin": {"address": address(admin_port)},
    }


def listener(service: str, port: int, folder: Path) -> dict[str, Any]:
    """Return the listener of a service. It never changes: open connections would keep the routes of the one before."""
    manager = {
        "@type": HTTP,
        "stat_prefix": service,
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "http_protocol_options": {"accept_http_10": True},
        "local_reply_config": {"mappers": _problems()},
        "rds": {"route_config_name": service, "config_source": _watched(folder, routes_file(service))},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "@type": _TYPE + "config.listener.v3.Listener",
        "name": service,
        "address": address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def routes(service: str, shares: Sequence[Share]) -> dict[str, Any]:
    """Return the routes of a service: by weight, and for each tag under its Host."""
    weighted = [{"name": share.revision, "weight": share.percent} for share in shares]
    tagged = [f"{share.tag}-{service}" for share in shares]
    hosts = [
        _host(service, "*", {"weighted_clusters": {"clusters": weighted}}),
        *(_host(name, name, {"cluster": share.revision}) for name, share in zip(tagged, shares, strict=True)),
    ]
    return {
        "@type": _TYPE + "config.route.v3.RouteConfiguration",
        "name": service,
        "virtual_hosts": hosts,
        "ignore_port_in_host_matching": True,
    }


def cluster(revision: str, ports: Sequence[int]) -> dict[str, Any]:
    """Return the cluster of a revision: its processes, asked for their health all the while."""
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    return {
        "@type": _TYPE + "config.cluster.v3.Cluster",
        "name": revision,
        "connect_timeout": "0.25s",
        "lb_policy": "ROUND_ROBIN",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": "1s"},  # before the function's server closes, at 2 s
            }
        },
        # By default all fail beyond 1,024 that wait or are answered. But a crowd shall wait here, where it costs least.
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1024,
                    "max_pending_requests": _CROWD,
                    "max_requests": _CROWD,
                    "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": _RESTART},
                }
            ]
        },
        "load_assignment": {"cluster_name": revision, "endpoints": [{"lb_endpoints": endpoints}]},
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


def _problems() -> list[dict[str, Any]]:
    """Return what becomes of Envoy's own answers: problems (RFC 9457), with the id of a request that could be read."""
    known = [
        _problem("EQ", status, {"title": title, "status": status, "detail": detail})
        for status, (title, detail) in _UNANSWERED.items()
    ]
    return [*known, _problem("GE", 400, {"status": "%RESPONSE_CODE%", "detail": "%RESPONSE_CODE_DETAILS%"})]


def _problem(op: str, status: int, told: Mapping[str, Any]) -> dict[str, Any]:
    compared = {"op": op, "value": {"default_value": status, "runtime_key": f"marquee.problem.{op}.{status}"}}
    problem = {"type": "about:blank", **told}
    return {
        "filter": {"status_code_filter": {"comparison": compared}},
        "headers_to_add": [{"header": {"key": "x-request-id", "value": "%REQ(X-REQUEST-ID)%"}}],
        "body_format_override": {"content_type": "application/problem+json", "json_format": problem},
    }


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


def _watched(folder: Path, name: str) -> dict[str, Any]:
    source = {"path": str(folder / name), "watched_directory": {"path": str(folder)}}
    return {"path_config_source": source, "resource_api_version": "V3"}


def address(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    """Return an address as Envoy takes it."""
    return {"socket_address": {"address": host, "port_value": port}}
