"""The Kubernetes API: objects as JSON, with the account of a pod, or with none where nobody asks for one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.adapters.web import Web, web
from shared.errors import BadSettings, Corrupt, NotReady

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds who it is to Kubernetes."""

NAMESPACE: Final = "default"
"""The namespace of whoever has no account."""


@dataclass(frozen=True)
class Api:
    """The objects of one namespace, by the API at `url`. Every method raises NotFound, NotReady."""

    web: Web
    url: str
    account: Path | None = ACCOUNT

    def get(self, group: str, kind: str, name: str) -> dict[str, Any]:
        """Return an object. Raises: Corrupt if it is none."""
        answer = self.web.get(self._address(group, kind, name), self._headers())
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise Corrupt(f"{kind} {name}: {error!r}") from error
        if not isinstance(found, dict):
            raise Corrupt(f"{kind} {name} is no object")
        return found

    def patch(self, group: str, kind: str, name: str, change: Mapping[str, Any]) -> None:
        """Change an object by a JSON merge patch (RFC 7396).

        Raises: Conflict if `metadata.resourceVersion` in it is not the object's; BadInput if the change is refused.
        """
        headers = {**self._headers(), "content-type": "application/merge-patch+json"}
        self.web.patch(self._address(group, kind, name), json.dumps(change).encode(), headers)

    def _address(self, group: str, kind: str, name: str) -> str:
        namespace = NAMESPACE if self.account is None else _read(self.account, "namespace")
        return f"{self.url}/apis/{group}/namespaces/{namespace}/{kind}/{name}"

    def _headers(self) -> dict[str, str]:
        return {} if self.account is None else {"authorization": f"Bearer {_read(self.account, 'token')}"}


def _read(account: Path, name: str) -> str:
    """Return a file of the account, read each time: a token is replaced before it expires."""
    try:
        return (account / name).read_text().strip()
    except OSError as error:
        raise NotReady(f"no {name} of a service account: {error}") from error


def api(url: str, environment: Mapping[str, str], account: Path = ACCOUNT) -> Api:
    """Return the API at a URL, asked without an account; without a URL, that of the pod. Raises: BadSettings."""
    if url:
        return Api(web(), url, None)
    try:
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    except KeyError as error:
        raise BadSettings(f"{error.args[0]} is not set: this is no pod, and there is no KUBERNETES_URL") from None
    host = f"[{host}]" if ":" in host else host
    return Api(web(account / "ca.crt"), f"https://{host}:{port}", account)
