"""Which artifact a service uses now: the one kind of object that changes, by compare-and-swap."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from shared import keys
from shared.artifacts import dumps
from shared.errors import Conflict, NotFound
from shared.ports import ObjectStore

_TRIES: Final = 5

log = structlog.get_logger()


@dataclass(frozen=True)
class Channels:
    """The state of each service, as a small JSON object."""

    objects: ObjectStore

    def get(self, service: str) -> dict[str, Any]:
        """Return the state; empty if there is none yet or it cannot be read. Raises: NotReady."""
        return self._standing(service)[0]

    def update(
        self, service: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    ) -> Mapping[str, Any]:
        """Replace the state by what `change` makes of it (None: leave it), and return what stands.

        `change` runs again on the newer state when somebody else wrote in between. A state that cannot be read counts
        as none and is replaced. Raises: Conflict after five such races; NotReady.
        """
        key = keys.channel(service)
        for _ in range(_TRIES):
            state, tag = self._standing(service)
            wanted = change(state)
            if wanted is None:
                return state
            try:
                if tag:
                    self.objects.put_if(key, dumps(wanted), tag)
                else:
                    self.objects.put_new(key, dumps(wanted))
            except (Conflict, NotFound):
                continue
            return wanted
        raise Conflict(f"{key}: others kept writing")

    def _standing(self, service: str) -> tuple[dict[str, Any], str | None]:
        """Return the state and the tag of what stands; no tag if nothing does."""
        try:
            data, tag = self.objects.get(keys.channel(service))
        except NotFound:
            return {}, None
        try:
            state = json.loads(data)
        except ValueError:
            state = None
        if isinstance(state, dict):
            return state, tag
        log.warning("channel_unreadable", service=service, bytes=repr(data[:1000]))
        return {}, tag
