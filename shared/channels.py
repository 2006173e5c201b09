"""Which artifact a service uses now: the one kind of object that changes, by compare-and-swap."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared import keys
from shared.artifacts import dumps
from shared.errors import Conflict, Corrupt, NotFound
from shared.ports import ObjectStore

_TRIES: Final = 5


@dataclass(frozen=True)
class Channels:
    """The state of each service, as a small JSON object."""

    objects: ObjectStore

    def get(self, service: str) -> dict[str, Any]:
        """Return the state; empty if there is none yet. Raises: Corrupt, NotReady."""
        try:
            return _loads(service, self.objects.get(keys.channel(service)).data)
        except NotFound:
            return {}

    def update(
        self, service: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    ) -> Mapping[str, Any]:
        """Replace the state by what `change` makes of it (None: leave it), and return what stands.

        `change` runs again on the newer state when somebody else wrote in between.
        Raises: Conflict after five such races; Corrupt; NotReady.
        """
        key = keys.channel(service)
        for _ in range(_TRIES):
            try:
                standing = self.objects.get(key)
            except NotFound:
                standing = None
            state = _loads(service, standing.data) if standing else {}
            wanted = change(state)
            if wanted is None:
                return state
            try:
                if standing:
                    self.objects.put_if(key, dumps(wanted), standing.tag)
                else:
                    self.objects.put_new(key, dumps(wanted))
            except (Conflict, NotFound):
                continue
            return wanted
        raise Conflict(f"{key}: others kept writing")


def _loads(service: str, data: bytes) -> dict[str, Any]:
    try:
        state = json.loads(data)
    except ValueError:
        raise Corrupt(f"channel of {service}: not JSON") from None
    if not isinstance(state, dict):
        raise Corrupt(f"channel of {service}: not a JSON object")
    return state
