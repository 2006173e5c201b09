"""What is known of the services of one machine, and the file that it is kept in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from infra.local.machine import Machine
from infra.local.router import Target, Traffic, first_traffic
from shared import keys
from shared.adapters import files
from shared.errors import BadInput
from shared.events import ALGORITHMS, Algorithm
from shared.ports import Share

PROCESSES: Final = 2
"""The processes of a revision."""

ROOM: Final = 3
"""The revisions of a service that there are processes for: the one that serves, a canary, and one that goes."""

Phase = Literal["idle", "running", "draining", "stopping"]


class Record(BaseModel):
    """Refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Template(Record):
    """What the processes of a revision are told, under the revision's name."""

    name: str
    environment: dict[str, str]


class Revision(Record):
    """A revision of a service. Its processes have numbers among its service's, from 1; while it is idle it has none.

    `since` is when its phase began, in seconds since 1970. `ready` becomes true once all its processes are, false if
    that takes too long, and is not known before, nor when none of them has answered from `silent_since` on for a while;
    `reason` says why.
    """

    template: Template
    phase: Phase = "idle"
    since: float = 0.0
    processes: tuple[int, ...] = ()
    ready: bool | None = None
    silent_since: float | None = None
    reason: str = "no traffic names it"

    @property
    def name(self) -> str:
        """The name of the revision."""
        return self.template.name

    @property
    def runs(self) -> bool:
        """Whether its processes shall be there."""
        return self.phase in {"running", "draining"}


class Service(Record):
    """A service: the template of its next revision and the traffic that are wanted, and the traffic that there is.

    `version` counts every change, `generation` those of what is wanted. `annotations` are of whoever changes it.
    """

    name: str
    version: int
    generation: int
    template: Template
    wanted: tuple[Share, ...]
    routed: tuple[Share, ...]
    revisions: tuple[Revision, ...]
    annotations: dict[str, str] = {}

    @property
    def named(self) -> set[str]:
        """The revisions that are or shall be routed to."""
        return {share.revision for share in (*self.wanted, *self.routed)}

    def revision(self, name: str) -> Revision | None:
        """Return a revision by its name."""
        return next((each for each in self.revisions if each.name == name), None)


Services = Mapping[str, Service]
_FILE: Final = TypeAdapter(dict[str, Service])


def first(algorithm: Algorithm, now: float) -> Service:
    """Return the service of a new machine: one revision, of the model that the channel names, has all traffic."""
    name = keys.score_service(algorithm)
    template = Template(name=f"{name}-00001", environment={"ALGORITHM": algorithm})
    running = Revision(
        template=template, phase="running", since=now, processes=(1, 2), reason="nobody has looked at its processes yet"
    )
    all_traffic = (Share(template.name, "stable", 100),)
    return Service(
        name=name,
        version=1,
        generation=1,
        template=template,
        wanted=all_traffic,
        routed=all_traffic,
        revisions=(running,),
    )


def load(machine: Machine, now: float = 0.0) -> dict[str, Service]:
    """Return the services as they were kept, or those of a new machine. Raises: BadInput if the file is damaged."""
    try:
        return _FILE.validate_json(_path(machine).read_bytes())
    except FileNotFoundError:
        return {service.name: service for service in (first(algorithm, now) for algorithm in ALGORITHMS)}
    except ValidationError as error:
        raise BadInput(
            f"{_path(machine)} is damaged; without it all begins with the first revisions: {error}"
        ) from None


def save(machine: Machine, services: Services) -> None:
    """Keep the services. Raises: NotReady."""
    files.replace(_path(machine), _FILE.dump_json(dict(services), indent=1))


def traffic(machine: Machine, services: Services) -> Traffic:
    """Return all traffic that there is on a machine, as the router takes it."""
    ports = {
        each.name: [machine.port(process_name(service, number)) for number in each.processes]
        for service in services.values()
        for each in service.revisions
    }
    routed = {
        service.name: [
            Target(share.revision, share.percent, ports[share.revision], share.tag) for share in service.routed
        ]
        for service in services.values()
    }
    return {**first_traffic(machine), **routed}


def process_name(service: Service, number: int) -> str:
    """Return the name of a process, as of its port and its log."""
    return f"{service.name}-{number}"


def _path(machine: Machine) -> Path:
    return machine.data / "serving.json"
