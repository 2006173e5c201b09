"""How much better the canary's users do than the stable ones', in bounds that hold at every look at once.

Users are compared within strata: the periods between two changes of the traffic weights. The sequence is the
normal mixture (Robbins, 1970) in its asymptotic form (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Annals of
Statistics 2024) for the stratified score of Mantel and Haenszel (1959). docs/verdicts.md derives and measures it.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

EXPECTED_USERS: Final = 30_000
WATCHING: Final = 1_200.0
"""The variance of a score at which its bounds are narrowest: 30,000 users, half on each arm, a fifth of whom watch."""
RARE: Final = 200.0
"""The same for what should not happen: 80,000 users, half on each arm, one in a hundred of whom it happens to."""

STRICT: Final = ConfigDict(strict=True, allow_inf_nan=False)
_ROUNDING: Final = 1e-9
Numbers = NDArray[np.float64]


@dataclass(frozen=True, config=STRICT)
class Arm:
    """What the users of one arm did in one stratum: their number, and sums of a number in [0, 1] for each of them.

    Raises: ValidationError if no such users can be.
    """

    n_users: Annotated[int, Field(ge=0)]
    total: Annotated[float, Field(ge=0)]
    total_of_squares: Annotated[float, Field(ge=0)]

    def __post_init__(self) -> None:
        slack = _ROUNDING * (1 + self.n_users)
        if not self.total_of_squares <= self.total + slack or not self.total <= self.n_users + slack:
            raise ValueError("users' numbers are not all in [0, 1]")
        if self.total**2 > self.n_users * (self.total_of_squares + slack):
            raise ValueError("the total of squares is too small for the total")


@dataclass(frozen=True, config=STRICT)
class Stratum:
    """Both arms in a time when the traffic weights stood still, in which a user counts once."""

    canary: Arm
    stable: Arm


@dataclass(frozen=True, config=STRICT)
class Difference:
    """Canary minus stable with its bounds, and what it is the difference of.

    Means weigh the strata as the difference does. Users are those of strata that have both arms; without any,
    nothing is known: no estimate, and bounds of -1 and 1.
    """

    estimate: float | None
    lower: float
    upper: float
    canary: float | None
    stable: float | None
    n_canary: int
    n_stable: int


class Sums(NamedTuple):
    """Many arms: numbers of users, totals, totals of squares; all of one shape."""

    n_users: NDArray[Any]
    total: NDArray[Any]
    squares: NDArray[Any]


class Score(NamedTuple):
    """What a stratum has to say: weight · (canary's mean - stable's mean), and the variance of that."""

    weight: Numbers
    value: Numbers
    variance: Numbers


def difference(strata: Sequence[Stratum], alpha: float, narrowest_at: float = WATCHING) -> Difference:
    """Return the weighted mean of the strata's differences, with bounds that all hold, at all looks, but for alpha.

    Args: alpha: the chance that the truth is ever outside, half of it on each side.
    """
    canary, stable = _sums([each.canary for each in strata]), _sums([each.stable for each in strata])
    weights, values, variances = score(canary, stable)
    both = weights > 0
    if not both.any():
        return Difference(None, -1.0, 1.0, None, None, 0, 0)
    weight, value, variance = (float(each.sum()) for each in (weights, values, variances))
    wide = float(reach(variance, alpha, narrowest_at))
    means = [float(weights[both] @ (arm.total[both] / arm.n_users[both])) / weight for arm in (canary, stable)]
    return Difference(
        estimate=value / weight,
        lower=max(-1.0, (value - wide) / weight),
        upper=min(1.0, (value + wide) / weight),
        canary=means[0],
        stable=means[1],
        n_canary=int(canary.n_users[both].sum()),
        n_stable=int(stable.n_users[both].sum()),
    )


def score(canary: Sums, stable: Sums) -> Score:
    """Return the score of each stratum; all are 0 where an arm is empty.

    With n users, a share p of them the canary's, and the mean m of all: weight n p (1 - p), value Σ_canary (y - m). As
    variance counts the greater of two, times n / (n - 1), as one mean was estimated: what each arm shows,
    (1 - p)² Σ_canary (y - m)² + p² Σ_stable (y - m)², and what chance alone would do with users dealt anew,
    p (1 - p) Σ (y - m)². The first holds if arms vary differently; but a small arm that happens to see few of rare
    events would by itself seem to vary little.
    """
    both = (canary.n_users > 0) & (stable.n_users > 0)
    n = np.where(both, canary.n_users + stable.n_users, 2)
    share, mean = canary.n_users / n, (canary.total + stable.total) / n
    around = [arm.squares - 2 * mean * arm.total + arm.n_users * mean**2 for arm in (canary, stable)]
    shown = (1 - share) ** 2 * around[0] + share**2 * around[1]
    variance = np.maximum(shown, share * (1 - share) * (around[0] + around[1])) * n / (n - 1)
    return Score(
        np.where(both, stable.n_users * share, 0.0),
        np.where(both, canary.total - canary.n_users * mean, 0.0),
        np.where(both, np.maximum(variance, 0.0), 0.0),
    )


def reach(variance: Numbers | float, alpha: float, narrowest_at: float = WATCHING) -> Numbers:
    """Return how far from the truth a score with a variance V is ever, but for alpha.

    √((V + η) (log(1 + V / η) - 2 log alpha)) with the η that makes this least, beside √V, at V = `narrowest_at`.
    """
    odds = -2 * math.log(alpha)
    eta = narrowest_at / (odds + math.log1p(odds))
    return np.sqrt((variance + eta) * (np.log1p(np.asarray(variance) / eta) + odds))


def _sums(arms: Sequence[Arm]) -> Sums:
    columns = np.array([(arm.n_users, arm.total, arm.total_of_squares) for arm in arms], dtype=np.float64)
    return Sums(*columns.reshape(-1, 3).T)
