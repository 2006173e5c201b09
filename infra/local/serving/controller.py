"""Keeps the services, and brings processes and routes to what is wanted of them."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import structlog

from infra.local.machine import PORTS, Machine
from infra.local.parts import parts
from infra.local.router import Router
from infra.local.serving import patches, state
from infra.local.serving.reconcile import Seen, is_settled, step
from infra.local.serving.state import Revision, Service
from infra.local.supervisord import Supervisord
from shared.errors import NotFound

_PAUSE_SECONDS: Final = 0.5
_PROBE_SECONDS: Final = 1
_LOOK_SECONDS: Final = 1

log = structlog.get_logger()


@dataclass
class Controller:
    """The services of one machine. Raises at start: BadInput if their file is damaged."""

    machine: Machine
    clock: Callable[[], float] = time.time
    _turn: Lock = field(default_factory=Lock)
    _is_routed: bool = False
    _looked_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._services = state.load(self.machine, self.clock())
        self._owned = {name for name in PORTS if name.rpartition("-")[0] in self._services}

    def service(self, name: str) -> Service:
        """Return a service. Raises: NotFound."""
        if name not in self._services:
            raise NotFound(f'services.serving.knative.dev "{name[:80]}" not found')
        return self._services[name]

    def revision(self, name: str) -> Revision:
        """Return a revision. Raises: NotFound."""
        for service in self._services.values():
            found = service.revision(name)
            if found is not None:
                return found
        raise NotFound(f'revisions.serving.knative.dev "{name[:80]}" not found')

    def change(self, name: str, patch: object) -> Service:
        """Want something else from now on. Raises: NotFound, NotReady, and as `patches.changed` does."""
        with self._turn:
            service = self.service(name)
            after = patches.changed(service, patch)
            if after is not service:
                self._keep(after)
            return after

    def run(self) -> None:
        """Reconcile again and again; a failure is logged and changes nothing."""
        while True:
            try:
                self.reconcile()
            except Exception as error:  # whatever it is, it may be over next time, and requests go on as they do
                log.warning("reconcile_failed", reason=str(error) or repr(error))
            time.sleep(_PAUSE_SECONDS)

    def reconcile(self) -> None:
        """Take a step for each service that is not as wanted; look at the others less often. Raises: NotReady."""
        if not self._is_routed:  # the process before may have died between telling Envoy and keeping it
            with self._turn:
                self._route()
            self._is_routed = True
        for name, service in list(self._services.items()):
            rests, now = is_settled(service), self.clock()
            if rests and now - self._looked_at.get(name, 0.0) < _LOOK_SECONDS:
                continue
            self._looked_at[name] = now
            seen = self._look(service)
            with self._turn:
                if self._services[name] is not service:  # it was changed meanwhile, and is looked at again
                    continue
                after = step(service, seen, self.clock())
                if not rests or after is not service:
                    self._step(service, after)

    def _step(self, before: Service, after: Service) -> None:
        if after.routed != before.routed:
            self._route(after)
        if after is not before:
            self._keep(after)
        Supervisord(self.machine).adjust(parts(self.machine), self._owned)

    def _route(self, *changed: Service) -> None:
        services = self._services | {service.name: service for service in changed}
        Router(self.machine).write(state.traffic(self.machine, services))

    def _keep(self, service: Service) -> None:
        services = self._services | {service.name: service}
        state.save(self.machine, services)
        self._services = services
        phases = {each.name: each.phase for each in service.revisions}
        log.info("service_changed", service=service.name, version=service.version, routed=service.routed, phases=phases)

    def _look(self, service: Service) -> dict[int, Seen]:
        """Ask the supervisor about the processes of a service, and those that shall answer themselves."""
        states = Supervisord(self.machine).states()
        return {
            number: Seen(states[name], *self._probe(name, each))
            for each in service.revisions
            for number in each.processes
            if (name := state.process_name(service, number)) in states
        }

    def _probe(self, process: str, revision: Revision) -> tuple[bool, str]:
        if revision.phase != "running":
            return bool(revision.ready), ""
        try:
            with urllib.request.urlopen(f"{self.machine.url(process)}/health/readiness", timeout=_PROBE_SECONDS):
                return True, ""
        except urllib.error.HTTPError as error:
            return False, _detail(error.read()) or f"{process} answers {error.code}"
        except OSError:
            return False, f"{process} does not answer, see {self.machine.log(process)}"


def _detail(body: bytes) -> str:
    """Return what a problem+json says."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
