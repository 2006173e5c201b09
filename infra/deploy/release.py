"""Steps of a rollout, each watched to its end; a store or a cluster that is away for a while is waited for."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from functions.rollout import core
from infra.deploy.manifests import first_image, readiness
from shared import keys, rollout
from shared.channels import Channels
from shared.errors import MarqueeError, NotReady
from shared.events import ALGORITHMS
from shared.rollout import Change, State, What

SCORES: Final = [keys.score_service(algorithm) for algorithm in ALGORITHMS]
"""The services whose code and models `rollout` moves users to."""

_ENDS: Final[set[What]] = {"promoted", "rolled_back", "held"}
"""What ends a watch. One that is held waits for a person, or for the next model, however long that takes."""

_Answer = TypeVar("_Answer")


class Cluster(Protocol):
    """What is asked of the cluster."""

    def apply(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Apply manifests."""

    def service(self, name: str) -> Mapping[str, Any] | None:
        """Return a Knative Service, None if there is none. Raises: BadInput, NotReady."""


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
    _unreached: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._until = self.clock() + self.seconds

    def wait_ready(self, services: Sequence[str]) -> list[str]:
        """Wait for Services whose newest revision takes all traffic once it is ready; return what is wrong.

        One whose revision fails goes on with the one before. Raises: NotReady if it takes too long.
        """
        wrong, waiting = [], list(services)
        while waiting:
            for name in list(waiting):
                found = self._asked(partial(self.cluster.service, name))
                is_ready, why = readiness(found or {"metadata": {"generation": 0}})
                if is_ready is not None:
                    waiting.remove(name)
                    self.say(f"{name}: {'ready' if is_ready else f'failed: {why}'}")
                if is_ready is False:
                    wrong.append(f"{name}: {why}")
            self._rest(waiting, f"the revisions of {', '.join(waiting)}")
        return wrong

    def release(self, services: Sequence[str], image: str, who: str, why: str) -> list[str]:
        """Let users judge an image of the models' services; return what is wrong in the end.

        All are looked at before anything is ordered; what is ordered is watched, also if another order fails after it.
        Raises: BadInput if a canary is on trial; NotReady, also if there is no end in time.
        """
        tried = [name for name in services if self.is_to_try(name, image)]
        ordered, wrong = {}, []
        for name in tried:
            try:
                ordered[name] = self.order(name, image, who, why)
            except MarqueeError as error:
                if not ordered:
                    raise
                wrong.append(f"{name}: {error}")
        ends = [self.watch(name, number) for name, number in ordered.items()]
        return [*wrong, *(f"{_told(end)}: {end.why}" for end in ends if end.what != "promoted")]

    def is_to_try(self, service: str, image: str) -> bool:
        """Say whether an image is news for a service with a model. Raises: BadInput if it has a canary; NotReady."""
        state, found = self._state(service), self.cluster.service(service)
        if state.stable is None or found is None:
            self.say(f"{service}: no model is live yet; its first one will run the image of its Service")
            return False
        if image == (state.stable.image or first_image(found)):
            self.say(f"{service}: runs {image} already")
            return False
        core.release(state, image, "", "", self.now())  # raises what an order would
        return True

    def order(self, service: str, image: str, who: str, why: str) -> int:
        """Order a trial of an image; return the number of the change before.

        Raises: BadInput if there is nothing to try or a canary is on trial; Conflict, NotReady.
        """
        number = self._state(service).number
        rollout.update(self.channels, service, lambda before: core.release(before, image, who, why, self.now()))
        return number

    def watch(self, service: str, number: int) -> Change:
        """Tell what happens to a canary after a change, and return how it ended. Raises: NotReady if it does not."""
        told = number
        while True:
            state = self._asked(partial(self._state, service))
            for change in state.log if state else ():
                if change.number <= told:
                    continue
                told = change.number
                self.say(f"{service}: {_told(change)}, {change.percent} %: {change.why}")
                if change.what in _ENDS:
                    return change
            self._rest(
                [service], f"a verdict about {service}; it goes on by itself, `marquee rollout status` tells how"
            )

    def _rest(self, waiting: Sequence[str], what: str) -> None:
        if waiting and self.clock() > self._until:
            unreached = f"; the last that was heard: {self._unreached}" if self._unreached else ""
            raise NotReady(f"after {self.seconds:.0f} s still waiting for {what}{unreached}")
        if waiting:
            self.pause(1.0)

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer | None:
        """Return an answer; None, once told, while a store or the cluster is away."""
        try:
            answer = ask()
        except NotReady as error:
            if not self._unreached:
                self.say(f"waiting, for {error}")
            self._unreached = str(error)
            return None
        self._unreached = ""
        return answer

    def _state(self, service: str) -> State:
        return rollout.read(service, self.channels.get(service))


def _told(change: Change) -> str:
    return f"{change.what.replace('_', ' ')} {change.model_version}"
