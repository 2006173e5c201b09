"""Where the models of one service stand: what lives in the service's channel, and every change of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import Corrupt

LOG_LENGTH: Final = 50
REFUSED_LENGTH: Final = 100

Phase = Literal["deploying", "serving", "held"]
Percent = Annotated[int, Field(ge=0, le=100)]
Moment = Annotated[int, Field(ge=0)]
"""Microseconds since 1970, UTC."""

_strict = ConfigDict(frozen=True, extra="ignore")


class Release(BaseModel):
    """A model, the revision that answers from it, and the lake version that it was trained on."""

    model_config = _strict

    model_version: str
    revision: str
    lake_version: int


class Period(BaseModel):
    """From this moment on the canary has this share of the users."""

    model_config = _strict

    since: Moment
    percent: Percent


class Canary(BaseModel):
    """A model on trial. `periods` tell its weights so far, the first of them 0; `judged` is the last decision's number.

    `unready_since` is when its processes stopped answering, None while they do.
    """

    model_config = _strict

    release: Release
    phase: Phase
    periods: Annotated[tuple[Period, ...], Field(min_length=1)]
    judged: int = -1
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

    number: int
    at: Moment
    what: str
    model_version: str
    percent: Percent
    who: str
    why: str
    evidence: str | None = None


class State(BaseModel):
    """The models of a service. `model_version` is the stable one, for those who only want to know what is live."""

    model_config = _strict

    service: str
    model_version: str | None = None
    stable: Release | None = None
    previous: Release | None = None
    canary: Canary | None = None
    waiting: Release | None = None
    refused: tuple[str, ...] = ()
    is_paused: bool = False
    log: tuple[Change, ...] = ()
    announced: int = 0

    @property
    def number(self) -> int:
        """How many changes there were."""
        return self.log[-1].number if self.log else 0

    @property
    def name(self) -> str:
        """The state's name: empty, stable, deploying, canary or held."""
        if self.canary is None:
            return "stable" if self.stable else "empty"
        return {"deploying": "deploying", "serving": "canary", "held": "held"}[self.canary.phase]

    def knows(self, model_version: str) -> bool:
        """Say whether a model has a place here, or had its trial."""
        releases = [self.stable, self.previous, self.waiting, self.canary and self.canary.release]
        return model_version in {each.model_version for each in releases if each} | set(self.refused)

    def with_change(self, change: Change, **fields: Any) -> "State":
        """Return the state after a change."""
        after = self.model_copy(update={**fields, "log": (*self.log, change)[-LOG_LENGTH:]})
        stable = after.stable.model_version if after.stable else None
        return after.model_copy(update={"model_version": stable, "refused": after.refused[-REFUSED_LENGTH:]})


def read(service: str, channel: Mapping[str, Any]) -> State:
    """Return the state that a channel holds; a channel that is empty holds a service without a model.

    Raises: Corrupt if it holds something else.
    """
    try:
        return State.model_validate({"service": service, **channel})
    except ValidationError as error:
        raise Corrupt(
            f"the channel of {service} is no state of a rollout: {error.error_count()} wrong fields"
        ) from None
