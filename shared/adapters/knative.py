"""Where Knative sends requests, as the status of its Services says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.adapters.web import Web, web
from shared.errors import BadSettings, Corrupt, NotReady
from shared.ports import Target

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds who it is to Kubernetes."""

UNTAGGED: Final = "stable"
"""The tag of a revision that has all traffic and none of its own."""


@dataclass(frozen=True)
class KnativeTraffic:
    """The Knative Services of a namespace as `Traffic`, by the Kubernetes API at `url`."""

    web: Web
    url: str
    account: Path = ACCOUNT

    def targets(self, service: str) -> list[Target]:
        """Return the targets of the Service's status: what Knative does, not what its spec wishes."""
        namespace, token = self._read("namespace"), self._read("token")
        path = f"/apis/serving.knative.dev/v1/namespaces/{namespace}/services/{service}"
        answer = self.web.get(self.url + path, {"authorization": f"Bearer {token}"})
        try:
            return _targets(json.loads(answer)["status"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt(f"the status of Service {service} cannot be read: {error!r}") from error

    def _read(self, name: str) -> str:
        """Return a file of the account, read each time: a token is replaced before it expires."""
        try:
            return (self.account / name).read_text().strip()
        except OSError as error:
            raise NotReady(f"no {name} of a service account: {error}") from error


def in_pod(environment: Mapping[str, str], account: Path = ACCOUNT) -> KnativeTraffic:
    """Return the traffic of the pod's own namespace. Raises: BadSettings outside a pod."""
    try:
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    except KeyError as error:
        raise BadSettings(f"ROUTER is knative, but {error.args[0]} is not set: this is no pod") from None
    host = f"[{host}]" if ":" in host else host
    return KnativeTraffic(web(account / "ca.crt"), f"https://{host}:{port}", account)


def _targets(status: Mapping[str, Any]) -> list[Target]:
    """Return one target for each revision: Knative may list its share and its tag apart."""
    percents: dict[str, int] = {}
    tags: dict[str, tuple[str, str]] = {}
    for each in sorted(status["traffic"], key=lambda each: -each.get("percent", 0)):
        name = each["revisionName"]
        percents[name] = percents.get(name, 0) + each.get("percent", 0)
        if "tag" in each:
            tags.setdefault(name, (each["tag"], each["url"]))
    for name, percent in percents.items():
        if name not in tags and percent == 100:
            tags[name] = UNTAGGED, status["address"]["url"]
        if name not in tags and percent:
            raise NotReady(f"{name} has {percent} % of the traffic, and no tag to ask it by")
    return [Target(name, tag, percents[name], url) for name, (tag, url) in tags.items()]
