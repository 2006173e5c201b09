"""Where the models of one service stand: what lives in the service's channel, and every change of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.artifacts import LakeVersion
from shared.channels import Channels, unreadable
from shared.errors import Corrupt

LOG_LENGTH: Final = 50
OTHERS_KEPT: Final = 20
"""So many changes are kept that moved users, and so many others: orders to pause never push out who promoted what."""

AHEAD_MOST: Final = 86_400 * 1_000_000
"""No clock is wrong by so many microseconds: a moment that is further ahead is damage, and not waited for."""

Phase = Literal["deploying", "serving", "held"]
Percent = Annotated[int, Field(ge=0, le=100)]
Moment = Annotated[int, Field(ge=0)]
"""Microseconds since 1970, UTC."""

What = Literal[
    "deploying", "waiting", "canary", "held", "promoted", "rolled_back", "adopted", "paused", "resumed", "overruled"
]
"""What can happen to a service's models."""

MOVES: Final[frozenset[What]] = frozenset({"canary", "promoted", "rolled_back", "adopted"})
"""What moves users, or says for the first time where they are."""

Name = Literal["empty", "deploying", "canary", "held", "stable"]
"""What a service is called by where its models stand."""

_strict = ConfigDict(frozen=True, extra="ignore")


class Release(BaseModel):
    """A model, the revision that answers from it, and the lake version that it was trained on.

    `image` is the code of the revision, empty while nobody chose any.
    """

    model_config = _strict

    model_version: str
    revision: str
    lake_version: LakeVersion
    image: str = ""


class Period(BaseModel):
    """From this moment on the canary has this share of the users."""

    model_config = _strict

    since: Moment
    percent: Percent


class Canary(BaseModel):
    """A model on trial. `periods` tell its weights so far, the first of them 0; `judged` is the last decision's number.

    `is_ready` says that it answered while it waited for the end of a pause. `unready_since` is when its processes
    stopped answering, None while they do.
    """

    model_config = _strict

    release: Release
    phase: Phase
    periods: Annotated[tuple[Period, ...], Field(min_length=1)]
    judged: LakeVersion = -1
    is_ready: bool = False
    unready_since: Moment | None = None

    @property
    def percent(self) -> int:
        """Its share of the users now."""
        return self.periods[-1].percent

    @property
    def started_at(self) -> int:
        """When it was accepted."""
        return self.periods[0].since


class Change(BaseModel):
    """What happened, by whom and why; `evidence` is where the decision that it rests on is stored."""

    model_config = _strict

    number: Annotated[int, Field(ge=0, le=10**9)]
    at: Moment
    what: What
    model_version: str
    percent: Percent
    who: str
    why: str
    evidence: str | None = None


class State(BaseModel):
    """The models of a service. `model_version` is the stable one, for those who only want to know what is live.

    `log` has the last changes that moved users and a few others, and all that nobody was told of yet.

    `lake_version` is the newest that an accepted model was trained on, and `accepted` are the models of that version:
    neither they nor models of older ones are accepted again. `announced` is the number of the last change that was
    told. `routed_at` is when users were first seen shared out as they shall be, None until they are.
    """

    model_config = _strict

    service: str
    model_version: str | None = None
    stable: Release | None = None
    stable_since: Moment | None = None
    previous: Release | None = None
    canary: Canary | None = None
    waiting: Release | None = None
    lake_version: LakeVersion = -1
    accepted: tuple[str, ...] = ()
    is_paused: bool = False
    routed_at: Moment | None = None
    log: tuple[Change, ...] = ()
    announced: int = 0

    @property
    def number(self) -> int:
        """How many changes there were."""
        return self.log[-1].number if self.log else 0

    @property
    def name(self) -> Name:
        """The state's name."""
        if self.canary is None:
            return "stable" if self.stable else "empty"
        return "canary" if self.canary.phase == "serving" else self.canary.phase

    @property
    def users(self) -> dict[str, int]:
        """The percentage of the users of each revision that shall have any."""
        percent = self.canary.percent if self.canary else 0
        found = {self.stable.revision: 100 - percent} if self.stable else {}
        return found | {self.canary.release.revision: percent} if self.canary and percent else found

    @property
    def contradiction(self) -> str:
        """What cannot be, nothing if all can: its users would not be shared out as a whole."""
        canary, stable = self.canary and self.canary.release, self.stable
        if self.canary and self.canary.percent and not stable:
            return "users with a canary and nobody with a stable model"
        for name, release in (("canary", canary), ("waiting model", self.waiting)):
            if release and stable and release.revision == stable.revision:
                return f"its stable model as its {name}"
        if canary and self.waiting and canary.revision == self.waiting.revision:
            return "its canary as its waiting model"
        return ""

    def with_change(self, change: Change, **fields: Any) -> "State":
        """Return the state after a change. If it moves users, they are not yet where they shall be."""
        after = self.model_copy(update={**fields, "log": _kept((*self.log, change), self.announced)})
        routed_at = self.routed_at if after.users == self.users else None
        live = after.stable and after.stable.model_version
        return after.model_copy(update={"model_version": live, "routed_at": routed_at})


