"""Steps of a rollout, each watched to its end; a store or a cluster that is away for a while is waited for."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

from functions.rollout import core
from infra.deploy.manifests import Object, first_image, knative_services, readiness, without
from shared import keys, rollout
from shared.channels import Channels
from shared.errors import BadInput, MarqueeError, NotReady
from shared.events import ALGORITHMS
from shared.rollout import Change, State, What

SCORES: Final = [keys.score_service(algorithm) for algorithm in ALGORITHMS]
"""The services whose code and models `rollout` moves users to."""

_ENDS: Final[set[What]] = {"promoted", "rolled_back", "held"}
"""What ends a watch. One that is held waits for a person, or for the next model, however long that takes."""

_LOOK_SECONDS: Final = 1.0
_TURN_LOOK_SECONDS: Final = 10.0
"""How often it is looked whether another's trial is over, which takes hours."""

_WORD_SECONDS: Final = 600.0
"""How often it is said what is waited for, though nothing changed."""

_Answer = TypeVar("_Answer")


class Cluster(Protocol):
    """What is asked of the cluster."""

    def apply(self, documents: Iterable[Object]) -> None:
        """Apply manifests. Raises: BadInput, NotReady."""

    def service(self, name: str) -> Object | None:
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

    def deliver(
        self, manifests: Callable[[], tuple[Sequence[Object], Sequence[str]]], image: str | None, who: str, why: str
    ) -> list[str]:
        """Apply manifests but for the models' services, let users judge these' image if there is one, watch it all.

        Return what is wrong in the end. Nothing is applied before it is the image's turn. `manifests` returns them, and
        which of the models' services are there, as the cluster is now: it is asked again after the wait.
        Raises: BadInput; NotReady, also if there is no end in time.
        """
        documents, services = manifests()
        if image:
            try:
                self.wait_turn(services, image)
                documents, services = manifests()
            except MarqueeError:
                self.say("nothing was changed")
                raise
        self.cluster.apply(without(documents, services))
        self.say(f"applied; {', '.join(services) or 'no service of models'} left to rollout")
        wrong = self.wait_ready([name for name in knative_services(documents) if name not in SCORES])
        return [*wrong, *(self.release(services, image, who, why) if image else ())]

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

    def wait_turn(self, services: Sequence[str], image: str) -> None:
        """Wait until none of the services that are to try an image has anything on trial; say what has, now and then.

        Raises: BadInput if a canary is held, which is no end that comes by itself; NotReady if it takes too long.
        """
        told, again = "", 0.0
        while (busy := self._asked(partial(self._on_trial, services, image))) != "":
            if busy and (busy != told or self.clock() >= again):
                told, again = busy, self.clock() + _WORD_SECONDS
                self.say(f"waiting for the trial of {told} to end")
            self._rest(services, f"the trial of {told or 'whatever there is'} to end", _TURN_LOOK_SECONDS)

    def release(self, services: Sequence[str], image: str, who: str, why: str) -> list[str]:
        """Let users judge an image of the models' services; return what is wrong in the end.

        All are looked at before anything is ordered; what is ordered is watched, also if another order fails after it.
        Raises: BadInput if a canary is held; NotReady, also if there is no end in time.
        """
        self.wait_turn(services, image)
        ordered: dict[str, int] = {}
        wrong = []
        for name in services:
            try:
                number = self.order(name, image, who, why)
            except MarqueeError as error:
                if not ordered:
                    raise
                wrong.append(f"{name}: {error}")
                continue
            if number is not None:
                ordered[name] = number
        ends = [self.watch(name, number) for name, number in ordered.items()]
        return [*wrong, *(f"{_told(end)}: {end.why}" for end in ends if end.what != "promoted")]

    def order(self, service: str, image: str, who: str, why: str) -> int | None:
        """Order a trial of an image, when it is its turn; return the number of the change before.

        Return None, and say why, if there is nothing to try. Raises: BadInput if a canary is held; Conflict, NotReady.
        """
        while True:
            self.wait_turn([service], image)
            if why_not := self._needless(self._state(service), image):
                self.say(f"{service}: {why_not}")
                return None
            try:
                order = partial(core.release, image=image, who=who, why=why, now=self.now())
                return rollout.update(self.channels, service, order).number - 1
            except BadInput:
                if not self._on_trial([service], image):
                    raise  # else another began since we looked

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

    def _on_trial(self, services: Iterable[str], image: str) -> str:
        """Return, in words, what is on trial where an image is to be; nothing if nothing is.

        Raises: BadInput if that is held, and nothing waits to take its place; NotReady.
        """
        found = []
        for state in map(self._state, services):
            if state.canary is None or self._needless(state, image):
                continue
            model = f"{state.canary.release.model_version} of {state.service}"
            if state.name == "held" and state.waiting is None:
                raise BadInput(
                    f"{model} is held without a verdict, and stays so until the next model: "
                    f"`marquee rollout promote {state.service} --why ...`, or rollback, then deploy again"
                )
            found.append(f"{model} ({state.name}, {state.canary.percent} %{', in a pause' if state.is_paused else ''})")
        return " and ".join(found)

    def _needless(self, state: State, image: str) -> str:
        """Return why there is nothing to try of an image, nothing if there is. Raises: BadInput, NotReady."""
        found = self.cluster.service(state.service)
        if state.stable is None or found is None:
            return "no model is live yet; its first one will run the image of its Service"
        return f"runs {image} already" if image == (state.stable.image or first_image(found)) else ""

    def _rest(self, waiting: Sequence[str], what: str, seconds: float = _LOOK_SECONDS) -> None:
        if waiting and self.clock() > self._until:
            unreached = f"; the last that was heard: {self._unreached}" if self._unreached else ""
            raise NotReady(f"after {self.seconds:.0f} s still waiting for {what}{unreached}")
        if waiting:
            self.pause(seconds)

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
