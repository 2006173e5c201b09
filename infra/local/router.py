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

from infra.local import envoy
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
        self._replace("envoy.yaml", envoy.bootstrap(self.folder, self.machine.port("envoy-admin")))
        every = [target for targets in traffic.values() for target in targets]
        clusters = {target.revision: envoy.cluster(target.revision, target.ports) for target in every}
        self._replace(envoy.CLUSTERS, {"resources": list((self._in_use() | clusters).values())})
        runs = self._known() is not None
        if runs:
            addresses = {f"{target.revision}::127.0.0.1:{port}" for target in every for port in target.ports}
            _wait(lambda: (self._known() or set()).issuperset(addresses), f"know {sorted(addresses)}")
        for service, targets in traffic.items():
            routes = envoy.routes(service, [target.share for target in targets])
            self._replace(envoy.routes_file(service), {"resources": [routes]})
        listeners = [envoy.listener(service, self.machine.port(service), self.folder) for service in traffic]
        self._replace(envoy.LISTENERS, {"resources": listeners})
        if runs:
            _wait(lambda: all(self._does(service, targets) for service, targets in traffic.items()), "take the routes")

    def _in_use(self) -> dict[str, Any]:
        """Return the clusters that the routes name now."""
        try:
            standing = yaml.safe_load((self.folder / envoy.CLUSTERS).read_text())["resources"]
        except FileNotFoundError:
            return {}
        routes = [yaml.safe_load(path.read_text()) for path in self.folder.glob(envoy.routes_file("*"))]
        named = json.dumps(routes)
        return {each["name"]: each for each in standing if json.dumps(each["name"]) in named}

    def _known(self) -> set[str] | None:
        """Return the processes that Envoy knows, `<revision>::<address>`.

        None if it does not run: it will read the files when it starts.
        """
        try:
            with urllib.request.urlopen(f"{self.machine.url('envoy-admin')}/clusters", timeout=2) as answer:
                return {"::".join(line.split("::")[:2]) for line in answer.read().decode().splitlines()}
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


def _wait(done: Callable[[], bool], what: str) -> None:
    """Return once done. Raises: NotReady saying what did not come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise NotReady(f"Envoy did not {what} within {_PATIENCE_SECONDS} s")
        time.sleep(0.05)