def _kept(log: Sequence[Change], announced: int) -> tuple[Change, ...]:
    moves = [change.number for change in log if change.what in MOVES][-LOG_LENGTH:]
    others = [change.number for change in log if change.what not in MOVES][-OTHERS_KEPT:]
    kept = {*moves, *others}
    return tuple(change for change in log if change.number in kept or change.number > announced)


class Live(BaseModel):
    """What those see of a state who only want to know which model is live."""

    model_config = _strict

    model_version: str | None = None


def live(channels: Channels, service: str) -> str | None:
    """Return the model that is live, None if there is none yet or damage hides which, which is logged.

    Raises: NotReady.
    """
    state = channels.known(service, Live)
    return (state and state.model_version) or None


def read(service: str, channel: Mapping[str, Any]) -> State:
    """Return the state that a channel holds; a channel that is empty holds a service without a model.

    Raises: Corrupt if it holds something else.
    """
    try:
        return State.model_validate({**channel, "service": service})
    except ValidationError as error:
        raise Corrupt(
            f"the channel of {service} is no state of a rollout: {error.error_count()} wrong fields"
        ) from None


def possible(service: str, channel: Mapping[str, Any], now: Moment) -> State:
    """Return the state that a channel holds, for who acts on it by itself: it says nothing that would stop it for ever.

    A person reads it as it is, and may order what makes it good again.
    Raises: Corrupt, which is told, if it holds something else, or its trial, its traffic or its last change is of a day
    that is still to come, or changes were told that never were, or a model has two places.
    """
    try:
        state = read(service, channel)
        began = [period.since for period in state.canary.periods] if state.canary else []
        newest = max([*began, state.routed_at or 0, *(change.at for change in state.log[-1:])], default=0)
        if newest > now + AHEAD_MOST:
            raise Corrupt(f"the channel of {service} has a moment that is to come, {newest} µs after 1970")
        if state.announced > state.number:
            raise Corrupt(f"the channel of {service} has {state.number} changes, and {state.announced} that were told")
        if state.contradiction:
            raise Corrupt(f"the channel of {service} has {state.contradiction}")
    except Corrupt as error:
        unreadable(service, str(error))
        raise
    return state


def update(
    channels: Channels,
    service: str,
    change: Callable[[State], State],
    reads: Callable[[str, Mapping[str, Any]], State] = read,
) -> State:
    """Store what `change` makes of the state, if anything, and return what stands. `change` may be called again.

    Raises: Conflict after several races; NotReady, and what `reads` and `change` raise.
    """

    def changed(channel: Mapping[str, Any]) -> Mapping[str, Any] | None:
        before = reads(service, channel)
        after = change(before)
        return None if after == before else after.model_dump(mode="json")

    return reads(service, channels.update(service, changed))
