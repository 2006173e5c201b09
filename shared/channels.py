"""Which artifact a service uses now: the one kind of object that changes, by compare-and-swap."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from shared import keys, telemetry
from shared.artifacts import dumps
from shared.errors import Conflict, Corrupt, NotFound
from shared.ports import ObjectStore


class OfLake(BaseModel):
    """A state that was made from a version of the lake."""

    lake_version: int


State = TypeVar("State", bound=BaseModel)
FromLake = TypeVar("FromLake", bound=OfLake)

_TRIES: Final = 5

log = structlog.get_logger()


@dataclass(frozen=True)
class Channels:
    """The state of each service, as a small JSON object.

    A state that cannot be found out anew is read and changed by `get` and `update`, which refuse a damaged one; one
    that can, by `known` and `revise`, to which damage is no state. One that is made from the lake is read by `reached`
    and stored by `advance`, to which one of a version that is still to come is none either: until then it would keep
    out every true one. `newest` says which version of the lake is the newest, once the state was read.
    """

    objects: ObjectStore

    def get(self, service: str) -> dict[str, Any]:
        """Return the state, empty if there is none yet. Raises: Corrupt if it is no JSON object; NotReady."""
        return _object(service, self._standing(service)[0])

    def update(
        self, service: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    ) -> Mapping[str, Any]:
        """Replace the state by what `change` makes of it (None: leave it), and return what stands.

        `change` runs again on the newer state when somebody else wrote in between.
        Raises: Corrupt if what stands is no JSON object; Conflict after five such races; NotReady.
        """
        for _ in range(_TRIES):
            data, tag = self._standing(service)
            state = _object(service, data)
            wanted = change(state)
            if wanted is None:
                return state
            if self._swapped(service, wanted, tag):
                return wanted
        raise Conflict(f"{keys.channel(service)}: others kept writing")

    def known(self, service: str, kind: type[State]) -> State | None:
        """Return the state, None if there is none yet or what stands is none of this kind. Raises: NotReady."""
        return _understood(service, self._standing(service)[0], kind)

    def revise(self, service: str, kind: type[State], change: Callable[[State | None], State | None]) -> State | None:
        """Replace the state by what `change` makes of what is `known` (None: leave it), and return what is known then.

        `change` runs again on the newer state when somebody else wrote in between.
        Raises: Conflict after five such races; NotReady.
        """
        for _ in range(_TRIES):
            data, tag = self._standing(service)
            standing = _understood(service, data, kind)
            wanted = change(standing)
            if wanted is None:
                return standing
            if self._swapped(service, wanted.model_dump(mode="json"), tag):
                return wanted
        raise Conflict(f"{keys.channel(service)}: others kept writing")

    def reached(self, service: str, kind: type[FromLake], newest: Callable[[], int]) -> FromLake | None:
        """Return what is `known` if it is of a version that there is, else None, which is told. Raises: NotReady."""
        state = self.known(service, kind)
        if state is None or state.lake_version <= (version := newest()):
            return state
        unreadable(service, f"lake version {state.lake_version} is still to come, the newest is {version}")
        return None

    def advance(self, service: str, state: OfLake, newest: Callable[[], int]) -> None:
        """Store a state, unless one stands of a newer version that there is.

        Raises: Conflict after five races with other writers; NotReady.
        """
        self.revise(
            service,
            type(state),
            lambda other: None if other and state.lake_version < other.lake_version <= newest() else state,
        )

    def _standing(self, service: str) -> tuple[bytes | None, str]:
        """Return what stands and its tag; None if nothing does."""
        try:
            return self.objects.get(keys.channel(service))
        except NotFound:
            return None, ""

    def _swapped(self, service: str, wanted: Mapping[str, Any], tag: str) -> bool:
        """Store a state if nobody else did since; say whether that was so."""
        key, data = keys.channel(service), dumps(wanted)
        try:
            if tag:
                self.objects.put_if(key, data, tag)
            else:
                self.objects.put_new(key, data)
        except (Conflict, NotFound):
            return False
        return True


def unreadable(service: str, reason: str, **facts: Any) -> None:
    """Tell that a channel is damaged, or says what cannot be."""
    telemetry.CHANNEL_UNREADABLE.labels(service).inc()
    log.warning("channel_unreadable", service=service, reason=reason[:500], **facts)


def _object(service: str, data: bytes | None) -> dict[str, Any]:
    try:
        state = {} if data is None else json.loads(data)
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise Corrupt(f"the channel of {service} is no JSON object, but {(data or b'')[:100]!r}")
    return state


def _understood(service: str, data: bytes | None, kind: type[State]) -> State | None:
    if data is None:
        return None
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        unreadable(service, wrong, bytes=repr(data[:1000]))
        return None
