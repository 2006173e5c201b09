"""Steps of a rollout, each watched to its end."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from functions.rollout import core
from infra.deploy.manifests import first_image, readiness
from shared import keys, rollout
from shared.channels import Channels
from shared.errors import NotReady
from shared.events import ALGORITHMS
from shared.rollout import Change, State, What

SCORES: Final = [keys.score_service(algorithm) for algorithm in ALGORITHMS]
"""The services whose code and models `rollout` moves users to."""

_ENDS: Final[set[What]] = {"promoted", "rolled_back"}


class Cluster(Protocol):
    """What is asked of the cluster."""

    def apply(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Apply manifests."""

    def service(self, name: str) -> Mapping[str, Any] | None:
        """Return a Knative Service."""


@dataclass
class Rollout:
    """A rollout under way: `say` is told what happens."""

    cluster: Cluster
    channels: Channels
    now: Callable[[], int]
    say: Callable[[str], None]
    seconds: float
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.clock() + self.seconds

    def wait_ready(self, services: Sequence[str]) -> list[str]:
        """Wait for Services whose newest revision takes all traffic once it is ready; return what is wrong.

        One whose revision fails goes on with the one before. Raises: NotReady if it takes too long.
        """
        wrong, waiting = [], list(services)
        while waiting:
            for name in list(waiting):
                is_ready, why = readiness(self.cluster.service(name) or {"metadata": {"generation": 0}})
                if is_ready is not None:
                    waiting.remove(name)
                    self.say(f"{name}: {'ready' if is_ready else f'failed: {why}'}")
                if is_ready is False:
                    wrong.append(f"{name}: {why}")
            self._rest(waiting, f"the revisions of {', '.join(waiting)}")
        return wrong

    def order(self, service: str, image: str, who: str, why: str) -> int | None:
        """Order a trial of an image; return the number of the change before, None if there is nothing to try.

        Raises: BadInput if a canary is on trial.
        """
        state = self._state(service)
        found = self.cluster.service(service)
        if state.stable is None or found is None:
            self.say(f"{service}: no model is live yet; its first one will run the image of its Service")
            return None
        if image == (state.stable.image or first_image(found)):
            self.say(f"{service}: runs {image} already")
            return None
        rollout.update(self.channels, service, lambda before: core.release(before, image, who, why, self.now()))
        return state.number

    def watch(self, service: str, number: int) -> Change:
        """Tell what happens to a canary after a change, and return how it ended. Raises: NotReady if it does not."""
        told = number
        while True:
            state = self._state(service)
            for change in state.log:
                if change.number <= told:
                    continue
                told = change.number
                what = f"{change.what.replace('_', ' ')} {change.model_version}, {change.percent} %"
                self.say(f"{service}: {what}: {change.why}")
                if change.what in _ENDS:
                    return change
            self._rest(
                [service], f"a verdict about {service}; it goes on by itself, `marquee rollout status` tells how"
            )

    def _rest(self, waiting: Sequence[str], what: str) -> None:
        if waiting and self.clock() > self._until:
            raise NotReady(f"after {self.seconds:.0f} s still waiting for {what}")
        if waiting:
            self.pause(1.0)

    def _state(self, service: str) -> State:
        return rollout.read(service, self.channels.get(service))
