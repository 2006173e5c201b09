"""Where services stand, and what was decided last: one look into the bucket."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Final

import typer

from shared import bootstrap, keys, rollout
from shared.decision import Decision, stored
from shared.errors import BadInput, Corrupt, NotFound
from shared.events import ALGORITHMS
from shared.rollout import State
from shared.settings import Settings

SERVICES: Final = [keys.score_service(algorithm) for algorithm in ALGORITHMS]

Service = Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.", metavar="SERVICE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]


@dataclass(frozen=True)
class Look:
    """Where a service stood at a moment, in microseconds since 1970, and what was decided last about its models.

    `refused` is why the last decision is not shown: nobody who is trusted here vouches for it, or it is damaged.
    `settings` are those of this shell, which on a cluster may be others than the functions have.
    """

    state: State
    decision: Decision | None
    refused: str
    settings: Settings
    now: int


def look(deps: bootstrap.Deps, service: str) -> Look:
    """Look at a service. Raises: Corrupt, NotReady."""
    state = rollout.read(service, deps.channels.get(service))
    try:
        decision, refused = last_decision(state, deps), ""
    except (Corrupt, NotFound) as error:
        decision, refused = None, str(error)
    return Look(state, decision, refused, deps.settings, deps.now_us())


def look_at_all(deps: bootstrap.Deps) -> Mapping[str, Look]:
    """Look at every service. Raises: Corrupt, NotReady."""
    return {service: look(deps, service) for service in SERVICES}


def check_service(service: str) -> None:
    """Raises: BadInput if there is no such service."""
    if service not in SERVICES:
        raise BadInput(f"there is no service {service!r}; there are {', '.join(SERVICES)}")


def last_decision(state: State, deps: bootstrap.Deps) -> Decision | None:
    """Return the newest decision about a service's canary, else about its stable model.

    Raises: Corrupt if `rollout` would not follow it; NotFound, NotReady.
    """
    release = state.canary.release if state.canary else state.stable
    if release is None:
        return None
    folder = str(PurePosixPath(keys.decision(state.service, release.model_version, 0)).parent)
    numbers = [int(stem) for key in deps.objects.keys(f"{folder}/") if (stem := PurePosixPath(key).stem).isdecimal()]
    if not numbers:
        return None
    return stored(deps.objects, state.service, release.model_version, max(numbers), deps.judge)
