"""How the users are shared between the two algorithms: what lives in the channel `experiment`, and what it rests on."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared import keys
from shared.channels import Channels
from shared.errors import Corrupt
from shared.events import Algorithm
from shared.rollout import LOG_LENGTH, Moment, Percent

LEAST: Final = 10
MOST: Final = 90
"""Beyond these percentages of users on SVD no step goes: who has nobody can show nothing."""

_strict = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Change(BaseModel):
    """From a moment on SVD has this share of the users: by whom, and why.

    `evidence` is where the online report is stored that it rests on, None if it rests on a person's word.
    """

    model_config = _strict

    at: Moment
    svd_percent: Percent
    who: str
    why: str
    evidence: str | None = None


class Experiment(BaseModel):
    """The last changes of the share between the algorithms; the newest says what holds."""

    model_config = _strict

    log: Annotated[tuple[Change, ...], Field(min_length=1)]

    @property
    def svd_percent(self) -> int:
        """The percentage of users on SVD; all others are on SVD++."""
        return self.log[-1].svd_percent

    @property
    def since(self) -> int:
        """Since when it is so."""
        return self.log[-1].at


class Comparison(BaseModel):
    """What an online report says of the algorithms: by how much more of the users watch from the lists of `of`.

    They are those whose first list came from `since` on, while SVD had `svd_percent` of the users; bounds hold at every
    look. `preferred` is the better arm if one is better for sure. `canary` and `n_canary` are the share of hits and the
    users of `of`, `stable` and `n_stable` those of `against`.
    """

    model_config = _strict

    of: Literal["svdpp:stable"] = "svdpp:stable"
    against: Literal["svd:stable"] = "svd:stable"
    preferred: Literal["svdpp:stable", "svd:stable"] | None
    since: Moment
    svd_percent: Percent
    estimate: float | None
    lower: float
    upper: float
    canary: float | None
    stable: float | None
    n_canary: int
    n_stable: int

    @property
    def better(self) -> Algorithm | None:
        """The algorithm that users prefer, None as long as that is not sure."""
        return None if self.preferred is None else "svdpp" if self.preferred == self.of else "svd"


class Reported(BaseModel):
    """What those see of an online report who only want to know which algorithm users prefer."""

    model_config = _strict

    experiment: Comparison | None = None


def comparison(report: bytes) -> Comparison | None:
    """Return what a stored online report says of the algorithms, None if one had no model. Raises: Corrupt."""
    try:
        return Reported.model_validate_json(report).experiment
    except ValidationError as error:
        raise Corrupt(f"not an online report: {error.error_count()} fields are wrong") from None


def known(channels: Channels) -> Experiment | None:
    """Return what the channel says, None if nothing can be read there: then the setting holds. Raises: NotReady."""
    return channels.known(keys.EXPERIMENT_CHANNEL, Experiment)


def noted(before: Experiment | None, change: Change) -> Experiment:
    """Return what stands after a change; only the last changes are kept."""
    return Experiment(log=(*(before.log if before else ()), change)[-LOG_LENGTH:])


def shares(svd_percent: int) -> dict[Algorithm, int]:
    """Return the percentage of users of each algorithm."""
    return {"svd": svd_percent, "svdpp": 100 - svd_percent}


def stepped(svd_percent: int, better: Algorithm, step: int) -> int:
    """Return the percentage of users on SVD after a step towards the better algorithm, at most to a limit.

    A share beyond the limits was chosen by a person, and stays.
    """
    if not LEAST <= svd_percent <= MOST:
        return svd_percent
    return min(max(svd_percent + (step if better == "svd" else -step), LEAST), MOST)
