"""Where an Envoy sends requests, as its admin interface says: what it does, not what it was told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.adapters.web import Web
from shared.errors import Corrupt, NotFound
from shared.ports import Target

_LISTENERS: Final = "/config_dump?resource=dynamic_listeners"
_ROUTES: Final = "/config_dump?resource=dynamic_route_configs"


@dataclass(frozen=True)
class EnvoyTraffic:
    """One Envoy as `Traffic`: a listener and its routes for each service, a Host `<tag>-<service>` for each target."""

    web: Web
    url: str

    def targets(self, service: str) -> list[Target]:
        """Return the targets that the service's listener has now."""
        listeners, routes = (self.web.get(self.url + path) for path in (_LISTENERS, _ROUTES))
        try:
            address = _listener(json.loads(listeners), service)["address"]["socket_address"]
            url = f"http://{address['address']}:{address['port_value']}"
            return _targets(_hosts(json.loads(routes), service), service, url)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise Corrupt(f"listener {service} of {self.url} is none of ours: {error!r}") from error


def _listener(dump: Mapping[str, Any], service: str) -> Mapping[str, Any]:
    for each in dump["configs"]:
        if each["name"] == service:
            listener: Mapping[str, Any] = each["active_state"]["listener"]
            return listener
    raise NotFound(f"Envoy has no listener {service}")


def _hosts(dump: Mapping[str, Any], service: str) -> Sequence[Mapping[str, Any]]:
    for each in dump["configs"]:
        if each["route_config"]["name"] == service:
            hosts: Sequence[Mapping[str, Any]] = each["route_config"]["virtual_hosts"]
            return hosts
    raise NotFound(f"Envoy has no routes of {service}")


def _targets(hosts: Sequence[Mapping[str, Any]], service: str, url: str) -> list[Target]:
    routes = {domain: host["routes"][0]["route"] for host in hosts for domain in host["domains"]}
    percents = {each["name"]: each["weight"] for each in routes.pop("*")["weighted_clusters"]["clusters"]}
    return [
        Target(route["cluster"], host.removesuffix(f"-{service}"), percents[route["cluster"]], url, host)
        for host, route in routes.items()
    ]
