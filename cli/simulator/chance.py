"""Chance that can be asked for anything in any order, and always says the same."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOVIES, USERS, VISITS = range(3)
"""What chance is asked about."""

_N_WISHES: Final = 8


class Chance(NamedTuple):
    """All that chance has to say about one visit: numbers from 0 to 1, and noise, which is standard normal."""

    who: float
    takes: float
    rates: float
    stays: float
    pause: float
    late: float
    repeated: float
    wishes: Floats
    noise: float


def about(seed: int, what: int, number: int) -> np.random.Generator:
    """Return the chance of one thing: Philox counts, nothing drawn before has a say (Salmon et al., SC 2011)."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, number, 0, what]))


def of_visit(seed: int, moment: int) -> Chance:
    """Return what chance says about a visit."""
    chance = about(seed, VISITS, moment)
    who, takes, rates, stays, pause, late, repeated = chance.random(7).tolist()
    wishes, noise = chance.random(_N_WISHES), chance.standard_normal()
    return Chance(who, takes, rates, stays, pause, late, repeated, wishes, noise)
