"""The front of the site on the local cluster: port 8082 of this machine, as it is without a cluster."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from infra.background import Background
from infra.cluster.shell import ask, wait
from infra.local.envoy import HTTP, ROUTER, address
from infra.local.machine import PORTS
from shared.errors import BadInput

PORT: Final = PORTS["recommend"]

_SECONDS: Final = 60
_RETRIES: Final = {"retry_on": "connect-failure,refused-stream,reset-before-request,gateway-error", "num_retries": 2}


def start(process: Background, ingress: str, host: str) -> None:
    """Forward requests to Kourier's address as those for a host, until the process is stopped.

    Returns once the host answers. Raises: BadInput; NotReady with what Envoy said.
    """
    envoy = shutil.which("envoy", path=str(Path(sys.executable).parent))
    if envoy is None:
        raise BadInput("envoy is not installed: `make install` installs it")
    path = process.folder / f"{process.name}.json"
    path.write_text(json.dumps(config(ingress, host)))
    process.start([envoy, "-c", str(path), "--log-level", "warning", "--disable-hot-restart", "--base-id", "8082"])
    wait(partial(ask, f"http://127.0.0.1:{PORT}/health/liveness"), _SECONDS, lambda: process.last_words)


def config(ingress: str, host: str, port: int = PORT) -> dict[str, Any]:
    """Return Envoy's configuration. Pure."""
    route = {"cluster": "kourier", "host_rewrite_literal": host, "timeout": "5s", "retry_policy": _RETRIES}
    manager = {
        "@type": HTTP,
        "stat_prefix": "front",
        "normalize_path": False,
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]},
            ],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": address(port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "kourier",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": "kourier",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(80, ingress)}}]}],
                    },
                }
            ],
        }
    }
