"""What must not become worse while a canary serves: shares of requests, with bounds, and levels, without."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from functions.evaluate_online.sequence import RARE, STRICT, Stratum, difference

Status = Literal["ok", "broken", "not enough"]
_Level = Annotated[float, Field(ge=0)] | None


@dataclass(frozen=True, config=STRICT)
class Level:
    """A number that each arm has once, such as its coverage; None if it was not measured.

    It comes without bounds, so both arms must be measured alike: coverage, for one, in as many lists of each. Stable's
    is judged as if it were at least `least`.
    """

    canary: _Level
    stable: _Level
    least: Annotated[float, Field(ge=0)] = 0.0


@dataclass(frozen=True, config=STRICT)
class Guardrail:
    """What was found: the numbers of both arms, bounds of their difference if it is a share, and the limit.

    A level's limit is so many times stable's number, or `least` if that is more.
    """

    name: str
    status: Status
    limit: float
    canary: float | None
    stable: float | None
    lower: float | None = None
    upper: float | None = None
    least: float = 0.0

    def __str__(self) -> str:
        if self.canary is None or self.stable is None:
            return f"{self.name}: not measured"
        if self.lower is None or self.upper is None:
            asked = f"must be {'at least' if self.limit < 1 else 'at most'} {self.limit:g} times "
            asked += f"{self.least:g}" if self.least > self.stable else "that"
            return f"{self.name}: {self.canary:.4g} beside {self.stable:.4g}, {asked}"
        more = f"{points(self.lower)} to {points(self.upper)} points more"
        return f"{self.name}: {self.canary:.2%} beside {self.stable:.2%}, {more}, {100 * self.limit:g} are allowed"


def of_share(name: str, strata: Sequence[Stratum], limit: float, alpha: float, narrowest_at: float = RARE) -> Guardrail:
    """Return whether a share is greater on the canary by more than `limit`, once that is known for sure."""
    found = difference(strata, alpha, narrowest_at)
    status: Status = "broken" if found.lower > limit else "ok" if found.upper <= limit else "not enough"
    return Guardrail(name, status, limit, found.canary, found.stable, found.lower, found.upper)


def of_level(name: str, level: Level | None, limit: float, enough: bool) -> Guardrail:
    """Return whether the canary's level keeps `limit` times stable's, if there were users enough to measure it.

    A limit below 1 says at least, one from 1 on at most.
    """
    if level is None or level.canary is None or level.stable is None:
        return Guardrail(name, "not enough", limit, None, None)
    bound = limit * max(level.stable, level.least)
    kept = level.canary >= bound if limit < 1 else level.canary <= bound
    status: Status = "not enough" if not enough else "ok" if kept else "broken"
    return Guardrail(name, status, limit, level.canary, level.stable, least=level.least)


def points(share: float) -> str:
    """Return a difference of shares in percentage points."""
    return f"{100 * share:+.2f}"
