"""Where services stand, and what was decided last: one look into the bucket."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Final

import typer

from shared import bootstrap, keys, rollout
from shared.decision import Decision
from shared.errors import BadInput, Corrupt, NotFound
from shared.events import ALGORITHMS
from shared.ports import ObjectStore
from shared.rollout import State
from shared.settings import Settings

SERVICES: Final = [keys.score_service(algorithm) for algorithm in ALGORITHMS]

Service = Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.", metavar="SERVICE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]


@dataclass(frozen=True)
class Look:
    """Where a service stood at a moment, in microseconds since 1970, and what was decided last about its models.

    `settings` are those of this shell, which on a cluster may be others than the functions have.
    """

    state: State
    decision: Decision | None
    settings: Settings
    now: int


def look(deps: bootstrap.Deps, service: str) -> Look:
    """Look at a service. Raises: Corrupt, NotReady."""
    state = rollout.read(service, deps.channels.get(service))
    return Look(state, last_decision(state, deps.objects), deps.settings, deps.now_us())


def look_at_all(deps: bootstrap.Deps) -> Mapping[str, Look]:
    """Look at every service. Raises: Corrupt, NotReady."""
    return {service: look(deps, service) for service in SERVICES}


def check_service(service: str) -> None:
    """Raises: BadInput if there is no such service."""
    if service not in SERVICES:
        raise BadInput(f"there is no service {service!r}; there are {', '.join(SERVICES)}")


def last_decision(state: State, objects: ObjectStore) -> Decision | None:
    """Return the newest decision about a service's canary, else about its stable model. Raises: Corrupt, NotReady."""
    release = state.canary.release if state.canary else state.stable
    if release is None:
        return None
    folder = str(PurePosixPath(keys.decision(state.service, release.model_version, 0)).parent)
    numbers = [int(stem) for key in objects.keys(f"{folder}/") if (stem := PurePosixPath(key).stem).isdecimal()]
    if not numbers:
        return None
    key = keys.decision(state.service, release.model_version, max(numbers))
    try:
        return Decision.from_bytes(objects.get(key).data)
    except (Corrupt, NotFound) as error:
        raise Corrupt(f"{key}: {error}") from error
